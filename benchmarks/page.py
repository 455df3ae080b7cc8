"""
What the page takes in a browser, where there is much to show.

    python benchmarks/page.py [folder]

It needs playwright (`make test-page` installs it) and Chromium. What it fills databases with takes
minutes; in a folder that is named they are kept for the next time.

**All runs** is the list with 1,000 runs, each with a worker that lives and goes on, beside one with
10. **One run** has 10^7 steps and 10,000 revisions all over them, beside one with 10,000 steps and
10 revisions; both are trained to nine tenths.

*Opened* is what passes from the navigation, with nothing in the browser's cache, to the frame in
which the first row, or the first curve, is there; *zoomed* is from the click on *Around now* to the
frame with the new curve: the best of five, since others use the machine, too. What of it is
*computed* is processor time, of the service and of the page's main thread: what it would take on a
machine that is idle. The *one answer* is that of which the list is made, every five seconds.

*Kept open* is a run that a worker trains, then its page, three more of these, and the list, left
alone for half a minute each: what the service computes more than without.

*Longest task* is the longest stretch in which the browser's main thread did nothing else, in its
own processor time, which other work on the machine does not stretch: while the list is scrolled to
its end and back in a hundred frames, and while letters are typed into its filter; the list is
loaded anew meanwhile. From 50 ms on people see one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
from playwright.sync_api import sync_playwright
from side_by_side import Process, database, service

from rheostat import Client
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.validation import Limits
from rheostat.server.store import Store
from rheostat.server.store.database import LONG_TIMEOUTS
from rheostat.server.store.operations import create, revise, values
from rheostat.server.store.operations.revise import RevisionRequest

TIMES = 5
OPEN = 30
"""Seconds for which pages are kept open."""
KEPT_OPEN = (
    ("the page of its run", "/runs/trained", 1),
    ("each of three more of them", "/runs/trained", 3),
    ("the list of runs", "/", 1),
)
MANY, FEW = 1000, 10
BEATS_A_SECOND = 50
"""What a thousand workers send that are asked for a beat every 20 seconds."""
COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": "100%"}
SEEN = """([selector, begun]) => new Promise((done) => {
  const look = () => document.querySelector(selector)
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)))
    : requestAnimationFrame(look);
  look();
})"""
"""From a moment of the page to the frame that has what is looked for."""
SCROLLED = """async () => {
  const end = document.documentElement.scrollHeight - innerHeight;
  for (let n = 0; n <= 100; n++) {
    scrollTo(0, end * (1 - Math.abs(n - 50) / 50));
    await new Promise(requestAnimationFrame);
  }
}"""
ZOOMED = """() => new Promise((done) => {
  const came = () => performance.getEntriesByType("resource")
    .some((one) => one.name.includes("/plan?start=") && one.responseEnd);
  const look = () => came()
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - window.begun)))
    : requestAnimationFrame(look);
  look();
})"""
ROW, CURVE = "tbody tr:not(.room) th a", ".chart canvas"


@dataclass(frozen=True)
class Long:
    """A run, and how much there is of it."""

    name: str
    steps: int
    revisions: int


LONG, SHORT = Long("long", 10_000_000, 10_000), Long("short", 10_000, 10)


def fill(folder: str, what: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    """Fill a database in a folder, if it is not there yet."""
    mark = Path(folder) / "filled"
    if mark.exists():
        return
    mark.parent.mkdir(parents=True, exist_ok=True)
    store = Store(database(folder), Limits(), LONG_TIMEOUTS)
    store.start()
    asyncio.run(what(store))
    store.close()
    mark.touch()


async def train(store: Store, run: Long) -> None:
    """Train a run to nine tenths of its steps, with a revision at as many places."""
    body = {"name": run.name, "parameters": {"lr": COSINE}, "total": run.steps}
    made = await store.write(create.create, {**body, "max_block": 4096}, Note("benchmark"))
    width = run.steps * 9 // 10 // run.revisions
    for first in range(0, run.revisions, 100):
        asked: list[Any] = []
        for number in range(first, min(first + 100, run.revisions)):
            block = BlockRequest(1, number * width, width)
            asked.append(store.write(values.settle, made["id"], block))
            change = {"lr": {"edit": "scale", "factor": 1 + 0.01 * (-1) ** number}}
            request = RevisionRequest(change, "next", note=Note("ann", "a little"))
            asked.append(store.write(revise.revise, made["id"], request))
        await asyncio.gather(*asked)


async def two(store: Store) -> None:
    """Train the long run and the short one."""
    for run in (SHORT, LONG):
        await train(store, run)


async def runs(store: Store, many: int) -> None:
    """Create so many runs, each of which has begun."""
    for number in range(many):
        labels = {"team": ("nlp", "vision")[number % 2], "stage": "pretrain"}
        body = {"name": f"run-{number:04}", "parameters": {"lr": COSINE}, "total": 9000}
        made = await store.write(create.create, {**body, "labels": labels}, Note("ann"))
        await store.write(values.settle, made["id"], BlockRequest(1, 0, 256))


@contextmanager
def alive(url: str) -> Iterator[None]:
    """Have every run trained by a worker that says where it is, as often as it is asked to."""
    over = Event()
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as http:
        ids = [each["id"] for each in http.get("/runs", params={"limit": MANY}).json()["items"]]

        def beat(turn: int, run: str) -> None:
            said = {"worker": "0", "session": "a", "step": 10 + turn}
            body = {"generation": 1, "workers": [said]}
            http.post(f"/runs/{run}/beats", json=body).raise_for_status()

        def train() -> None:
            for turn in itertools.count(1):
                for run in ids:
                    if over.wait(1 / BEATS_A_SECOND):
                        return
                    beat(turn, run)

        for run in ids:
            beat(0, run)
        thread = Thread(target=train)
        thread.start()
        yield
        over.set()
        thread.join()


def opened(
    browser: Any, process: Process, path: str, selector: str, then: Any = None
) -> dict[str, float]:
    """Return what it takes until a page shows something, and what a click then takes, at best."""
    best: dict[str, float] = {}
    for _ in range(TIMES):
        window = browser.new_context(viewport={"width": 1440, "height": 900})
        page = window.new_page()
        told = window.new_cdp_session(page)
        told.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = process.cpu()
        page.goto(process.url + path, wait_until="commit")
        took = {"opened, ms": float(page.evaluate(SEEN, [selector, 0]))}
        took["of it, the service computes, ms"] = (process.cpu() - before) * 1000
        metrics = told.send("Performance.getMetrics")["metrics"]
        spent = {each["name"]: each["value"] for each in metrics}
        took["of it, the page computes, ms"] = spent["TaskDuration"] * 1000
        if then:
            took["zoomed, ms"] = then(page)
        window.close()
        best = {name: min(best.get(name, value), value) for name, value in took.items()}
    return best


def zoomed(page: Any) -> float:
    """Return the milliseconds from a click to the plan around the settled end."""
    page.evaluate("() => { window.begun = performance.now() }")
    page.get_by_role("button", name="Around now").click()
    return float(page.evaluate(ZOOMED))


def longest(browser: Any, page: Any, act: Any) -> float:
    """Return the longest task of the main thread while something is done, in ms of processor."""
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline", "__metadata"])
    act()
    events = json.loads(browser.stop_tracing())["traceEvents"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    busiest: dict[int, list[float]] = {}
    for event in events:
        main = names.get((event["pid"], event["tid"])) == "CrRendererMain"
        if main and "tdur" in event and event["name"].endswith("RunTask"):
            busiest.setdefault(event["pid"], []).append(event["tdur"] / 1000)
    return max(max(busiest.values(), key=sum))


def typed(page: Any) -> None:
    """Type a filter, letter by letter, and take it away again."""
    box = page.get_by_label("Filter")
    box.click()
    page.keyboard.type("run-0 team=nlp")
    for _ in range(14):
        page.keyboard.press("Backspace")


def list_of(browser: Any, process: Process) -> dict[str, float]:
    """Return the figures of a list."""
    answer: dict[str, float] = {}
    with httpx.Client(base_url=process.url, timeout=60) as http, alive(process.url):
        query: dict[str, Any] = {"overview": "true", "limit": MANY}
        for _ in range(6):  # curves are drawn for a while in each answer
            content = http.get("/v1/runs", params=query).content
        answer |= opened(browser, process, "/", ROW)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(process.url)
        page.locator(ROW).first.wait_for()
        answer["scrolled, longest task, ms"] = longest(
            browser, page, lambda: page.evaluate(SCROLLED)
        )
        answer["typed, longest task, ms"] = longest(browser, page, lambda: typed(page))
        page.close()
        answer["answer, kB"] = len(content) / 1000
    with httpx.Client(base_url=process.url, timeout=60) as http:
        spent: list[float] = []
        for _ in range(TIMES):
            time.sleep(1.2)  # the answer is kept for a second
            before = process.cpu()
            http.get("/v1/runs", params=query).raise_for_status()
            spent.append((process.cpu() - before) * 1000)
        answer["one answer, the service computes, ms"] = min(spent)
    return answer


def run_of(browser: Any, process: Process, run: Long) -> dict[str, float]:
    """Return the figures of a run."""
    with httpx.Client(base_url=process.url, timeout=60) as http:
        plan = http.get(f"/v1/runs/{run.name}/plan", params={"points": 600})
        state = http.get(f"/v1/runs/{run.name}")
    took = opened(browser, process, f"/runs/{run.name}", CURVE, zoomed)
    return {**took, "state, kB": len(state.content) / 1000, "plan, kB": len(plan.content) / 1000}


@contextmanager
def trained(url: str, name: str) -> Iterator[None]:
    """Have a run trained at ten steps a second by a worker as they are."""
    over = Event()

    def train() -> None:
        with Client(url) as client:
            run = client.run(name, create={"parameters": {"lr": COSINE}, "total": 100_000})
            for step in itertools.count():
                run.value("lr", step)
                if over.wait(0.1):
                    return

    thread = Thread(target=train)
    thread.start()
    yield
    over.set()
    thread.join()


def kept_open(browser: Any, process: Process) -> dict[str, float]:
    """Return what the service computes in a minute for a worker, and for pages that stay open."""

    def spent() -> float:
        time.sleep(5)  # what begins is over
        before = process.cpu()
        time.sleep(OPEN)
        return (process.cpu() - before) * 1000 * 60 / OPEN

    found: dict[str, float] = {}
    taken = spent()
    with trained(process.url, "trained"):
        found["a worker at ten steps a second"] = -taken + (taken := spent())
        for what, path, many in KEPT_OPEN:
            for _ in range(many):
                browser.new_context().new_page().goto(process.url + path)
            found[what] = (-taken + (taken := spent())) / many
    return found


def show(title: str, heads: tuple[str, str], few: dict[str, float], many: dict[str, float]) -> None:
    """Print a table."""
    print(f"\n| {title} | {heads[0]} | {heads[1]} | ratio |\n|---|---|---|---|")
    for name, value in many.items():
        print(f"| {name} | {few[name]:.3g} | {value:.3g} | {value / (few[name] or 1):.2g} |")


def main(folder: str) -> None:
    """Measure, and print the tables."""
    path = os.environ.get("RHEOSTAT_CHROMIUM") or "/usr/bin/chromium"
    for many in (FEW, MANY):
        fill(f"{folder}/{many}", partial(runs, many=many))
    fill(f"{folder}/run", two)
    print(f"load average {os.getloadavg()[0]:.1f}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        found = {}
        for many in (FEW, MANY):
            with service(f"{folder}/{many}") as process:
                found[many] = list_of(browser, process)
        show("all runs", (f"{FEW} runs", f"{MANY} runs"), found[FEW], found[MANY])
        with service(f"{folder}/run") as process:
            few, many_ = (run_of(browser, process, run) for run in (SHORT, LONG))
        heads = ("10,000 steps, 10 revisions", "10^7 steps, 10,000 revisions")
        show("one run", heads, few, many_)
        with tempfile.TemporaryDirectory() as fresh, service(fresh) as process:
            print("\n| kept open for a minute | the service computes, ms |\n|---|---|")
            for name, value in kept_open(browser, process).items():
                print(f"| {name} | {value:.3g} |")
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(*(sys.argv[1:] or [place]))
