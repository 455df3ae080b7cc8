"""Presets: names for what people use most, made of the base curves and combinators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import inf
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from rheostat.schedules.definition import (
    About,
    AnyKind,
    Bounds,
    Child,
    Definition,
    Floats,
    Followed,
    Places,
    Wave,
)
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import (
    Ahead,
    Duration,
    Factor,
    Length,
    LengthOrZero,
    ShapeField,
    ShapePower,
    ShapeRatio,
    Start,
    Value,
)
from rheostat.schedules.kinds.curves import Constant, Ramp
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.lengths import Json, Timeframe, consecutive, resolve


class Preset(Definition):
    """A kind that is evaluated through its expansion."""

    family = "Presets"

    @cached_property
    def _expanded(self) -> Definition:
        with np.errstate(over="ignore", invalid="ignore"):
            return self.expansion()

    def check(self) -> None:
        """Raise for fields that do not fit together."""

    @model_validator(mode="after")
    def _can_be_expanded(self) -> Self:
        self.check()
        if self.follows():  # which `parse` refuses, by the field's own path
            return self
        try:
            _ = self._expanded
        except ValidationError:
            value = getattr(self, self.culprit)
            message = "lets values leave the range of float64"
            raise wrong(self.culprit, message, value, "finite values at every step") from None
        return self

    @abstractmethod
    def expansion(self) -> Definition:
        """Return the definition that this one stands for."""

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the expansion's values."""
        return self._expanded.at(t, followed)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the expansion's bounds."""
        return self._expanded.between(start, stop, followed)

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return the expansion's corners."""
        return self._expanded.corners(start, stop, most)

    @property
    def wave(self) -> Wave | None:
        """The expansion's wave."""
        return self._expanded.wave

    @property
    def length(self) -> int | None:
        """The expansion's length."""
        return self._expanded.length


class Step(Preset):
    """A value that is multiplied by `factor` every so many steps."""

    about = About(
        formula="start · factor^⌊t/every⌋",
        after="it has no end",
        example={"kind": "step", "start": 0.1, "every": 30, "factor": 0.1},
        names={
            "composer": "StepScheduler",
            "fairseq": "step",
            "fvcore": "StepParamScheduler",
            "mmengine": "StepParamScheduler",
            "paddle": "StepDecay",
            "timm": "StepLRScheduler",
            "torch": "StepLR",
        },
        shown=150,
    )
    lengths = ("every",)
    culprit = "factor"
    recurring = True

    kind: Literal["step"] = "step"
    start: Start
    every: Annotated[Duration, Field(description="how long each value holds")]
    factor: Annotated[Factor, Field(description="the factor of each change")]

    def turn(self, number: int) -> float:
        """Return where the value changes."""
        return number * self.every

    def expansion(self) -> Definition:
        """Return the exponential staircase."""
        return Exponential(start=self.start, factor=self.factor, every=self.every, staircase=True)


class Warming(Preset):
    """A preset whose warm-up may run ahead of the step."""

    early: ClassVar[str]
    """The field that says by how much; JSON does not have it at 0, as it had not before it came."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        if not getattr(self, self.early):
            written.pop(self.early, None)
        return written


class Warmup(Warming):
    """A ramp up to the first value of another definition, which then counts from its own 0."""

    about = About(
        formula=(
            "start + (v − start) · c(1 − (t + ahead)/steps) with v = then(0); from `steps` on "
            "then(t − steps)"
        ),
        after="what `then` holds there",
        example={
            "kind": "warmup",
            "steps": 2000,
            "then": {"kind": "cosine", "start": 3e-4, "end": 3e-5, "steps": 98000},
        },
        names={
            "ignite": "create_lr_scheduler_with_warmup",
            "megatron": "lr_warmup_samples",
            "open_clip": "warmup (ahead = 1)",
            "optax": "warmup_*",
            "paddle": "LinearWarmup",
            "timm": "warmup_t, warmup_prefix",
            "transformers": "get_*_with_warmup",
        },
    )
    lengths = ("steps",)
    culprit = "then"
    early = "ahead"

    kind: Literal["warmup"] = "warmup"
    steps: Annotated[LengthOrZero, Field(description="the length of the warm-up")]
    start: Start = 0.0
    ahead: Ahead = 0
    shape: ShapeField = "linear"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1
    then: Annotated[AnyKind, Field(description="what follows the warm-up")]

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Let what follows the warm-up begin where it ends."""
        out, end = consecutive(cls, raw, time.followed(), path)
        then = resolve(raw.get("then"), time.since(end), f"{path}.then")
        return out if then is None else {**out, "then": then}

    def expansion(self) -> Definition:
        """Return the sequence of the mirrored ramp and what follows."""
        then = Part(schedule=self.then)
        if self.steps == 0:
            return Sequence(parts=(then,))
        ramp = Ramp(
            start=self.start,
            end=float(self.then.at(np.zeros(1, dtype=np.int64))[0]),
            steps=self.steps,
            shape=self.shape,
            power=self.power,
            ratio=self.ratio,
            mirrored=True,
        )
        return Sequence(parts=(early(ramp, self.ahead), then))

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield what follows, if it is reached."""
        if stop >= self.steps:
            yield Child("then", self.then, max(start - self.steps, 0.0), stop - self.steps)


class Wsd(Warming):
    """Warm-up, stable, decay: up to the peak, along it, and down."""

    about = About(
        formula="warmup_start + (peak − warmup_start) · (t + warmup_ahead)/warmup until `warmup`, "
        "then peak for `stable` steps, then end + (peak − end) · c(y), y from 0 to 1 in `decay` "
        "steps",
        after=(
            "`end`; while `stable` is null, the peak holds for ever and the decay has no place yet"
        ),
        example={
            "kind": "wsd",
            "peak": 3e-4,
            "warmup": 2000,
            "stable": 88000,
            "decay": 10000,
            "decay_shape": "1-sqrt",
        },
        names={
            "maxtext": "lr_schedule_type=wsd",
            "megatron": "WSD",
            "nanochat": "warmup_ratio, warmdown_ratio (warmup_ahead = 1)",
            "nanotron": "lr_decay_starting_step",
            "nemo": "WarmupHoldAnnealLinear, WarmupHoldAnnealOneMinusSquareRoot",
            "olmo_core": "WSD",
            "pytorch_optimizer": "get_wsd_schedule",
            "timm": "WSDLRScheduler",
            "torchtitan": "decay_ratio",
            "transformers": "get_wsd_schedule",
        },
    )
    lengths = ("warmup", "stable", "decay")
    culprit = "peak"
    early = "warmup_ahead"

    kind: Literal["wsd"] = "wsd"
    peak: Annotated[Value, Field(description="the stable value")]
    warmup: Annotated[LengthOrZero, Field(description="the length of the linear warm-up")]
    warmup_start: Start = 0.0
    warmup_ahead: Ahead = 0
    stable: Annotated[
        LengthOrZero | None, Field(description="how long the peak holds; null while undecided")
    ] = None
    decay: Annotated[
        Length | None, Field(description="the length of the decay; required if stable is given")
    ] = None
    decay_shape: ShapeField = "linear"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1
    end: Annotated[Value, Field(description="the value after the decay")] = 0.0

    def check(self) -> None:
        """Require a decay when the stable phase has an end."""
        if self.stable is not None and self.decay is None:
            raise wrong("decay", "is required when stable is given", None, "≥ 1")

    def expansion(self) -> Definition:
        """Return the sequence of a ramp, the constant peak, and the decay if it has a place."""
        parts = [Part(schedule=Constant(value=self.peak), steps=self.stable)]
        if self.warmup:
            ramp = Ramp(start=self.warmup_start, end=self.peak, steps=self.warmup)
            parts.insert(0, early(ramp, self.warmup_ahead))
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


def early(ramp: Ramp, ahead: int) -> Part:
    """Return the part of a ramp that is left of it if it runs ahead, and the end for the rest."""
    return Part.model_validate({"schedule": ramp, "from": ahead, "steps": ramp.steps})
