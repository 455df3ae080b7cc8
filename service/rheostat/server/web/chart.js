// One chart on the shared step axis: uPlot, with what a run needs drawn over it.
import { html, useEffect, useRef, useState } from "./vendor/standalone.module.js";
import { FONT, drawAbove, drawBelow, ink, themed } from "./overlay.js";
import { count, power, short } from "./words.js";

/**
 * @typedef {"change" | "signal" | "halt" | "branch" | "note"} MarkKind
 * @typedef {{at: number, label: string, kind: MarkKind, pending?: boolean}} Mark
 * @typedef {{steps: number[], values: (number | null)[]}} Line
 * @typedef {object} Series
 * @property {string} ink a colour of style.css @property {string} name @property {(number | null)[]} line
 * @property {number[]} [dash] @property {number} [width] @property {boolean} [points]
 * @typedef {object} ChartProps
 * @property {string} title @property {string} summary @property {number[]} steps @property {Series[]} series
 * @property {[number, number]} range @property {boolean} [log] @property {number} [height]
 * @property {number | null} [settled] @property {number | null} [first] @property {number | null} [last]
 * @property {Mark[]} [marks] @property {Line[]} [left] @property {number | null} [pinned]
 * @property {(range: [number, number]) => void} [onZoom] @property {(step: number) => void} [onPick]
 */

const WHOLE = Array.from({ length: 16 }, (_, n) => [1, 2, 5].map((m) => m * 10 ** n)).flat();

/** Show the page in another theme than the system's. @param {string} theme `light`, `dark`, or neither */
export function setTheme(theme) {
  document.documentElement.style.colorScheme = theme;
  themed();
}

/** @param {ChartProps} props */
export function Chart(props) {
  const { title, summary, steps, series, log = false, height = 190, pinned = null } = props;
  const place = useRef(/** @type {any} */ (null));
  const chart = useRef(/** @type {any} */ (null));
  const latest = useRef(props);
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  latest.current = props;

  useEffect(() => {
    const u = new window.uPlot(
      options(latest, setAt, place.current.clientWidth, height, log),
      [[], ...series.map(() => [])],
      place.current,
    );
    chart.current = u;
    const sized = new ResizeObserver(() => u.setSize({ width: place.current.clientWidth, height }));
    sized.observe(place.current);
    const redraw = () => u.redraw(false, true);
    addEventListener("themed", redraw);
    return () => (removeEventListener("themed", redraw), sized.disconnect(), u.destroy());
  }, [log, height, series.length, ...series.map((one) => one.ink)]);

  useEffect(() => {
    const drawn = (value) => (log && value != null && value <= 0 ? null : value);
    chart.current.setData([steps, ...series.map((one) => one.line.map(drawn))], true);
  }, [props]); // not when only the cursor has moved

  return html`<figure class="chart">
    <figcaption>
      <span class="name">${title}</span>
      <span class="keys">${series.map((one) => html`<span
        class=${`key ${one.dash ? "dashed" : ""} ink-${one.ink}`}>${one.name}</span>`)}</span>
      <output class="readout">${readout(steps, series, at)}</output>
    </figcaption>
    <div class="plot" role="img" aria-label=${`${title}. ${summary}`} ref=${place} data-pinned=${pinned}></div>
  </figure>`;
}

/** @param {number[]} steps @param {Series[]} series @param {number | null} at */
function readout(steps, series, at) {
  if (at == null || steps[at] == null) return "";
  const said = series
    .filter((one) => one.line[at] != null)
    .map((one) => `${series.length > 2 ? "" : one.name + " "}${short(one.line[at])}`);
  return `${count(steps[at])}: ${[...new Set(said)].join(" · ")}`;
}

/**
 * @param {{current: ChartProps}} latest @param {(at: number | null) => void} setAt
 * @param {number} width @param {number} height @param {boolean} log
 */
function options(latest, setAt, width, height, log) {
  const axis = {
    stroke: () => ink("soft"),
    font: FONT,
    grid: { stroke: () => ink("grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    legend: { show: false },
    padding: [22, 28, 0, 0],
    cursor: {
      sync: { key: "steps", setSeries: false, scales: ["x", null] },
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false, dist: 6 },
    },
    scales: {
      x: { time: false, range: () => latest.current.range },
      y: { distr: log ? 3 : 1, range: log ? undefined : (_, low, high) => reach(latest.current, low, high) },
    },
    axes: [
      { ...axis, incrs: WHOLE, space: 70, size: 28, values: (_, ticks) => ticks.map(count) },
      {
        ...axis,
        size: 64,
        space: log ? 24 : 34,
        values: (_, ticks) => alike(ticks),
      },
    ],
    series: [
      {},
      ...latest.current.series.map((one) => ({
        stroke: () => ink(one.ink),
        width: one.width || 1.75,
        dash: one.dash,
        spanGaps: Boolean(one.points),
        points: { show: Boolean(one.points) && one.line.length < 80, size: 5, fill: () => ink(one.ink) },
      })),
    ],
    hooks: {
      drawClear: [(u) => drawBelow(u, latest.current)],
      draw: [(u) => drawAbove(u, latest.current)],
      setCursor: [(u) => setAt(u.cursor.left < 0 ? null : u.cursor.idx)],
      setSelect: [(u) => zoomed(u, latest.current)],
      ready: [(u) => u.over.addEventListener("click", () => picked(u, latest.current))],
    },
  };
}

/** The numbers of an axis, all written in one way. @param {(number | null)[]} ticks */
function alike(ticks) {
  const texts = ticks.map((value) => (value == null ? "" : short(value)));
  if (!texts.some((text) => text.includes("e"))) return texts;
  return ticks.map((value) => (value == null ? "" : value === 0 ? "0" : power(value)));
}

/** @param {ChartProps} props @param {number | null} low @param {number | null} high */
function reach(props, low, high) {
  const [start, stop] = props.range;
  const all = [low, high].filter((value) => value != null);
  for (const line of props.left || [])
    line.steps.forEach(
      (step, n) => step >= start && step <= stop && line.values[n] != null && all.push(line.values[n]),
    );
  const least = Math.min(.../** @type {number[]} */ (all));
  const most = Math.max(.../** @type {number[]} */ (all));
  // where there is nothing, or next to nothing, an axis up to 100 would say that there is little of it
  if (!all.length || Math.max(-least, most) < 1e-15) return [0, 1];
  return window.uPlot.rangeNum(least, most, 0.1, true);
}

/** @param {any} u @param {ChartProps} props */
function zoomed(u, props) {
  const { left, width } = u.select;
  if (width < 6) return;
  const [start, stop] = [left, left + width].map((px) => Math.max(0, Math.round(u.posToVal(px, "x"))));
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (stop - start >= 2) props.onZoom?.([start, stop]);
}

/** @param {any} u @param {ChartProps} props */
function picked(u, props) {
  if (u.select.width < 6 && u.cursor.left >= 0)
    props.onPick?.(Math.max(0, Math.round(u.posToVal(u.cursor.left, "x"))));
}
