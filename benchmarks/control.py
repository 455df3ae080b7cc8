"""
A run that listens: what reports cost those who read, and how soon an operator's word arrives.

    python benchmarks/control.py

**Reads.** A block of 64 settled steps is asked for over one connection, again and again: alone;
while another process sends 20 reports a second, as many as a run may have, of a metric that a
plateau of the same run reads; and while it settles 20 blocks a second of another run instead, which
shows what any write costs that shares the processors. They take turns of a second. So does a
worker's look-up, ``run.value``, in a process that reports at that rate by itself, in the
background (its third column is alone, too). p50 and p99 are those of all reads in fifteen turns,
in brackets the ratio to those alone.

**Reach.** Workers train at 50 steps a second, with look-aheads of 0.5, 2 and 4 s. An operator sends
a change, a signal and a stop; ``steps`` is how far from where the worker is it lands, ``s`` how
long it takes the worker to get there. Medians of the runs, and the furthest.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import httpx
from side_by_side import service

from rheostat import Client, Run, plateau, scale

TURNS, SECONDS = 15, 1.0
RATE = 20
"""Reports a second."""
SENDERS = 4
QUIET, REPORTS, BLOCKS = range(3)
SETTLED = 4096
PACE, LOOKAHEADS, RUNS, WARM_UP = 50, (0.5, 2.0, 4.0), 6, 15.0
LR = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 100_000}
WATCHING = {"plateau": plateau(metric="loss", patience=1000)}


def measured(read: Callable[[], object], of: int = 1) -> list[float]:
    """Return how long each of many reads took, or of many times so many, in microseconds."""
    times = []
    end = time.perf_counter() + SECONDS
    while (began := time.perf_counter()) < end:
        read()
        times.append((time.perf_counter() - began) * 1e6 / of)
    return times


def looked_up(run: Run) -> list[float]:
    """Return how long look-ups took, a hundred at a time."""
    value = run.value

    def hundred() -> None:
        for _ in range(100):
            value("lr", 5)

    return measured(hundred, 100)


def writer(url: str, run: str, other: str, what: Any, sent: Any) -> None:
    """Write at the rate, as another process: what it is told to, shared by several senders."""
    steps = iter(range(1, SETTLED))
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(lambda _: send(url, run, other, steps, what, sent), range(SENDERS)))


def send(url: str, run: str, other: str, steps: Iterator[int], what: Any, sent: Any) -> None:
    """Be one of the senders."""
    due = time.monotonic()
    with httpx.Client(base_url=url) as client:
        for step in steps:
            while what.value == QUIET:
                time.sleep(0.01)
            if what.value == REPORTS:
                body = {"generation": 1, "reports": [{"step": step, "metrics": {"loss": 1.0}}]}
                answer = client.post(f"/v1/runs/{run}/reports", json=body)
            else:
                block = {"generation": 1, "start": step, "count": 8}
                answer = client.get(f"/v1/runs/{other}/values", params=block)
            if answer.status_code == 200:
                with sent.get_lock():
                    sent[what.value] += 1
            due = max(due + SENDERS / RATE, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def alternate(turn: Callable[[], list[float]], tell: Callable[[int], None]) -> list[list[float]]:
    """Return all times of each kind of turn: the last is quiet again, which shows chance."""
    columns: list[list[float]] = [[], [], [], []]
    for number in range(TURNS + 1):
        for place, what in enumerate((QUIET, REPORTS, BLOCKS, QUIET)):
            tell(what)
            time.sleep(0.2)
            times = turn()
            if number:  # the first one fills the caches
                columns[place] += times
    tell(QUIET)
    return columns


def row(name: str, columns: Sequence[Sequence[float]], unit: str, factor: float) -> None:
    """Print the lines of a table of reads."""
    for share in (50, 99):
        quiet, *others = (sorted(times)[len(times) * share // 100] * factor for times in columns)
        cells = " | ".join(f"{each:.3g} ({each / quiet:.2f})" for each in others)
        print(f"| {name}, p{share}, {unit} | {quiet:.3g} | {cells} |", flush=True)


def reads(url: str) -> None:
    """Print the table of reads, beside reports and without."""
    print(f"| | alone | {RATE} reports/s | {RATE} blocks/s | alone, again |\n|---|---|---|---|---|")
    with Client(url) as client:
        run = client.run("read", create={"parameters": {"lr": LR}, "controllers": WATCHING})
        for start in range(0, SETTLED, 1024):
            run.block(start, 1024)
        other = client.run("written", create={"parameters": {"lr": LR}})
        told, sent = multiprocessing.Value("i", QUIET), multiprocessing.Array("i", 3)
        process = multiprocessing.Process(
            target=writer, args=(url, run.id, other.id, told, sent), daemon=True
        )
        process.start()
        path = f"/v1/runs/{run.id}/values?generation=1&start=0&count=64&format=f64"
        with httpx.Client(base_url=url) as http:
            columns = alternate(
                lambda: measured(lambda: http.get(path)), partial(setattr, told, "value")
            )
        process.kill()
        row("settled block", columns, "ms", 1e-3)
        reporting = threading.Event()
        threading.Thread(target=report_on, args=(run, reporting), daemon=True).start()
        run.value("lr", 5)

        def tell(word: int) -> None:
            (reporting.set if word == REPORTS else reporting.clear)()

        columns = alternate(lambda: looked_up(run), tell)
        row("`run.value`", columns, "ns", 1e3)
        reporting.set()
    done = [sent[what] / (TURNS + 1) / (SECONDS + 0.2) for what in range(3)]
    print(f"\n{done[REPORTS]:.0f} reports and {done[BLOCKS]:.0f} blocks a second were taken")


def report_on(run: Run, goes: threading.Event) -> None:
    """Report at the same rate from the training's own process."""
    for step in range(2048, SETTLED):
        goes.wait()
        run.report(step, {"loss": 1.0})
        time.sleep(1 / RATE)


class Reached(NamedTuple):
    """How far from the worker a word landed, and when the worker was there."""

    steps: int
    seconds: float


class Worker(threading.Thread):
    """A training of one run: takes so many steps a second, and listens."""

    def __init__(self, url: str, name: str, lookahead: float) -> None:
        super().__init__(daemon=True)
        self.at = 0
        self.client = Client(url, lookahead=lookahead)
        self.run_ = self.client.run(
            name, create={"parameters": {"lr": LR}, "signals": {"checkpoint": {"text": "save"}}}
        )
        self.heard: dict[int, float] = {}

    def run(self) -> None:
        """Train until the run is stopped."""
        began = time.monotonic()
        for step in self.run_.steps(0):
            for signal in self.run_.signals(step):
                self.heard[signal.revision] = time.monotonic()
            self.at = step
            self.run_.value("lr", step)
            time.sleep(max(0.0, began + step / PACE - time.monotonic()))

    def reached(self, effective: int) -> bool:
        """Return whether it is there, or has ended there."""
        return self.at >= effective or (not self.is_alive() and self.at == effective - 1)

    def told(self, order: Callable[[], Any]) -> Reached:
        """Send a word, and wait until it is reached."""
        at, began = self.at, time.monotonic()
        effective = order()["effective"]
        while not self.reached(effective):
            time.sleep(0.005)
        return Reached(effective - at, time.monotonic() - began)


def reach(url: str, lookahead: float, number: int, found: list[tuple[float, str, Reached]]) -> None:
    """Send the three words to one run."""
    worker = Worker(url, f"reach-{lookahead:g}-{number}", lookahead)
    worker.start()
    time.sleep(WARM_UP)  # blocks have grown by now
    run = worker.run_
    for word, order in (
        ("change", lambda: run.change({"lr": scale(0.5)})),
        ("signal", lambda: run.signal("checkpoint")),
        ("stop", run.stop),
    ):
        time.sleep(random.random() * lookahead)
        found.append((lookahead, word, worker.told(order)))
    worker.join()
    worker.client.close()


def reaches(url: str) -> None:
    """Print how far and how soon words reach workers."""
    print("\n| look-ahead | a change: steps, s | a signal: steps, s | a stop: steps, s |")
    print("|---|---|---|---|")
    found: list[tuple[float, str, Reached]] = []
    threads = [
        threading.Thread(target=reach, args=(url, lookahead, number, found))
        for lookahead in LOOKAHEADS
        for number in range(RUNS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lookahead in LOOKAHEADS:
        cells = [
            cell(
                [
                    reached
                    for seconds, each, reached in found
                    if (seconds, each) == (lookahead, word)
                ]
            )
            for word in ("change", "signal", "stop")
        ]
        print(f"| {lookahead:g} s | {' | '.join(cells)} |")


def cell(all_reached: list[Reached]) -> str:
    """Return the medians, and the furthest."""
    steps, seconds = zip(*all_reached, strict=True)
    return (
        f"{statistics.median(steps):.0f} (≤ {max(steps)}), "
        f"{statistics.median(seconds):.1f} (≤ {math.ceil(max(seconds) * 10) / 10:.1f})"
    )


def main() -> None:
    """Print both tables."""
    print(f"load average {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder, service(folder, auth=False) as served:
        reads(served.url)
        reaches(served.url)
    print(f"\nload average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
