// Signing in: a token is given once, and a cookie that no script can read stands for it.
import { html, useState } from "./vendor/standalone.module.js";
import { ask } from "./api.js";
import { Trouble, useSending } from "./parts.js";

/** @param {{done: () => void}} props */
export function Login({ done }) {
  const [token, setToken] = useState("");
  const [trouble, signIn] = useSending(() =>
    ask("POST", "session", { body: { token: token.trim() } }).then(done),
  );
  return html`<form class="card narrow" onSubmit=${signIn}>
    <h1>Sign in</h1>
    <p class="soft">This service asks for a token. An admin makes one:
      ${" "}<code>rheostat token create NAME --role operator</code>
      </p>
    <label>Token <input type="password" name="token" autocomplete="current-password" required autofocus
      value=${token}
      onInput=${(e) => setToken(e.target.value)} /></label>
    <${Trouble} error=${trouble} />
    <button class="primary">Sign in</button>
  </form>`;
}
