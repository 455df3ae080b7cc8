"""Those who change a run: operators, and watchdogs that rewind it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults import plan
from tests.faults.caller import Caller
from tests.faults.threads import Stop

BACK = 600
"""Steps that a rewind goes back at most."""
FORTH = 400
"""Steps that an advance goes on at most."""


class Operator:
    """Changes a run, from the next step on or a later one, takes that back, and moves it on."""

    def __init__(self, caller: Caller, run: str, pause: float) -> None:
        self._caller = caller
        self._run = run
        self._pause = pause
        self._chance = caller.chance
        self._made: list[tuple[int, int, int]] = []
        self._pending: list[int] = []

    def work(self, stop: Stop) -> None:
        """Operate until told to stop."""
        while not stop():
            drawn = self._chance.random()
            if self._pending and drawn < 0.3:
                self._caller.write(self._run, "cancel", {"revision": self._pending.pop()})
            elif drawn > 0.95:
                self._advance(self._caller.state(self._run))
            else:
                self._change(self._caller.state(self._run))
            time.sleep(self._chance.uniform(0.0, 2 * self._pause))

    def _advance(self, state: dict[str, Any]) -> None:
        request = {"to": state["settled_until"] + self._chance.randint(1, FORTH)}
        if self._chance.random() < 0.2:
            request["expected_revision"] = state["revision"]
        self._caller.write(self._run, "advance", request)

    def _change(self, state: dict[str, Any]) -> None:
        chance, settled, generation = self._chance, state["settled_until"], state["generation"]
        in_force = [n for g, n, step in self._made if g == generation and step < settled]
        request: dict[str, Any] = {"changes": plan.changes(chance, in_force[-8:])}
        later = settled + chance.randint(0, 300)
        request["effective"] = "next" if chance.random() < 0.6 else later
        if chance.random() < 0.2:
            request["expected_revision"] = state["revision"]
        answer = self._caller.write(self._run, "change", request).answer
        if answer is not None:
            self._made.append((generation, answer["revision"], answer["effective"]))
            waiting = [
                item["revision"]
                for item in answer["pending"]
                if item["cause"] is None or chance.random() < 0.1  # mostly lets controllers be
            ]
            self._pending = [number for number in waiting if chance.random() < 0.5]


class Watchdogs:
    """
    Two that rewind a run on the same alarm, each by itself: at most one of them may.

    ``gap`` is the mean number of changes and rewinds, of all runs, between two alarms.
    """

    def __init__(self, callers: tuple[Caller, Caller], run: str, gap: int) -> None:
        self._callers = callers
        self._run = run
        self._gap = gap

    def work(self, stop: Stop) -> None:
        """Watch until told to stop."""
        caller = self._callers[0]
        with ThreadPoolExecutor(2) as pool:
            while not stop():
                state = caller.state(self._run)
                both = [pool.submit(self._rewind, dog, state) for dog in self._callers]
                for one in both:
                    one.result()
                until = len(caller.log.writes) + caller.chance.randint(0, 2 * self._gap)
                while len(caller.log.writes) < until and not stop():
                    time.sleep(0.05)

    def _rewind(self, caller: Caller, state: dict[str, Any]) -> None:
        chance = caller.chance
        request: dict[str, Any] = {"expected_generation": state["generation"]}
        source = state["generations"][-1]
        if chance.random() < 0.2:
            source = chance.choice(state["generations"])
            request["from_generation"] = source["generation"]
        settled = source["settled_until"]
        request["to"] = settled - min(settled, chance.randint(0, BACK))
        if chance.random() < 0.3:
            request["changes"] = plan.changes(chance, [])
        caller.write(self._run, "rewind", request)
