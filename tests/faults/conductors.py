"""Those who stop a run, hold it, let it go on, send it signals, and suggest what others decide."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults import plan
from tests.faults.caller import Caller
from tests.faults.observations import Kind
from tests.faults.threads import Stop

AHEAD = 100
"""Steps past what is settled at which something is to happen at most."""


class Conductor:
    """
    Stops and holds a run over and over, and lets it go on again; sends signals; makes proposals.

    A stop is taken back if no worker has ended by it, and else lifted by a rewind. Whoever accepts
    a proposal is one of two who do so at once.
    """

    def __init__(self, callers: tuple[Caller, Caller], run: str, pause: float) -> None:
        self._callers = callers
        self._caller = callers[0]
        self._run = run
        self._pause = pause
        self._chance = callers[0].chance

    def work(self, stop: Stop) -> None:
        """Conduct until told to stop; then let the run go on."""
        halts, words = (self._halt,) * 2, (self._signal, self._propose, self._decide) * 2
        acts = (*halts, *words)
        with ThreadPoolExecutor(2) as pool:
            while not stop():
                state = self._caller.state(self._run)
                self._let_go_on(state)
                self._chance.choice(acts)(state, pool)
                time.sleep(self._chance.uniform(0.0, 2 * self._pause))
        self._let_go_on(self._caller.state(self._run))

    def _let_go_on(self, state: Mapping[str, Any]) -> None:
        """Take back what is in the way, or is about to be."""
        settled = state["settled_until"]
        for each in state["stops"]:
            if each["hold"]:
                continue
            undone = self._caller.write(self._run, "cancel", {"revision": each["revision"]})
            if undone.refusal is not None:
                lifted = {"to": min(each["effective"], settled)}
                lifted["expected_generation"] = state["generation"]
                self._caller.write(self._run, "rewind", lifted)
                return
        if any(each["hold"] and each["effective"] <= settled for each in state["stops"]):
            request: dict[str, Any] = {}
            if self._chance.random() < 0.3:
                request["until"] = settled + self._chance.randint(1, AHEAD)
            self._caller.write(self._run, "resume", request)

    def _halt(self, state: Mapping[str, Any], _: ThreadPoolExecutor) -> None:
        request: dict[str, Any] = {"effective": self._when(state)}
        if self._chance.random() < 0.3:
            request["signal"] = plan.signal(self._chance)
        kind: Kind = "pause" if self._chance.random() < 0.6 else "stop"
        self._caller.write(self._run, kind, request)

    def _signal(self, state: Mapping[str, Any], _: ThreadPoolExecutor) -> None:
        request = {**plan.signal(self._chance), "effective": self._when(state)}
        self._caller.write(self._run, "signal", request)

    def _propose(self, _: Mapping[str, Any], __: ThreadPoolExecutor) -> None:
        kind, body = plan.proposal(self._chance)
        self._caller.write(self._run, "propose", {"kind": kind, "body": body})

    def _decide(self, _: Mapping[str, Any], pool: ThreadPoolExecutor) -> None:
        """Decide on open proposals: two do at once."""
        path, query = f"/v1/runs/{self._run}/proposals", {"state": "open"}
        answer = self._caller.ask("GET", path, params=query).response.raise_for_status()
        for item in answer.json()["items"][:3]:
            both = [pool.submit(self._say, caller, item["proposal"]) for caller in self._callers]
            for each in both:
                each.result()

    def _say(self, caller: Caller, proposal: int) -> None:
        kind: Kind = "accept" if caller.chance.random() < 0.7 else "decline"
        caller.write(self._run, kind, {"proposal": proposal})

    def _when(self, state: Mapping[str, Any]) -> int | str:
        if self._chance.random() < 0.4:
            return "next"
        return int(state["settled_until"]) + self._chance.randint(0, AHEAD)
