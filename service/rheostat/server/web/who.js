// Who looks: the token that signed in, or the name that is given for the history.
import { html, useState } from "./vendor/standalone.module.js";

/** @param {{who: import("./wire").Session | undefined, leave: () => void}} props */
export function Who({ who, leave }) {
  const [name, setName] = useState(localStorage.getItem("author") || "");
  if (!who || (who.required && !who.role)) return null;
  if (who.name)
    return html`<span class="who" title=${`Role: ${who.role}`}>${who.name} <span class="tag">${who.role}</span>
      </span><button class="quiet" onClick=${leave}>Sign out</button>`;
  const named = (e) => (localStorage.setItem("author", e.target.value), setName(e.target.value));
  return html`<label class="who">You are <input class="short" maxlength="128" placeholder="your name"
    value=${name} onInput=${named} /></label>`;
}
