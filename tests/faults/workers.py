"""Workers: one kind that asks by itself, of any replica, and one that uses the client."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import httpx
import numpy as np
from tests.faults.applying import Applied
from tests.faults.caller import PATIENCE, TIMEOUT, Caller
from tests.faults.observations import Log, Look
from tests.faults.recording import RecordingTransport
from tests.faults.threads import Stop

from rheostat import Client, Run
from rheostat.errors import Paused, StaleCheckpoint, StaleGeneration, Stopped

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

    def __init__(self, caller: Caller, run: str, source: str, pause: float) -> None:
        self._caller = caller
        self._run = run
        self._source = source
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
                time.sleep(self._pause)
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
        answer = self._read(*block)
        if not answer.is_success:
            return self._hear(answer.json())
        self._step += block[2]
        self._blocks.append(block)
        if self._chance.random() < 0.1:
            self._save()
        return True

    def _save(self) -> None:
        """Save where it is, and say so; now and then once more, and otherwise."""
        self._checkpoints.append((self._generation, self._step))
        for _ in range(2 if self._chance.random() < 0.2 else 1):
            said = {
                "generation": self._generation,
                "step": self._step,
                "tag": "last",
                "uri": f"/saved/{self._chance.randint(1, 1000)}",
                "source": self._source,
            }
            self._caller.save(self._run, said)

    def _hear(self, refusal: dict[str, Any]) -> bool:
        """Go up to where reading ends or holds; return whether there is something to go on with."""
        end = refusal.get("end")
        if end is None:
            return False
        if end > self._step:
            block = (self._generation, self._step, min(end - self._step, BLOCK))
            answer = self._read(*block)
            self._step += block[2] if answer.is_success else 0
            return answer.is_success
        for signal in refusal["signals"]:
            self._tell(signal, self._step)
        wait = {"Prefer": "wait=1"} if self._chance.random() < 0.5 else {}
        return self._read(self._generation, self._step, 1, **wait).is_success

    def _read(self, generation: int, start: int, count: int, **headers: str) -> httpx.Response:
        query: dict[str, Any] = {"generation": generation, "start": start, "count": count}
        kind = self._chance.choice(["application/json", "application/octet-stream"])
        path = f"/v1/runs/{self._run}/values"
        told = {"Accept": kind, **headers}
        answer = self._caller.ask("GET", path, params=query, headers=told).response
        if answer.is_success and kind == "application/json":
            block = answer.json()
            for signal in block.get("signals", []):
                if signal["at"] >= start:
                    self._tell(signal, signal["at"])
            if self._chance.random() < 0.2:
                self._apply(generation, start, block["parameters"])
        return answer

    def _apply(self, generation: int, start: int, given: dict[str, list[float]]) -> None:
        """Say that a block was applied; now and then with another value in it."""
        names, other = tuple(sorted(given)), None
        values = np.array([given[name] for name in names])
        if self._chance.random() < 0.1:
            place = self._chance.randrange(len(names)), self._chance.randrange(values.shape[1])
            other = (*place, float(values[place]) + self._chance.choice([1.0, -0.5, 1e-9]))
            other = other if other[2] != values[place] else None
        self._caller.beat(self._run, generation, self._source, Applied(names, start, values, other))

    def _tell(self, signal: dict[str, Any], step: int) -> None:
        """Say what became of a signal; now and then once more, and otherwise."""
        for _ in range(2 if self._chance.random() < 0.2 else 1):
            done = self._chance.random() < 0.8
            said: dict[str, Any] = {
                "generation": self._generation,
                "revision": signal["revision"],
                "source": self._source,
                "outcome": "done" if done else "failed",
                "step": step,
            }
            said["data" if done else "error"] = (
                {"number": self._chance.randint(1, 1000)} if done else "the disk is full"
            )
            self._caller.tell(self._run, said)


class Trainer:
    """A worker that reads step by step through the client, of one replica."""

    def __init__(self, url: str, log: Log, run: str, pause: float, secret: str) -> None:
        self._client = Client(
            url,
            token=secret,
            timeout=TIMEOUT,
            deadline=PATIENCE,
            pause_deadline=1.0,
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
                    run.applied(step + len(rows) - 1, rows[-1])
                    time.sleep(self._pause)
            except (StaleGeneration, Stopped, Paused):
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
