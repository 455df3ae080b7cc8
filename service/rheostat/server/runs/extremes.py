"""
Extremes: the value of a parameter that goes furthest beyond a limit, and where.

Intervals are bounded by interval arithmetic, which takes what depends on each other for independent
(the two curves of a cross-fade, say) and so promises less than is true. What it cannot rule out is
halved, the worst part first, until a part is short enough to look at all of its values.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from rheostat.limits import MAX_STEP
from rheostat.server.runs.timeline import Timelines, nodes

SHORT = 4_096
"""Steps of a part whose values are all looked at."""

EFFORT = 6_000
"""Parts that one request may bound in all before what is in doubt is taken for what it may be."""

LIGHT = 16
"""Nodes of a light definition; a heavier one counts as several."""

LOOK = 8
"""Parts that are bounded while all values of a short one are computed."""

SLACK = 1e-12
"""Relative to the limit, what no slip makes: bounds are widened, and mixtures rounded."""


class Extreme(NamedTuple):
    """A value beyond a limit: at a step, or (if none is known) one that could not be ruled out."""

    value: float
    step: int | None


class Effort:
    """
    What the searches of one request may still do, all together.

    A search that its first bounds decide takes nothing of it, however much else there is. It is
    counted and not timed, so that what is accepted is the same on every machine.
    """

    def __init__(self) -> None:
        self._left = EFFORT

    def spend(self, work: int) -> bool:
        """Take so much of it; return whether there was enough."""
        self._left -= work
        return self._left >= 0


def above(
    timelines: Timelines, name: str, step: int, limit: float, effort: Effort
) -> Extreme | None:
    """Return the greatest value above ``limit`` from ``step`` on, or None if there is none."""
    return _Search(timelines, name, 1, limit, effort).run(step)


def below(
    timelines: Timelines, name: str, step: int, limit: float, effort: Effort
) -> Extreme | None:
    """Return the least value below ``limit`` from ``step`` on, or None if there is none."""
    return _Search(timelines, name, -1, limit, effort).run(step)


class _Search:
    """The search in one direction: upwards, or with ``sign`` −1 downwards."""

    def __init__(
        self, timelines: Timelines, name: str, sign: int, limit: float, effort: Effort
    ) -> None:
        self._timelines = timelines
        self._name = name
        self._sign = sign
        self._most = sign * limit + abs(limit) * SLACK
        self._step: int | None = None
        self._effort = effort

    def run(self, step: int) -> Extreme | None:
        """Return what goes furthest beyond the limit from a step on."""
        end = max(self._timelines.end(self._name), step)
        parts = [(step, end), (end + 1, MAX_STEP)]
        waiting = sorted(self._rated(start, stop) for start, stop in parts if start <= stop)
        while waiting:
            rating, start, stop = heapq.heappop(waiting)
            if -rating <= self._most:
                break
            short = stop - start < SHORT
            if not self._effort.spend(self._weight(start, stop) * (LOOK if short else 2)):
                return self._found() or Extreme(-self._sign * rating, None)
            if short:
                self._look_at(np.arange(start, stop + 1))
                continue
            middle = (start + stop) // 2
            heapq.heappush(waiting, self._rated(start, middle))
            heapq.heappush(waiting, self._rated(middle + 1, stop))
        return self._found()

    def _found(self) -> Extreme | None:
        return None if self._step is None else Extreme(self._sign * self._most, self._step)

    def _rated(self, start: int, stop: int) -> tuple[float, int, int]:
        """Return how far a part may go, as what is least for the worst, and where it lies."""
        bounds = self._timelines.bounds(start, stop)[self._name]
        return -(bounds.max if self._sign > 0 else -bounds.min), start, stop

    def _weight(self, start: int, stop: int) -> int:
        """Return how many light definitions the pieces of a part, and what they follow, are."""
        count = sum(
            nodes(piece.definition)
            for other in self._timelines.sources(self._name)
            for piece in self._timelines[other].between(start, stop)
        )
        return -(-count // LIGHT)

    def _look_at(self, steps: np.ndarray) -> None:
        values = self._sign * self._timelines.evaluate(steps)[self._name]
        best = int(np.argmax(values))
        if values[best] > self._most:
            self._most, self._step = float(values[best]), int(steps[best])
