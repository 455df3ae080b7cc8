// What was done to a run, newest first, and how far each of it has come.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, runPath, useGet } from "./api.js";
import { undoable, undoing } from "./change.js";
import { Act, By, Empty, Trouble } from "./parts.js";
import { ago, because, clock, count, duration, some, steps, told } from "./words.js";

const STAGES = ["accepted", "settled", "reached", "proven"];
const OVER = { cancelled: "taken back", dropped: "dropped by a rewind", failed: "failed", done: "done" };
/** Kinds that no worker comes to. */
const STILL = ["create", "fork", "control", "note", "cancel", "finish", "rewind", "advance"];

/**
 * All of it, or what one author did.
 * @param {{seen: import("./run.js").Seen, loaded: any, many: number, more: () => void, of: string}} props
 */
export function History({ seen, loaded, many, more, of }) {
  const { run, workers, news } = seen;
  const query = { author: of, limit: many, order: "newest" };
  const theirs = useGet(of && `${runPath(run.name)}/revisions`, query, news, 5);
  const { data, error } = of ? theirs : loaded;
  return html`<aside class="history" aria-label="History"><div class="bar"><h2>History</h2><span
    class="soft">${of ? `of ${of}` : some(run.revision, "revision")}</span>${of && html`<button class="quiet"
    onClick=${() => seen.look("")}>Show all</button>`}</div>
    <${Trouble} error=${error} />
    <ol class="items">${(data?.items || []).map((one) => html`<${Item} key=${one.revision} revision=${one} seen=${seen}
      eta=${workers?.eta.find((eta) => eta.revision === one.revision)} />`)}
      </ol>
    ${data?.next && html`<button onClick=${more}>Show older ones</button>`}
    ${data && !data.items.length && html`<${Empty} title="Nothing yet." />`}</aside>`;
}

/** @param {{revision: import("./wire").Revision, seen: import("./run.js").Seen, eta?: import("./wire").Eta}} props */
export function Item({ revision, seen, eta }) {
  const { run, change, may } = seen;
  const { kind, author, message, state, effective } = revision;
  const halt = run.stops.find((one) => one.revision === revision.revision);
  const cancels = (revision.pending || (halt && !halt.told)) && !revision.cancelled && may("cancel", author);
  const path = `${runPath(run.name)}/revisions/${revision.revision}`;
  const cancel = () => ask("DELETE", path).then(seen.again);
  return html`<li class=${`item ${revision.cancelled || state === "dropped" ? "gone" : ""} k-${kind}`}
    data-revision=${revision.revision}>
    <span class="number" title=${kind}>${revision.revision}</span>
    <div class="what">${told(revision).map((line, n) => html`<div class="${n ? "" : "first"}">${line}</div>`)}
      ${message && kind !== "note" && html`<div class="message">${message}</div>`}
      <div class="soft">at <b class="num">${count(effective)}</b> · <${By} author=${author} /> · <time
        title=${clock(revision.created_at)}>${ago(revision.created_at)}</time>${revision.forced && " · forced"}
        </div>
      ${revision.cause && html`<div class="soft">${because(revision.cause)}</div>`}
      ${!STILL.includes(kind) && html`<${Life} state=${state} eta=${eta} axis=${run.axis} />`}
      ${kind === "signal" && ["done", "failed"].includes(state) && html`<${Outcomes} path=${path} />`}
    </div>
    <div class="does">${cancels ? html`<${Act} act=${cancel}>Cancel</${Act}>` : undoable(revision) && may("change") && html`<button
      onClick=${() => change(undoing(revision))}>Undo…</button>`}</div></li>`;
}

/**
 * How far a revision has come: accepted, settled, reached by all, proven.
 * @param {{state: string, axis: string, eta?: import("./wire").Eta}} props
 */
function Life({ state, eta, axis }) {
  if (state in OVER)
    return html`<div class="life ${state}">${OVER[/** @type {keyof typeof OVER} */ (state)]}</div>`;
  const stage = Math.max(0, STAGES.indexOf(state));
  const when = eta && eta.seconds != null ? `, about ${duration(eta.seconds)}` : "";
  const left = eta && eta.steps > 0 ? `the last of ${eta.workers} has it in ${steps(eta.steps, axis)}${when}` : "";
  return html`<div class="life"><ol class="stages" aria-label=${`It is ${STAGES[stage]}`}>
    ${STAGES.map((name, n) => html`<li class=${n <= stage ? "met" : ""}>${name}
    ${name === "reached" && eta && eta.steps > 0 ? ` ${eta.reached_by}/${eta.workers}` : ""}</li>`)}</ol>
    ${left && html`<div class="left">${left}</div>`}</div>`;
}

/** What became of a signal, by rank: other people's text. @param {{path: string}} props */
function Outcomes({ path }) {
  const [open, show] = useState(false);
  const { data, error } = useGet(open && `${path}/outcomes`, { limit: 200 }, 0, 5);
  return html`<button class="quiet" aria-expanded=${open} onClick=${() => show(!open)}>By rank</button>
    <${Trouble} error=${error} />
    ${open && data && html`<ul class="outcomes">${data.items.map((one) => html`<li key=${one.source}
      class=${one.outcome === "failed" ? "bad" : ""}>${one.source}: ${one.outcome} at ${count(one.step)}
      ${one.error && html`, ${one.error}`}</li>`)}</ul>`}`;
}
