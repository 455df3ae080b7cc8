"""The decays that have no end of their own."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rheostat.schedules import numeric
from rheostat.schedules.definition import Bounds, Definition, Floats, Followed, Places
from rheostat.schedules.fields import Factor, Positive, Value

Start = Annotated[Value, Field(description="the value at step 0, in the parameter's unit")]
Every = Annotated[Positive, Field(description="how long one application takes, in steps")]
Staircase = Annotated[bool, Field(description="whether t/every is rounded down")]


class Decay(Definition):
    """A curve that moves away from `start` in one direction for ever."""

    start: Start

    def limit(self) -> float:
        """Return what the value tends to."""
        return 0.0

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends, or the limit."""
        del followed
        with np.errstate(over="ignore"):
            first = float(self.at(np.array([start]))[0])
            last = self.limit() if stop == inf else float(self.at(np.array([stop]))[0])
        return Bounds.around(first, last).widened()

    @property
    def length(self) -> int | None:
        """None: the value may change for ever."""
        return None


class Exponential(Decay):
    """A value that is multiplied by the same factor again and again, smoothly or in stairs."""

    culprit = "factor"
    lengths = ("every",)

    kind: Literal["exponential"] = "exponential"
    factor: Annotated[Factor, Field(description="the factor per `every` steps; no unit")]
    every: Every = 1.0
    staircase: Staircase = False
    floor: Annotated[
        Value | None,
        Field(description="no value falls below it, in the parameter's unit; none if null"),
    ] = None

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start·factor^(t/every)."""
        del followed
        if self.staircase:
            values = numeric.exponential(np.floor(t / self.every), self.start, self.factor, 1)
        else:
            values = numeric.exponential(t, self.start, self.factor, self.every)
        return values if self.floor is None else np.maximum(values, self.floor)

    def limit(self) -> float:
        """Return 0, `start` or infinity, or the floor."""
        grown = self.start * inf if self.start else 0.0
        value = 0.0 if self.factor < 1 else self.start if self.factor == 1 else grown
        return value if self.floor is None else max(value, self.floor)
