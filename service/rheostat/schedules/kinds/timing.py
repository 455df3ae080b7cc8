"""Combinators that change when things happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from math import ceil, inf, nextafter
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rheostat.limits import MAX_STEP
from rheostat.schedules import numeric
from rheostat.schedules.definition import (
    About,
    AnyKind,
    Array,
    Bounds,
    Child,
    Definition,
    Floats,
    Followed,
    Places,
    Wave,
    array,
    places_within,
)
from rheostat.schedules.field_types import Duration, Length, ShapeField, ShapePower, ShapeRatio
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.lengths import Json, Timeframe, consecutive, resolve
from rheostat.schedules.numeric import Shape

Inner = Annotated[AnyKind, Field(description="the definition whose time is changed")]


class Timed(Definition):
    """A combinator that looks up another definition at a place of its own."""

    family = "Combinators in time"

    of: Inner

    def places(self, t: Array) -> Array:
        """Return where the other definition is looked up; never falls as t grows."""
        raise NotImplementedError

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the other definition's values at those places."""
        return self.of.at(self.places(array(t)), followed)

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definition, with the places that are looked up."""
        first, last = (self.place(step) for step in (start, stop))
        yield Child("of", self.of, first, last)

    def place(self, step: float) -> float:
        """Return where the other definition is looked up at one step."""
        return inf if step == inf else float(self.places(np.array([step]))[0])

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the other definition's interval."""
        (child,) = self.children(start, stop)
        return self.of.between(child.start, child.stop, followed)


class Stretch(Timed):
    """A definition that takes longer, or less long."""

    about = About(
        formula="of(t/ratio)",
        after="what the definition inside holds there",
        example={
            "kind": "stretch",
            "ratio": 1.5,
            "of": {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 1000},
        },
        names={"composer": "scale_schedule_ratio"},
    )

    kind: Literal["stretch"] = "stretch"
    ratio: Annotated[
        float,
        Field(
            ge=1e-6,
            le=MAX_STEP,
            json_schema_extra={"unit": "none"},
            description="how many times as long it takes",
        ),
    ]

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Give what is stretched a clock of its own, without an end."""
        ratio = 1.0 if time.now is None else raw["ratio"]
        inner = time.slower(ratio)
        return {**raw, "of": resolve(raw["of"], inner, f"{path}.of")} if "of" in raw else raw

    def places(self, t: Array) -> Array:
        """Return t/ratio, up to the last coordinate there is."""
        return np.minimum(t / self.ratio, MAX_STEP)

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return the corners of the definition inside, as much later."""
        return self.of.corners(start / self.ratio, stop / self.ratio, most) * self.ratio

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the other definition's values at t/ratio, in its period if it has one."""
        return self.of.at(self._exact(array(t)), followed)

    def _exact(self, t: Array) -> Array:
        """
        Return t/ratio, less as many inner periods as it can be.

        A wave that began 10¹² steps ago is looked up as exactly as one that begins now.
        """
        inner = self._inner
        if inner is None:
            return self.places(t)
        if inner.start:
            return inner.places(*numeric.quotient(t, self.ratio))
        places, period = self.places(t), float(inner.period)
        turn = inner.period * Fraction(self.ratio)
        counted = (places >= period) & (t < float(turn) * numeric.COUNTED)
        rest = np.minimum(numeric.remainder(t, turn) / self.ratio, nextafter(period, 0.0))
        return np.where(counted, rest, places)

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definition, with the places that are looked up; whole periods of a wave."""
        (child,) = super().children(start, stop)
        first, last, inner = child.start, child.stop, self._inner
        if inner is not None and (inner.start or last > float(inner.period)):
            first, last = inner.stretch(first, last) if inner.start else (0.0, inf)
        yield child._replace(start=first, stop=last)

    @property
    def wave(self) -> Wave | None:
        """The inner wave, as much later and longer."""
        inner = self._inner
        if inner is None:
            return None
        ratio = Fraction(self.ratio)
        return Wave(ceil(inner.start * ratio), inner.period * ratio)

    @cached_property
    def _inner(self) -> Wave | None:
        return self.of.wave

    @property
    def length(self) -> int | None:
        """The inner length times the ratio, rounded up."""
        inner = self.of.length
        if inner is None:
            return None
        end = ceil(inner * self.ratio)
        return end + (end / self.ratio < inner)


class Warp(Timed):
    """A definition whose time runs unevenly, along a shape."""

    about = About(
        formula="of(steps · (1 − c(t/steps)))",
        after="the value of the definition inside at `steps`",
        example={
            "kind": "warp",
            "steps": 1000,
            "shape": "power",
            "power": 1.5,
            "of": {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 1000},
        },
        names={"timm": "k_decay"},
    )
    lengths = ("steps",)

    kind: Literal["warp"] = "warp"
    steps: Annotated[Length, Field(description="the length over which time is warped")]
    shape: ShapeField = "power"
    power: ShapePower = 1.0
    ratio: ShapeRatio = 0.1

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Give what is warped a clock of its own, without an end, which the warp leads."""
        out, end = consecutive(cls, raw, time, path)
        inner = Timeframe(time.clock)
        if time.now is not None:
            begin, steps = time.start.whole, end.whole - time.start.whole
            shape = {name: raw[name] for name in ("shape", "power", "ratio") if name in raw}
            warp = cls(of=Constant(value=0.0), steps=steps, **shape)
            now = Fraction(warp.place(max(float(time.now) - begin, 0.0)))
            totals = (Fraction(steps),) if end.whole in time.totals else ()
            inner = Timeframe(time.clock, now=now, last=time.last, totals=totals)
        return {**out, "of": resolve(raw["of"], inner, f"{path}.of")} if "of" in raw else out

    def places(self, t: Array) -> Array:
        """Return steps·(1 − c(t/steps))."""
        shape = Shape(self.shape, power=self.power, ratio=self.ratio)
        return self.steps * numeric.weight(shape, np.minimum(t, self.steps), self.steps)[1]

    def place(self, step: float) -> float:
        """Return where the other definition is looked up at one step."""
        return super().place(min(step, self.steps))

    @property
    def length(self) -> int:
        """The `steps`."""
        return self.steps


class Staircase(Timed):
    """A definition that is looked up only every so many steps, and holds in between."""

    about = About(
        formula="of(every · ⌊t/every⌋)",
        after="what the definition inside holds there",
        example={
            "kind": "staircase",
            "every": 100,
            "of": {"kind": "linear", "start": 0.1, "end": 0.0, "steps": 1000},
        },
        names={
            "deepspeed": "lr_range_test_staircase",
            "torch": "a scheduler stepped once per epoch",
        },
    )
    lengths = measures = ("every",)

    kind: Literal["staircase"] = "staircase"
    every: Annotated[Duration, Field(description="how long each value holds")]

    def places(self, t: Array) -> Array:
        """Return every·⌊t/every⌋."""
        return self.every * np.floor(t / self.every)

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the other definition's values at the stairs, in its period if it has one."""
        t, inner = array(t), self.of.wave
        if inner is None or self.every.is_integer():
            return self.of.at(self.places(t), followed)
        stairs = numeric.two_product(np.floor(t / self.every), self.every)
        return self.of.at(inner.places(*stairs), followed)

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definition, with the places that are looked up; whole periods of a wave."""
        (child,) = super().children(start, stop)
        if (inner := self.of.wave) is not None and not self.every.is_integer():
            first, last = inner.stretch(child.start, child.stop)
            child = child._replace(start=first, stop=last)
        yield child

    @property
    def wave(self) -> Wave | None:
        """Whole stairs and whole periods of the inner wave, if they meet soon."""
        inner = self.of.wave
        if inner is None:
            return None
        return inner | Wave(inner.start + ceil(self.every), Fraction(self.every))

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return the stairs at which corners of the definition inside are first seen."""
        first = self.every * np.floor(start / self.every)
        stairs = np.ceil(self.of.corners(first, stop, most) / self.every)
        return places_within(stairs * self.every, start, stop)

    @property
    def length(self) -> int | None:
        """The first stair at or past the inner length."""
        inner = self.of.length
        return None if inner is None else ceil(ceil(inner / self.every) * self.every)
