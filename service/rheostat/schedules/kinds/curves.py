"""The base curves between two values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rheostat.schedules import numeric
from rheostat.schedules.definition import Bounds, Definition, Floats, Followed, Places
from rheostat.schedules.fields import Length, Positive, Value
from rheostat.schedules.shapes import Shaped, ShapeField

Start = Annotated[Value, Field(description="the value at step 0, in the parameter's unit")]
End = Annotated[Value, Field(description="the value from `steps` on, in the parameter's unit")]
Steps = Annotated[Length, Field(description="the length from start to end, in steps")]


class Constant(Definition):
    """The same value at every step."""

    kind: Literal["constant"] = "constant"
    value: Annotated[Value, Field(description="the value, in the parameter's unit")]

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return `value` everywhere."""
        del followed
        return np.full(t.shape, self.value)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the value twice."""
        del start, stop, followed
        return Bounds(self.value, self.value)

    @property
    def length(self) -> int:
        """Zero: the value never changes."""
        return 0


class Curve(Definition):
    """A curve that goes from `start` to `end` in `steps` steps, without turning back."""

    lengths = ("steps",)

    start: Start
    end: End
    steps: Steps

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends; exact for the whole curve."""
        del followed
        inner = self.at(np.array([start, min(stop, self.steps)]))
        rough = Bounds.around(*inner.tolist()).widened()
        low, high = min(self.start, self.end), max(self.start, self.end)
        return Bounds(max(low, rough.min), min(high, rough.max))

    @property
    def length(self) -> int | None:
        """The curve's `steps`."""
        return self.steps


class Linear(Curve):
    """A line from `start` to `end`."""

    kind: Literal["linear"] = "linear"

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start + (end − start)·t/steps."""
        del followed
        return numeric.linear(t, self.start, self.end, self.steps)


class Cosine(Curve):
    """Half a cosine wave from `start` to `end`, or the wave that goes on."""

    kind: Literal["cosine"] = "cosine"
    periodic: Annotated[
        bool, Field(description="whether the wave goes on past the end, with period 2·steps")
    ] = False

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return end + (start − end)·(1 + cos(π·t/steps))/2."""
        del followed
        curve = numeric.cosine_periodic if self.periodic else numeric.cosine
        return curve(t, self.start, self.end, self.steps)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends; of a periodic wave, of start and end."""
        if self.periodic:
            return Bounds.around(self.start, self.end)
        return super().between(start, stop, followed)

    @property
    def length(self) -> int | None:
        """The curve's `steps`, or None of a periodic wave."""
        return None if self.periodic else self.steps


class Polynomial(Curve):
    """A power of what remains: from `start` to `end`, steep first if `power` is above 1."""

    kind: Literal["polynomial"] = "polynomial"
    power: Annotated[Positive, Field(description="the exponent; no unit")] = 1.0

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return end + (start − end)·(1 − t/steps)^power."""
        del followed
        return numeric.polynomial(t, self.start, self.end, self.steps, self.power)


class Ramp(Curve, Shaped):
    """A curve from `start` to `end` along any shape, or along the shape run backwards."""

    kind: Literal["ramp"] = "ramp"
    shape: ShapeField = "linear"
    mirrored: Annotated[
        bool,
        Field(description="whether the shape runs backwards in time, as warm-ups do: c(1 − y)"),
    ] = False

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return end + (start − end)·c(t/steps), or start + (end − start)·c(1 − t/steps)."""
        del followed
        shape = self.shaped_as(self.shape)
        if not self.mirrored:
            return numeric.shaped(t, self.start, self.end, self.steps, shape)
        left = self.steps - np.minimum(t, self.steps)
        return numeric.shaped(left, self.end, self.start, self.steps, shape)
