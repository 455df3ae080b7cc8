// A change: what it would do, at each keystroke; then it is made.
import { html, useEffect, useRef, useState } from "./vendor/standalone.module.js";
import { PAUSE, ask, get, newKey, runPath, useAnswer, useGet, useSettled } from "./api.js";
import { Left } from "./agents.js";
import { announce } from "./places.js";
import { Chart } from "./chart.js";
import { Inputs, faults, sent } from "./form.js";
import { Dialog, End, Force, Message, Table, Text, Trouble } from "./parts.js";
import { unsaid } from "./who.js";
import { count, duration, short, steps, told } from "./words.js";

/** @typedef {import("./form.js").Row} Row */

/** Milliseconds between two previews while workers go on. */
const AGAIN = 1500;
/** @type {[string, string, Record<string, string>][]} */
const PRESETS = [
  ["Halve", "scale", { factor: "0.5" }],
  ["Hold 1,000", "hold", { steps: "1000" }],
  ["Decay now", "ramp", { to: "0", steps: "10%", shape: "1-sqrt" }],
  ["Zero for 100", "set", { value: "0", steps: "100" }],
];

/** @param {{seen: import("./run.js").Seen, start: import("./run.js").Start, close: () => void}} props */
export function Change({ seen, start, close }) {
  const { run, settled, who, may } = seen;
  const { data: surface, error: away } = useGet(`${runPath(run.name)}/surface`);
  const parameters = Object.keys(run.parameters);
  const [rows, setRows] = useState(
    /** @type {Row[]} */ (
      start.rows.length
        ? start.rows
        : [{ parameter: parameters[0], edit: "scale", fields: { factor: "0.5" } }]
    ),
  );
  const [at, setAt] = useState("next");
  const [force, setForce] = useState(false);
  const [message, setMessage] = useState(start.message || "");
  const [seenRevision, look] = useState(run.revision);
  const [meanwhile, tell] = useState(/** @type {any[]} */ ([]));
  const [refused, setRefused] = useState(/** @type {any} */ (null));
  const attempt = useRef({ text: "", key: "" });

  const body = surface && {
    changes: changesOf(rows, surface),
    effective: at === "next" || at === "" ? "next" : Number(at),
    force,
  };
  const asked = useSettled(JSON.stringify(body), PAUSE);
  const { data, error } = usePreview(run, asked, settled);
  const wrong = faults(refused || error);
  const set = (n, part) => (
    setRefused(null),
    setRows(rows.map((row, m) => (m === n ? { ...row, ...part } : row)))
  );
  /** What the limit leaves, where it stands against this: then it may be proposed. @type {any} */
  const left = (refused || error)?.code === "limit-reached" && (refused || error).problem.left;
  const proposes = left || !may("change") || who?.role === "proposer" || who?.role === "worker";

  const another = () => {
    const parameter = parameters[Math.min(rows.length, parameters.length - 1)];
    setRows([...rows, { parameter, edit: "scale", fields: { factor: "1" } }]);
  };
  const apply = async (event) => {
    event.preventDefault();
    const change = { ...body, message, expected_revision: seenRevision };
    const text = JSON.stringify(change);
    // the same request once more, as after an answer that was lost, does not make two changes of it
    if (attempt.current.text !== text) attempt.current = { text, key: newKey() };
    const { key } = attempt.current;
    const path = runPath(run.name);
    try {
      const made = proposes
        ? await ask("POST", `${path}/proposals`, { body: { kind: "change", body: { ...body, message } }, key })
        : await ask("POST", `${path}/revisions`, { body: change, key });
      announce(
        proposes
          ? `Proposal ${made.proposal} was made`
          : `Change ${made.revision} is effective at ${count(made.effective)}`,
      );
      seen.again();
      close();
    } catch (problem) {
      setRefused(problem);
      if (/** @type {any} */ (problem).code === "revision-mismatch") await catchUp();
    }
  };
  const catchUp = async () => {
    const { items } = await get(`${runPath(run.name)}/revisions`, { limit: 20, order: "newest" });
    tell(items.filter((one) => one.revision > seenRevision));
    look(items[0].revision);
    setRefused(null);
    seen.again();
  };

  const last = seen.revisions.find(undoable);
  const guarded = (refused || error)?.code === "guard-violated";
  return html`<${Dialog} title=${`Change ${run.name}`} close=${close} wide=${true}>
    <div class="presets" role="group" aria-label="Presets">${PRESETS.map(([title, edit, fields]) => html`<button
      type="button" onClick=${() => set(0, { edit, fields })}>${title}</button>`)}
      ${last && html`<button type="button" onClick=${() => setRows(undoing(last).rows)}>Undo last</button>`}</div>
    <form class="change" onSubmit=${apply}><div class="editing">
      ${rows.map((row, n) => html`<${Edit} key=${n} row=${row} n=${n} place=${place(rows, n)} surface=${surface}
        parameters=${parameters} wrong=${wrong} set=${set}
        drop=${rows.length > 1 && (() => setRows(rows.filter((_, m) => m !== n)))} />`)}
      <button type="button" class="quiet" onClick=${another}>+ Another change, at the same step</button>
      <${Text} id="effective" title="effective at" number value=${at === "next" ? "" : at}
        placeholder=${`the next open step${data ? `: ${count(data.effective)}` : ""}`}
        set=${(text) => (setRefused(null), setAt(text || "next"))} fault=${wrong.get("effective")} />
      <${Message} id="message" value=${message} set=${setMessage} needed=${Boolean(who?.limit)} />
      ${(guarded || force) && (proposes || !who?.limit) && html`<${Force} value=${force}
        set=${(value) => (setForce(value), setRefused(null))} />`}
    </div>
    <div class="previewed" aria-live="polite">
      ${meanwhile.length > 0 && html`<div class="banner warn">
        <b>Somebody was faster.</b>
        ${meanwhile.map((one) => html`<div>${inShort(one)}</div>`)}
        This is previewed anew.</div>`}
      <${Trouble} error=${refused || error || away} shown="changes effective" />
      ${left && html`<dl class="facts"><${Left} one=${left} axis=${run.axis} /></dl>
        <p class="soft">An operator may accept it as a proposal.</p>`}
      ${data && html`<${Preview} data=${data} run=${run} />`}
    </div>
    <${End} close=${close}><button class="primary"
      disabled=${unsaid(who, message) || (!left && (!data || Boolean(error)))}>${proposes ? "Propose" : "Apply"}
      </button></${End}></form></${Dialog}>`;
}

/** A change that goes back to what was before a revision. @param {import("./wire").Revision} revision */
export const undoing = ({ revision, changes }) => ({
  rows: Object.keys(changes).map((parameter) => ({
    parameter,
    edit: "revert",
    fields: { to: String(revision - 1) },
  })),
  message: `undo revision ${revision}`,
});

/** @param {import("./wire").Revision} one */
export const undoable = (one) => one.kind === "change" && !one.cancelled && one.state !== "dropped";

/** @param {import("./wire").Revision} one */
const inShort = (one) =>
  `Revision ${one.revision} of ${one.author || "somebody"}: ${told(one).join("; ")}` +
  (one.message && ` “${one.message}”`);

/** Path of a row's fields in the body. @param {Row[]} rows @param {number} n */
export function place(rows, n) {
  const { parameter } = rows[n];
  return `changes.${parameter}[${rows.slice(0, n).filter((row) => row.parameter === parameter).length}]`;
}

/** @param {Row[]} rows @param {import("./wire").Surface} surface */
export function changesOf(rows, surface) {
  /** @type {Record<string, any[]>} */
  const changes = {};
  for (const { parameter, edit, fields } of rows)
    (changes[parameter] ??= []).push({ edit, ...sent(surface.edits[edit].schema, fields) });
  return changes;
}

/**
 * The rehearsal of a body; the one before stays while another is asked for. Where workers go on, the step
 * moves with them, so it is asked for again: a while after the last answer, for a slow one has to come, too.
 * @param {import("./wire").RunState} run @param {string} asked @param {number} settled
 */
function usePreview(run, asked, settled) {
  const [turn, next] = useState(0);
  const more = { query: { dry_run: true }, mark: { settled, turn } };
  const state = useAnswer(`${runPath(run.name)}/revisions`, asked, [turn, run.revision], more);
  useEffect(() => {
    // While the next one is under way nothing runs that would give it up, however slow it is.
    if (!state.at || state.mark.turn !== turn || state.mark.settled === settled) return;
    const timer = setTimeout(() => next((n) => n + 1), state.at + AGAIN - Date.now());
    return () => clearTimeout(timer);
  }, [state, settled, turn]);
  return state;
}

/** @param {any} props */
export function Edit({ row, n, place, surface, parameters, wrong, set, drop }) {
  const edits = surface?.edits || {};
  const groups = [
    ...new Set(parameters.filter((one) => one.includes("/")).map((one) => one.split("/")[0] + "/*")),
  ];
  const schema = edits[row.edit]?.schema;
  return html`<fieldset class="edit"><legend>${n ? "and" : "Change"}</legend>
    <div class="pair"><div class="field"><label for=${`p-${n}`}>parameter</label><select id=${`p-${n}`}
      value=${row.parameter} onInput=${(e) => set(n, { parameter: e.target.value })}>
      ${[...parameters, ...groups].map((one) => html`<option value=${one}>${one}</option>`)}</select></div>
    <div class="field"><label for=${`e-${n}`}>edit</label><select id=${`e-${n}`} value=${row.edit}
      onInput=${(e) => set(n, { edit: e.target.value, fields: {} })}>
      ${Object.entries(edits).map(([name, edit]) => html`<option value=${name}>${name}: ${edit.text}</option>`)}
      </select></div>
    ${drop && html`<button type="button" class="quiet" aria-label="Leave this one out"
      onClick=${drop}>✕</button>`}</div>
    ${wrong.get(`changes.${row.parameter}`) && html`<p class="fault">${wrong.get(`changes.${row.parameter}`)}
      </p>`}${wrong.get(place) && html`<p class="fault">${wrong.get(place)}</p>`}
    <${Inputs} schema=${schema} fields=${row.fields} wrong=${wrong} path=${place}
      set=${(fields) => set(n, { fields })} /></fieldset>`;
}

/** @param {any} data @param {string} name @param {number} at */
const becomes = ({ before, after }, name, at) => `${short(before[name].at(at))} becomes ${short(after[name].at(at))}`;

/** @param {any} props */
export function Preview({ data, run }) {
  const [table, setTable] = useState(false);
  const names = Object.keys(data.after).filter((name) =>
    data.after[name].some((v, n) => v !== data.before[name][n]),
  );
  const eta = data.eta?.find((one) => one.revision == null) || data.eta?.[0];
  const range = /** @type {[number, number]} */ ([data.steps[0], data.steps[data.steps.length - 1] + 1]);
  return html`<p class="effect">Takes effect at <b class="num">${count(data.effective)}</b>
    ${eta ? html`; reaches the slowest rank in <b class="num">${steps(eta.steps, run.axis)}</b>
    ${eta.seconds == null ? "" : html`, about <b class="num">${duration(eta.seconds)}
    </b>`}.` : "; nobody trains now."}</p>
    ${data.warnings.map((one) => html`<p class="banner warn">${one}</p>`)}
    ${!names.length && html`<p class="soft">Nothing would be another value than it is.</p>`}
    ${names.map(
      (
        name,
      ) => html`<${Chart} key=${name} title=${name} height=${180} range=${range} steps=${data.steps}
        marks=${[{ at: data.effective, label: "here", kind: "change", pending: true }]}
      summary=${`From ${count(data.effective)} on: ${becomes(data, name, 0)}; at the end ${becomes(data, name, -1)}.`}
      series=${[
        { ink: "faint", name: "as it is", dash: [5, 4], line: data.before[name] },
        { ink: "applied", name: "with it", width: 2.25, line: data.after[name] },
      ]} />`,
    )}
    <button type="button" class="quiet" aria-expanded=${table} onClick=${() => setTable(!table)}>
      ${table ? "Hide the numbers" : "Show the numbers"}</button>
    ${
      table &&
      html`<${Table} label="Numbers of the preview" kind="preview"
        heads=${[[run.axis], ...names.flatMap((name) => [[`${name} as it is`], [`${name} with it`]])]}>
      ${data.steps.map((step, n) => html`<tr data-step=${step}><th scope="row">${count(step)}</th>
        ${names.map((name) => html`<td>${String(data.before[name][n])}</td><td>${String(data.after[name][n])}
        </td>`)}</tr>`)}</${Table}>`
    }`;
}
