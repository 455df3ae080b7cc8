"""Curves that are given by their points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from rheostat.schedules import numeric
from rheostat.schedules.definition import Bounds, Definition, Floats, Followed, Places
from rheostat.schedules.fields import Factor, LengthOrZero, Position, Value

Point = Annotated[tuple[Position, Value], Field(strict=False)]


class Multistep(Definition):
    """A value that is multiplied by `factor` at each milestone."""

    culprit = "factor"

    kind: Literal["multistep"] = "multistep"
    start: Annotated[Value, Field(description="the value before all milestones")]
    milestones: Annotated[
        tuple[LengthOrZero, ...],
        Field(
            strict=False,
            description="the steps at which the value changes, in any order; repeated ones multiply again",
        ),
    ]
    factor: Annotated[Factor, Field(description="the factor at each milestone; no unit")]

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.sort(np.array(self.milestones, dtype=np.int64))

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start·factor^(number of milestones at or before t)."""
        del followed
        passed = np.searchsorted(self._sorted, t, side="right")
        return numeric.exponential(passed.astype(np.int64), self.start, self.factor, 1)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends."""
        del followed
        with np.errstate(over="ignore"):
            ends = self.at(np.array([start, stop]))
        return Bounds.around(*ends.tolist()).widened()

    @property
    def length(self) -> int:
        """The last milestone."""
        return max(self.milestones, default=0)


class Piecewise(Definition):
    """Values at given points, and what lies between them."""

    kind: Literal["piecewise"] = "piecewise"
    points: Annotated[
        tuple[Point, ...],
        Field(
            strict=False,
            min_length=1,
            description="pairs of a step (which may lie between two steps) and a value, in order",
        ),
    ]
    interpolation: Annotated[
        Literal["previous", "linear", "cosine", "geometric"],
        Field(description="what holds between two points"),
    ] = "linear"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for i, ((before, _), (after, _)) in enumerate(pairwise(self.points)):
            if after <= before:
                message = "must lie after the point before it, {bound}"
                raise PydanticCustomError(
                    "points_order",
                    message,
                    {"field": f"points[{i + 1}][0]", "value": after, "bound": f"> {before:g}"},
                )
        return self

    @model_validator(mode="after")
    def _signs(self) -> Self:
        if self.interpolation == "geometric":
            signs = {np.sign(value) for _, value in self.points}
            if len(signs) > 1 or 0 in signs:
                message = "geometric interpolation needs values of one sign and not zero"
                raise PydanticCustomError("points_sign", message, {"field": "points"})
        return self

    @cached_property
    def _steps(self) -> Floats:
        return np.array([step for step, _ in self.points])

    @cached_property
    def _values(self) -> Floats:
        return np.array([value for _, value in self.points])

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the value of the point before t, or what lies between it and the next one."""
        del followed
        last = len(self.points) - 1
        left = np.clip(np.searchsorted(self._steps, t, side="right") - 1, 0, last)
        if self.interpolation == "previous" or last == 0:
            return self._values[left]
        right = np.minimum(left + 1, last)
        width = np.where(right > left, self._steps[right] - self._steps[left], 1.0)
        y = np.clip((t - self._steps[left]) / width, 0.0, 1.0)
        return self._blend(self._values[left], self._values[right], y)

    def _blend(self, start: Floats, end: Floats, y: Floats) -> Floats:
        if self.interpolation == "geometric":
            mixed = start * np.exp(y * np.log(end / start))
        else:
            shape = numeric.Shape("cosine" if self.interpolation == "cosine" else "linear")
            w, v = numeric.weight(shape, y, 1)
            mixed = start * w + end * v
        return np.clip(mixed, np.minimum(start, end), np.maximum(start, end))

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the extremes of the points that are used."""
        del followed
        first = max(int(np.searchsorted(self._steps, start, side="right")) - 1, 0)
        used = self._values[first : int(np.searchsorted(self._steps, stop, side="right")) + 1]
        return Bounds(float(used.min()), float(used.max()))

    @property
    def length(self) -> int:
        """The last point's step, rounded up."""
        return int(np.ceil(self.points[-1][0]))
