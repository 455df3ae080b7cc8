// The page: which view an address shows, and what stands around it.
import { html, render, useEffect, useErrorBoundary, useState } from "./vendor/standalone.module.js";
import { ROOT, ask, useGet } from "./api.js";
import { setTheme } from "./chart.js";
import { Login } from "./login.js";
import { NewRun } from "./new.js";
import { Trouble } from "./parts.js";
import { followed } from "./places.js";
import { Run } from "./run.js";
import { Runs } from "./runs.js";
import { Who, offers } from "./who.js";

const THEMES = ["", "light", "dark"];

/** A part of an address; what is no good one is left as it is. @param {string} part */
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function App() {
  const [place, setPlace] = useState(location.href);
  const [theme, choose] = useState(localStorage.getItem("theme") || "");
  const session = useGet("session", {}, 0, 60);
  useEffect(() => {
    const moved = () => (setPlace(location.href), scrollTo(0, 0));
    addEventListener("popstate", moved);
    addEventListener("signed-out", session.again);
    document.addEventListener("click", followed);
  }, []);
  useEffect(() => (localStorage.setItem("theme", theme), setTheme(theme)), [theme]);

  const [broken] = useErrorBoundary();
  const [first, name, tab] = new URL(place).pathname.slice(ROOT.pathname.length).split("/").map(plain);
  const view = broken
    ? html`<${Trouble} error=${broken} />`
    : first === "new"
      ? html`<${NewRun} />`
      : name
        ? html`<${Run} key=${name} name=${name} tab=${tab || ""} who=${session.data} />`
        : html`<${Runs} />`;
  return html`
    <a class="skip" href="#main"
      onClick=${(e) => (e.preventDefault(), document.getElementById("main")?.focus())}>To the content</a>
    <header class="top">
      <a class="brand" href=${ROOT.href}><img src=${new URL("icon.svg", import.meta.url)} alt="" width="22"
        height="22" />Rheostat</a>
      <nav aria-label="Views"><a href=${ROOT.href}
        aria-current=${!name && first !== "new" ? "page" : null}>Runs</a>
        ${offers(session.data)("create") && html`<a href=${ROOT.href + "new"}
          aria-current=${first === "new" ? "page" : null}>New run</a>`}
        <a href=${ROOT.href + "docs"} target="_blank">API</a></nav>
      <span class="grow"></span>
      <${Who} who=${session.data} leave=${() => ask("DELETE", "session").finally(session.again)} />
      <button class="quiet" title="Theme: the system's, light or dark"
        onClick=${() => choose(THEMES[(THEMES.indexOf(theme) + 1) % 3])}>
        ${theme === "dark" ? "☾ Dark" : theme === "light" ? "☀ Light" : "◐ Auto"}</button>
    </header>
    <div id="live" class="unseen" role="status" aria-live="polite"></div>
    <main id="main" tabindex="-1">${session.data?.required && !session.data.role ? html`<${Login}
      done=${session.again} />` : view}</main>`;
}

// the icon's address is relative to that of the page, which changes without loading it anew
const icon = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel=icon]"));
icon.href = new URL("icon.svg", import.meta.url).href;
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("page")));
