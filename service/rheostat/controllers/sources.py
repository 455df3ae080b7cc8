"""
Several sources of one metric: when a step is complete, and the one value that it then has.

No clock decides: a step is complete once as many sources as expected have reported it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum, isfinite
from typing import Annotated, Literal

from pydantic import Field

from rheostat.controllers.fields import Part
from rheostat.limits import MAX_SOURCES


class Sources(Part):
    """How many sources report the metric, and how their values become one."""

    expect: Annotated[
        int,
        Field(ge=1, le=MAX_SOURCES, description="a step is complete when so many have reported it"),
    ] = 1
    reduce: Annotated[
        Literal["mean", "min", "max", "sum"],
        Field(description="what their values become; NaN among them makes it NaN"),
    ] = "mean"

    def complete(self, values: Mapping[str, float]) -> bool:
        """Say whether a step with these values, by source, waits for nobody."""
        return len(values) >= self.expect

    def reduced(self, values: Mapping[str, float]) -> float:
        """
        Return the one value of a step, from those of its sources.

        Sources are taken in the order of their names, never in that of arrival, and sums are exact
        before they are rounded: equal values give equal bits.
        """
        ordered = [values[name] for name in sorted(values)]
        if len(ordered) == 1:
            return ordered[0]
        if self.reduce == "mean":
            return exact_mean(ordered)
        if self.reduce == "sum":
            return _exact_sum(ordered)
        if any(value != value for value in ordered):  # noqa: PLR0124 - NaN alone differs from itself
            return float("nan")
        return min(ordered) if self.reduce == "min" else max(ordered)


def exact_mean(values: Sequence[float]) -> float:
    """Return the sum, rounded once, over their number; NaN and infinities as IEEE 754 has them."""
    try:
        return _exact(values) / len(values)
    except OverflowError:  # the sum is beyond float64, the mean is not
        return fsum(value / len(values) for value in values)


def _exact_sum(values: Sequence[float]) -> float:
    try:
        return _exact(values)
    except OverflowError:
        return sum(values)


def _exact(values: Sequence[float]) -> float:
    """Return the sum; `fsum` refuses infinities of both signs, whose sum is NaN."""
    return fsum(values) if all(map(isfinite, values)) else sum(values)
