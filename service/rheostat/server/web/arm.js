// Arming a controller: a form of its kind's fields, as the service tells them.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, runPath, useGet } from "./api.js";
import { Edit, changesOf, place } from "./change.js";
import { Inputs, faults, filled, sent } from "./form.js";
import { Check, Dialog, End, Trouble, useSending } from "./parts.js";
import { announce } from "./places.js";

/** @typedef {import("./wire").ControllerKind} Kind */

/** A kind's fields, but those that the dialog shows in its own way. @param {Kind} kind */
function ownFields({ schema }) {
  const { changes, ...properties } = schema.properties;
  properties.metric = { ...properties.metric, list: "metrics" };
  return { ...schema, properties };
}

/**
 * A controller is armed, or one that is armed is changed.
 * @param {{seen: import("./run.js").Seen, before?: import("./wire").ArmedController, close: () => void}} props
 */
export function Arm({ seen, before, close }) {
  const { run } = seen;
  const kinds = useGet("controllers");
  const { data: surface } = useGet(`${runPath(run.name)}/surface`);
  return html`<${Dialog} title=${before ? `Change ${before.name}` : `Arm a controller on ${run.name}`} close=${close}>
    <${Trouble} error=${kinds.error} />
    ${kinds.data && surface && html`<${Form} seen=${seen} before=${before} close=${close} surface=${surface}
      kinds=${kinds.data.items} />`}</${Dialog}>`;
}

/** @param {any} props */
function Form({ seen, before, close, surface, kinds }) {
  const { run } = seen;
  const config = before?.config;
  const [kind, setKind] = useState(config?.kind || kinds[0].kind);
  const [reading, setReading] = useState(config?.reading || "");
  const readings = kinds.filter((/** @type {Kind} */ one) => one.kind === kind);
  const chosen = readings.find((one) => one.reading === reading) || readings[0];
  const schema = ownFields(chosen);
  const parameters = Object.keys(run.parameters);
  const [name, setName] = useState(before?.name || "");
  const [fields, setFields] = useState(config ? filled(schema, config) : {});
  const [does, setDoes] = useState(config?.changes === "stop" ? "stop" : "change");
  const [rows, setRows] = useState(rowsOf(config, surface, parameters));
  const [options, setOptions] = useState({ replay: false, keep_state: Boolean(before), force: false });
  const called = name || kind;
  const acts = "changes" in chosen.schema.properties;
  const set = (n, part) => setRows(rows.map((row, m) => (m === n ? { ...row, ...part } : row)));
  const [error, arm, setError] = useSending(async () => {
    const body = {
      kind,
      ...(chosen.reading ? { reading: chosen.reading } : {}),
      ...sent(schema, fields),
      ...(acts ? { changes: does === "stop" ? "stop" : changesOf(rows, surface) } : {}),
      ...options,
    };
    await ask("PUT", `${runPath(run.name)}/controllers/${encodeURIComponent(called)}`, { body });
    announce(`The controller ${called} is armed`);
    seen.again();
    close();
  });
  const wrong = faults(error);
  const option = (key, text) =>
    html`<${Check} value=${options[key]} set=${(value) => setOptions({ ...options, [key]: value })}>${text}</${Check}>`;
  const other = !before && called in run.controllers;
  return html`<form onSubmit=${arm}>
    <datalist id="metrics">${surface.metrics.map((one) => html`<option value=${one} />`)}</datalist>
    <div class="pair"><div class="field"><label for="arm-kind">kind</label><select id="arm-kind" value=${kind}
      onInput=${(e) => (setKind(e.target.value), setReading(""), setError(null))}>
      ${kinds.filter((one, n) => kinds.findIndex((each) => each.kind === one.kind) === n).map((one) => html`<option
      value=${one.kind}>${one.kind}: ${one.summary}</option>`)}</select></div></div>
    <div class="pair">
    ${readings.length > 1 && html`<div class="field"><label for="arm-reading">as in</label><select id="arm-reading"
      value=${chosen.reading} onInput=${(e) => setReading(e.target.value)}>${readings.map((one) => html`<option
      value=${one.reading}>${one.reading}</option>`)}</select></div>`}
    <div class="field"><label for="arm-name">name</label><input id="arm-name" value=${name} placeholder=${kind}
      disabled=${Boolean(before)} autocomplete="off" onInput=${(e) => setName(e.target.value)} /></div></div>
    ${readings.length > 1 && html`<p class="hint">The words mean what they mean there.</p>`}
    <${Inputs} schema=${schema} fields=${fields} set=${setFields} wrong=${wrong} path="" />
    ${acts && html`<div class="field"><label for="arm-does">when it fires</label><select id="arm-does" value=${does}
      onInput=${(e) => setDoes(e.target.value)}><option value="change">the run is changed</option><option
      value="stop">the training is stopped</option></select></div>
      ${does === "change" && rows.map((row, n) => html`<${Edit} key=${n} row=${row} n=${n} place=${place(rows, n)}
        surface=${surface} parameters=${parameters} wrong=${wrong} set=${set}
        drop=${rows.length > 1 && (() => setRows(rows.filter((_, m) => m !== n)))} />`)}`}
    ${before
      ? option("keep_state", "It goes on with what it remembers")
      : option("replay", "It first reads the reports there are, deciding nothing")}
    ${(fields.gate?.every || options.force) && option("force", "Gates may hold a run that is under way")}
    ${other && html`<p class="banner warn">The run has a controller ${called}: this one takes its place.</p>`}
    <${Trouble} error=${error} />
    <${End} close=${close}><button
      class="primary">${before ? "Arm as it is here" : "Arm"}</button></${End}></form>`;
}

/**
 * What a guard or a rule changes, as rows of a form.
 * @param {any} config @param {import("./wire").Surface} surface @param {string[]} parameters
 * @returns {import("./form.js").Row[]}
 */
function rowsOf(config, surface, parameters) {
  const made = typeof config?.changes === "object" ? Object.entries(config.changes) : [];
  const rows = made.flatMap(([parameter, changes]) =>
    (Array.isArray(changes) ? changes : [changes]).map((one) => {
      const edit = one.edit || "replace";
      const given = one.edit ? one : { definition: one };
      return { parameter, edit, fields: filled(surface.edits[edit].schema, given) };
    }),
  );
  return rows.length ? rows : [{ parameter: parameters[0], edit: "scale", fields: { factor: "0.5" } }];
}
