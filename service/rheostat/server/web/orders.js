// What an operator orders from the header: pause, stop, checkpoint, signals, more.
import { html, useRef, useState } from "./vendor/standalone.module.js";
import { ask, runPath, useGet } from "./api.js";
import { Delete, Finish } from "./ends.js";
import { Inputs, faults, sent } from "./form.js";
import { Act, Check, Dialog, End, Message, Trouble, useSending } from "./parts.js";
import { Rewind } from "./rewind.js";
import { Total } from "./total.js";
import { unsaid } from "./who.js";

/** @typedef {{seen: import("./run.js").Seen, order: (what: string, body: any) => Promise<unknown>, close: () => void}} Props */

const Glyph = ({ of }) => html`<span class="glyph" aria-hidden="true">${of}</span>`;

/** Whether a training saves when it is told to. @param {import("./wire").RunState} run */
const saves = (run) => "checkpoint" in run.signals || !Object.keys(run.signals).length;

// A pause, a stop or a checkpoint does not ask whether somebody was faster: it is as right then.

/** @param {{seen: import("./run.js").Seen}} props */
export function Orders({ seen }) {
  const { run, change, who, may, revisions } = seen;
  const [open, setOpen] = useState("");
  const path = runPath(run.name);
  const finished = run.state === "finished";
  const over = finished || run.state === "stopped";
  const pause = run.stops.find((one) => one.hold);
  const told = run.stops.find((one) => one.told && !one.hold);
  const order = (what, body = {}) => ask("POST", `${path}/${what}`, { body }).then(seen.again);
  // a pause that is still ahead is taken back, one that holds is ended
  const goOn = () =>
    run.paused ? order("resume") : ask("DELETE", `${path}/revisions/${pause?.revision}`).then(seen.again);
  const close = () => setOpen("");
  const holder = revisions.find((one) => one.revision === pause?.revision)?.author || null;
  return html`<div class="orders" role="group" aria-label="Orders">
    ${pause && may("resume", holder) && html`<${Act} act=${goOn}><${Glyph} of="▶" />Resume</${Act}>`}
    ${!pause && !told && may("pause") && html`<${Act} disabled=${over} act=${() => order("pause")}><${Glyph} of="❚❚" />Pause</${Act}>`}
    ${told && may("rewind") && html`<button onClick=${() => setOpen("lift")}><${Glyph} of="▶" />Go on…</button>`}
    ${saves(run) && !who?.limit && html`<${Act} disabled=${over} title="All ranks save at the same step"
      act=${() => order("signals", { signal: "checkpoint" })}><${Glyph} of="⤓" />Checkpoint</${Act}>`}
    ${may("signal") && html`<button disabled=${over} onClick=${() => setOpen("signal")}>Signal…</button>`}
    ${may("stop") && html`<button class="danger" disabled=${over}
      onClick=${() => setOpen("stop")}><${Glyph} of="■" />Stop…</button>`}
    <button class="primary" disabled=${finished}
      onClick=${() => change({ rows: [] })}>Change…</button>
    ${may("total") && html`<${Menu} choose=${setOpen}
      items=${{ "Total…": !finished && "total", "Finish…": !finished && "finish", "Delete…": "delete" }} />`}
    ${open === "total" && html`<${Total} seen=${seen} close=${close} />`}
    ${open === "finish" && html`<${Finish} seen=${seen} close=${close} />`}
    ${open === "delete" && html`<${Delete} seen=${seen} close=${close} />`}
    ${open === "stop" && html`<${Stop} seen=${seen} order=${order} close=${close} />`}
    ${open === "signal" && html`<${SignalForm} seen=${seen} order=${order} close=${close} />`}
    ${open === "lift" && told && html`<${Rewind} seen=${seen} close=${close}
      place=${{ to: told.effective, generation: run.generation }} />`}
  </div>`;
}

/**
 * What is ordered rarely.
 * @param {{items: Record<string, string | false>, choose: (what: string) => void}} props what each is, or that it cannot be
 */
function Menu({ items, choose }) {
  const place = useRef(/** @type {any} */ (null));
  // the focus is where it was when a dialog closes, and a menu is where one can see it
  const chosen = (what) => (place.current.firstElementChild.focus(), (place.current.open = false), choose(what));
  const left = (event) => place.current.contains(event.relatedTarget) || (place.current.open = false);
  const typed = (event) => event.key === "Escape" && (place.current.open = false);
  return html`<details class="menu" ref=${place} onFocusOut=${left} onKeyDown=${typed}><summary aria-label="More" title="Total, finish, delete">⋯</summary><div>
    ${Object.entries(items).map(([title, what]) => html`<button class="quiet" disabled=${!what}
      onClick=${() => chosen(what)}>${title}</button>`)}</div></details>`;
}

/** @param {Props} props */
function Stop({ seen, order, close }) {
  const { run, who, may } = seen;
  const [message, setMessage] = useState("");
  const can = saves(run) && may("signal");
  const [saving, setSaving] = useState(can);
  const stop = () =>
    order("stop", { message, ...(saving ? { signal: { signal: "checkpoint" } } : {}) }).then(close);
  return html`<${Dialog} title=${`Stop ${run.name}`} close=${close}>
    <p>Every rank ends at the same step, the next open one. Until the first has ended it can be taken back;
      afterwards the run goes on by a rewind to that step.</p>
    <${Message} id="stop-message" value=${message} set=${setMessage} needed=${Boolean(who?.limit)} />
    ${can && html`<${Check} value=${saving}
      set=${setSaving}>All ranks save a checkpoint there</${Check}>`}
    <${End} close=${close}><${Act} kind="danger"
      disabled=${unsaid(who, message)} act=${stop}>■ Stop all ranks</${Act}></${End}></${Dialog}>`;
}

/** A word to all ranks, of those that the training understands. @param {Props} props */
function SignalForm({ seen, order, close }) {
  const { run, who } = seen;
  const { data: surface } = useGet(`${runPath(run.name)}/surface`);
  const words = Object.keys(surface?.signals || {});
  const [word, choose] = useState("");
  const [fields, setFields] = useState(/** @type {Record<string, any>} */ ({}));
  const [message, setMessage] = useState("");
  const chosen = word || words[0] || "";
  const schema = surface?.signals[chosen]?.schema;
  const [error, send, setError] = useSending(() =>
    order("signals", { signal: chosen, arguments: sent(schema, fields), message }).then(close),
  );
  return html`<${Dialog} title=${`Signal to ${run.name}`} close=${close}><form onSubmit=${send}>
    <p>All ranks hear it at the same step, the next open one.</p>
    <div class="field"><label for="word">signal</label>${
      !surface
        ? "…"
        : !surface.any_signal
          ? html`<select id="word" value=${chosen}
            onInput=${(e) => (choose(e.target.value), setFields({}), setError(null))}>
            ${words.map((one) => html`<option value=${one}>${one}</option>`)}</select>`
          : html`<input id="word" required pattern="[a-z][a-z0-9-]*" placeholder="checkpoint" value=${word}
            onInput=${(e) => choose(e.target.value)} />`
    }
      ${surface?.signals[chosen]?.text && html`<p class="hint">${surface.signals[chosen].text}</p>`}</div>
    <${Inputs} schema=${schema} fields=${fields} set=${setFields} wrong=${faults(error)} path="arguments" />
    <${Message} id="signal-message" value=${message} set=${setMessage} needed=${Boolean(who?.limit)} />
    <${Trouble} error=${error} />
    <${End} close=${close}><button
      class="primary" disabled=${unsaid(who, message)}>Send</button></${End}></form></${Dialog}>`;
}
