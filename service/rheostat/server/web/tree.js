// The generations of a run and where each left another; from any point one can rewind or fork.
import { html, useState } from "./vendor/standalone.module.js";
import { ROOT, runPath, useGet } from "./api.js";
import { Table } from "./parts.js";
import { Fork, Rewind } from "./rewind.js";
import { ago, clock, count } from "./words.js";

/** @typedef {import("./wire").Generation} Generation */
/** @type {[any, string?][]} */
const HEADS = [["Step"], ["Tag", "text"], [html`<span class="unseen">Go back</span>`], ["Generation"], ["Saved"], ["Size"], ["By", "text"], ["Where", "text"]];
/** @typedef {{to: number, generation: number, tag?: string}} Place where a rewind or a fork goes */

/**
 * Generations below the one that each leaves, and how deep.
 * @param {Generation[]} all @returns {[Generation, number][]}
 */
function nested(all) {
  const below = (parent, depth) =>
    /** @type {[Generation, number][]} */ (
      all
        .filter((one) => (one.parent_run ? null : one.parent) === parent)
        .flatMap((one) => [[one, depth], ...below(one.generation, depth + 1)])
    );
  return below(null, 0);
}

/** @param {{seen: import("./run.js").Seen}} props */
export function Tree({ seen }) {
  const { run, news, may } = seen;
  const [dialog, open] = useState(/** @type {{what: string, place: Place} | null} */ (null));
  const saved = useGet(`${runPath(run.name)}/checkpoints`, { limit: 100 }, news, 15).data;
  const stop = Math.max(...run.generations.map((one) => one.settled_until), run.total || 0, 1);
  const does = (place) =>
    may("rewind") &&
    html`<span class="does"><button onClick=${() => open({ what: "rewind", place })}>Rewind…</button> <button
      onClick=${() => open({ what: "fork", place })}>Fork…</button></span>`;
  return html`<section aria-label="Tree">
    <h2 class="part">Generations</h2>
    <ul class="tree">${nested(run.generations).map(
      ([
        one,
        depth,
      ]) => html`<li key=${one.generation} class=${one.generation === run.generation ? "now" : ""}>
      <div class="branch depth-${Math.min(depth, 8)}"><b>${depth > 0 && html`<span
        aria-hidden="true">└ </span>`}G${one.generation}</b>
        <span>${one.parent == null ? "the first" : html`from <span class="num">${count(one.from)}
          </span> of ${one.parent_run ? html`<a
          href=${ROOT.href + runPath(one.parent_run)}>the run that it was forked from</a>` : `G${one.parent}`}`}, settled until <span
          class="num">${count(one.settled_until)}</span>${one.generation === run.generation ? html` <span
          class="tag">current</span>` : ""}</span></div>
      <svg class="lane" viewBox="0 0 200 16" preserveAspectRatio="none" aria-hidden="true"><line x1="0" x2="200"
        y1="8" y2="8" class="axis" /><line x1=${(one.from / stop) * 200} x2=${(one.settled_until / stop) * 200}
        y1="8" y2="8" class="lived" /></svg>
      ${does({ to: one.settled_until, generation: one.generation })}</li>`,
    )}</ul>
    <h2 class="part">Checkpoints</h2>
    ${
      saved &&
      (saved.items.length
        ? html`<${Table} label="Table of checkpoints" heads=${HEADS}>${saved.items.map((one) => html`<tr key=${`${one.generation}:${one.step}:${one.tag}`}>
        <td>${count(one.step)}</td>
        <th scope="row" class="text"><b>${one.tag}</b>${!one.on_line && html` <span
          class="soft">off the line</span>`}</th>
        <td>${does({ to: one.step, generation: one.generation, tag: one.tag })}</td>
        <td>${one.generation}</td><td><time title=${clock(one.at)}>${ago(one.at)}</time></td>
        <td>${size(one.bytes)}</td><td class="text">${one.source}</td>
        <td class="text"><code>${one.uri || "–"}</code></td></tr>`)}</${Table}>`
        : html`<p class="soft">No worker has said yet that it saved one.</p>`)
    }
    ${dialog && html`<${dialog.what === "fork" ? Fork : Rewind} seen=${seen} place=${dialog.place}
      close=${() => open(null)} />`}
  </section>`;
}

/** @param {number | null} bytes */
function size(bytes) {
  if (bytes == null) return "–";
  const unit = Math.min(4, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${Number((bytes / 1000 ** unit).toPrecision(3))} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}
