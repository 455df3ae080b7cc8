"""The logistic curve."""

from __future__ import annotations

from collections.abc import Mapping
from math import e, inf
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rheostat.schedules import numeric
from rheostat.schedules.definition import About, Bounds, Definition, Floats, Followed, Places, array
from rheostat.schedules.fields import Duration, Place, Value


class Sigmoid(Definition):
    """A logistic curve, also known as a hyperbolic tangent: from one level to another."""

    about = About(
        formula="end + (start − end) / (1 + e^((t − center)/width))",
        after="it has no end, and tends to `end`",
        example={"kind": "sigmoid", "start": 0.1, "end": 0.001, "center": 700, "width": 50},
        names={"caffe": "sigmoid", "timm": "TanhLRScheduler"},
        shown=1500,
    )
    lengths = ("center", "width")
    measures = ("width",)

    kind: Literal["sigmoid"] = "sigmoid"
    start: Annotated[Value, Field(description="what the value comes from, long before the center")]
    end: Annotated[Value, Field(description="what the value tends to, long after the center")]
    center: Annotated[Place, Field(description="where the value is half-way")]
    width: Annotated[
        Duration,
        Field(description="how long the exponent takes to grow by one"),
    ]

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return end + (start − end)/(1 + e^((t − center)/width))."""
        del followed
        t = array(t)
        growth = numeric.exponential(np.abs(t - self.center), 1.0, e, self.width)
        less, more = 1 / (1 + growth), 1 / (1 + 1 / growth)
        early = t < self.center
        w, v = np.where(early, more, less), np.where(early, less, more)
        return numeric.mix(self.start, self.end, w, v)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends, or the level that it tends to."""
        del followed
        low, high = min(self.start, self.end), max(self.start, self.end)
        ends = [
            self.at(np.array([place]))[0] if place < inf else self.end for place in (start, stop)
        ]
        return Bounds.around(*map(float, ends)).widened(max(abs(low), abs(high))).within(low, high)

    @property
    def length(self) -> None:
        """None: the value may change for ever."""
        return
