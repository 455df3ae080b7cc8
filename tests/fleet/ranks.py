"""
Ranks of a training: processes of their own, each with the client that a user has.

The loops that they run stand here too, as a process that is started imports where they are.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from random import Random
from typing import Any

from rheostat import Client
from rheostat.errors import AwaitingReport, Paused, Stopped

FOREVER = 300
"""Seconds after which a rank counts as hung."""

PROCESSES = multiprocessing.get_context("spawn")

Row = dict[str, float]
Loop = Callable[..., Any]
"""What a rank runs: it is given its number, where all ranks meet, and what it was started with."""


class Ranks:
    """Processes that run one loop."""

    def __init__(self, number: int, loop: Loop, *args: Any) -> None:
        self._meet = PROCESSES.Barrier(number)  # kept, or its semaphores would be gone too soon
        self._processes = []
        for rank in range(number):
            result, sender = PROCESSES.Pipe(duplex=False)
            given = (sender, loop, rank, self._meet, *args)
            process = PROCESSES.Process(target=_run, args=given, daemon=True)
            process.start()
            sender.close()
            self._processes.append((process, result))

    def results(self) -> list[Any]:
        """Return what each of them found, once all have come to their end."""
        found = []
        for process, result in self._processes:
            assert result.poll(FOREVER), "a rank hangs"
            found.append(result.recv())
            process.join(FOREVER)
        return found

    def close(self) -> None:
        """Leave none behind."""
        for process, result in self._processes:
            process.kill()
            process.join()
            result.close()


def _run(sender: Connection, loop: Loop, rank: int, meet: Barrier, *args: Any) -> None:
    sender.send(loop(rank, meet, *args))


@contextmanager
def training(number: int, loop: Loop, *args: Any) -> Iterator[Ranks]:
    """Run a loop on so many ranks, all with these arguments."""
    ranks = Ranks(number, loop, *args)
    try:
        yield ranks
    finally:
        ranks.close()


def at_gates(
    rank: int, _: Barrier, address: str, plan: dict[str, list[list[str | float]]]
) -> dict[str, list[float]]:
    """
    Read ``lr`` of several runs at each step, and report what the plan has for a run and a rank.

    All runs go on together, as a client reports only ten times a second in each.
    """
    with Client(address) as client:
        runs = {name: client.run(name) for name in plan}
        seen: dict[str, list[float]] = {name: [] for name in plan}
        for step in range(1 + max(len(measured[0]) for measured in plan.values())):
            for name, measured in plan.items():
                if step <= len(measured[0]):
                    seen[name].append(runs[name].value("lr", step))
                if step < len(measured[rank]):
                    loss = float(measured[rank][step])
                    runs[name].report(step + 1, {"watched": loss}, source=f"rank{rank}")
    return seen


def in_step(
    rank: int, meet: Barrier, address: str, total: int, every: int, lookahead: float, pause: float
) -> list[Row]:
    """
    Train as ranks do that meet in each evaluation; each reports its own losses, by step and rank.

    A rank goes on when all reports are answered, so that none is late by the others' speed.
    """
    seen = []
    with Client(address, lookahead=lookahead) as client:
        run = client.run("gpt")
        for step in run.steps(0, total):
            seen.append(run.values(step))
            time.sleep(pause * (1 + rank))
            if (step + 1) % every == 0:
                measured = Random(f"{step} {rank}").random()
                spoiled = float("nan") if measured < 0.03 else measured
                run.report(step + 1, {"loss": spoiled}, source=f"rank{rank}", wait=True)
                meet.wait()
    return seen


def listening(_: int, __: Barrier, address: str) -> dict[str, Any]:
    """Train until it is stopped; return where it held and ended, and what was heard where."""
    held: list[int] = []

    def hold(refusal: Paused | AwaitingReport) -> None:
        held.append(refusal.members["end"])

    heard, steps = [], 0
    with Client(address) as client:
        run = client.run("gpt", on_wait=hold)
        for step in run.steps(0):
            heard += [(step, signal.name, signal.revision) for signal in run.signals(step)]
            steps += 1
            time.sleep(0.005)
        end = run.ends_at
        assert end is not None
        heard += [(end, signal.name, signal.revision) for signal in run.signals(end)]
        assert isinstance(run.ended, Stopped)
    why = run.ended.members["message"]
    return {"steps": steps, "held": held, "heard": heard, "end": end, "why": why}
