"""An agent with a limit, in two places at once: it asks for more than it may, and takes back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.faults import plan
from tests.faults.caller import Caller
from tests.faults.observations import Kind
from tests.faults.threads import Stop

NAME: Final = "agent"
COUNT, DISTANCE = 25, 30
"""Changes, stops and signals that it may make of a run, and steps from one change to the next."""
LIMIT: Final = f"changes={COUNT}/week, gap={DISTANCE}"
AHEAD = 120
"""Steps past what is settled at which a change is to take effect at most."""


class Agent:
    """Two callers with one token, which ask at the same time, as two replicas of an agent do."""

    def __init__(self, callers: tuple[Caller, Caller], run: str, pause: float) -> None:
        self._callers = callers
        self._caller = callers[0]
        self._run = run
        self._pause = pause
        self._chance = callers[0].chance
        self._made: list[tuple[int, Mapping[str, Any]]] = []

    def work(self, stop: Stop) -> None:
        """Act until told to stop."""
        with ThreadPoolExecutor(2) as pool:
            while not stop():
                self._act(self._caller.state(self._run), pool)
                time.sleep(self._chance.uniform(0.0, 2 * self._pause))

    def _act(self, state: Mapping[str, Any], pool: ThreadPoolExecutor) -> None:
        drawn = self._chance.random()
        if drawn < 0.15 and state["pending"]:  # its own, or somebody else's
            taken = self._chance.choice(state["pending"])["revision"]
            self._caller.write(self._run, "cancel", {"revision": taken})
        elif drawn < 0.35 and self._made:
            self._take_back()
        elif drawn < 0.45:
            said = {**plan.signal(self._chance), "effective": "next"}
            self._caller.write(self._run, "signal", said)
        elif drawn < 0.5:
            self._hold()
        else:
            asked = [self._change(caller, state) for caller in self._callers]
            pairs = zip(self._callers, asked, strict=True)
            both = [pool.submit(self._write, caller, "change", each) for caller, each in pairs]
            for one in both:
                one.result()

    def _hold(self) -> None:
        """Hold the run, and let it go on."""
        self._caller.write(self._run, "pause", {"effective": "next"})
        self._caller.write(self._run, "resume", {})

    def _take_back(self) -> None:
        """Go back to before one of its changes, which may be taken back already."""
        number, changed = self._chance.choice(self._made[-4:])
        to = max(number - self._chance.randint(0, 2), 1)
        changes = {name: [{"edit": "revert", "to": to}] for name in changed}
        self._write(self._caller, "change", {"changes": changes, "effective": "next"})

    def _change(self, caller: Caller, state: Mapping[str, Any]) -> dict[str, Any]:
        later = state["settled_until"] + caller.chance.randint(0, AHEAD)
        effective = "next" if caller.chance.random() < 0.5 else later
        return {"changes": plan.changes(caller.chance, []), "effective": effective}

    def _write(self, caller: Caller, kind: Kind, request: dict[str, Any]) -> None:
        answer = caller.write(self._run, kind, request).answer
        if answer is not None:
            self._made.append((answer["revision"], request["changes"]))
