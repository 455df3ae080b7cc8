"""The decays that have no end of their own."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from rheostat.schedules import numeric
from rheostat.schedules.definition import About, Bounds, Definition, Floats, Followed, Places, array
from rheostat.schedules.field_types import Duration, Exponent, Factor, Start, Value

Every = Annotated[Duration, Field(description="how long one application takes")]
InStairs = Annotated[bool, Field(description="whether t/every is rounded down")]


class EndlessDecay(Definition):
    """A curve that moves away from `start` in one direction for ever."""

    family = "Decays"

    start: Start

    def limit(self) -> float:
        """Return what the value tends to."""
        return 0.0

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the values at both ends, or the limit."""
        del followed
        first = self.start if start == 0 else float(self.at(np.array([start]))[0])
        last = self.limit() if stop == inf else float(self.at(np.array([stop]))[0])
        return self.tightened(Bounds.around(first, last).widened())

    def tightened(self, bounds: Bounds) -> Bounds:
        """Return the part of the bounds that lies between 0 and `start`, where all values are."""
        return bounds.within(min(self.start, 0.0), max(self.start, 0.0))

    @property
    def length(self) -> int | None:
        """None: the value may change for ever."""
        return None


class Exponential(EndlessDecay):
    """A value that is multiplied by the same factor again and again, smoothly or in stairs."""

    about = About(
        formula=(
            "start · factor^(t/every), with t/every rounded down if `staircase`; at least `floor`"
        ),
        after="it has no end",
        example={"kind": "exponential", "start": 0.1, "factor": 0.96, "every": 100},
        names={
            "composer": "ExponentialScheduler",
            "fvcore": "ExponentialParamScheduler",
            "keras": "ExponentialDecay",
            "mmengine": "ExponentialParamScheduler",
            "optax": "exponential_decay",
            "paddle": "ExponentialDecay, NaturalExpDecay",
            "torch": "ExponentialLR",
        },
        shown=6000,
    )
    culprit = "factor"
    lengths = measures = ("every",)

    kind: Literal["exponential"] = "exponential"
    factor: Annotated[Factor, Field(description="the factor of each application")]
    every: Every = 1.0
    staircase: InStairs = False
    floor: Annotated[Value | None, Field(description="the least value; null for none")] = None

    @classmethod
    def recurs(cls, raw: Mapping[str, Any]) -> bool:
        """Whether it falls in stairs."""
        return bool(raw.get("staircase"))

    def turn(self, number: int) -> float:
        """Return where a stair begins."""
        return number * self.every

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start·factor^(t/every)."""
        del followed
        if self.staircase:
            values = numeric.exponential(np.floor(array(t) / self.every), self.start, self.factor)
        else:
            values = numeric.exponential(t, self.start, self.factor, self.every)
        return values if self.floor is None else np.maximum(values, self.floor)

    def limit(self) -> float:
        """Return 0, `start` or infinity, or the floor."""
        grown = self.start * inf if self.start else 0.0
        value = 0.0 if self.factor < 1 else self.start if self.factor == 1 else grown
        return value if self.floor is None else max(value, self.floor)

    def tightened(self, bounds: Bounds) -> Bounds:
        """Return what a factor up to 1 and the floor allow."""
        inner = super().tightened(bounds) if self.factor <= 1 else bounds
        return inner if self.floor is None else inner.within(self.floor, inf)


class InverseSqrt(EndlessDecay):
    """A power law of the time passed: an inverse square root, or another power."""

    about = About(
        formula="start · (timescale/(timescale + t))^power",
        after="it has no end",
        example={"kind": "inverse_sqrt", "start": 1e-3, "timescale": 4000},
        names={
            "fairseq": "inverse_sqrt",
            "megatron": "inverse-square-root",
            "nemo": "InverseSquareRootAnnealing",
            "olmo_core": "InvSqrtWithWarmup, PowerLR",
            "timm": "stable_fn rsqrt, power",
            "transformers": "get_inverse_sqrt_schedule",
        },
        shown=40000,
    )
    lengths = measures = ("timescale",)

    kind: Literal["inverse_sqrt"] = "inverse_sqrt"
    timescale: Annotated[
        Duration, Field(description="how long it takes to fall by the factor 2^−power")
    ]
    power: Annotated[Exponent, Field(description="the exponent")] = 0.5

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start·(timescale/(timescale + t))^power."""
        del followed
        return numeric.inverse_power(t, self.start, self.timescale, self.power)


class InverseTime(EndlessDecay):
    """A value divided by a line of the time passed, smoothly or in stairs."""

    about = About(
        formula="start / (1 + rate · t/every), with t/every rounded down if `staircase`",
        after="it has no end",
        example={"kind": "inverse_time", "start": 0.1, "rate": 0.5, "every": 1000},
        names={"keras": "InverseTimeDecay", "paddle": "InverseTimeDecay", "thinc": "decaying"},
        shown=20000,
    )
    lengths = measures = ("every",)

    kind: Literal["inverse_time"] = "inverse_time"
    rate: Annotated[Factor, Field(description="what each application adds to the divisor")]
    every: Every = 1.0
    staircase: InStairs = False

    @classmethod
    def recurs(cls, raw: Mapping[str, Any]) -> bool:
        """Whether it falls in stairs."""
        return bool(raw.get("staircase"))

    def turn(self, number: int) -> float:
        """Return where a stair begins."""
        return number * self.every

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return start/(1 + rate·t/every)."""
        del followed
        if self.staircase:
            return numeric.inverse_time(np.floor(array(t) / self.every), self.start, self.rate, 1.0)
        return numeric.inverse_time(t, self.start, self.rate, self.every)

    def limit(self) -> float:
        """Return 0, or `start` if the rate is 0."""
        return 0.0 if self.rate else self.start
