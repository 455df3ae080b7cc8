"""The combinator that starts a definition again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil, inf, nextafter
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

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
    array,
    places_within,
)
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import Count, Duration, Factor, Growth
from rheostat.schedules.lengths import Json, Timeframe, consecutive, resolve
from rheostat.schedules.thin import spread

_SLOWEST: Final = 1.05
"""The least growth of periods: with less, too many cycles would fit on the axis."""
_BITS: Final = 100
"""Cycles are laid out in integers of 2^−100 steps, without rounding to speak of."""


class Repeat(Definition):
    """A definition that starts again and again, each time longer and higher if told so."""

    family = "Combinators in time"
    about = About(
        formula="peak_factor^i · of((t − start of cycle i)/period_factor^i), where cycle i is "
        "every · period_factor^i long",
        after="it has no end; after `cycles` cycles, the value at the end of the last one",
        example={
            "kind": "repeat",
            "every": 1000,
            "peak_factor": 0.5,
            "of": {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 1000},
        },
        names={"fairseq": "cosine with lr_shrink", "ignite": "cycle_mult", "olmo_core": "WSDS"},
        shown=5000,
    )
    lengths = ("every",)
    culprit = "peak_factor"
    recurring = True

    kind: Literal["repeat"] = "repeat"
    of: Annotated[AnyKind, Field(description="the definition of one cycle")]
    every: Annotated[Duration, Field(description="how long the first cycle takes")]
    period_factor: Annotated[
        Growth, Field(description="how much longer each cycle is: 1, or at least 1.05")
    ] = 1.0
    peak_factor: Annotated[Factor, Field(description="how much higher each cycle is")] = 1.0
    cycles: Annotated[
        Count | None, Field(description="how many cycles there are; null for no end")
    ] = None

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """Give what is repeated a clock of its own, which ends with the period."""
        out, end = consecutive(cls, raw, time, path)
        period = end.exact - time.start.exact
        inner = Timeframe(time.clock, end=period or None)
        return {**out, "of": resolve(raw["of"], inner, f"{path}.of")} if "of" in raw else out

    def turn(self, number: int) -> float:
        """Return where a cycle begins."""
        return cycle_start(self.every, self.period_factor, number)

    @property
    def turns(self) -> int | None:
        """The number of cycles."""
        return self.cycles

    @model_validator(mode="after")
    def _grows_or_not(self) -> Self:
        require_growth(self.period_factor)
        return self

    def _cycle(self, t: Array) -> tuple[Array, Array]:
        """Return the number of the cycle, and the place inside of it on the inner axis."""
        last = MAX_STEP if self.cycles is None else self.cycles - 1
        if self.period_factor != 1:
            starts, factors = _layout(self.every, self.period_factor, self.cycles or MAX_STEP)
            number = np.searchsorted(starts[:-1], t, side="right") - 1
            place = (t - starts[number]) / factors[number]
        else:
            every = int(self.every) if self.every.is_integer() else self.every
            count, rest = np.divmod(t, every)  # whose remainder is exact, far out as well
            number = np.minimum(count, last)
            place = np.where(count <= last, rest, t - number * every)
        ended = (number == last) & (place >= self.every)
        if place.dtype == np.int64:
            return number, np.where(ended, int(self.every), place)
        return number, np.where(ended, self.every, np.clip(place, 0.0, nextafter(self.every, 0.0)))

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the cycle's value, times peak_factor to the number of cycles before."""
        number, place = self._cycle(array(t))
        values = self.of.at(place, followed)
        if self.peak_factor == 1:
            return values
        return numeric.exponential(number, 1.0, self.peak_factor, 1.0) * values

    def _used(self, start: float, stop: float) -> tuple[Array, Child]:
        """Return the numbers of the first and last cycle, and what is used inside of them."""
        number, place = self._cycle(np.array([start, min(stop, MAX_STEP)]))
        first, last = place.tolist()
        if number[0] != number[1]:
            first, last = 0.0, max(last, nextafter(self.every, 0.0))
        return number, Child("of", self.of, first, last)

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definition, with the places that are used."""
        yield self._used(start, stop)[1]

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the interval of one cycle, times the factors of the first and last one."""
        number, child = self._used(start, stop)
        inner = self.of.between(child.start, child.stop, followed)
        if self.peak_factor == 1:
            return inner
        peaks = numeric.exponential(number, 1.0, self.peak_factor, 1.0)
        highest = max(1.0, *peaks.tolist())
        return inner.times(Bounds.around(*peaks.tolist()).widened().within(0.0, highest))

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return where cycles begin, and the corners inside of them."""
        inner = np.append(self.of.corners(0.0, self.every, most // 2), self.every)
        first, last = self._cycle(np.array([start, min(stop, MAX_STEP)]))[0].tolist()
        count = int(last - first) + 1
        number = int(first) + spread(count, min(count, max(most // len(inner), 2)))
        begins, factors = number * self.every, np.ones(len(number))
        if self.period_factor != 1:
            starts, growths = _layout(self.every, self.period_factor, self.cycles or MAX_STEP)
            begins, factors = starts[number], growths[number]
        found = places_within((begins[:, None] + inner * factors[:, None]).ravel(), start, stop)
        return found[spread(len(found), min(len(found), max(most, 2)))]

    @property
    def wavelength(self) -> Fraction | None:
        """The length of a cycle, if all are the same and there is no last one."""
        alike = self.period_factor == 1 and self.peak_factor == 1 and self.cycles is None
        return Fraction(self.every) if alike else None

    @property
    def length(self) -> int | None:
        """The end of the last cycle; None if there is no last one."""
        if self.cycles is None:
            return None
        if self.period_factor == 1:
            return ceil(self.cycles * Fraction(self.every))
        return ceil(float(_layout(self.every, self.period_factor, self.cycles)[0][-1]))


def require_growth(factor: float) -> None:
    """Raise for periods that grow, but hardly."""
    if 1 < factor < _SLOWEST:
        raise wrong("period_factor", "is too close to 1", factor, f"1 or ≥ {_SLOWEST}")


def cycle_start(every: float, growth: float, number: int) -> float:
    """Return where a cycle begins, of which the first is ``every`` long and each one longer."""
    if growth == 1:
        return number * every
    try:
        return every * (growth**number - 1) / (growth - 1)
    except OverflowError:
        return inf


@lru_cache(256)
def _layout(every: float, growth: float, cycles: int) -> tuple[Floats, Floats]:
    """Return where cycles start, and the last ends, and how much longer than the first they are."""
    up, down = growth.as_integer_ratio()
    shift = down.bit_length() - 1
    length = int(Fraction(every) * 2**_BITS)
    start, end = 0, MAX_STEP << _BITS
    starts: list[float] = []
    lengths: list[float] = []
    while start <= end and len(starts) < cycles:
        starts.append(float(start))
        lengths.append(float(length))
        start += length
        length = length * up >> shift
    factors = np.array(lengths) / lengths[0]
    return np.array([*starts, float(start)]) * 2.0**-_BITS, factors
