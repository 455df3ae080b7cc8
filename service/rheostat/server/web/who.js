// Who looks: the token that signed in, or the name that is given for the history; and what the page offers them.
import { html, useState } from "./vendor/standalone.module.js";

/** @typedef {import("./wire").Session} Session */

/** Whether a message is still missing, with a word in it: a token with a limit says why. @param {Session | undefined} who @param {string} message */
export const unsaid = (who, message) => Boolean(who?.limit) && !/[\p{L}\p{N}]/u.test(message);

/** @param {{who: Session | undefined, leave: () => void}} props */
export function Who({ who, leave }) {
  const [name, setName] = useState(localStorage.getItem("author") || "");
  if (!who || (who.required && !who.role)) return null;
  if (who.name)
    return html`<span class="who" title=${`Role: ${who.role}${who.limit ? `, limited to ${who.limit}` : ""}`}>
      ${who.name} <span class="tag">${who.limit ? "limited" : who.role}</span></span><button class="quiet"
      onClick=${leave}>Sign out</button>`;
  const named = (e) => (localStorage.setItem("author", e.target.value), setName(e.target.value));
  return html`<label class="who">You are <input class="short" maxlength="128" placeholder="your name"
    value=${name} onInput=${named} /></label>`;
}

/**
 * Whether the page offers an act: to a token with a limit what that leaves, and of taking back what is its own.
 * To all others it offers everything, and the service says which role it takes.
 * @param {Session | undefined} who @param {import("./wire").Allowance} [mine] what their limit leaves
 * @returns {(act: string, author?: string | null) => boolean} `author` is of what would be taken back
 */
export const offers = (who, mine) => (act, author) =>
  !who?.limit ||
  (Boolean(mine?.acts.some((one) => one === act)) && (author === undefined || author === who.name));
