// The addresses of the page, and what is said of a move to who does not see it.
import { ROOT } from "./api.js";

/** Go to another view without loading the page anew. @param {string} path below the service's root */
export function go(path) {
  history.pushState(null, "", new URL(path, ROOT));
  dispatchEvent(new Event("popstate"));
}

/** Say something to those who do not see it. @param {string} text */
export const announce = (text) => {
  const place = document.getElementById("live");
  if (place) place.textContent = text;
};

/** @param {MouseEvent} event */
export function followed(event) {
  const link = /** @type {Element} */ (event.target).closest?.("a[href]");
  if (
    !(link instanceof HTMLAnchorElement) ||
    event.button ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    link.target
  )
    return;
  const path = link.href.startsWith(ROOT.href) ? link.href.slice(ROOT.href.length) : null;
  if (path == null || !/^(new|runs(\/[^?#]*)?)?$/.test(path)) return;
  event.preventDefault();
  go(path);
}
