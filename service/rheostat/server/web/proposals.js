// A proposal, and a yes or a no to it.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, runPath } from "./api.js";
import { Act, By, Dialog, End, Message } from "./parts.js";
import { ago, changed, clock, count, words } from "./words.js";

/** What is asked for, in words. @param {any} one @returns {string} */
function wanted({ kind, body }) {
  if (kind === "change") return changed(body.changes).join("; ");
  if (kind === "rewind") return `rewind to ${count(body.to)}`;
  if (kind === "total") return `total ${count(body.total)}`;
  if (kind === "cancel") return `cancel revision ${body.revision}`;
  return `${kind}${words({ ...body, message: undefined })}`.replace(/ \w+=undefined/g, "");
}

/** Where a decision lands, in words. @param {"next" | number | {after: number} | undefined} effective */
export const landing = (effective) =>
  typeof effective === "number"
    ? `at ${count(effective)}`
    : typeof effective === "object"
      ? `${count(effective.after)} after the report`
      : "at the next open step";

/**
 * Answer a proposal.
 * @param {import("./run.js").Seen} seen @param {import("./wire").Proposal} one
 * @param {"accept" | "decline"} how @param {Record<string, unknown>} [body]
 */
export const answer = ({ run }, one, how, body = {}) =>
  ask("POST", `${runPath(run.name)}/proposals/${one.proposal}/${how}`, { body });

/** @param {{one: import("./wire").Proposal, seen: import("./run.js").Seen}} props */
export function Proposal({ one, seen }) {
  const [refusing, refuse] = useState(false);
  const [why, setWhy] = useState("");
  const say = (how, body = {}) =>
    answer(seen, one, how, { expected_revision: seen.run.revision, ...body }).then(seen.again);
  return html`<div class="card proposal"><div class="bar"><b class="ask">${wanted(one)}</b><span class="grow">
    </span>
      ${seen.may("decide") && html`<${Act} kind="primary" act=${() => say("accept")}>Accept</${Act}><button
        onClick=${() => refuse(true)}>Decline…</button>`}</div>
    ${one.message && html`<p class="message">${one.message}</p>`}
    <p class="soft">Proposal ${one.proposal} of <${By} author=${one.author} />, <time
      title=${clock(one.created_at)}>${ago(one.created_at)}</time>
      ${one.cause && `, on the report of step ${count(one.cause.step)}`}; effective ${landing(one.body.effective)}
      </p>
    ${
      refusing &&
      html`<${Dialog} title=${`Decline proposal ${one.proposal}`} close=${() => refuse(false)}><${Message}
        id="why" value=${why} set=${setWhy} />
      <${End} close=${() => refuse(false)}><${Act} kind="danger"
        act=${() => say("decline", { message: why }).then(() => refuse(false))}>Decline</${Act}></${End}>
        </${Dialog}>`
    }</div>`;
}
