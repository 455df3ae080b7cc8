"""When reports were heard, as far as whoever sent them can say, and what may have come between."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from tests.faults import rules
from tests.faults.evidence import Evidence
from tests.faults.lines import Line

Key = tuple[int, str, int, str]
"""The generation that owns a report, its metric, step and source."""


@dataclass(frozen=True, slots=True)
class Complete:
    """
    A step that all its sources have reported, and the value that it has.

    It was so at ``begun`` at the earliest, at ``done`` at the latest, by what reporters know.
    ``surely`` is whether a controller must have consumed it: whatever may have come before it is
    at a lower step.
    """

    owner: int
    step: int
    value: float
    begun: float
    done: float
    surely: bool = False


@dataclass(frozen=True, slots=True)
class Relief:
    """A decision of a controller was taken back, in a generation, between two times."""

    controller: str
    generation: int
    sent: float
    answered: float


class Hearing:
    """What is known of when the reports of a run were heard."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._begun: dict[Key, float] = {}
        self._done: dict[Key, float] = {}
        self._requests: dict[tuple[int, str, int], dict[int, float]] = defaultdict(dict)
        """Which requests named a step, and when they were sent."""
        for number, report in enumerate(evidence.log.reports):
            took = report.answer is not None and not report.answer["again"]
            for step, metric, _ in report.points:
                key = evidence.history.owner(report.generation, step), metric, step, report.source
                self._requests[key[:3]][number] = report.sent
                self._begun[key] = min(report.sent, self._begun.get(key, math.inf))
                if took:
                    self._done[key] = min(report.answered, self._done.get(key, math.inf))
        self._lives = _lives(evidence)
        self._reliefs = list(_reliefs(evidence))
        self._complete = cache(self._complete_on)
        self._earliest = cache(self._earliest_on)

    def along(self, line: Line, metric: str, expect: int) -> Iterator[tuple[Complete, float]]:
        """Yield each complete step of a line, and when the one before it was begun."""
        before = 0.0
        for each in self._complete(line.number, metric, expect):
            surely = self._surely(line, metric, expect, each)
            yield replace(each, surely=surely), before
            before = each.begun

    def may_be_relieved(self, name: str, line: Line, before: float, done: float) -> bool:
        """Whether a decision may have been taken back between two reports of a line."""
        return any(
            relief.generation in line.lasts and relief.sent <= done and before <= relief.answered
            for relief in self._reliefs
            if relief.controller == name
        )

    def _surely(self, line: Line, metric: str, expect: int, each: Complete) -> bool:
        """Whether every generation that may have been current then has consumed a report."""
        current = [
            number
            for number, (begun, left) in self._lives.items()
            if begun <= each.done and each.begun <= left
        ]
        return each.done < math.inf and all(
            line.has(number, each.step) and self._comes_first(number, metric, expect, each)
            for number in current
        )

    def _comes_first(self, number: int, metric: str, expect: int, each: Complete) -> bool:
        """
        Whether nothing past a report was consumed before it, on the line of a generation.

        What was sent together with it, and nowhere else before it was answered, comes after it: the
        reports of a request are consumed by rising step.
        """
        steps, earliest = self._earliest(number, metric, expect)
        there = self._complete(number, metric, expect)
        with_it = self._requests[each.owner, metric, each.step].keys()
        for index in range(bisect_right(steps, each.step), len(steps)):
            if earliest[index] > each.done:
                break
            sent = self._requests[there[index].owner, metric, steps[index]]
            if any(when <= each.done and request not in with_it for request, when in sent.items()):
                return False
        return True

    def _earliest_on(self, number: int, metric: str, expect: int) -> tuple[list[int], list[float]]:
        """Return steps, and the earliest begin of any at or past each of them."""
        there = self._complete(number, metric, expect)
        earliest: list[float] = []
        least = math.inf
        for each in reversed(there):
            least = min(least, each.begun)
            earliest.append(least)
        return [each.step for each in there], earliest[::-1]

    def _complete_on(self, number: int, metric: str, expect: int) -> list[Complete]:
        """Return the complete steps of the line of a generation."""
        found: list[Complete] = []
        for owner, step, values in Line(self._evidence.history, number).reports(metric):
            value = rules.reduced(expect, values)
            if value is None:
                continue
            keys = [(owner, metric, step, source) for source in values]
            begun = max(self._begun.get(key, 0.0) for key in keys)
            done = max(self._done.get(key, math.inf) for key in keys)
            found.append(Complete(owner, step, value, begun, done))
        return found


def _lives(evidence: Evidence) -> Mapping[int, tuple[float, float]]:
    """Return from when to when each generation may have been the current one."""
    begun, left = {1: 0.0}, defaultdict(lambda: math.inf)
    for item in evidence.history.revisions:
        if item["kind"] == "rewind":
            write = evidence.asked.get(item["message"])
            begun[item["generation"]] = 0.0 if write is None else write.sent
            if write is not None and write.answer is not None:
                left[item["generation"] - 1] = write.answered
    return {number: (begun[number], left[number]) for number in evidence.history.generations}


def _reliefs(evidence: Evidence) -> Iterator[Relief]:
    for item in evidence.history.revisions:
        write = evidence.asked.get(item["message"])
        when = (0.0, math.inf) if write is None else (write.sent, write.answered)
        if item["kind"] == "cancel":
            cause = evidence.revisions[item["cancels"]]["cause"] or {}
            if "controller" in cause:
                yield Relief(cause["controller"], item["generation"], *when)
        elif item["kind"] == "rewind":
            told = None if write is None else write.answer
            names = {each["controller"] for each in told.get("dropped", ())} if told else None
            for name in evidence.history.controllers if names is None else names:
                yield Relief(name, item["generation"], *when)
