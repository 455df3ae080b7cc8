"""Presets: names for what people use most, made of the base curves and combinators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from rheostat.schedules.definition import Bounds, Child, Definition, Floats, Followed, Places
from rheostat.schedules.fields import Factor, Length, LengthOrZero, Positive, Value
from rheostat.schedules.kinds.curves import Constant, Ramp
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.shapes import Shaped, ShapeField

if TYPE_CHECKING:
    from rheostat.schedules.union import AnyDefinition


class Preset(Definition):
    """A kind that is evaluated through its expansion."""

    @cached_property
    def _expanded(self) -> Definition:
        return self.expansion()

    @abstractmethod
    def expansion(self) -> Definition:
        """Return the definition that this one stands for."""

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the expansion's values."""
        return self._expanded.at(t, followed)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the expansion's bounds."""
        return self._expanded.between(start, stop, followed)

    @property
    def length(self) -> int | None:
        """The expansion's length."""
        return self._expanded.length


class Step(Preset):
    """A value that is multiplied by `factor` every so many steps."""

    culprit = "factor"
    lengths = ("every",)

    kind: Literal["step"] = "step"
    start: Annotated[Value, Field(description="the value at step 0, in the parameter's unit")]
    every: Annotated[Positive, Field(description="how long each value holds, in steps")]
    factor: Annotated[Factor, Field(description="the factor of each change; no unit")]

    def expansion(self) -> Definition:
        """Return the exponential staircase."""
        return Exponential(start=self.start, factor=self.factor, every=self.every, staircase=True)


class Warmup(Preset, Shaped):
    """A ramp up to the first value of another definition, which then counts from its own 0."""

    lengths = ("steps",)

    kind: Literal["warmup"] = "warmup"
    steps: Annotated[LengthOrZero, Field(description="the length of the warm-up, in steps")]
    start: Annotated[Value, Field(description="the value at step 0, in the parameter's unit")] = 0.0
    shape: ShapeField = "linear"
    then: Annotated["AnyDefinition", Field(description="what follows the warm-up")]

    def expansion(self) -> Definition:
        """Return the sequence of the mirrored ramp and what follows."""
        peak = float(self.then.at(np.zeros(1, dtype=np.int64))[0])
        ramp = Ramp(
            start=self.start,
            end=peak,
            steps=max(self.steps, 1),
            shape=self.shape,
            power=self.power,
            ratio=self.ratio,
            mirrored=True,
        )
        return Sequence(parts=(Part(schedule=ramp, steps=self.steps), Part(schedule=self.then)))

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield what follows, if it is reached."""
        if stop >= self.steps:
            yield Child("then", self.then, max(start - self.steps, 0.0), stop - self.steps)


class Wsd(Preset, Shaped):
    """Warm-up, stable, decay: up to the peak, along it, and down."""

    lengths = ("warmup", "stable", "decay")

    kind: Literal["wsd"] = "wsd"
    peak: Annotated[Value, Field(description="the stable value, in the parameter's unit")]
    warmup: Annotated[LengthOrZero, Field(description="the length of the linear warm-up, in steps")]
    warmup_start: Annotated[
        Value, Field(description="the value at step 0, in the parameter's unit")
    ] = 0.0
    stable: Annotated[
        LengthOrZero | None,
        Field(description="how long the peak holds, in steps; null: until decided, and no decay"),
    ] = None
    decay: Annotated[
        Length | None,
        Field(description="the length of the decay, in steps; it waits while stable is null"),
    ] = None
    decay_shape: ShapeField = "linear"
    end: Annotated[
        Value, Field(description="the value after the decay, in the parameter's unit")
    ] = 0.0

    @model_validator(mode="after")
    def _decay_has_length(self) -> Self:
        if self.stable is not None and self.decay is None:
            message = "is required when stable is given"
            raise PydanticCustomError("wsd_decay", message, {"field": "decay"})
        return self

    def expansion(self) -> Definition:
        """Return the sequence of a ramp, the constant peak, and the decay if it has a place."""
        peak = Constant(value=self.peak)
        parts = [Part(schedule=peak, steps=self.stable)]
        if self.warmup:
            ramp = Ramp(start=self.warmup_start, end=self.peak, steps=self.warmup)
            parts.insert(0, Part(schedule=ramp, steps=self.warmup))
        if self.stable is not None and self.decay is not None:
            decay = Ramp(
                start=self.peak,
                end=self.end,
                steps=self.decay,
                shape=self.decay_shape,
                power=self.power,
                ratio=self.ratio,
            )
            parts.append(Part(schedule=decay, steps=self.decay))
        return Sequence(parts=tuple(parts))


class OneCycle(Preset):
    """One cycle: up from `start` to `peak`, down to `end`; in three phases first back to `start`."""

    lengths = ("steps",)

    kind: Literal["one_cycle"] = "one_cycle"
    peak: Annotated[Value, Field(description="the greatest value, in the parameter's unit")]
    steps: Annotated[Length, Field(description="the length of the cycle, in steps")]
    start: Annotated[Value, Field(description="the value at step 0, in the parameter's unit")]
    end: Annotated[Value, Field(description="the value from `steps` on, in the parameter's unit")]
    up: Annotated[
        float,
        Field(gt=0, lt=1, description="where the peak lies, as a fraction of `steps`"),
    ] = 0.3
    shape: Annotated[
        Literal["linear", "cosine"], Field(description="how values run between the corners")
    ] = "cosine"
    three_phase: Annotated[
        bool,
        Field(description="whether it falls back to start as fast as it rose, and then to end"),
    ] = False

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if self.three_phase and self.up >= 0.5:
            raise PydanticCustomError(
                "one_cycle_up",
                "must be below a half when three_phase is true",
                {"field": "up", "value": self.up, "bound": "< 0.5"},
            )
        return self

    def expansion(self) -> Definition:
        """Return the piecewise curve through the corners; the peak may lie between two steps."""
        top = self.up * self.steps
        points = [(0.0, self.start), (top, self.peak), (float(self.steps), self.end)]
        if self.three_phase:
            points.insert(2, (2 * top, self.start))
        return Piecewise(points=tuple(points), interpolation=self.shape)
