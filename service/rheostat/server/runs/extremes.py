"""
Extremes: the value of a parameter that goes furthest beyond a limit, and where.

Intervals are bounded by interval arithmetic, which takes what depends on each other for independent
(a cross-fade of two curves, say) and so promises less than is true. What it cannot rule out is
halved, the worst part first, until the part is one step and its value is known.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

from rheostat.server.runs.grid import MAX_STEP
from rheostat.server.runs.timeline import Timelines

EFFORT = 4_000
"""Pieces that are bounded in all before what is in doubt is taken for what it may be."""

SLACK = 1e-12
"""Relative to the limit, what no slip makes: bounds are widened, and mixtures rounded."""


class Extreme(NamedTuple):
    """A value beyond a limit: at a step, or (if none is known) one that could not be ruled out."""

    value: float
    step: int | None


def above(timelines: Timelines, name: str, step: int, limit: float) -> Extreme | None:
    """Return the greatest value above ``limit`` from ``step`` on, or None if there is none."""
    return _beyond(timelines, name, step, limit, sign=1)


def below(timelines: Timelines, name: str, step: int, limit: float) -> Extreme | None:
    """Return the least value below ``limit`` from ``step`` on, or None if there is none."""
    return _beyond(timelines, name, step, limit, sign=-1)


def _beyond(timelines: Timelines, name: str, step: int, limit: float, sign: int) -> Extreme | None:
    most = sign * limit + abs(limit) * SLACK
    found: Extreme | None = None
    effort = 0

    def rated(start: int, stop: int) -> tuple[float, int, int]:
        nonlocal effort
        effort += len(timelines[name].between(start, stop))
        bounds = timelines.bounds(start, stop)[name]
        return -(bounds.max if sign > 0 else -bounds.min), start, stop

    end = min(max(timelines.end(name), step), MAX_STEP - 1)
    waiting = sorted([rated(step, end), rated(end + 1, MAX_STEP)])
    while waiting:
        rating, start, stop = heapq.heappop(waiting)
        if -rating <= max(most, sign * found.value if found else most):
            break
        if effort > EFFORT:
            return found or Extreme(-sign * rating, None)
        for place in {start, stop}:
            value = timelines.value(name, place)
            if sign * value > max(most, sign * found.value if found else most):
                found = Extreme(value, place)
        if stop - start > 1:
            middle = (start + stop) // 2
            for half in (rated(start, middle), rated(middle + 1, stop)):
                heapq.heappush(waiting, half)
    return found
