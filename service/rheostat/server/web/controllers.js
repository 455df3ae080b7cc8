// What decides by itself, and what waits for a yes.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, runPath, useGet } from "./api.js";
import { Arm } from "./arm.js";
import { Act, Empty, Table, Trouble } from "./parts.js";
import { Proposal, landing } from "./proposals.js";
import { count, short } from "./words.js";

/** @param {{seen: import("./run.js").Seen}} props */
export function Controllers({ seen }) {
  const { run, news, may } = seen;
  const path = runPath(run.name);
  const [arming, arm] = useState(false);
  const { data: armed, error } = useGet(`${path}/controllers`, {}, news, 10);
  const open = useGet(`${path}/proposals`, { state: "open", limit: 100 }, news, 10).data;
  return html`<section aria-label="Controllers and proposals">
    <${Trouble} error=${error} />
    <h2 class="part">Proposals</h2>
    ${open && (open.items.length ? open.items.map((one) => html`<${Proposal} key=${one.proposal} one=${one}
      seen=${seen} />`) : html`<p class="soft">None waits for an answer.</p>`)}
    <div class="bar part"><h2>Controllers</h2><span class="grow"></span>${may("control") && html`<button
      disabled=${run.state === "finished"} onClick=${() => arm(true)}>Arm…</button>`}</div>
    ${arming && html`<${Arm} seen=${seen} close=${() => arm(false)} />`}
    ${armed && (armed.items.length ? armed.items.map((one) => html`<${Controller} key=${one.name} one=${one}
      seen=${seen} />`) : html`<${Empty} title="Nothing decides by itself on this run.">
      <p>A controller reads a metric and changes or stops the run, at the same step for all workers: when a loss
        stands still, or spikes, or is low enough.</p></${Empty}>`)}
  </section>`;
}

/** @param {{one: import("./wire").ArmedController, seen: import("./run.js").Seen}} props */
function Controller({ one, seen }) {
  const { name, config, last, state } = one;
  const path = `${runPath(seen.run.name)}/controllers/${encodeURIComponent(name)}`;
  const [open, show] = useState(false);
  const [changing, edit] = useState(false);
  const decided = useGet(open && `${path}/decisions`, { limit: 100 }, one.decisions).data;
  const lands = landing(config.effective);
  return html`<div class="card controller"><div class="bar"><h3>${name}</h3><span class="tag">${config.kind}
    ${config.reading ? `, as ${config.reading}` : ""}</span><span class="soft">reads <b>${config.metric}
    </b>, ${config.action === "propose" ? "proposes" : "decides"} ${lands}</span><span class="grow"></span>
      ${seen.may("control") && html`<button onClick=${() => edit(true)}>Change…</button><${Act}
        act=${() => ask("POST", `${path}/reset`, { body: {} }).then(seen.again)}
        title="Its counters begin anew">Reset</${Act}><${Act} kind="danger"
        act=${() => ask("DELETE", path).then(seen.again)}>Disarm</${Act}>`}</div>
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
    ${open && html`${decided?.items.length > 0 && html`<${Table} label=${`Decisions of ${name}`}
      heads=${[["Step"], ["Value"], ["Decision", "text"], ["Effective"], ["Why", "long"]]}>
      ${decided.items.map((each) => html`<tr><td>${count(each.step)}</td><td>
      ${typeof each.value === "number" ? short(each.value) : each.value}</td><td class="text">${each.decision}
      ${each.revision ? ` (revision ${each.revision})` : ""}</td><td>${count(each.effective)}</td><td
      class="text">${each.problem ? each.problem.detail : each.message}</td></tr>`)}</${Table}>`}
      <pre>${JSON.stringify(config, null, 1)}</pre>`}</div>`;
}
