// Small parts that every view is made of.
import { html, useEffect, useRef, useState } from "./vendor/standalone.module.js";

/**
 * What the service refused, with what was wrong in it; words in `shown` begin the fields that say so themselves.
 * @param {{error?: any, shown?: string}} props
 */
export function Trouble({ error, shown }) {
  if (!error) return null;
  const told = shown?.split(" ") || [];
  const fields = (error.errors || []).filter((one) => !told.some((each) => one.field.startsWith(each)));
  return html`<div class="trouble" role="alert"><p>${error.message}</p>
    ${fields.length > 0 && html`<ul>${fields.map((one) => html`<li><code>${one.field}</code> ${one.message}
      ${one.bound && !one.message.includes(one.bound) && html` <span class="soft">(${one.bound})</span>`}
      </li>`)}</ul>`}
  </div>`;
}

const SIGNS = { live: "●", paused: "❚❚", stuck: "▲", ended: "✓", stopped: "■", finished: "✓" };

/** A run's state: a sign, a word and a colour. @param {{state: keyof typeof SIGNS}} props */
export const State = ({ state }) =>
  html`<span class=${`state ${state}`}><span aria-hidden="true">${SIGNS[state]}</span> ${state}</span>`;

/** How a dialog ends: it is closed, or does what it is for. @param {{close: () => void, children?: any}} props */
export const End = ({ close, children }) =>
  html`<div class="bar end"><button type="button" onClick=${close}>Close</button>${children}</div>`;

/** A yes or no. @param {{value: boolean, set: (value: boolean) => void, children?: any}} props */
export const Check = ({ value, set, children }) =>
  html`<label class="check"><input type="checkbox" checked=${value} onChange=${(e) => set(e.target.checked)} />
    ${" "}${children}</label>`;

/** Whether a guard may be broken. @param {{value: boolean, set: (value: boolean) => void}} props */
export const Force = (props) =>
  html`<${Check} ...${props}>Break the guard: the history says so</${Check}>`;

/**
 * A table, which scrolls in its place; a column that is no number's has a class: `text`, `long`.
 * @param {{label: string, heads: [any, string?][], kind?: string, children?: any}} props
 */
export const Table = ({ label, heads, kind = "", children }) =>
  html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table class=${`numbers ${kind}`}><thead>
    <tr>${heads.map(([title, type]) => html`<th scope="col" class=${type}>${title}</th>`)}</tr></thead>
    <tbody>${children}</tbody></table></div>`;

/**
 * What a form sends, and what it was refused.
 * @param {() => Promise<unknown>} send @returns {[any, (event: Event) => Promise<void>, (error: any) => void]}
 */
export function useSending(send) {
  const [error, set] = useState(/** @type {any} */ (null));
  const sending = async (event) => {
    event.preventDefault();
    await send().catch(set);
  };
  return [error, sending, set];
}

/** A dialog, opened when it comes. @param {{title: string, close: () => void, children?: any, wide?: boolean}} props */
export function Dialog({ title, close, children, wide }) {
  const place = useRef(/** @type {any} */ (null));
  useEffect(() => place.current.showModal(), []);
  return html`<dialog ref=${place} class=${wide ? "wide" : ""} aria-label=${title} onClose=${close}>
    <div class="bar"><h2>${title}</h2><button class="quiet" aria-label="Close"
      onClick=${() => place.current.close()}>✕</button></div>
    ${children}
  </dialog>`;
}

/**
 * A button that does something at the service, and shows what it was refused.
 * @param {{act: () => Promise<unknown>, children?: any, kind?: string, disabled?: boolean, title?: string}} props
 */
export function Act({ act, children, kind = "", disabled, title }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
  };
  return html`<span class="act"><button type="button" class=${kind} disabled=${disabled || busy} title=${title}
    onClick=${run}>${children}</button>
    ${error && html`<${Bubble} error=${error} close=${() => setError(null)} />`}</span>`;
}

/** @param {{error: any, close: () => void}} props */
const Bubble = ({ error, close }) =>
  html`<span class="bubble"><${Trouble} error=${error} /><button type="button" class="quiet" aria-label="Close"
    onClick=${close}>✕</button></span>`;

/**
 * A line of text in a dialog.
 * @param {{id: string, title: any, value: string, set: (text: string) => void, number?: boolean,
 *   placeholder?: string, most?: number, fault?: string}} props
 */
export const Text = ({ id, title, value, set, number, placeholder, most, fault }) =>
  html`<div class="field"><label for=${id}>${title}</label><input id=${id} value=${value} placeholder=${placeholder}
    class=${number ? "num" : ""} inputmode=${number ? "numeric" : null} autocomplete="off" maxlength=${most}
    aria-invalid=${fault ? "true" : null} aria-describedby=${fault ? `${id}-fault` : null}
    onInput=${(e) => set(number ? e.target.value.replace(/\D/g, "") : e.target.value)} />
    ${fault && html`<p class="fault" id=${`${id}-fault`}>${fault}</p>`}</div>`;

/**
 * Why something is done: the history keeps it.
 * @param {{id: string, value: string, set: (text: string) => void, needed?: boolean}} props
 */
export const Message = ({ needed, ...props }) =>
  html`<${Text} ...${props} title=${html`message <span class="soft">why${needed && ": your token has to say it"}
    </span>`} most=${4096} />`;

/** What has to be typed before something that is lost for good. @param {{id: string, name: string, value: string, set: (text: string) => void}} props */
export const Sure = ({ name, ...props }) =>
  html`<${Text} ...${props} title=${html`type <b>${name}</b> to be sure`} />`;

/** Who did something: whatever way their name is written, it turns nothing around that follows it. @param {{author?: string | null}} props */
export const By = ({ author }) => html`<bdi>${author || "somebody"}</bdi>`;

/** A sentence where there is nothing yet. @param {{title: string, children?: any}} props */
export const Empty = ({ title, children }) =>
  html`<div class="empty"><p><b>${title}</b></p>${children}</div>`;
