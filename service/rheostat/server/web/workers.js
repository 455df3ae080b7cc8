// Who trains, where each is, and who applied another value than was served.
import { html, useState } from "./vendor/standalone.module.js";
import { runPath, useGet } from "./api.js";
import { Empty, Table, Trouble } from "./parts.js";
import { ago, clock, count, duration, rate, some, steps, units } from "./words.js";

const STATES = ["", "wrong", "silent", "waiting", "training", "ended"];
const SIGNS = { training: "●", waiting: "❚❚", silent: "○", wrong: "✕", ended: "✓" };
const MOST = 200;
/** @type {[string, string?][]} */
const HEADS = [["Worker", "text"], ["State", "text"], ["Step"], ["Pace"], ["Proven until"], ["Generation"], ["Host", "text"], ["Heard"]];
/** @type {[string, string?][]} */
const WRONG = [["Worker", "text"], ["Parameter", "text"], ["Step"], ["Served"], ["Applied"], ["Noticed"]];

/** @param {{seen: import("./run.js").Seen}} props */
export function Workers({ seen }) {
  const { run, news } = seen;
  const [state, choose] = useState("");
  const [many, more] = useState(MOST);
  const path = runPath(run.name);
  const { data, error } = useGet(`${path}/workers`, { limit: many, state: state || null }, news, 3);
  const wrong = useGet(`${path}/mismatches`, { limit: 50 }, `${news} ${run.workers.wrong}`, 15).data;
  if (!data) return html`<${Trouble} error=${error} />`;
  const nobody = !(data.alive + data.silent + data.ended);
  return html`<section aria-label="Workers">
    ${
      nobody
        ? html`<${Empty} title="Nobody has trained this run yet.">
          <p>A worker joins by <code>Client("${location.origin}").run("${run.name}")</code>.</p></${Empty}>`
        : html`
    <p class="lead">${some(data.alive, "worker")} alive${data.first != null && html`, from ${count(data.last)} to ${count(data.first)}`}
      ${data.pace && html`, ${rate(data.pace)} ${units(run.axis)} a second`}.
      ${data.proven_until == null ? " Not all have shown yet what they applied." : html` Proven until <b
        class="num">${count(data.proven_until)}</b>: up to there all applied what was served.`}</p>
    ${data.eta.map((one) => html`<p
      class="lead">Revision ${one.revision}, at ${count(one.effective)}: ${one.reached_by} of ${one.workers} have it; the last in ${steps(one.steps, run.axis)}
      ${one.seconds == null ? "" : `, about ${duration(one.seconds)}`}.</p>`)}
    <div class="tools" role="group" aria-label="Which">${STATES.map((one) => html`<button
      aria-pressed=${state === one} onClick=${() => choose(one)}>${one || "all"}</button>`)}</div>
    <${Table} label="Table of workers" heads=${HEADS}>${data.items.map(
        (
          one,
        ) => html`<tr key=${one.worker}><th scope="row" class="text"><b>${one.worker}</b></th><td class="text">
          <span class=${["wrong", "silent"].includes(one.state) ? "bad" : one.state === "training" ? "good" : "soft"}>
          <span aria-hidden="true">${SIGNS[/** @type {keyof typeof SIGNS} */ (one.state)]}</span> ${one.state}
          </span></td>
        <td>${count(one.step)}</td><td>${one.pace ? rate(one.pace) : "–"}</td><td>
          ${count(one.proven_until)}</td><td>${one.generation}</td><td class="text">${one.host || "–"}</td><td>
          <time title=${clock(one.seen_at)}>${ago(one.seen_at)}</time></td></tr>`,
      )}</${Table}>
    ${data.next && html`<button onClick=${() => more(many + 300)}>Show more</button>`}`
    }
    ${
      wrong?.items.length > 0 &&
      html`<h2 class="part">Applied otherwise than served</h2><${Table} label="Applied otherwise"
        heads=${WRONG}>${wrong.items.map((one) => html`<tr key=${one.number}><th scope="row" class="text"><b>${one.worker}
        </b></th><td class="text">${one.parameter}</td><td>${count(one.step)}</td><td>${one.expected}</td><td
        class="bad">${one.found}</td><td><time title=${clock(one.at)}>${ago(one.at)}</time></td></tr>`)}</${Table}>`
    }
  </section>`;
}
