// What the page asks of the service: JSON, refusals, and the stream of a run's events.
import { useEffect, useRef, useState } from "./vendor/standalone.module.js";

/** Where the service is, below a proxy's path too: this file is at ROOT/static/…/api.js. */
export const ROOT = new URL("../../", import.meta.url);

/** A refusal of the service, or that it could not be reached (status 0). */
export class Refused extends Error {
  /** @param {number} status @param {import("./wire").Problem & Record<string, any>} problem */
  constructor(status, problem) {
    super(problem.detail || problem.title);
    this.status = status;
    this.problem = problem;
    this.code = (problem.type || "").split(":").pop() || "";
    this.errors = problem.errors || [];
  }
}

/** Milliseconds between two requests for the same, at most. */
const LONGEST = 20_000;
/** Milliseconds without a keystroke after which a preview is asked for. */
export const PAUSE = 150;

/** @param {string} name */
export const runPath = (name) => `runs/${encodeURIComponent(name)}`;

/** @param {Record<string, unknown>} [query] */
function search(query = {}) {
  const known = Object.entries(query).filter(([, value]) => value != null);
  return known.length ? "?" + new URLSearchParams(/** @type {any} */ (known)) : "";
}

/**
 * Ask for something below /v1.
 * @param {string} method @param {string} path
 * @param {{query?: Record<string, unknown>, body?: unknown, signal?: AbortSignal, key?: string}} [more]
 * @returns {Promise<any>}
 */
export async function ask(method, path, { query, body, signal, key } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    headers["Idempotency-Key"] = key || newKey();
    const author = localStorage.getItem("author");
    if (author) headers["Rheostat-Author"] = bytes(author);
  }
  const url = new URL(`v1/${path}${search(query)}`, ROOT);
  const sent = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
  const answer = await fetch(url, sent).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, /** @type {any} */ ({ detail: "The service cannot be reached." }));
  });
  const text = await answer.text();
  if (answer.status === 202) throw held(JSON.parse(text));
  if (answer.ok) return text ? JSON.parse(text) : null;
  if (answer.status === 401) dispatchEvent(new Event("signed-out"));
  throw new Refused(answer.status, problemOf(answer, text));
}

/** Nothing was done: the run is protected. @param {import("./wire").Proposed} proposed */
const held = ({ proposal }) =>
  new Refused(202, /** @type {any} */ ({
    detail: `Not done yet: this run is protected. It waits as proposal ${proposal} for another person to accept it.`,
  }));

/** @param {string} path @param {Record<string, unknown>} [query] @param {AbortSignal} [signal] */
export const get = (path, query, signal) => ask("GET", path, { query, signal });

/** @param {Response} answer @param {string} text */
function problemOf(answer, text) {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: `The service, or something before it, answered ${answer.status}.` };
  }
}

// crypto.randomUUID is not there where a page comes by plain HTTP from another machine
export const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");

/** A header holds bytes; a name may be any text. @param {string} text */
const bytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));

/**
 * Load something now, again when a dependency changes, and every so many seconds while it is seen.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load @param {unknown[]} needs @param {number} [seconds]
 * @returns {{data: T | undefined, error: Refused | undefined, at: number, again: () => void}}
 */
export function useLoaded(load, needs, seconds = 0) {
  const [state, set] = useState(/** @type {any} */ ({ at: 0 }));
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((n) => n + 1);
  const latest = useRef(load);
  latest.current = load;
  const timer = useRef(0);
  useEffect(() => set({ at: 0 }), [needs[0]]);
  useEffect(() => {
    clearTimeout(timer.current);
    if (document.hidden) return;
    const stop = new AbortController();
    const began = performance.now();
    // what takes the service long is asked for less often
    const then = () => ({ ended: Date.now(), rest: Math.min(20 * (performance.now() - began), LONGEST) });
    latest.current(stop.signal).then(
      (data) => stop.signal.aborted || set({ data, at: Date.now(), ...then() }),
      (error) => stop.signal.aborted || set((old) => ({ ...old, error, ...then() })),
    );
    return () => stop.abort();
  }, [...needs, turn]);
  useEffect(() => {
    if (!seconds || !state.ended) return;
    timer.current = setTimeout(again, state.ended + Math.max(seconds * 1000, state.rest) - Date.now());
    return () => clearTimeout(timer.current);
  }, [state, seconds]);
  useEffect(() => {
    const seen = () => document.hidden || again();
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, []);
  return { ...state, again };
}

/**
 * What the service answers to a question: now, when there is news, and every so many seconds while it is seen. Without
 * a path nothing is asked; with another one, what was answered before is forgotten.
 * @param {string | false | undefined} path @param {Record<string, unknown>} [query] @param {unknown} [news] @param {number} [seconds]
 */
export const useGet = (path, query, news, seconds = 0) =>
  useLoaded(
    (signal) => (path ? get(path, query, signal) : Promise.resolve(null)),
    [path, JSON.stringify(query), news],
    path ? seconds : 0,
  );

/**
 * What the service answers to a body; asked anew when that or a dependency changes, the answer before stays
 * meanwhile. Without a body nothing is asked. `mark` is kept beside the answer, as it was when it was asked for.
 * @param {string} path @param {string | undefined} asked JSON of the body @param {unknown[]} needs
 * @param {{query?: Record<string, unknown>, mark?: unknown}} [more]
 * @returns {{data?: any, error?: any, body?: any, mark?: any, at: number}}
 */
export function useAnswer(path, asked, needs, { query, mark } = {}) {
  const [state, set] = useState(/** @type {any} */ ({ at: 0 }));
  useEffect(() => {
    if (asked === undefined) return;
    const stop = new AbortController();
    const body = JSON.parse(asked);
    ask("POST", path, { query, body, signal: stop.signal }).then(
      (data) => set({ data, body, mark, at: Date.now() }),
      (error) => stop.signal.aborted || set({ error, body, mark, at: Date.now() }),
    );
    return () => stop.abort();
  }, [asked, ...needs]);
  return state;
}

/**
 * What the service says that a body would do, as it is typed.
 * @param {string} path @param {unknown} body @param {unknown} news
 */
export const useRehearsal = (path, body, news) =>
  useAnswer(path, useSettled(JSON.stringify(body), PAUSE), [news], { query: { dry_run: true } });

/**
 * The value, once it has not changed for a while.
 * @template T @param {T} value @param {number} wait milliseconds @returns {T}
 */
export function useSettled(value, wait) {
  const [kept, keep] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => keep(value), wait);
    return () => clearTimeout(timer);
  }, [value, wait]);
  return kept;
}

/**
 * Follow a run's events while the page is seen; a browser has six connections to a service.
 * @param {string} id @param {number} after
 * @param {(event: any) => void} heard @param {(lost: boolean) => void} changed
 */
export function follow(id, after, heard, changed) {
  /** @type {EventSource | undefined} */
  let source;
  let timer = 0;
  const open = () => {
    source?.close();
    clearTimeout(timer);
    if (document.hidden) return;
    source = new EventSource(new URL(`v1/${runPath(id)}/events?after=${after}`, ROOT));
    source.onopen = () => changed(false);
    source.onerror = () => {
      changed(true);
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, 3000);
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (message) => {
        const event = JSON.parse(/** @type {MessageEvent} */ (message).data);
        after = event.number;
        if (kind === "finished") source?.close();
        heard(event);
      });
    }
  };
  open();
  document.addEventListener("visibilitychange", open);
  return () => {
    document.removeEventListener("visibilitychange", open);
    clearTimeout(timer);
    source?.close();
  };
}

const KINDS = (
  "begun settled advanced revised cancelled rewound extended stopped paused resumed signalled" +
  " armed decided noted proposed settled-proposal outcome mismatch finished"
).split(" ");
