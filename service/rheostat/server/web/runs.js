// All runs: what each does, and which of them want looking at.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/standalone.module.js";
import { ROOT, get, runPath, useLoaded } from "./api.js";
import { By, Empty, State } from "./parts.js";
import { ago, clock, count, duration, rate, short, told } from "./words.js";

/** @typedef {import("./wire").RunOverview} Row */

const PAGE = 1000;
const LOOKS = {
  all: () => true,
  "needs attention": (run) => troubled(run),
  live: (run) => run.state === "live",
  paused: (run) => run.state === "paused",
  stuck: (run) => run.state === "stuck",
  over: (run) => ["ended", "stopped", "finished"].includes(run.state),
};

/** @type {Record<string, (run: Row) => any>} */
const ORDERS = {
  name: (run) => run.name,
  state: (run) => Number(!troubled(run)) + run.state,
  progress: (run) => (run.total ? run.settled_until / run.total : 0),
  ends: (run) => run.ends_in ?? Infinity,
  workers: (run) => -(run.workers.wrong * 1e6 + run.workers.silent * 1e3 + run.workers.alive),
  changed: (run) => -new Date(run.newest.created_at),
};

/** @param {Row} run */
const troubled = (run) =>
  run.state === "stuck" ||
  run.attention.length > 0 ||
  run.workers.wrong > 0 ||
  (run.state === "live" && run.workers.silent > 0) ||
  run.proposals > 0;

/** Every page of the list. @param {AbortSignal} signal */
async function everyRun(signal) {
  /** @type {Row[]} */
  const items = [];
  for (let cursor = null; ;) {
    const page = await get("runs", { overview: true, limit: PAGE, cursor }, signal);
    items.push(...page.items);
    if (!(cursor = page.next)) return items;
  }
}

/**
 * Whether a run answers to a selector: words of its name, `team=nlp`, `team!=nlp`, `team in (a, b)`, `team`, `!team`.
 * @param {string} text @returns {(run: Row) => boolean}
 */
function selector(text) {
  const tests = (text.match(/[^\s,]+\s+(?:not)?in\s*\([^)]*\)?|[^\s,]+/g) || []).map((part) => {
    const set = part.match(/^(\S+)\s+(not)?in\s*\(([^)]*)/);
    if (set)
      return (run) =>
        set[3]
          .split(",")
          .map((one) => one.trim())
          .includes(run.labels[set[1]]) !== Boolean(set[2]);
    const equal = part.match(/^([^=!]+)(!?)==?(.*)$/);
    if (equal) return (run) => (run.labels[equal[1]] === equal[3]) !== Boolean(equal[2]);
    if (part[0] === "!") return (run) => !(part.slice(1) in run.labels);
    return (run) => run.name.toLowerCase().includes(part.toLowerCase()) || part in run.labels;
  });
  return (run) => tests.every((test) => test(run));
}

export function Runs() {
  const { data, error, at } = useLoaded(everyRun, ["runs"], 5);
  const [text, setText] = useState(new URLSearchParams(location.search).get("q") || "");
  const [look, setLook] = useState(/** @type {keyof LOOKS} */ ("all"));
  const [[by, down], sort] = useState(/** @type {[string, boolean]} */ (["name", false]));
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    document.title = "Runs · Rheostat";
    const typed = (event) => {
      if (event.key !== "/" || /INPUT|TEXTAREA|SELECT/.test(document.activeElement?.tagName || "")) return;
      event.preventDefault();
      box.current?.focus();
    };
    addEventListener("keydown", typed);
    return () => removeEventListener("keydown", typed);
  }, []);
  const found = useMemo(() => (data || []).filter(selector(text)), [data, text]);
  const rows = useMemo(() => {
    const order = ORDERS[by];
    const sorted = found
      .filter(LOOKS[look])
      .sort((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
    return down ? sorted.reverse() : sorted;
  }, [found, look, by, down]);
  const head = (
    key,
    title,
  ) => html`<th scope="col" class=${`c-${key}`}
    aria-sort=${by === key ? (down ? "descending" : "ascending") : null}>
    <button onClick=${() => sort([key, by === key && !down])}>${title}${by === key ? (down ? " ↓" : " ↑") : ""}
      </button></th>`;
  return html`<section class="runs">
    <div class="bar"><h1>Runs</h1>
      <input ref=${box} type="search" class="filter" aria-label="Filter"
        placeholder="Filter: name, team=nlp, stage in (a, b), !label   ( / )" value=${text}
        onInput=${(e) => setText(e.target.value)} />
      <div class="looks" role="group" aria-label="Which">
        ${Object.entries(LOOKS).map(([name, fits]) => html`<button aria-pressed=${look === name}
        onClick=${() => setLook(/** @type {any} */ (name))}>${name} <span class="soft">
        ${count(found.filter(fits).length)}</span></button>`)}</div>
    </div>
    ${error && html`<div class="banner" role="alert">${error.message}
      ${data ? ` What is shown is of ${ago(at)}.` : ""}</div>`}
    ${data && (rows.length ? html`<${Rows} rows=${rows} head=${html`<tr>${head("name", "Run")}
      ${head("state", "State")}<th scope="col" class="c-curve">Curve</th>${head("progress", "Progress")}
      ${head("ends", "Ends in")}${head("workers", "Workers")}${head("changed", "Newest change")}
      </tr>`} />` : html`<${None} any=${data.length} />`)}
  </section>`;
}

/** @param {{any: number}} props */
const None = ({ any }) =>
  any
    ? html`<${Empty} title="No run answers to this filter." />`
    : html`<${Empty} title="There is no run yet.">
  <p>A training creates its run when it starts, or you do: <a href=${ROOT.href + "new"}>New run</a>.</p>
  <pre>from rheostat import Client

run = Client("${location.origin}").run("first", create={"parameters": {"lr": 1e-3}})
for step in run.steps(0, 1000):
    lr = run.value("lr", step)</pre></${Empty}>`;

/** The rows that are on the screen; thousands of others are only room. @param {{rows: Row[], head: any}} props */
function Rows({ rows, head }) {
  const body = useRef(/** @type {any} */ (null));
  const [[from, to], show] = useState([0, 40]);
  const tall = matchMedia("(max-width: 760px)").matches ? 116 : 52;
  useLayoutEffect(() => {
    const look = () => {
      const top = -body.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(top / tall) - 8);
      show([first, first + Math.ceil(innerHeight / tall) + 16]);
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => (removeEventListener("scroll", look), removeEventListener("resize", look));
  }, [tall]);
  const shown = rows.slice(from, to);
  return html`<table class="list" aria-rowcount=${rows.length + 1}><thead>${head}</thead><tbody ref=${body}>
    <tr class="room" aria-hidden="true" style=${{ height: `${Math.min(from, rows.length) * tall}px` }}></tr>
    ${shown.map((run, n) => html`<${Line} key=${run.id} run=${run} place=${from + n + 2} />`)}
    <tr class="room" aria-hidden="true"
      style=${{ height: `${Math.max(0, rows.length - from - shown.length) * tall}px` }}></tr></tbody></table>`;
}

/** @param {{run: Row, place: number}} props */
function Line({ run, place }) {
  const { workers, newest } = run;
  const somebody = workers.alive + workers.silent + workers.wrong > 0;
  const what = told(newest).join("; ") || newest.kind;
  const labels = Object.entries(run.labels).map(
    ([key, value]) => html`<span class="tag">${key}=${value}</span>`,
  );
  return html`<tr aria-rowindex=${place}>
    <th scope="row" class="c-name"><a title=${run.name} href=${ROOT.href + runPath(run.name)}>${troubled(run) && html`<span
      class="dot" role="img" aria-label="needs attention" title="needs attention">!</span>`}${run.name}</a><div
      class="labels">${labels}</div></th>
    <td class="c-state"><${State} state=${run.state} /></td>
    <td class="c-curve"><${Spark} run=${run} /></td>
    <td class="c-progress"><span class="num">${count(run.settled_until)}${run.total ? html` <span
      class="soft">/ ${count(run.total)}</span>` : ""}</span>
      ${run.total && html`<progress max=${run.total} value=${Math.min(run.settled_until, run.total)}
        aria-label="settled"></progress>`}</td>
    <td class="c-ends num">${run.state === "live" ? duration(run.ends_in) : "–"}<div class="soft">
      ${run.pace ? `${rate(run.pace)}/s` : ""}</div></td>
    <td class="c-workers num">${somebody ? `${workers.alive} alive` : html`<span class="soft">–</span>`}${workers.silent > 0 && html`<div class="bad">
      ${workers.silent} silent</div>`}${workers.wrong > 0 && html`<div class="bad">
      ${workers.wrong} wrong</div>`}</td>
    <td class="c-changed"><div class="line" title=${what}><b>${newest.revision}</b> ${what}</div>
      <div class="soft line"><${By} author=${newest.author} />, <time title=${clock(newest.created_at)}>
        ${ago(newest.created_at)}</time>${newest.message && `: ${newest.message}`}</div></td></tr>`;
}

/** @type {Map<string, import("./wire").RunCurve>} */
const curves = new Map();

/** The first parameter: what was, and what is to come. @param {{run: Row}} props */
function Spark({ run }) {
  const { parameter, steps, values } = run.curve ||
    curves.get(run.id) || { parameter: "", steps: [], values: [] };
  if (steps.length < 2) return null;
  if (run.curve) curves.set(run.id, run.curve); // the service may have no time for one, the next time
  const [low, high, from, to] = [Math.min(...values), Math.max(...values), steps[0], steps[steps.length - 1]];
  const at = (n) =>
    `${(((steps[n] - from) / (to - from)) * 118 + 1).toFixed(1)},${(high > low ? 27 - ((values[n] - low) / (high - low)) * 24 : 15).toFixed(1)}`;
  const now = steps.findIndex((step) => step >= run.settled_until);
  const path = (a, b) =>
    steps
      .slice(a, b)
      .map((_, n) => at(a + n))
      .join(" ");
  const split = now < 0 ? steps.length : now;
  return html`<svg class="spark" viewBox="0 0 120 30" role="img"
    aria-label=${`${parameter} from ${short(values[0])} to ${short(values[values.length - 1])}`}>
    <polyline class="past" points=${path(0, split + 1)} /><polyline class="future"
      points=${path(Math.max(0, split), steps.length)} /></svg>`;
}
