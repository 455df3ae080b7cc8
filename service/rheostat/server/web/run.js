// One run: its header, which stays, and what is shown of it below.
import { html, useEffect, useRef, useState } from "./vendor/standalone.module.js";
import { ROOT, follow, runPath, useGet } from "./api.js";
import { announce } from "./places.js";
import { Agents } from "./agents.js";
import { Change } from "./change.js";
import { Controllers } from "./controllers.js";
import { Curves } from "./curves.js";
import { Definition } from "./definition.js";
import { History } from "./history.js";
import { Orders } from "./orders.js";
import { State, Trouble } from "./parts.js";
import { Tree } from "./tree.js";
import { offers } from "./who.js";
import { ago, count, duration, rate, steps } from "./words.js";
import { Workers } from "./workers.js";

/**
 * What all parts of the view of a run are given.
 * @typedef {object} Seen
 * @property {import("./wire").Session | undefined} who looks @property {ReturnType<typeof offers>} may what they are offered
 * @property {import("./wire").Allowance[]} agents what tokens with a limit did, and have left
 * @property {import("./wire").RunState} run @property {import("./wire").Workers | undefined} workers
 * @property {import("./wire").Revision[]} revisions the newest ones
 * @property {number} settled newest settled end that was heard of
 * @property {number} news counts what has happened to the run but that steps were settled
 * @property {() => void} again load anew @property {(start: Start) => void} change open the dialog of a change
 * @property {(author: string) => void} look have the history show what somebody did, or all
 * @typedef {{rows: import("./form.js").Row[], message?: string}} Start what a change begins with
 */

const TABS = {
  "": "Curves",
  workers: "Workers",
  controllers: "Controllers",
  agents: "Agents",
  tree: "Tree",
  definition: "Definition",
};

/** @param {{name: string, tab: string, who?: import("./wire").Session}} props */
export function Run({ name, tab, who }) {
  const path = runPath(name);
  const [news, setNews] = useState(0);
  const [settled, setSettled] = useState(0);
  const [lost, setLost] = useState(/** @type {number | null} */ (null));
  const [start, change] = useState(/** @type {Start | null} */ (null));
  const { data: run, error, again } = useGet(path, {}, news, 10);
  const crowd = useGet(`${path}/workers`, { limit: 1 }, news, 3);
  const [many, more] = useState(50);
  const [of, only] = useState("");
  const coming = Boolean(run?.pending.length || crowd.data?.eta.length);
  const past = useGet(`${path}/revisions`, { limit: many, order: "newest" }, news, coming ? 2 : 15);
  // without tokens nobody has one with a limit
  const allowed = useGet(who?.required && `${path}/allowances`, {}, news, tab === "agents" ? 3 : 30);
  const heard = useRef(0);
  const soon = useRef({ at: 0, timer: 0 });
  // at once, and then once a second at most: a storm of events is no storm of requests
  const told = () => ((soon.current = { at: Date.now(), timer: 0 }), setNews((n) => n + 1));
  useEffect(() => {
    document.title = `${name} · Rheostat`;
    if (!run) return;
    heard.current = Date.now();
    if (run.finished_at) return setLost(null);
    return follow(
      run.id,
      run.event,
      (event) => {
        heard.current = Date.now();
        if (event.kind === "settled") return setSettled(event.settled_until);
        if (event.kind === "rewound") setSettled(event.from);
        const what = event.kind === "revised" ? "Change" : event.kind;
        if (event.effective != null) announce(`${what} ${event.revision} is effective at ${count(event.effective)}`);
        soon.current.timer ||= setTimeout(told, Math.max(60, soon.current.at + 1000 - Date.now()));
      },
      (gone) => setLost(gone ? heard.current : null),
    );
  }, [run?.id, run?.finished_at]);

  if (!run)
    return error
      ? html`<section class="card narrow"><h1>${name}</h1><${Trouble} error=${error} /><p><a
        href=${ROOT.href}>All runs</a></p></section>`
      : html`<p class="soft pad">Loading ${name} …</p>`;
  const now = Math.max(settled, run.settled_until);
  /** @type {import("./wire").Allowance[]} */
  const agents = allowed.data?.items || [];
  /** @type {Seen} */
  const seen = {
    run,
    who,
    may: offers(who, agents.find((one) => one.token === who?.name)),
    agents,
    workers: crowd.data,
    revisions: past.data?.items || [],
    settled: now,
    news,
    again: () => (again(), setNews((n) => n + 1)),
    change,
    look: (author) => (only(author), document.querySelector(".history")?.scrollIntoView({ block: "nearest" })),
  };
  const away = lost != null || error?.status === 0;
  const badge = {
    workers: run.workers.alive + run.workers.silent,
    controllers: Object.keys(run.controllers).length + run.proposals.open,
    agents: agents.length,
    tree: run.generations.length,
  };
  const tabs = Object.entries(TABS).filter(([key]) => key !== "agents" || agents.length || tab === key);
  return html`<article class="run">
    <${Head} seen=${seen} />
    ${away && html`<div class="banner" role="alert">The stream of events is lost.
      What is shown is of ${ago(lost || heard.current)}; trying again.</div>`}
    ${error && error.status > 0 && html`<div class="banner" role="alert">${error.message}</div>`}
    ${run.attention.map((one) => html`<div class="banner warn" key=${one.kind + one.step}>
      <b>Attention</b> ${one.message}</div>`)}
    ${run.proposals.open > 0 && tab !== "controllers" && html`<div class="banner warn">
      <b>${run.proposals.open === 1 ? "A proposal waits" : `${count(run.proposals.open)} proposals wait`}</b>
      ${" for a yes or no. "}<a href=${`${ROOT.href}${path}/controllers`}>Look at it</a></div>`}
    <nav class="tabs" aria-label="Of this run">${tabs.map(([key, title]) => html`<a
      href=${`${ROOT.href}${path}${key && "/" + key}`} aria-current=${tab === key ? "page" : null}>
      ${title}${key in badge ? html` <span class="soft">${count(badge[/** @type {keyof typeof badge} */ (key)])}
      </span>` : ""}</a>`)}</nav>
    <div class="columns"><div class="left">
      ${html`<${{ workers: Workers, controllers: Controllers, agents: Agents, tree: Tree, definition: Definition }[tab] || Curves}
      seen=${seen} />`}</div>
      <${History} key=${of} seen=${seen} loaded=${past} many=${many} more=${() => more(many + 200)} of=${of} /></div>
    ${start && html`<${Change} seen=${seen} start=${start} close=${() => change(null)} />`}
  </article>`;
}

/** @param {{seen: Seen}} props */
function Head({ seen }) {
  const { run, workers, settled } = seen;
  const pace = workers?.pace;
  const left = run.total && pace ? (run.total - (workers?.last ?? settled)) / pace : null;
  const at = workers?.first ?? settled;
  const { alive, silent, wrong } = workers || run.workers;
  return html`<header class="head">
    <div class="title"><h1>${run.name}</h1><${State} state=${run.state} />
      <div class="labels">${Object.entries(run.labels).map(([key, value]) => html`<span class="tag">
        ${key}=${value}</span>`)}</div></div>
    <dl class="facts">
      <div><dt>${run.axis}</dt><dd class="num">${count(at)}${run.total ? html` <span
        class="soft">/ ${count(run.total)}</span>` : ""}</dd></div>
      <div><dt>settled until</dt><dd class="num">${count(settled)}</dd></div>
      <div><dt>pace</dt><dd class="num">${pace ? `${rate(pace)}/s` : "–"}</dd></div>
      <div><dt>ends in</dt><dd class="num">${run.state === "live" ? duration(left) : "–"}</dd></div>
      <div><dt>workers</dt><dd class="num">${alive} alive${silent > 0 && html` <span class="bad">
        ${silent} silent</span>`}${wrong > 0 && html` <span class="bad">${wrong} wrong</span>`}</dd></div>
    </dl>
    <${Orders} seen=${seen} />
    ${run.total && html`<progress class="whole" max=${run.total} value=${Math.min(settled, run.total)}
      aria-label=${`settled: ${count(settled)} of ${steps(run.total, run.axis)}`}></progress>`}
  </header>`;
}
