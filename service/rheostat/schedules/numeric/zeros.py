"""Where a curve between two values is nearest to zero."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rheostat.schedules.numeric.big import Big


class Zero(NamedTuple):
    """The whole step at which a curve is nearest to zero, and exact values right beside it."""

    place: int
    beside: Mapping[int, float]


def nearest_zero(value: Callable[[int], Big], first: float, last: float, steps: int) -> Zero:
    """
    Return where a curve is nearest to zero that runs one way from a first to a last value.

    It is one of the ends, unless they have opposite signs. ``value(n)`` is the value at a
    whole step n. Right beside a change of sign, a sum would still cancel: those values are given.
    """
    if first >= 0 <= last or first <= 0 >= last:
        return Zero(0 if abs(first) <= abs(last) else steps, {})
    rises = last > 0

    def crossed(n: int) -> bool:
        return (value(n).mantissa > 0) == rises

    def rounded(n: int) -> float:
        return {0: first, steps: last}.get(n) or float(value(n))

    after = bisect_left(range(steps), True, lo=1, key=crossed)
    place = min((after - 1, after), key=lambda n: abs(rounded(n)))
    return Zero(place, {n: rounded(n) for n in (place - 1, place + 1) if 0 < n < steps})
