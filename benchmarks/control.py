"""
A run that listens: what reports cost those who read, and how soon an operator's word arrives.

    python benchmarks/control.py

**Reads.** A block of 64 settled steps is asked for over one connection, again and again, while
another process sends 20 reports a second of a metric that a plateau of the same run reads, which is
as many as a run may have; and while it rests. The two take turns of two seconds. So does a worker's
look-up, ``run.value``, in a process that reports at that rate by itself, in the background. p50 and
p99 are medians of the turns, ``ratio`` is the median of the ratios of turns that follow each other;
the last column is that of two turns without reports, which is what chance makes.

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
from typing import Any, NamedTuple

import httpx
from side_by_side import service

from rheostat import Client, Run, plateau, scale

TURNS, SECONDS = 7, 2.0
RATE = 20
"""Reports a second."""
SENDERS = 4
SETTLED = 4096
PACE, LOOKAHEADS, RUNS, WARM_UP = 50, (0.5, 2.0, 4.0), 6, 15.0
LR = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 100_000}
WATCHING = {"plateau": plateau(metric="loss", patience=1000)}


class Turn(NamedTuple):
    """How long single reads took in a turn, in microseconds."""

    p50: float
    p99: float


def measured(read: Callable[[], object], seconds: float) -> Turn:
    """Read for so long, one read after the other."""
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        read()
        times.append(time.perf_counter() - began)
    times.sort()
    return Turn(times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6)


def looked_up(run: Run, seconds: float) -> Turn:
    """Look values up for so long, a hundred at a time."""
    value = run.value

    def hundred() -> None:
        for _ in range(100):
            value("lr", 5)

    turn = measured(hundred, seconds)
    return Turn(turn.p50 / 100, turn.p99 / 100)


def reporter(url: str, run: str, goes: Any, sent: Any) -> None:
    """Report, as another process, whenever it is told to go: several senders share the rate."""
    steps = iter(range(1, SETTLED))
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(lambda _: send(url, run, steps, goes, sent), range(SENDERS)))


def send(url: str, run: str, steps: Iterator[int], goes: Any, sent: Any) -> None:
    """Be one of the senders."""
    due = time.monotonic()
    with httpx.Client(base_url=url) as client:
        for step in steps:
            goes.wait()
            body = {"generation": 1, "reports": [{"step": step, "metrics": {"loss": 1.0}}]}
            if client.post(f"/v1/runs/{run}/reports", json=body).status_code == 200:
                with sent.get_lock():
                    sent.value += 1
            due = max(due + SENDERS / RATE, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))


def alternate(turn: Callable[[], Turn], goes: Any) -> list[list[Turn]]:
    """Return turns without reports, with them, and without again: what chance alone makes."""
    rounds = []
    for _ in range(TURNS + 1):
        turns = []
        for reported in (False, True, False):
            (goes.set if reported else goes.clear)()
            time.sleep(0.2)
            turns.append(turn())
        rounds.append(turns)
    return rounds[1:]  # the first one fills the caches


def row(name: str, rounds: Sequence[Sequence[Turn]], unit: str, factor: float) -> None:
    """Print the lines of a table of reads."""
    for field in Turn._fields:
        columns = [
            [getattr(turn, field) * factor for turn in column]
            for column in zip(*rounds, strict=True)
        ]
        quiet, beside, again = columns
        ratios = [
            statistics.median(b / a for a, b in zip(quiet, other, strict=True))
            for other in (beside, again)
        ]
        medians = " | ".join(f"{statistics.median(each):.3g}" for each in (quiet, beside))
        print(f"| {name}, {field}, {unit} | {medians} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def reads(url: str) -> None:
    """Print the table of reads, beside reports and without."""
    print(f"| | without reports | {RATE} reports/s | ratio | without, again |")
    print("|---|---|---|---|---|")
    with Client(url) as client:
        run = client.run("read", create={"parameters": {"lr": LR}, "controllers": WATCHING})
        for start in range(0, SETTLED, 1024):
            run.block(start, 1024)
        goes, sent = multiprocessing.Event(), multiprocessing.Value("i", 0)
        other = multiprocessing.Process(
            target=reporter, args=(url, run.id, goes, sent), daemon=True
        )
        other.start()
        path = f"/v1/runs/{run.id}/values?generation=1&start=0&count=64&format=f64"
        with httpx.Client(base_url=url) as http:
            pairs = alternate(lambda: measured(lambda: http.get(path), SECONDS), goes)
        other.kill()
        row("settled block", pairs, "ms", 1e-3)
        told = sent.value

        reporting = threading.Event()
        threading.Thread(target=report_on, args=(run, reporting), daemon=True).start()
        run.value("lr", 5)
        row("`run.value`", alternate(lambda: looked_up(run, SECONDS), reporting), "ns", 1e3)
        reporting.set()
    rate = told / (TURNS + 1) / (SECONDS + 0.2)
    print(f"\n{rate:.0f} reports a second were taken beside the settled blocks")


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
