// A new run: its parameters by kinds, from the library of schedules, or from another library's configuration.
import { html, useEffect, useState } from "./vendor/standalone.module.js";
import { PAUSE, ROOT, ask, runPath, useAnswer, useGet, useSettled } from "./api.js";
import { go } from "./places.js";
import { Chart } from "./chart.js";
import { Definition, asJson, definitionOf, faults, parsed, useKinds } from "./form.js";
import { Check, Dialog, End, Trouble, useSending } from "./parts.js";
import { count, short } from "./words.js";

const POINTS = 300;
const LIBRARIES = "torch transformers deepspeed megatron optax keras timm lightning nemo fairseq".split(" ");
/** @typedef {{name: string, value: any}} Parameter */
const FIRST = {
  name: "lr",
  value: {
    kind: "warmup",
    fields: { steps: "5%", then: { kind: "cosine", fields: { start: "3e-4", end: "3e-5", steps: "rest" } } },
  },
};

export function NewRun() {
  const [form, setForm] = useState({
    name: "",
    total: "10000",
    epoch: "",
    labels: "",
    about: "",
    paused: false,
  });
  const [parameters, setParameters] = useState(/** @type {Parameter[]} */ ([FIRST]));
  const [controllers, arm] = useState(/** @type {any} */ (null));
  const [pasting, paste] = useState(false);
  useEffect(() => void (document.title = "New run · Rheostat"), []);
  const library = useGet("schedules", { limit: 500 }).data;
  const put = (n, part) => setParameters(parameters.map((one, m) => (m === n ? { ...one, ...part } : one)));
  const extent = {
    total: form.total ? Number(form.total) : undefined,
    steps_per_epoch: form.epoch ? Number(form.epoch) : undefined,
  };
  const field = (key, title, path, more = {}) =>
    html`<div class="field"><label for=${`n-${key}`}>${title}</label><input id=${`n-${key}`} value=${form[key]}
      aria-invalid=${wrong.has(path) ? "true" : null}
      onInput=${(e) => setForm({ ...form, [key]: e.target.value })} ...${more} />${wrong.has(path) && html`<p
      class="fault">${wrong.get(path)}</p>`}</div>`;
  const another = () => {
    const name = parameters.some((one) => one.name === "weight_decay") ? "momentum" : "weight_decay";
    setParameters([...parameters, { name, value: { kind: "constant", fields: { value: "0.1" } } }]);
  };
  const take = (made) => {
    setParameters(Object.entries(made.parameters).map(([name, value]) => ({ name, value: asJson(value) })));
    arm(made.controllers || null);
    paste(false);
  };
  const [error, create] = useSending(async () => {
    const labels = Object.fromEntries(
      form.labels
        .split(",")
        .map((one) => one.trim().split("="))
        .filter(([key]) => key)
        .map(([key, ...rest]) => [key, rest.join("=")]),
    );
    const made = await ask("POST", "runs", {
      body: {
        name: form.name,
        parameters: Object.fromEntries(parameters.map((one) => [one.name, definitionOf(one.value)])),
        ...extent,
        labels,
        about: form.about,
        paused: form.paused,
        ...(controllers ? { controllers } : {}),
      },
    });
    go(ROOT.pathname + runPath(made.name));
  });
  const wrong = faults(error);
  useEffect(() => void (error && document.querySelector(".trouble")?.scrollIntoView({ block: "center" })), [error]);
  return html`<form class="compose" onSubmit=${create}>
    <h1>New run</h1>
    <div class="card fields">
      ${field("name", "name", "name", { required: true, autofocus: true, placeholder: "gpt-7b" })}
      ${field("total", "total steps", "total", { inputmode: "numeric" })}
      ${field("epoch", "steps in an epoch", "steps_per_epoch", { inputmode: "numeric", placeholder: "optional" })}
      ${field("labels", "labels", "labels", { placeholder: "team=nlp, stage=pretrain" })}
      ${field("about", "about", "about", { placeholder: "what it is for" })}
      <${Check} value=${form.paused} set=${(paused) => setForm({ ...form, paused })}>
        Workers wait at the first step until it is resumed</${Check}></div>
    ${parameters.map(
      (
        one,
        n,
      ) => html`<div class="card parameter" key=${n}><div class="bar"><label>parameter <input class="short"
        value=${one.name} onInput=${(e) => put(n, { name: e.target.value })} /></label>
        ${library?.items.length > 0 && html`<label>from the library <select class="short" value=""
          onInput=${(e) => e.target.value && put(n, { value: asJson({ kind: "schedule", ...JSON.parse(e.target.value) }) })}>
          <option value="">–</option>${library.items.map((each) => html`<option
          value=${JSON.stringify({ name: each.name, version: each.version })}>
          ${each.name}, version ${each.version}</option>`)}</select></label>`}
        <span class="grow"></span>${parameters.length > 1 && html`<button type="button" class="quiet"
          onClick=${() => setParameters(parameters.filter((_, m) => m !== n))}>Leave out</button>`}</div>
      <div class="composed"><${Definition} value=${one.value} set=${(value) => put(n, { value })} wrong=${wrong}
        path=${`parameters.${one.name}`} /><${Look} value=${one.value} name=${one.name} extent=${extent} />
        </div></div>`,
    )}
    <div class="bar"><button type="button"
      onClick=${another}>+ Parameter</button>
      <button type="button" onClick=${() => paste(true)}>Paste another library's configuration…</button></div>
    ${controllers && html`<p
      class="soft">It is armed with ${Object.keys(controllers).join(", ")}, as the configuration said.</p>`}
    <${Trouble} error=${error} />
    <div class="bar end"><button class="primary">Create the run</button></div>
    ${pasting && html`<${Paste} extent=${extent} close=${() => paste(false)}
      done=${take} />`}
  </form>`;
}

/** The curve as it is typed. @param {{value: any, name: string, extent: any}} props */
function Look({ value, name, extent }) {
  const stop = extent.total || 10000;
  const asked = useSettled(
    JSON.stringify({
      definition: definitionOf(value),
      start: 0,
      stop,
      stride: Math.max(1, Math.ceil(stop / POINTS)),
      ...extent,
    }),
    PAUSE,
  );
  const known = useKinds();
  const { data, error, body } = useAnswer("evaluate", known ? asked : undefined, [known]);
  if (!data) return html`<div class="look">${error && html`<${Trouble} error=${error} />`}</div>`;
  const { values } = data;
  const steps = values.map((_, n) => n * body.stride);
  return html`<div class="look"><${Chart} title=${name} height=${220} range=${[0, stop]} steps=${steps}
    series=${[{ ink: "applied", name: "planned", line: values }]}
    summary=${`From ${short(values[0])} to ${short(values.at(-1))} at ${count(steps.at(-1))}.`} />
    </div>`;
}

/** @param {{extent: any, close: () => void, done: (made: any) => void}} props */
function Paste({ extent, close, done }) {
  const [library, setLibrary] = useState("");
  const [text, setText] = useState("");
  const [error, convert] = useSending(async () => {
    const given = parsed(text);
    // one scheduler is {"name", "params", …}; all else is a whole file
    const asked =
      given?.name && given?.params ? { library, ...given, ...extent } : { library, config: given, ...extent };
    const made = await ask("POST", "convert", { body: asked });
    const definition = made.definition || { kind: "constant", value: given.base_value ?? 1 };
    const one = {
      parameters: { [given.hyperparameter || "lr"]: definition },
      controllers: made.controller && { [made.controller.kind]: made.controller },
    };
    done(made.parameters ? made : one);
  });
  return html`<${Dialog} title="Another library's configuration" close=${close}><form onSubmit=${convert}>
    <p>A whole file (DeepSpeed's JSON, the fields of transformers' TrainingArguments, Megatron's command line),
      or one scheduler: <code>{"name": "CosineAnnealingLR", "params": {"T_max": 100}, "base_value": 0.1}
      </code></p>
    <div class="field"><label for="library">library</label><input id="library" required list="libraries"
      placeholder="torch" value=${library} onInput=${(e) => setLibrary(e.target.value)} /><datalist
      id="libraries">${LIBRARIES.map((one) => html`<option
      value=${one} />`)}</datalist></div>
    <div class="field"><label for="config">configuration</label><textarea id="config" rows="10" required
      spellcheck="false" value=${text} onInput=${(e) => setText(e.target.value)}></textarea></div>
    <${Trouble} error=${error} />
    <${End} close=${close}><button
      class="primary">Convert</button></${End}></form></${Dialog}>`;
}
