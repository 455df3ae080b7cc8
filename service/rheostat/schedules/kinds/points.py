"""Curves that are given by their points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import ceil, inf
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rheostat.schedules import numeric
from rheostat.schedules.definition import (
    About,
    Bounds,
    Definition,
    Floats,
    Followed,
    Places,
    array,
    places_within,
)
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import Factor, Points, Steps, Value, Values
from rheostat.schedules.lengths import Json, Timeframe, place
from rheostat.schedules.thin import spread, thin


class Multistep(Definition):
    """A value that is multiplied by `factor` at each milestone."""

    family = "Points"
    about = About(
        formula="start · factor^(number of milestones ≤ t)",
        after="the value after the last milestone",
        example={
            "kind": "multistep",
            "start": 0.1,
            "milestones": [3000, 6000, 8000],
            "factor": 0.1,
        },
        names={
            "composer": "MultiStepScheduler",
            "fvcore": "MultiStepParamScheduler",
            "mmengine": "MultiStepParamScheduler",
            "optax": "piecewise_constant_schedule",
            "paddle": "MultiStepDecay",
            "timm": "MultiStepLRScheduler",
            "torch": "MultiStepLR",
        },
    )
    culprit = "factor"

    kind: Literal["multistep"] = "multistep"
    start: Annotated[Value, Field(description="the value before all milestones")]
    milestones: Annotated[
        Steps,
        Field(
            description="the steps at which it changes, in any order; a repeated one counts again",
        ),
    ]
    factor: Annotated[Factor, Field(description="the factor at each milestone")]

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Count the milestones from the definition's own start."""
        items = raw.get("milestones")
        if not isinstance(items, (list, tuple)) or str not in {*map(type, items)}:
            return raw
        here = f"{path}.milestones"
        milestones = [place(item, time, f"{here}[{i}]", last=True) for i, item in enumerate(items)]
        return {**raw, "milestones": milestones}

    @cached_property
    def _sorted(self) -> NDArray[np.int64]:
        return np.sort(np.array(self.milestones, dtype=np.int64))

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start·factor^(number of milestones at or before t)."""
        del followed
        passed = np.searchsorted(self._sorted, array(t), side="right")
        return numeric.exponential(passed.astype(np.int64), self.start, self.factor)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends."""
        del followed
        ends = Bounds.around(*self.at(np.array([start, stop])).tolist()).widened()
        if self.factor > 1:
            return ends
        return ends.within(min(self.start, 0.0), max(self.start, 0.0))

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return the milestones."""
        found = places_within(self._sorted, start, stop)
        return found[spread(len(found), min(len(found), most))]

    @property
    def length(self) -> int:
        """The last milestone."""
        return int(self._sorted[-1]) if self.milestones else 0


class Piecewise(Definition):
    """Values at given points, and what lies between them."""

    family = "Points"
    about = About(
        formula="the value of the last point at or before t (`previous`), or what lies between it "
        "and the next one: a line, half a cosine wave, or a^(1 − y) · b^y (`geometric`)",
        after="the last point's value; before the first point, its value",
        example={"kind": "piecewise", "points": [[0, 0.0], [5, 0.4], [24, 0.0]]},
        names={
            "diffusers": "piecewise_constant (previous)",
            "fairseq": "manual, fixed (previous)",
            "ignite": "PiecewiseLinear",
            "keras": "PiecewiseConstantDecay (previous)",
            "optax": "piecewise_interpolate_schedule",
            "paddle": "PiecewiseDecay (previous)",
        },
    )

    kind: Literal["piecewise"] = "piecewise"
    points: Annotated[
        Points,
        Field(
            description="pairs of a step, which may lie between two steps, and a value; in order",
        ),
    ]
    interpolation: Annotated[
        Literal["previous", "linear", "cosine", "geometric"],
        Field(description="what holds between two points"),
    ] = "linear"

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Count the steps that are written as text from the definition's own start."""
        items = raw.get("points")
        if not isinstance(items, (list, tuple)) or not any(_has_text(item) for item in items):
            return raw
        points = [
            _placed(item, time, f"{path}.points[{i}][0]", last=i == len(items) - 1)
            for i, item in enumerate(items)
        ]
        return {**raw, "points": points}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        out_of_order = np.flatnonzero(np.diff(self._steps) <= 0)
        if out_of_order.size:
            i = int(out_of_order[0])
            before, after = self.points[i][0], self.points[i + 1][0]
            raise wrong(
                f"points[{i + 1}][0]", "must lie after the point before it", after, f"> {before:g}"
            )
        return self

    @model_validator(mode="after")
    def _of_one_sign(self) -> Self:
        if self.interpolation == "geometric" and not 0 < abs(np.sign(self._values).sum()) == len(
            self.points
        ):
            message = "must be all above or all below zero for geometric interpolation"
            raise wrong("points", message, self.points, "values of one sign, none of them zero")
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
        t, last = array(t), len(self.points) - 1
        left = np.clip(np.searchsorted(self._steps, t, side="right") - 1, 0, last)
        if self.interpolation == "previous":
            return self._values[left]
        right = np.minimum(left + 1, last)
        start, end = self._values[left], self._values[right]
        width = np.where(right > left, self._steps[right] - self._steps[left], 1.0)
        passed = np.clip(t - self._steps[left], 0.0, width)
        if self.interpolation == "geometric":
            return numeric.geometric(passed, start, end, width)
        weights = numeric.weight(numeric.Shape(self.interpolation), passed, width)
        return numeric.mix(start, end, *weights)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the extremes of the points from start to stop, and of those around."""
        del followed
        first = max(int(np.searchsorted(self._steps, start, side="right")) - 1, 0)
        if self.interpolation == "previous":
            end = max(int(np.searchsorted(self._steps, stop, side="right")), first + 1)
        else:
            end = int(np.searchsorted(self._steps, stop, side="left")) + 1
        used = self._values[first:end]
        return Bounds(float(used.min()), float(used.max()))

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return the points."""
        first, end = np.searchsorted(self._steps, [start, np.nextafter(stop, inf)]).tolist()
        used = slice(first, end)
        return self._steps[used][thin([self._values[used]], max(most, 2))]

    @property
    def length(self) -> int:
        """The last point's step, rounded up."""
        return ceil(self.points[-1][0])


def _has_text(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and bool(item) and isinstance(item[0], str)


def _placed(item: Any, time: Timeframe, path: str, *, last: bool) -> Any:
    return [place(item[0], time, path, last=last), *item[1:]] if _has_text(item) else item


class Table(Definition):
    """One value for each step, for curves that no other kind describes."""

    family = "Points"
    about = About(
        formula="values[t]",
        after="the last value",
        example={"kind": "table", "values": [0.1, 0.08, 0.05, 0.04]},
        names={"torch": "LambdaLR, MultiplicativeLR (tabulated)"},
        shown=8,
    )

    kind: Literal["table"] = "table"
    values_: Annotated[
        Values,
        Field(
            alias="values",
            description="the value of each step from 0 on",
        ),
    ]

    @cached_property
    def _values(self) -> Floats:
        return np.array(self.values_)

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the value of the step, or of the step before a place between two."""
        del followed
        return self._values[np.minimum(array(t), len(self._values) - 1).astype(np.int64)]

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the extremes of the values from start to stop."""
        del followed
        last = len(self._values) - 1
        used = self._values[int(min(start, last)) : int(min(stop, last)) + 1]
        return Bounds(float(used.min()), float(used.max()))

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return the steps of the table whose values stick out."""
        first, last = ceil(start), int(min(stop, len(self._values) - 1))
        used = self._values[first : last + 1]
        return first + thin([used], max(most, 2)).astype(np.float64)

    @property
    def length(self) -> int:
        """The last value's step."""
        return len(self.values_) - 1
