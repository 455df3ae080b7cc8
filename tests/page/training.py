"""A training of some ranks, in threads: real clients of a real server, and fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any

from rheostat import Client, Run
from rheostat.errors import RheostatError

COSINE = {"kind": "cosine", "start": 4e-4, "end": 4e-5, "steps": 20_000}
BODY: Mapping[str, Any] = {
    "parameters": {"lr": COSINE, "weight_decay": 0.1},
    "total": 20_000,
    "max_block": 64,
    "labels": {"team": "nlp", "stage": "pretrain"},
    "signals": {
        "checkpoint": {
            "text": "save all ranks",
            "arguments": {"tag": {"type": "string", "max": 64}},
        },
        "switch-data": {
            "text": "which mixture",
            "arguments": {"stage": {"type": "integer", "min": 1, "max": 3, "required": True}},
        },
    },
}
PACE = 0.005
"""Seconds that a step takes the first rank; each further one is 3 % slower."""

Report = Callable[[Run, int], None]


def nothing(_run: Run, _step: int) -> None:
    """Report nothing."""


class Training:
    """Ranks that train one run until they are told to end, or the run is."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        ranks: int = 4,
        report: Report = nothing,
        wrong_at: int | None = None,
        start: int = 0,
        pace: float = PACE,
    ) -> None:
        self.url, self.name, self.report = url, name, report
        self.start, self.pace = start, pace
        self.wrong_at = wrong_at
        """From where the last rank applies twice what it was given."""
        self.ranks = ranks
        self.over = Event()
        self.applied: list[dict[int, float]] = [{} for _ in range(ranks)]
        self.ended: list[RheostatError | None] = [None] * ranks
        self.threads = [Thread(target=self._train, args=(rank,)) for rank in range(ranks)]
        for thread in self.threads:
            thread.start()

    def _train(self, rank: int) -> None:
        pace = self.pace * (1 + 0.03 * rank)
        with Client(
            self.url,
            worker=str(rank),
            lookahead=0.3,
            pace=1 / pace,
            deadline=30,
        ) as client:
            run = client.run(self.name, start=self.start or None)
            try:
                for step in run.steps(self.start):
                    if self.over.is_set():
                        return
                    self._step(rank, run, step)
                    time.sleep(pace)
            except RheostatError as error:
                self.ended[rank] = error

    def _step(self, rank: int, run: Run, step: int) -> None:
        value = run.value("lr", step)
        self.applied[rank][step] = value
        astray = self.wrong_at is not None and rank == self.ranks - 1 and step >= self.wrong_at
        run.applied(step, {"lr": 2 * value if astray else value})
        for signal in run.signals(step):
            run.outcome(signal, "done", step=step, source=f"rank-{rank}")
        if rank == 0:
            self.report(run, step)

    def step(self) -> int:
        """Return the step that the slowest rank has come to."""
        return min(max(each, default=-1) for each in self.applied)

    def until(self, step: int, seconds: float = 30) -> None:
        """Wait until every rank has come to a step."""
        end = time.monotonic() + seconds
        while self.step() < step:
            assert time.monotonic() < end, f"the slowest rank is at {self.step()}: {self.ended}"
            time.sleep(0.02)

    def close(self) -> None:
        """End it."""
        self.over.set()
        for thread in self.threads:
            thread.join(timeout=40)
