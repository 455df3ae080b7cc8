// What decides by itself, and what waits for a yes.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, get, runPath, useLoaded } from "./api.js";
import { Arm } from "./arm.js";
import { Act, Dialog, Empty, Message, Trouble } from "./parts.js";
import { ago, change, clock, count, short, words } from "./words.js";

/** @param {{seen: import("./run.js").Seen}} props */
export function Controllers({ seen }) {
  const { run, news } = seen;
  const path = runPath(run.name);
  const [arming, arm] = useState(false);
  const { data: armed, error } = useLoaded(
    (signal) => get(`${path}/controllers`, {}, signal),
    [run.id, news],
    10,
  );
  const open = useLoaded(
    (signal) => get(`${path}/proposals`, { state: "open", limit: 100 }, signal),
    [run.id, news],
    10,
  ).data;
  return html`<section aria-label="Controllers and proposals">
    <${Trouble} error=${error} />
    <h2 class="part">Proposals</h2>
    ${open && (open.items.length ? open.items.map((one) => html`<${Proposal} key=${one.proposal} one=${one}
      seen=${seen} />`) : html`<p class="soft">None waits for an answer.</p>`)}
    <div class="bar part"><h2>Controllers</h2><span class="grow"></span><button
      disabled=${run.state === "finished"} onClick=${() => arm(true)}>Arm…</button></div>
    ${arming && html`<${Arm} seen=${seen} close=${() => arm(false)} />`}
    ${armed && (armed.items.length ? armed.items.map((one) => html`<${Controller} key=${one.name} one=${one}
      seen=${seen} />`) : html`<${Empty} title="Nothing decides by itself on this run.">
      <p>A controller reads a metric and changes or stops the run, at the same step for all workers: when a loss
        stands still, or spikes, or is low enough.</p></${Empty}>`)}
  </section>`;
}

/** What is asked for, in words. @param {any} one @returns {string} */
function wanted({ kind, body }) {
  if (kind === "change")
    return Object.entries(body.changes || {})
      .flatMap(([name, made]) =>
        (Array.isArray(made) ? made : [made]).map((each) => `${name} ${change(each)}`),
      )
      .join("; ");
  if (kind === "rewind") return `rewind to ${count(body.to)}`;
  if (kind === "total") return `total ${count(body.total)}`;
  if (kind === "cancel") return `cancel revision ${body.revision}`;
  return `${kind}${words({ ...body, message: undefined })}`.replace(/ \w+=undefined/g, "");
}

/** Where a decision lands, in words. @param {"next" | number | {after: number} | undefined} effective */
const landing = (effective) =>
  typeof effective === "number"
    ? `at ${count(effective)}`
    : typeof effective === "object"
      ? `${count(effective.after)} after the report`
      : "at the next open step";

/** @param {{one: import("./wire").Proposal, seen: import("./run.js").Seen}} props */
function Proposal({ one, seen }) {
  const [refusing, refuse] = useState(false);
  const [why, setWhy] = useState("");
  const path = `${runPath(seen.run.name)}/proposals/${one.proposal}`;
  const answer = (how, body = {}) =>
    ask("POST", `${path}/${how}`, { body: { expected_revision: seen.run.revision, ...body } }).then(
      seen.again,
    );
  return html`<div class="card proposal"><div class="bar"><b class="ask">${wanted(one)}</b><span class="grow">
    </span>
      <${Act} kind="primary" act=${() => answer("accept")}>Accept</${Act}><button
        onClick=${() => refuse(true)}>Decline…</button></div>
    ${one.message && html`<p class="message">${one.message}</p>`}
    <p class="soft">Proposal ${one.proposal} of ${one.author || "somebody"}, <time
      title=${clock(one.created_at)}>${ago(one.created_at)}</time>
      ${one.cause && `, on the report of step ${count(one.cause.step)}`}; effective ${landing(one.body.effective)}
      </p>
    ${
      refusing &&
      html`<${Dialog} title=${`Decline proposal ${one.proposal}`} close=${() => refuse(false)}><${Message}
        id="why" value=${why} set=${setWhy} />
      <div class="bar end"><button onClick=${() => refuse(false)}>Close</button><${Act} kind="danger"
        act=${() => answer("decline", { message: why }).then(() => refuse(false))}>Decline</${Act}></div>
        </${Dialog}>`
    }</div>`;
}

/** @param {{one: import("./wire").ArmedController, seen: import("./run.js").Seen}} props */
function Controller({ one, seen }) {
  const { name, config, last, state } = one;
  const path = `${runPath(seen.run.name)}/controllers/${encodeURIComponent(name)}`;
  const [open, show] = useState(false);
  const [changing, edit] = useState(false);
  const decided = useLoaded(
    (signal) => (open ? get(`${path}/decisions`, { limit: 100 }, signal) : Promise.resolve(null)),
    [open, one.decisions],
  ).data;
  const lands = landing(config.effective);
  return html`<div class="card controller"><div class="bar"><h3>${name}</h3><span class="tag">${config.kind}
    ${config.reading ? `, as ${config.reading}` : ""}</span><span class="soft">reads <b>${config.metric}
    </b>, ${config.action === "propose" ? "proposes" : "decides"} ${lands}</span><span class="grow"></span>
      <button onClick=${() => edit(true)}>Change…</button><${Act} act=${() => ask("POST", `${path}/reset`, { body: {} }).then(seen.again)}
        title="Its counters begin anew">Reset</${Act}><${Act} kind="danger"
        act=${() => ask("DELETE", path).then(seen.again)}>Disarm</${Act}></div>
    <dl class="facts"><div><dt>last report</dt><dd>
      ${last ? `${typeof last.value === "number" ? short(last.value) : last.value} at ${count(last.step)}` : "none yet"}
      </dd></div>
      ${state.best != null && html`<div><dt>best</dt><dd>
        ${typeof state.best === "number" ? short(state.best) : state.best}
        ${state.best_step != null ? ` at ${count(state.best_step)}` : ""}</dd></div>`}
      ${config.patience != null && html`<div><dt>without getting better</dt><dd>
        ${state.bad ?? 0} of ${config.patience}</dd></div>`}
      ${one.gate != null && html`<div><dt>workers wait at</dt><dd>${count(one.gate)}</dd></div>`}<div>
        <dt>decisions</dt><dd>${count(one.decisions)}</dd></div></dl>
    <div class="bar"><button class="quiet" aria-expanded=${open} onClick=${() => show(!open)}>
      ${open ? "Less" : "Decisions and configuration"}</button></div>
    ${changing && html`<${Arm} seen=${seen} before=${one} close=${() => edit(false)} />`}
    ${open && html`${decided?.items.length > 0 && html`<div class="scroll"><table class="numbers"><thead><tr><th
      scope="col">Step</th><th scope="col">Value</th><th scope="col" class="text">Decision</th><th
      scope="col">Effective</th><th scope="col" class="long">Why</th></tr></thead><tbody>
      ${decided.items.map((each) => html`<tr><td>${count(each.step)}</td><td>
      ${typeof each.value === "number" ? short(each.value) : each.value}</td><td class="text">${each.decision}
      ${each.revision ? ` (revision ${each.revision})` : ""}</td><td>${count(each.effective)}</td><td
      class="text">${each.problem ? each.problem.detail : each.message}</td></tr>`)}</tbody></table></div>`}
      <pre>${JSON.stringify(config, null, 1)}</pre>`}</div>`;
}
