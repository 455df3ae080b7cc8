// Tokens with a limit, such as those of agents: what each may do to a run, what it did, and what is left.
import { html } from "./vendor/standalone.module.js";
import { runPath, useGet } from "./api.js";
import { Item } from "./history.js";
import { Act, Empty } from "./parts.js";
import { Proposal, answer } from "./proposals.js";
import { ago, clock, count, duration, short, some, steps } from "./words.js";

/** @typedef {import("./wire").Allowance} Allowance */

/** How much of what a token did is shown beside it; the history has the rest. */
const SHOWN = 3;

/** @param {{seen: import("./run.js").Seen}} props */
export function Agents({ seen }) {
  const { run, news, agents } = seen;
  const open = useGet(`${runPath(run.name)}/proposals`, { state: "open", limit: 1000 }, news, 10).data;
  if (!agents.length) return html`<${Empty} title="No token with a limit knows of this run." />`;
  return html`<section aria-label="Agents"><h2 class="part">Tokens with a limit</h2>
    ${agents.map((one) => html`<${Agent} key=${one.token} one=${one} seen=${seen}
      asks=${(open?.items || []).filter((each) => each.author === one.token)} />`)}</section>`;
}

/** @param {{one: Allowance, seen: import("./run.js").Seen, asks: import("./wire").Proposal[]}} props */
function Agent({ one, seen, asks }) {
  const { run, who, news, workers, may } = seen;
  const { token, refused, refusal } = one;
  const query = { author: token, order: "newest", limit: SHOWN };
  const did = useGet(one.made > 0 && `${runPath(run.name)}/revisions`, query, news, 15).data;
  const decline = async () => {
    for (const each of asks) await answer(seen, each, "decline");
  };
  return html`<div class="card agent"><div class="bar"><h3>${token}</h3>${who?.name === token && html`<span
      class="tag">you</span>`}<span class="soft" title=${one.limit}>${bounds(one, run.axis)}</span></div>
    <dl class="facts"><${Left} one=${one} axis=${run.axis} /><div><dt>made</dt><dd class="num">
      ${count(one.made)}</dd></div><div><dt>refused</dt><dd class="num">${refused ? count(refused) : "never"}</dd>
      </div></dl>
    ${refusal && html`<p class="soft">It was told last, <time title=${clock(one.refused_at)}>${ago(one.refused_at)}
      </time>: <bdi class="message">${refusal}</bdi></p>`}
    ${did && did.items.length > 0 && html`<ol class="items">${did.items.map((each) => html`<${Item}
      key=${each.revision} revision=${each} seen=${seen}
      eta=${workers?.eta.find((eta) => eta.revision === each.revision)} />`)}</ol>`}
    <button onClick=${() => seen.look(token)}>All that it did, in the history</button>
    ${asks.length > 0 && may("decide") && html`<div class="bar part"><b>${some(asks.length, "proposal")}</b><span
      class="grow"></span><${Act} kind="danger"
      act=${() => decline().finally(seen.again)}>${asks.length > 1 ? "Decline all" : "Decline it"}</${Act}></div>`}
    ${asks.map((each) => html`<${Proposal} key=${each.proposal} one=${each} seen=${seen} />`)}
    ${who?.role === "admin" && html`<p class="soft">To end all that it may do:
      ${" "}<code>rheostat token revoke ${token}</code></p>`}</div>`;
}

/**
 * What a limit leaves now: of each token, and where one is refused.
 * @param {{one: Allowance, axis: string}} props
 */
export const Left = ({ one, axis }) =>
  html`<div><dt>left now</dt><dd class="num">${one.left == null ? "any number" : some(one.left, "change")}</dd></div>
    ${one.again_at && html`<div><dt>the next</dt><dd title=${clock(one.again_at)}>in ${ahead(one.again_at)}</dd></div>`}
    ${one.from_step != null && html`<div><dt>from ${axis}</dt><dd class="num">${count(one.from_step)}</dd></div>`}`;

/** @param {string} when */
const ahead = (when) => duration(Math.max(0, (new Date(when).getTime() - Date.now()) / 1000));

/** A limit in words. @param {Allowance} one @param {string} axis */
function bounds({ limit, acts, parameters, edits, ratio }, axis) {
  /** @type {Record<string, string>} */
  const said = Object.fromEntries(limit.split(", ").map((part) => part.split("=")));
  const [many, period] = said.changes?.split("/") || [];
  const counted = ["change", "stop", "signal"].filter((act) => acts.some((one) => one === act));
  const what = either(counted.map((act) => (many === "1" ? act : act + "s")));
  const named = said.parameters && `of ${either(said.parameters.split("|"))}`;
  return [
    many ? `${count(Number(many))} ${what} ${period === "hour" ? "an" : "a"} ${period}` : what,
    said.gap && `changes ${steps(Number(said.gap), axis)} apart`,
    named && (parameters.length ? named : `${named}, which this run has not`),
    edits && `by ${either(edits)}`,
    ratio != null && `by a factor of ${short(ratio)} at most`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** @param {string[]} names */
const either = (names) => names.join(", ").replace(/, ([^,]*)$/, " or $1");
