"""Workers: one kind that asks by itself, of any replica, and one that uses the client."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
from tests.faults.caller import PATIENCE, TIMEOUT, Caller
from tests.faults.observations import Log, Look
from tests.faults.recording import RecordingTransport
from tests.faults.threads import Stop

from rheostat import Client, Run
from rheostat.errors import StaleCheckpoint, StaleGeneration

BLOCK = 64
"""Cells that a worker reads at most in one request."""
AHEAD = 100
"""Steps that a worker which resumes may have skipped at most: near what is settled."""
EVERY = 256
"""Steps between two checkpoints of a worker that reads through the client."""


class Reader:
    """
    A worker that reads blocks of many lengths, in both formats, of any replica.

    It crashes and resumes now and then, and reads again what it has read in any generation.
    """

    def __init__(self, caller: Caller, run: str, pause: float) -> None:
        self._caller = caller
        self._run = run
        self._pause = pause
        self._chance = caller.chance
        self._checkpoints: list[tuple[int, int]] = []
        self._blocks: deque[tuple[int, int, int]] = deque(maxlen=200)
        self._generation = self._step = 0

    def work(self, stop: Stop) -> None:
        """Read until told to stop."""
        self._join()
        while not stop():
            drawn = self._chance.random()
            if drawn < 0.01 or not self._read_on():
                self._join()
            elif drawn < 0.1 and self._blocks:
                self._read(*self._chance.choice(self._blocks))
            time.sleep(self._chance.uniform(0.0, 2 * self._pause))

    def _join(self) -> None:
        """Resume from the newest checkpoint that is accepted, or join anew where the run is."""
        while self._checkpoints:
            generation, step = self._checkpoints[-1]
            body = {"id": self._run, "generation": generation, "step": step}
            answer = self._caller.ask("POST", f"/v1/runs/{self._run}/join", json=body).response
            if answer.status_code == 200:
                self._begin(answer.json(), step)
                return
            self._checkpoints.pop()
        answer = self._caller.ask("POST", f"/v1/runs/{self._run}/join", json={}).response
        joined = answer.raise_for_status().json()
        self._begin(joined, joined["settled_until"])

    def _begin(self, joined: dict[str, Any], step: int) -> None:
        skipped = self._chance.randint(0, AHEAD) if self._chance.random() < 0.1 else 0
        self._generation, self._step = joined["generation"], step + skipped

    def _read_on(self) -> bool:
        """Read the next block; return whether it was to be had."""
        block = (self._generation, self._step, self._chance.randint(1, BLOCK))
        if not self._read(*block):
            return False
        self._step += block[2]
        self._blocks.append(block)
        if self._chance.random() < 0.1:
            self._checkpoints.append((self._generation, self._step))
        return True

    def _read(self, generation: int, start: int, count: int) -> bool:
        query: dict[str, Any] = {"generation": generation, "start": start, "count": count}
        kind = self._chance.choice(["application/json", "application/octet-stream"])
        path, headers = f"/v1/runs/{self._run}/values", {"Accept": kind}
        return self._caller.ask("GET", path, params=query, headers=headers).response.is_success


class Trainer:
    """A worker that reads step by step through the client, of one replica."""

    def __init__(self, url: str, log: Log, run: str, pause: float) -> None:
        self._client = Client(
            url,
            timeout=TIMEOUT,
            deadline=PATIENCE,
            lookahead=0.2,
            transport=RecordingTransport(log),
        )
        self._log = log
        self._run = run
        self._pause = pause
        self._checkpoints: list[dict[str, Any]] = []

    def work(self, stop: Stop) -> None:
        """Train until told to stop, over and over from a checkpoint whenever it is fenced off."""
        with self._client:
            while not stop():
                self._train(*self._join(), stop)

    def _join(self) -> tuple[Run, int]:
        while self._checkpoints:
            checkpoint = self._checkpoints[-1]
            try:
                return self._client.run(self._run, checkpoint=checkpoint), checkpoint["step"]
            except StaleCheckpoint:
                self._checkpoints.pop()
        return self._client.run(self._run), 0

    def _train(self, run: Run, step: int, stop: Stop) -> None:
        while not stop():
            rows: list[dict[str, float]] = []
            try:
                for _ in range(BLOCK):
                    rows.append(run.values(step + len(rows)))
                    time.sleep(self._pause)
            except StaleGeneration:
                return
            finally:
                self._look(run, step, rows)
            step += len(rows)
            if step % EVERY == 0:
                self._checkpoints.append(run.checkpoint(step))

    def _look(self, run: Run, start: int, rows: list[dict[str, float]]) -> None:
        if rows:
            columns = np.array([[row[name] for row in rows] for name in run.parameters])
            look = Look(run=run.id, generation=run.generation, start=start, values=columns)
            self._log.looks.append(look)
