"""What a run's final history says that each value is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tests.faults.history import History
from tests.faults.observations import InForce, Values
from tests.oracle.curves import Env, alone, define
from tests.oracle.edits import applied

FOLDED = {"create", "change", "rewind"}


@dataclass(frozen=True, slots=True)
class State:
    """From ``effective`` on, ``revision`` is in force, with these curves."""

    effective: int
    revision: int
    curves: Env


class Explanation:
    """The curves of every generation of a run, folded from its revisions."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: dict[int, Env] = {}
        self._states: dict[int, list[State]] = {}
        definitions = history.revisions[0]["changes"]
        self._followers = {
            name: (item["parameter"], float(item.get("scale", 1.0)))
            for name, item in definitions.items()
            if item["kind"] == "follow"
        }
        self._first = {
            name: alone(define(item, 0, None))
            for name, item in definitions.items()
            if name not in self._followers
        }
        for number in sorted(history.generations):
            self._states[number] = self._fold(number)

    def values(self, generation: int, start: int, stop: int) -> Values:
        """Return the values of a stretch of a generation."""
        parts = [
            self._evaluate(state, first, last)
            for state, first, last in self._within(generation, start, stop)
        ]
        return np.concatenate(parts, axis=1)

    def in_force(self, generation: int, start: int, stop: int) -> InForce:
        """Return which revision is in force from which step on."""
        within = self._within(generation, start, stop)
        return tuple((first, state.revision) for state, first, _ in within)

    def _fold(self, number: int) -> list[State]:
        generation = self._history.generations[number]
        states: list[State] = []
        if generation.parent is not None:
            inherited = self._states[generation.parent]
            states = [state for state in inherited if state.effective <= generation.start]
        own = [
            item
            for item in self._history.revisions
            if item["generation"] == number and item["kind"] in FOLDED and not item["cancelled"]
        ]
        for item in sorted(own, key=lambda item: (item["effective"], item["revision"])):
            before = states[-1].curves if states else self._first
            curves = before
            if item["kind"] != "create":
                at = item["effective"]
                curves = applied(item["changes"], at, before, self._known.__getitem__, None)
            self._known[item["revision"]] = curves
            states.append(State(item["effective"], item["revision"], curves))
        return states

    def _within(self, generation: int, start: int, stop: int) -> Iterator[tuple[State, int, int]]:
        states = self._states[generation]
        ends = [*(state.effective for state in states[1:]), stop]
        for state, end in zip(states, ends, strict=True):
            first, last = max(state.effective, start), min(end, stop)
            if first < last:
                yield state, first, last

    def _evaluate(self, state: State, start: int, stop: int) -> Values:
        found = {name: curve.floats(start, stop) for name, curve in state.curves.items()}
        for name, (followed, scale) in self._followers.items():
            found[name] = found[followed] * scale
        return np.stack([found[name] for name in sorted(found)])
