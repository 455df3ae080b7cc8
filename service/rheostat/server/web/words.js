// Numbers, times and changes as people read them. No value is computed here.

const COUNT = new Intl.NumberFormat("en");

/** A step, or how many. @param {number | null | undefined} number */
export const count = (number) => (number == null ? "–" : COUNT.format(number));

/** A value, short: for charts and lists. @param {number | null | undefined} value */
export function short(value) {
  if (value == null || !isFinite(value)) return String(value ?? "–");
  const text = String(Number(value.toPrecision(4)));
  return text.length <= 7 ? text : power(value);
}

/** A value with a power of ten. @param {number} value */
export function power(value) {
  return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
}

/** Steps in a second. @param {number} pace */
export const rate = (pace) => short(Number(pace.toPrecision(3)));

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return "–";
  const [s, m, h, d] = [seconds, seconds / 60, seconds / 3600, seconds / 86400];
  if (s < 1) return "a second";
  if (s < 100) return `${Math.round(s)} s`;
  if (m < 100) return `${Math.round(m)} min`;
  return h < 48 ? `${Math.round(h)} h` : `${Math.round(d)} days`;
}

/** @param {string | number | null | undefined} when */
export function ago(when) {
  if (!when) return "–";
  const seconds = (Date.now() - new Date(when).getTime()) / 1000;
  return seconds < 5 ? "now" : `${duration(seconds)} ago`;
}

/** @param {string | null | undefined} when */
export const clock = (when) => (when ? new Date(when).toLocaleString() : "");

/** @param {number} many @param {string} noun @param {string} [plural] */
export const some = (many, noun, plural = noun + "s") => `${count(many)} ${many === 1 ? noun : plural}`;

/** @param {number} many @param {string} axis */
export const steps = (many, axis) => (PLURALS[axis] ? some(many, axis) : `${count(many)} ${axis}`);

/** What a run counts, many of it. @param {string} axis */
export const units = (axis) => PLURALS[axis] || axis;

/** @type {Record<string, string>} */
const PLURALS = { step: "steps", epoch: "epochs" };

/** @param {unknown} value */
const said = (value) =>
  typeof value === "number"
    ? Number.isInteger(value)
      ? count(value)
      : short(value)
    : typeof value === "string"
      ? value
      : JSON.stringify(value);

/** A definition in a line. @param {any} definition @returns {string} */
export function definition(definition) {
  if (typeof definition !== "object" || !definition) return said(definition);
  const { kind, ...fields } = definition;
  if (kind === "constant") return said(fields.value);
  const parts = Object.entries(fields).map(([name, value]) => {
    if (value?.kind) return `${name} ${definition_(value)}`;
    return Array.isArray(value) ? `${value.length} ${name}` : `${name} ${said(value)}`;
  });
  return `${kind} ${parts.join(", ")}`;
}
const definition_ = (inner) => `(${definition(inner)})`;

/** One change of a parameter in words. @param {any} change @returns {string} */
export function change(change) {
  const { edit, kind, clock, ...fields } = change;
  if (kind)
    return `follows ${definition(clock ? { kind, ...fields } : change)}${clock === "change" ? ", from here on" : ""}`;
  switch (edit) {
    case "scale":
      return `× ${said(fields.factor)}`;
    case "hold":
      return "holds" + (fields.steps == null ? "" : ` for ${said(fields.steps)}`) + (fields.then === "shift" ? ", then goes on" : "");
    case "set":
      return `is ${said(fields.value)} for ${said(fields.steps)}`;
    case "ramp":
      return `→ ${said(fields.to)} in ${said(fields.steps)}${fields.shape && fields.shape !== "linear" ? `, ${fields.shape}` : ""}`;
    case "rewarm":
      return `warms up again in ${said(fields.steps)}`;
    case "extend":
      return `ends at ${said(fields.end)}`;
    case "revert":
      return `as revision ${fields.to} had it`;
    case "replace":
      return `follows ${definition(fields.definition)}${fields.blend ? `, eased in over ${said(fields.blend)}` : ""}`;
    default:
      return `${edit} ${Object.entries(fields)
        .map(([name, value]) => `${name} ${said(value)}`)
        .join(", ")}`;
  }
}

/** What a change asks for, by parameter. @param {Record<string, any> | null | undefined} changes @param {(one: any) => string} [say] */
export const changed = (changes, say = change) =>
  Object.entries(changes || {}).flatMap(([name, made]) => [made].flat().map((one) => `${name} ${say(one)}`));

/** How it came to something, in words. @param {any} cause */
export const because = ({ step, late_by: late, proposal, decided_by: by, unapproved }) =>
  [
    step != null && `decided on the report of step ${count(step)}`,
    late && `late by ${count(late)}`,
    proposal && `proposal ${proposal}, accepted by ${by || "somebody"}`,
    unapproved && "without a second person",
  ]
    .filter(Boolean)
    .join(", ");

/**
 * What a revision did, in lines.
 * @param {import("./wire").NewestRevision & Partial<Pick<import("./wire").Revision, "cancels" | "total">>
 *   | import("./wire").Revision} revision
 * @returns {string[]}
 */
export function told(revision) {
  const data = revision.data || {};
  const changes = changed(revision.changes, revision.kind === "create" ? definition : change);
  switch (revision.kind) {
    case "create":
      return ["created", ...changes];
    case "fork":
      return ["forked", ...changes];
    case "cancel":
      return [revision.cancels ? `takes back revision ${revision.cancels}` : "takes a revision back"];
    case "rewind":
      return [`rewinds to ${count(revision.effective)}`, ...changes];
    case "finish":
      return [`finishes at ${count(revision.effective)}`];
    case "total":
      return [revision.total ? `total ${count(revision.total)}` : "another total"];
    case "advance":
      return [`moves on to ${count(revision.effective)}`];
    case "stop":
      return [`stops at ${count(revision.effective)}`];
    case "pause":
      return [`holds at ${count(revision.effective)}`];
    case "signal":
      return [`signal ${data.signal}${words(data.arguments)}`];
    case "control":
      return [control(data)];
    case "note":
      return [revision.message || "note"];
    default:
      return changes;
  }
}

/** @param {any} data */
function control(data) {
  const [verb, name] = Object.entries(data).find(([key]) => key !== "config") || ["changes", "a controller"];
  return `${verb === "armed" ? "arms" : verb === "disarmed" ? "disarms" : verb} ${said(name)}`;
}

/** @param {Record<string, unknown> | null | undefined} given */
export const words = (given) =>
  Object.entries(given || {})
    .map(([name, value]) => ` ${name}=${said(value)}`)
    .join("");
