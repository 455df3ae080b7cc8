// The curves of a run: what was applied, what is to come, what was measured, and why.
import { html, useEffect, useMemo, useState } from "./vendor/standalone.module.js";
import { runPath, useGet } from "./api.js";
import { Chart } from "./chart.js";
import { By, Table, Trouble } from "./parts.js";
import { because, clock, count, definition, short, some } from "./words.js";

const POINTS = 600;
const MEASURED = 3;

/** @param {{seen: import("./run.js").Seen}} props */
export function Curves({ seen }) {
  const { run, settled, news, workers } = seen;
  const [range, zoom] = useState(/** @type {[number, number] | null} */ (null));
  const [log, setLog] = useState(false);
  const [table, setTable] = useState(false);
  const [pinned, pin] = useState(/** @type {number | null} */ (null));
  const asked = range ? { start: range[0], stop: range[1] } : {};
  const { data: plan, error } = useGet(`${runPath(run.name)}/plan`, { ...asked, points: POINTS }, news);
  const marks = useMarks(seen, plan);
  if (!plan)
    return error ? html`<${Trouble} error=${error} />` : html`<p class="soft pad">Loading the curves …</p>`;
  const ends = /** @type {[number, number]} */ (
    range || [plan.steps[0], plan.steps[plan.steps.length - 1] + 1]
  );
  const near = () => zoom([Math.max(0, settled - 1000 * run.resolution), settled + 1000 * run.resolution]);
  const wider = (by) => {
    const [middle, half] = [(ends[0] + ends[1]) / 2, Math.max(2, ((ends[1] - ends[0]) * by) / 2)];
    zoom([Math.max(0, Math.round(middle - half)), Math.round(middle + half)]);
  };
  const shared = {
    range: ends,
    settled,
    first: workers?.first,
    last: workers?.last,
    pinned,
    onZoom: zoom,
    onPick: pin,
  };
  return html`<section aria-label="Curves">
    <div class="tools">
      <button aria-pressed=${!range} onClick=${() => zoom(null)}>Whole run</button><button
        onClick=${near}>Around now</button>
      <button aria-label="Zoom in" onClick=${() => wider(0.5)}>+</button><button aria-label="Zoom out"
        disabled=${!range} onClick=${() => wider(2)}>−</button>
      <button aria-pressed=${log} onClick=${() => setLog(!log)}>Log y</button><button aria-pressed=${table}
        onClick=${() => setTable(!table)}>Table</button>
      <${Pick} pinned=${pinned} pin=${pin} axis=${run.axis} />
      <span class="legend soft"><i class="swatch band"></i>handed out <i class="swatch frontier">
        </i>settled end <i class="swatch worker"></i>first and last worker</span>
    </div>
    ${pinned != null && html`<${Why} key=${pinned} seen=${seen} step=${pinned} close=${() => pin(null)} />`}
    ${table ? html`<${Numbers} plan=${plan} settled=${settled}
      axis=${run.axis} />` : Object.keys(plan.parameters).map((name) => html`<${Curve} key=${name} name=${name}
      plan=${plan} marks=${marks.filter((one) => shapes(one.of, name))} log=${log}
      describe=${run.describe[name]} ...${shared} />`)}
    <${Measured} seen=${seen} range=${ends} whole=${!range} log=${log} pinned=${pinned} zoom=${zoom}
      pin=${pin} />
  </section>`;
}

/**
 * Whether a revision that changed these parameters is about this one.
 * @param {string[] | undefined} of @param {string} name
 */
const shapes = (of, name) =>
  !of?.length ||
  of.some((one) => one === name || (one.endsWith("/*") && (name + "/").startsWith(one.slice(0, -1))));

/** @param {any} props */
function Curve({ name, plan, settled, describe, ...rest }) {
  const values = plan.parameters[name];
  const cut = plan.steps.findIndex((step) => step >= settled);
  const open = cut < 0 ? plan.steps.length : cut;
  const series = [
    { ink: "applied", name: "applied", width: 2, line: values.map((v, n) => (n < open ? v : null)) },
    { ink: "planned", name: "planned", dash: [5, 4], line: values.map((v, n) => (n >= open - 1 ? v : null)) },
  ];
  const left = plan.left.map((one) => ({ steps: one.steps, values: one.parameters[name] }));
  const at = (n) => `${short(values.at(n))} at ${count(plan.steps.at(n))}`;
  const reach = `between ${short(Math.min(...values))} and ${short(Math.max(...values))}`;
  const summary = `From ${at(0)} to ${at(-1)}; ${reach}; settled until ${count(settled)}.`;
  return html`<${Chart} title=${describe?.unit ? `${name} (${describe.unit})` : name} summary=${summary}
    steps=${plan.steps} series=${series} left=${left} settled=${settled} ...${rest} />`;
}

/** @param {import("./run.js").Seen} seen @param {import("./wire").Plan | undefined} plan */
function useMarks(seen, plan) {
  const { run, revisions } = seen;
  return useMemo(() => {
    if (!plan) return [];
    const pending = new Set(run.pending.map((one) => one.revision));
    const known = new Map(revisions.map((one) => [one.revision, one]));
    /** @type {(import("./chart.js").Mark & {of?: string[]})[]} */
    const marks = [];
    for (const { revision, from } of plan.revisions) {
      const one = known.get(revision);
      if (revision === 1 || one?.kind === "rewind") continue;
      const of = one && Object.keys(one.changes);
      marks.push({ at: from, label: String(revision), kind: "change", pending: pending.has(revision), of });
    }
    for (const one of plan.signals)
      marks.push({ at: one.at, label: `${one.revision} ${one.signal}`, kind: "signal" });
    for (const one of run.stops)
      marks.push({
        at: one.effective,
        label: `${one.revision} ${one.hold ? "pause" : "stop"}`,
        kind: "halt",
      });
    for (const one of run.generations)
      if (one.parent != null) marks.push({ at: one.from, label: `G${one.generation}`, kind: "branch" });
    return marks;
  }, [plan, revisions, run]);
}

/** @param {{pinned: number | null, pin: (step: number | null) => void, axis: string}} props */
function Pick({ pinned, pin, axis }) {
  const [text, setText] = useState("");
  useEffect(() => setText(pinned == null ? "" : String(pinned)), [pinned]);
  const asked = (event) => (event.preventDefault(), pin(/^\d+$/.test(text) ? Number(text) : null));
  return html`<form class="pick" onSubmit=${asked}><label>Why at ${axis} <input class="short num"
    inputmode="numeric" placeholder="…" value=${text}
    onInput=${(e) => setText(e.target.value.replace(/[^\d]/g, ""))} /></label></form>`;
}

/**
 * Why the values at a step are what they are.
 * @param {{seen: import("./run.js").Seen, step: number, close: () => void}} props
 */
function Why({ seen, step, close }) {
  const { data, error } = useGet(`${runPath(seen.run.name)}/explain`, { step }, seen.news);
  return html`<div class="card why"><div class="bar"><h2>At ${count(step)}</h2><span class="soft">
    ${data && (data.final ? "applied: it never changes" : "planned: it may still change")}</span><span
    class="grow"></span><button class="quiet" aria-label="Close" onClick=${close}>✕</button></div>
    <${Trouble} error=${error} />
    ${
      data &&
      html`<dl>${Object.entries(data.parameters).map(
        ([
          name,
          why,
        ]) => html`<div><dt>${name}</dt><dd><b class="num">${String(why.value)}
          </b> by revision ${why.revision} of <${By} author=${why.author} />
          ${why.message && html`: “${why.message}”`}
      <div class="soft">effective at ${count(why.effective)}, ${clock(why.created_at)}
        ${why.cause && `; ${because(why.cause)}`}.
        ${" It follows "}${definition(why.words?.definition || why.definition)}
        ${why.origin > 0 && `, counted from ${count(why.origin)}`}.</div></dd></div>`,
      )}</dl>`
    }</div>`;
}

/** @param {{plan: import("./wire").Plan, settled: number, axis: string}} props */
function Numbers({ plan, settled, axis }) {
  const names = Object.keys(plan.parameters);
  return html`<${Table} label="Table of the curves" heads=${[axis, ...names, ""].map((title) => [title])}>
    ${plan.steps.map((step, n) => html`<tr data-step=${step}><th scope="row">${count(step)}</th>
      ${names.map((name) => html`<td>${String(plan.parameters[name][n])}</td>`)}<td class="soft">
      ${step < settled ? "applied" : "planned"}</td></tr>`)}</${Table}>`;
}

/** @param {any} props */
function Measured({ seen, range, whole, log, pinned, zoom, pin }) {
  const { run } = seen;
  const { data: surface } = useGet(`${runPath(run.name)}/surface`, {}, 0, 15);
  const [chosen, choose] = useState(/** @type {string[] | null} */ (null));
  if (!surface) return null;
  const wanted = [
    run.goal?.metric,
    ...Object.values(run.controllers).map((one) => one.metric),
    ...surface.metrics,
  ].filter((name) => surface.metrics.includes(name));
  const shown = chosen || [...new Set(wanted)].slice(0, MEASURED);
  const toggle = (name) =>
    choose(shown.includes(name) ? shown.filter((one) => one !== name) : [...shown, name]);
  if (!surface.metrics.length)
    return html`<p class="soft pad">No metric was reported yet: <code>run.report(step, {"loss": loss})</code>
      </p>`;
  return html`<h2 class="part">Measured</h2>${surface.metrics.length > 1 && html`<div class="tools" role="group"
    aria-label="Metrics">${surface.metrics.map((name) => html`<button aria-pressed=${shown.includes(name)}
    onClick=${() => toggle(name)}>${name}</button>`)}</div>`}
    ${shown.map((name) => html`<${Metric} key=${name} seen=${seen} name=${name} range=${range} whole=${whole}
      log=${log} pinned=${pinned} onZoom=${zoom} onPick=${pin} />`)}`;
}

/** @param {any} props */
function Metric({ seen, name, range, whole, ...rest }) {
  const { run, news } = seen;
  const query = { metric: name, points: POINTS, ...(whole ? {} : { start: range[0], stop: range[1] }) };
  const { data } = useGet(`${runPath(run.name)}/reports`, query, news, 5);
  if (!data) return null;
  const numbers = data.values.map((value) => (typeof value === "number" ? value : null));
  const known = numbers.filter((value) => value != null);
  const odd = numbers.length - known.length;
  const summary = known.length
    ? `${some(numbers.length, "report")}, from ${short(known[0])} to ${short(known[known.length - 1])}`
    : "No report here";
  return html`<${Chart} title=${odd ? `${name} (${odd} not finite)` : name} summary=${summary} height=${150}
    range=${range} steps=${data.steps}
    series=${[{ ink: "measured", name: "reported", points: true, line: numbers }]} ...${rest} />`;
}
