"""The base curves between two values."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, e, floor, inf
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from rheostat.limits import MAX_STEP
from rheostat.schedules import numeric
from rheostat.schedules.definition import (
    About,
    Bounds,
    Definition,
    Floats,
    Followed,
    Places,
    Wave,
    array,
)
from rheostat.schedules.field_types import (
    Duration,
    End,
    Exponent,
    Length,
    Position,
    ShapeField,
    ShapePower,
    ShapeRatio,
    Start,
    Value,
)
from rheostat.schedules.numeric import Shape
from rheostat.schedules.thin import spread


class Constant(Definition):
    """The same value at every step."""

    family = "Base curves"
    about = About(
        formula="value",
        after="the value",
        example={"kind": "constant", "value": 0.1},
        names={
            "fairseq": "fixed",
            "fvcore": "ConstantParamScheduler",
            "megatron": "constant",
            "optax": "constant_schedule",
            "timm": "sched=constant",
            "transformers": "get_constant_schedule",
        },
        shown=100,
    )

    kind: Literal["constant"] = "constant"
    value: Annotated[Value, Field(description="the value at every step")]

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return `value` everywhere."""
        del followed
        return np.full(len(t), self.value)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the value twice."""
        del start, stop, followed
        return Bounds(self.value, self.value)

    @property
    def length(self) -> int:
        """Zero: the value never changes."""
        return 0


class Transition(Definition):
    """A curve that goes from `start` to `end` in `steps` steps, without turning back."""

    family = "Base curves"
    lengths = ("steps",)

    start: Start
    end: End
    steps: Annotated[Length, Field(description="how long it takes from start to end")]

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends; exact for the whole curve."""
        del followed
        low, high = min(self.start, self.end), max(self.start, self.end)
        if start == 0 and stop >= self.steps:
            return Bounds(low, high)
        inner = Bounds.around(*self.at(np.array([start, min(stop, self.steps)])).tolist())
        return inner.widened(max(abs(low), abs(high))).within(low, high)

    def turn(self, number: int) -> float:
        """Return the multiple of `steps`."""
        return float(number * self.steps)

    def _turns(self, start: float, stop: float, most: int) -> Floats:
        """Return multiples of `steps`, where a curve that goes on past its end turns or jumps."""
        first, last = ceil(start / self.steps), floor(min(stop, MAX_STEP) / self.steps)
        count = max(last - first + 1, 0)
        return (first + spread(count, min(count, most))) * np.float64(self.steps)

    @property
    def length(self) -> int | None:
        """The curve's `steps`."""
        return self.steps


class Linear(Transition):
    """A line from `start` to `end`."""

    about = About(
        formula="start + (end − start) · t/steps",
        after="`end`",
        example={"kind": "linear", "start": 0.1, "end": 0.0, "steps": 10000},
        names={
            "composer": "LinearScheduler",
            "deepspeed": "WarmupDecayLR",
            "fvcore": "LinearParamScheduler",
            "megatron": "linear",
            "mmengine": "LinearParamScheduler",
            "optax": "linear_schedule",
            "paddle": "LinearLR",
            "torch": "LinearLR",
            "transformers": "get_linear_schedule_with_warmup",
        },
    )

    kind: Literal["linear"] = "linear"

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start + (end − start)·t/steps."""
        del followed
        return numeric.linear(t, self.start, self.end, self.steps)


class Cosine(Transition):
    """Half a cosine wave from `start` to `end`, or the wave that goes on."""

    about = About(
        formula="end + (start − end) · (1 + cos(π · t/steps))/2",
        after="`end`; if `periodic`, the wave goes on with period 2 · steps",
        example={"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10000},
        names={
            "composer": "CosineAnnealingScheduler",
            "deepspeed": "WarmupCosineLR",
            "fairseq": "cosine",
            "fvcore": "CosineParamScheduler",
            "ignite": "CosineAnnealingScheduler",
            "keras": "CosineDecay",
            "megatron": "cosine",
            "mmengine": "CosineAnnealingParamScheduler (periodic)",
            "optax": "cosine_decay_schedule",
            "paddle": "CosineAnnealingDecay (periodic)",
            "timm": "CosineLRScheduler",
            "torch": "CosineAnnealingLR (periodic)",
            "transformers": "get_cosine_schedule_with_warmup (periodic)",
        },
    )

    kind: Literal["cosine"] = "cosine"
    periodic: Annotated[bool, Field(description="whether the wave goes on past the end")] = False

    @classmethod
    def recurs(cls, raw: Mapping[str, Any]) -> bool:
        """Whether the wave goes on."""
        return bool(raw.get("periodic"))

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return end + (start − end)·(1 + cos(π·t/steps))/2."""
        del followed
        curve = numeric.cosine_periodic if self.periodic else numeric.cosine
        return curve(t, self.start, self.end, self.steps)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends; of a periodic wave, start and end."""
        if self.periodic:
            return Bounds.around(self.start, self.end)
        return super().between(start, stop, followed)

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return both ends; of a periodic wave, its turns."""
        turning = self._turns if self.periodic else super().corners
        return turning(start, stop, most)

    @property
    def wave(self) -> Wave | None:
        """Twice the `steps` of a periodic wave."""
        return Wave(0, Fraction(2 * self.steps)) if self.periodic else None

    @property
    def length(self) -> int | None:
        """The curve's `steps`; None of a periodic wave."""
        return None if self.periodic else self.steps


class Polynomial(Transition):
    """A power of what remains: steep at first if `power` is above 1."""

    about = About(
        formula=(
            "end + (start − end) · (1 − t/n)^power, n = steps; if `cycle`, steps · "
            "max(1, ⌈t/steps⌉)"
        ),
        after="`end`; if `cycle`, teeth that grow longer and lower, each ending at `end`",
        example={"kind": "polynomial", "start": 0.1, "end": 0.0, "steps": 200, "power": 2},
        names={
            "composer": "PolynomialScheduler",
            "fairseq": "polynomial_decay",
            "fvcore": "PolynomialDecayParamScheduler",
            "keras": "PolynomialDecay",
            "mmengine": "PolyParamScheduler",
            "optax": "polynomial_schedule",
            "paddle": "PolynomialDecay",
            "timm": "PolyLRScheduler",
            "torch": "PolynomialLR",
            "transformers": "get_polynomial_decay_schedule_with_warmup",
        },
        shown=250,
    )

    kind: Literal["polynomial"] = "polynomial"
    power: Annotated[Exponent, Field(description="the exponent")] = 1.0
    cycle: Annotated[
        bool, Field(description="whether it jumps up again past the end, with longer steps")
    ] = False

    @classmethod
    def recurs(cls, raw: Mapping[str, Any]) -> bool:
        """Whether it jumps up again."""
        return bool(raw.get("cycle"))

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return end + (start − end)·(1 − t/n)^power."""
        del followed
        if not self.cycle:
            return numeric.polynomial(t, self.start, self.end, self.steps, self.power)
        t = array(t)
        n = self.steps * np.maximum(1, np.ceil(t / self.steps))
        weight = numeric.weight(Shape("polynomial", power=self.power), t, n)
        return numeric.mix(self.start, self.end, *weight)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends; in cycles, start and end."""
        if self.cycle and stop > self.steps:
            return Bounds.around(self.start, self.end)
        return super().between(start, stop, followed)

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return both ends; of cycles, where they begin."""
        turning = self._turns if self.cycle else super().corners
        return turning(start, stop, most)

    @property
    def length(self) -> int | None:
        """The curve's `steps`; None of cycles."""
        return None if self.cycle else self.steps


class Ramp(Transition):
    """A curve from `start` to `end` along any shape, or along the shape run backwards."""

    about = About(
        formula=(
            "end + (start − end) · c(t/steps); if `mirrored`, start + (end − start) · "
            "c(1 − t/steps)"
        ),
        after="`end`",
        example={"kind": "ramp", "start": 3e-4, "end": 0.0, "steps": 2000, "shape": "1-sqrt"},
        names={
            "axolotl": "RexLR (rational)",
            "fastai": "SchedPoly (power)",
            "megatron": "lr_wsd_decay_style",
            "torch": "SWALR (linear, cosine)",
            "transformers": "warmup_type, decay_type",
        },
    )

    kind: Literal["ramp"] = "ramp"
    shape: ShapeField = "linear"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1
    mirrored: Annotated[
        bool, Field(description="whether the shape runs backwards in time, as in a warm-up")
    ] = False

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return end + (start − end)·c(t/steps), or start + (end − start)·c(1 − t/steps)."""
        del followed
        shape = Shape(self.shape, power=self.power, ratio=self.ratio)
        return numeric.shaped(t, self.start, self.end, self.steps, shape, backwards=self.mirrored)


class Sigmoid(Definition):
    """A logistic curve, also known as a hyperbolic tangent: from one level to another."""

    family = "Base curves"
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
    center: Annotated[Position, Field(description="where the value is half-way")]
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
