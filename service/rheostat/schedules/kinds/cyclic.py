"""The triangular cycles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rheostat.schedules import numeric
from rheostat.schedules.definition import Bounds, Definition, Floats, Followed, Places
from rheostat.schedules.fields import Length, Value


class Cyclic(Definition):
    """Up and down between two values for ever, with an amplitude that may shrink."""

    lengths = ("up", "down")

    kind: Literal["cyclic"] = "cyclic"
    low: Annotated[Value, Field(description="the value at step 0, in the parameter's unit")]
    high: Annotated[
        Value, Field(description="the value at the first turn, in the parameter's unit")
    ]
    up: Annotated[Length, Field(description="the length of the way up, in steps")]
    down: Annotated[Length, Field(description="the length of the way down, in steps")]
    shape: Annotated[
        Literal["linear", "cosine"], Field(description="how values run between low and high")
    ] = "linear"
    amplitude: Annotated[
        Literal["constant", "halving", "exponential"],
        Field(
            description="high − low: the same, halved in each cycle, or times gamma in each step"
        ),
    ] = "constant"
    gamma: Annotated[
        float, Field(gt=0, le=1, description="the factor per step of the exponential amplitude")
    ] = 1.0

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return low + (high − low)·w(t)·a(t)."""
        del followed
        cycle, place = np.divmod(t, self.up + self.down)
        shape = numeric.Shape(self.shape)
        rise = numeric.weight(shape, np.minimum(place, self.up), self.up)[1]
        fall = numeric.weight(shape, np.maximum(place - self.up, 0), self.down)[0]
        w = np.where(place < self.up, rise, fall)
        if self.amplitude == "halving":
            w = w * numeric.exponential(cycle, 1.0, 0.5, 1)
        elif self.amplitude == "exponential":
            w = w * numeric.exponential(t, 1.0, self.gamma, 1)
        return numeric.mix(self.low, self.high, 1 - w, w)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return low and high."""
        del start, stop, followed
        return Bounds.around(self.low, self.high)

    @property
    def length(self) -> None:
        """None: the cycles go on for ever."""
        return
