// What a run follows: each parameter as it was written and as it is in force, with its kind's formula.
import { html } from "./vendor/standalone.module.js";
import { coded, useKinds } from "./form.js";
import { definition } from "./words.js";

/** All kinds in a definition, outermost first. @param {any} value @returns {string[]} */
const kindsIn = (value) =>
  value && typeof value === "object"
    ? [...(typeof value.kind === "string" ? [value.kind] : []), ...Object.values(value).flatMap(kindsIn)]
    : [];

/** @param {{seen: import("./run.js").Seen}} props */
export function Definition({ seen }) {
  const { run } = seen;
  const known = useKinds() || [];
  return html`<section aria-label="Definition">
    ${run.about && html`<p class="lead about">${run.about}</p>`}
    ${run.goal && html`<p class="lead">It is after a ${run.goal.direction === "max" ? "high" : "low"} <b>
      ${run.goal.metric}</b>${run.goal.target != null && html`, of ${run.goal.target}`}.</p>`}
    ${Object.entries(run.parameters).map(
      ([name, now]) => html`<div class="card defined" key=${name}><h2>${name}</h2>
      ${run.describe[name]?.text && html`<p>${run.describe[name].text}</p>`}
      <p class="soft">${definition(run.words[name] || now)}</p>
      <ul class="formulas">${[...new Set(kindsIn(now))]
        .map((kind) => known.find((one) => one.kind === kind))
        .filter(Boolean)
        .map(
          (kind) =>
            html`<li><b>${kind.kind}</b> <code>${kind.formula}</code> <span class="soft">${coded(kind.summary)}
              </span></li>`,
        )}</ul>
      <details><summary>JSON</summary><pre>${JSON.stringify(run.words[name] || now, null, 1)}</pre></details>
        </div>`,
    )}
    <details><summary>The whole run as the service tells it</summary><pre>${JSON.stringify(run, null, 1)}</pre>
      </details>
  </section>`;
}
