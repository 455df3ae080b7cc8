// Forms made from what the service says of its own requests: JSON Schemas, and the kinds.
import { html } from "./vendor/standalone.module.js";
import { get, useLoaded } from "./api.js";

/**
 * What is typed stays text until it is sent, so that the service says what is wrong with it.
 * @typedef {Record<string, any>} Fields
 * @typedef {{parameter: string, edit: string, fields: Fields}} Row
 */

/** @type {Promise<import("./wire").KindPage> | undefined} */
let kinds;
/** All kinds of definitions, asked for once. */
export const useKinds = () =>
  useLoaded(
    () => (kinds ??= get("kinds").catch((error) => ((kinds = undefined), Promise.reject(error)))),
    ["kinds"],
  ).data?.items;

/** @param {any} schema */
const takes = (schema) =>
  schema.anyOf
    ? schema.anyOf.filter((one) => one.type !== "null").flatMap((one) => takes(one))
    : schema.properties?.kind || schema.$ref
      ? ["definition"]
      : [schema.type || "object"];

/** What a field's text means as JSON. @param {any} schema @param {any} raw */
function meant(schema, raw) {
  const types = takes(schema);
  if (types[0] === "definition") return typeof raw === "object" ? definitionOf(raw) : number(raw);
  const parts = partsOf(schema);
  if (parts) return sent(parts, raw);
  if (typeof raw !== "string") return raw;
  if (types.includes("number") || types.includes("integer")) return number(raw);
  if (schema.items?.type === "string" && !raw.startsWith("[")) return raw.split(",").map((one) => one.trim());
  if (types.includes("array") || types.includes("object")) return parsed(raw);
  return raw;
}

/**
 * What a document has of a schema's fields, but for what they are by default: as it is typed.
 * @param {any} schema @param {any} document @returns {Fields}
 */
export function filled(schema, document) {
  const given = Object.entries(schema?.properties || {}).filter(
    ([name, field]) =>
      document[name] != null && JSON.stringify(document[name]) !== JSON.stringify(field.default),
  );
  return Object.fromEntries(given.map(([name, field]) => [name, typed(field, document[name])]));
}

/** @param {any} schema @param {any} value */
function typed(schema, value) {
  const parts = partsOf(schema);
  if (parts) return typeof value === "object" ? filled(parts, value) : {};
  if (takes(schema)[0] === "definition") return asJson(value);
  if (schema.items?.type === "string") return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : typeof value === "boolean" ? value : String(value);
}

/** The schema of an object whose fields have inputs of their own, if one is meant. @param {any} schema */
const partsOf = (schema) =>
  [schema, ...(schema.anyOf || [])].find((one) => one.type === "object" && one.properties && !one.properties.kind);

/** @param {string} raw */
const number = (raw) => (raw.trim() !== "" && !isNaN(Number(raw)) ? Number(raw) : raw);

/** @param {any} value */
const isEmpty = (value) => value?.constructor === Object && !Object.keys(value).length;

/** @param {string} text */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The fields that were filled, as they are sent. @param {any} schema @param {Fields} fields */
export function sent(schema, fields) {
  const known = Object.entries(fields).filter(
    ([name, raw]) => schema?.properties?.[name] && raw !== "" && raw != null,
  );
  const said = known.map(([name, raw]) => [name, meant(schema.properties[name], raw)]);
  // an object of which nothing was filled was not given
  return Object.fromEntries(said.filter(([, value]) => !isEmpty(value)));
}

/** @type {Record<string, any>} */
const schemas = {};

/** A definition as text, to be edited. @param {any} definition */
export const asJson = (definition) => ({ json: JSON.stringify(definition, null, 1) });

/** @param {any} raw */
export function definitionOf(raw) {
  if (raw.json != null) return parsed(raw.json);
  return raw.kind ? { kind: raw.kind, ...sent(schemas[raw.kind], raw.fields || {}) } : raw;
}

/** @param {string} path @param {string} name */
const within = (path, name) => (path ? `${path}.${name}` : name);

/**
 * An input for each property of a schema.
 * @param {{schema: any, fields: Fields, set: (fields: Fields) => void, wrong: Map<string, string>, path: string}} props
 */
export function Inputs({ schema, fields, set, wrong, path }) {
  const names = Object.keys(schema?.properties || {}).filter(
    (name) => schema.properties[name].const === undefined,
  );
  const needed = names.filter((name) => (schema.required || []).includes(name));
  const others = names.filter((name) => !needed.includes(name));
  const input = (
    name,
  ) => html`<${Input} key=${name} name=${name} schema=${schema.properties[name]} needed=${needed.includes(name)}
    value=${fields[name] ?? ""}
    set=${(value) => set({ ...fields, [name]: value })} wrong=${wrong} path=${within(path, name)} />`;
  // what has a default is out of the way, unless there is nothing else, or it was given, or is wrong
  const said = (name) => (fields[name] ?? "") !== "" && !isEmpty(fields[name]);
  const faulty = (name) => [...wrong.keys()].some((field) => `${field}.`.startsWith(`${within(path, name)}.`));
  const open = others.some((name) => said(name) || faulty(name));
  if (!needed.length) return html`<div class="fields">${others.map(input)}</div>`;
  return html`<div class="fields">${needed.map(input)}</div>${others.length > 0 && html`<details open=${open}>
    <summary>${others.map((name) => name.replaceAll("_", " ")).join(", ")}</summary><div class="fields">
    ${others.map(input)}</div></details>`}`;
}

/** @param {any} props */
function Input({ name, schema, needed, value, set, wrong, path }) {
  const types = takes(schema);
  const fault = wrong.get(path);
  const typed = (event) => set(event.target.value);
  const id = `f-${path}`;
  const shared = {
    id,
    "aria-invalid": fault ? "true" : null,
    "aria-describedby": fault ? `${id}-fault` : null,
    onInput: typed,
    value,
  };
  if (types[0] === "definition")
    return html`<fieldset><legend>${name.replaceAll("_", " ")}</legend><${Definition}
      value=${value || { kind: "constant", fields: {} }} set=${set} wrong=${wrong} path=${path} /></fieldset>`;
  const parts = partsOf(schema);
  if (parts)
    return html`<fieldset><legend>${name}${needed ? "" : html` <span class="soft">optional</span>`}</legend>
      ${hint({ ...parts, ...schema }) && html`<p class="hint">${hint({ ...parts, ...schema })}</p>`}
      ${fault && html`<p class="fault">${fault}</p>`}
      <${Inputs} schema=${parts} fields=${value || {}} set=${set} wrong=${wrong} path=${path} /></fieldset>`;
  const choices = schema.enum || schema.anyOf?.flatMap((one) => one.enum || []);
  const open = schema.default === undefined || schema.default === null ? "" : String(schema.default);
  const input = choices?.length
    ? html`<select ...${shared}>${!needed && html`<option value="">${open || "–"}</option>`}
      ${choices.map((one) => html`<option value=${one}>${one}</option>`)}</select>`
    : types[0] === "boolean"
      ? html`<input id=${id} type="checkbox" checked=${value === "" ? schema.default === true : value}
        onChange=${(e) => set(e.target.checked)} />`
      : types.includes("array") && schema.items?.type !== "string"
        ? html`<textarea ...${shared} rows="3" placeholder="[…]"></textarea>`
        : html`<input ...${shared} autocomplete="off" placeholder=${open} maxlength=${schema.maxLength}
          list=${schema.list}
          inputmode=${types.includes("number") ? "decimal" : null} />`;
  return html`<div class="field"><label for=${id}>${name.replaceAll("_", " ")}${needed ? "" : html` <span
    class="soft">optional</span>`}</label>${input}
    ${fault ? html`<p class="fault" id=${`${id}-fault`}>${fault}</p>` : hint(schema) && html`<p class="hint">
      ${hint(schema)}</p>`}</div>`;
}

/** @param {any} schema */
function hint(schema) {
  const { minimum, maximum, exclusiveMinimum: over, exclusiveMaximum: under } = schema;
  const bounds = [
    minimum != null && `from ${minimum}`,
    over != null && `above ${over}`,
    maximum != null && maximum < 1e15 && `to ${maximum}`,
    under != null && `below ${under}`,
  ].filter(Boolean);
  const length =
    schema.unit === "steps" || /\[kKMGBT\]/.test(JSON.stringify(schema.anyOf || ""))
      ? "steps, 10%, 3 epochs or 5k"
      : "";
  return [schema.description, bounds.join(" ") || length].filter(Boolean).join("; ");
}

/**
 * A definition: a kind with its fields, or JSON.
 * @param {{value: any, set: (value: any) => void, wrong: Map<string, string>, path: string}} props
 */
export function Definition({ value, set, wrong, path }) {
  const known = useKinds();
  for (const one of known || []) schemas[one.kind] = one.schema;
  const kind = (known || []).find((one) => one.kind === value.kind);
  const families = [...new Set((known || []).map((one) => one.family))];
  const id = `k-${path}`;
  const turn = () => set(value.json == null ? asJson(definitionOf(value)) : { kind: "constant", fields: {} });
  return html`<div class="definition"><div class="field"><label for=${id}>kind</label><span class="pair">
    ${value.json == null ? html`<select id=${id} value=${value.kind}
      onInput=${(e) => set({ kind: e.target.value, fields: value.fields })}>
      ${families.map((family) => html`<optgroup label=${family}>
      ${known.filter((one) => one.family === family).map((one) => html`<option value=${one.kind}>${one.kind}
      </option>`)}</optgroup>`)}</select>` : html`<textarea id=${id} rows="6" spellcheck="false"
      value=${value.json} onInput=${(e) => set({ json: e.target.value })}></textarea>`}
    <button type="button" onClick=${turn}>${value.json == null ? "JSON" : "Form"}</button></span>
    ${wrong.get(path) && html`<p class="fault">${wrong.get(path)}</p>`}</div>
    ${value.json == null && kind && html`<p class="hint">${coded(kind.summary)} <code>${kind.formula}</code></p>
      <${Inputs} schema=${kind.schema} fields=${value.fields || {}}
      set=${(fields) => set({ kind: value.kind, fields })} wrong=${wrong} path=${path} />`}</div>`;
}

/** Text whose names stand between backticks. @param {string} text */
export const coded = (text) => text.split("`").map((part, n) => (n % 2 ? html`<code>${part}</code>` : part));

/** What is wrong, by the field that it is about. @param {any} error */
export const faults = (error) =>
  new Map((error?.errors || []).map((one) => [one.field.replace(/^body\./, ""), one.message]));
