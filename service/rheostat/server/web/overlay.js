// What is drawn over and under a chart's curves: marks, workers, what is handed out, in the theme's colours.

/** @typedef {import("./chart.js").ChartProps} ChartProps */
/** @typedef {import("./chart.js").Mark} Mark */
/** @typedef {import("./chart.js").Line} Line */

export const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** @type {Map<string, string>} */
const inks = new Map();

/** The colour of a name of style.css, in the theme that is seen. @param {string} name */
export function ink(name) {
  let colour = inks.get(name);
  if (!colour) {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    colour = getComputedStyle(probe).color;
    probe.remove();
    inks.set(name, colour);
  }
  return colour;
}
/** Forget the colours, and have all charts drawn again. */
export const themed = () => (inks.clear(), dispatchEvent(new Event("themed")));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themed);

/** The band of what is handed out already, behind the curves. @param {any} u @param {ChartProps} props */
export function drawBelow(u, props) {
  const { ctx, bbox } = u;
  if (props.settled == null) return;
  const from = Math.max(bbox.left, u.valToPos(props.last ?? props.settled, "x", true));
  const to = Math.min(bbox.left + bbox.width, u.valToPos(props.settled, "x", true));
  if (to > from) {
    ctx.fillStyle = ink("band");
    ctx.fillRect(from, bbox.top, Math.max(to - from, 2), bbox.height);
  }
}

/** @param {any} u @param {ChartProps} props */
export function drawAbove(u, props) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height);
  ctx.clip();
  for (const line of props.left || []) drawLeft(u, line);
  if (props.settled != null) upright(u, props.settled, "frontier", [], 1.5);
  if (props.first != null) upright(u, props.first, "worker", [4, 3], 1);
  if (props.last != null && props.last !== props.first) upright(u, props.last, "worker", [1, 3], 1.5);
  if (props.pinned != null) upright(u, props.pinned, "ink", [2, 2], 1);
  ctx.restore();
  drawMarks(u, props.marks || []);
}

/** What a generation that was left had served. @param {any} u @param {Line} line */
function drawLeft(u, line) {
  const { ctx } = u;
  ctx.strokeStyle = ink("faint");
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.setLineDash([1, 3].map((n) => n * devicePixelRatio));
  ctx.beginPath();
  line.steps.forEach(
    (step, n) =>
      line.values[n] != null &&
      ctx.lineTo(u.valToPos(step, "x", true), u.valToPos(line.values[n], "y", true)),
  );
  ctx.stroke();
}

/** @param {any} u @param {number} step @param {string} name @param {number[]} dash @param {number} width */
function upright(u, step, name, dash, width) {
  const { ctx, bbox } = u;
  const x = Math.round(u.valToPos(step, "x", true));
  if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) return;
  ctx.strokeStyle = ink(name);
  ctx.lineWidth = width * devicePixelRatio;
  ctx.setLineDash(dash.map((n) => n * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
}

/**
 * Numbered marks above the plot; those whose labels would lie over each other share one.
 * @param {any} u @param {Mark[]} marks
 */
function drawMarks(u, marks) {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  ctx.font = FONT.replace("11px", `${11 * px}px`);
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (const { text, left, width, lines } of gathered(u, marks)) {
    for (const line of lines) drawLine(u, line);
    const { kind, pending } = lines[0].mark;
    const filled = !pending && kind !== "signal" && kind !== "note";
    ctx.beginPath();
    ctx.roundRect(left, bbox.top - 19 * px, width, 15 * px, kind === "halt" ? px : 7 * px);
    ctx.fillStyle = ink(filled ? `mark-${kind}` : "paper");
    ctx.fill();
    ctx.stroke();
    ctx.fillStyle = ink(filled ? "paper" : `mark-${kind}`);
    ctx.fillText(text, left + width / 2, bbox.top - 11 * px);
  }
  ctx.restore();
}

/** @param {any} u @param {{x: number, mark: Mark}} line */
function drawLine({ ctx, bbox }, { x, mark }) {
  const px = devicePixelRatio;
  ctx.strokeStyle = ink(`mark-${mark.kind}`);
  ctx.lineWidth = px;
  ctx.setLineDash(mark.pending ? [3 * px, 2 * px] : mark.kind === "signal" ? [px, 2 * px] : []);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top - 3 * px);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
}

/**
 * Labels, from left to right, each with the lines that it is for.
 * @param {any} u @param {Mark[]} marks
 */
function gathered({ ctx, bbox, valToPos }, marks) {
  const px = devicePixelRatio;
  const right = bbox.left + bbox.width;
  /** @type {{text: string, left: number, width: number, lines: {x: number, mark: Mark}[]}[]} */
  const groups = [];
  const placed = (text, lines) => {
    const width = Math.max(ctx.measureText(text).width + 9 * px, 18 * px);
    const left = Math.min(Math.max(lines[0].x - width / 2, bbox.left), right - width);
    return { text, left, width, lines };
  };
  for (const mark of [...marks].sort((a, b) => a.at - b.at)) {
    const x = Math.round(valToPos(mark.at, "x", true));
    if (x < bbox.left - 1 || x > right + 1) continue;
    const line = { x, mark };
    const alone = placed(mark.label, [line]);
    const last = groups[groups.length - 1];
    if (!last || alone.left > last.left + last.width + 2 * px) groups.push(alone);
    else groups[groups.length - 1] = placed(`${short(last.lines[0].mark)}…${short(mark)}`, [...last.lines, line]);
  }
  return groups;
}

/** @param {Mark} mark */
const short = (mark) => mark.label.split(" ")[0];
