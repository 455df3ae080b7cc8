"""The combinator that starts a definition again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil, expm1, floor, inf, log, log1p, nextafter
from typing import Annotated, Final, Literal, NamedTuple, Self

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
    Wave,
    array,
    places_within,
)
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import SHORTEST, Count, Duration, Factor, Growth
from rheostat.schedules.lengths import Json, Timeframe, consecutive, resolve
from rheostat.schedules.thin import spread

_BITS: Final = 100
"""Cycles are laid out in integers of 2^−100 steps, without rounding to speak of."""
_UNIT: Final = 2.0**-_BITS
_AXIS: Final = MAX_STEP << _BITS
_BLOCK: Final = 1024
"""Cycles in a block: those of a later block are those of the first one, so many times as long."""
MOST_CYCLES: Final = 2**18
"""Cycles of different lengths: 256 blocks."""
_QUICK: Final = 1.05
"""Growth from which on its powers less one keep their digits."""


class Repeat(Definition):
    """A definition that starts again and again, longer or shorter and higher if told so."""

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
        Growth, Field(description="how many times as long as the one before it each cycle is")
    ] = 1.0
    peak_factor: Annotated[Factor, Field(description="how much higher each cycle is")] = 1.0
    cycles: Annotated[
        Count | None,
        Field(description="how many cycles there are; null for no end, unless they grow shorter"),
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
        return cycle_start(self.every, self.period_factor, number, self.cycles)

    @property
    def turns(self) -> int | None:
        """The number of cycles."""
        return self.cycles

    @model_validator(mode="after")
    def _countable(self) -> Self:
        require_countable(self.every, self.period_factor, self.cycles)
        return self

    def _cycle(self, t: Array) -> tuple[Array, Array]:
        """Return the number of the cycle, and the place inside of it on the inner axis."""
        last = MAX_STEP if self.cycles is None else self.cycles - 1
        if self.period_factor != 1:
            number, place = self._cycles.cycle(t)
            number = np.minimum(number, last)
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
            begins, factors = self._cycles.places(number)
        found = places_within((begins[:, None] + inner * factors[:, None]).ravel(), start, stop)
        return found[spread(len(found), min(len(found), max(most, 2)))]

    @property
    def _cycles(self) -> _Cycles:
        return _layout(self.every, self.period_factor, self.cycles or MAX_STEP)

    @property
    def wave(self) -> Wave | None:
        """The length of a cycle, if all are the same and there is no last one."""
        alike = self.period_factor == 1 and self.peak_factor == 1 and self.cycles is None
        return Wave(0, Fraction(self.every)) if alike else None

    @property
    def length(self) -> int | None:
        """The end of the last cycle; None if there is no last one."""
        if self.cycles is None:
            return None
        if self.period_factor == 1:
            return ceil(self.cycles * Fraction(self.every))
        return ceil(self._cycles.end)


def require_countable(every: float, growth: float, cycles: int | None) -> None:
    """Raise for cycles that shrink to nothing, or of which too many would fit on the axis."""
    if growth < 1:
        most = shortest_cycle(every, growth)
        if cycles is None:
            over = every / (1 - growth)
            message = f"is required where cycles grow shorter: all are over at step {over:g}"
            raise wrong("cycles", message, None, f"1 to {most}")
        if cycles > most:
            message = "makes the last cycle too short" if most < MOST_CYCLES else "is too large"
            raise wrong("cycles", message, cycles, f"≤ {most}, each of ≥ {SHORTEST:g} steps")
    elif growth > 1 and min(countable(every, growth), cycles or inf) > MOST_CYCLES:
        bound = f"1, or more growth; or `cycles` up to {MOST_CYCLES}"
        raise wrong("period_factor", "is too close to 1 for so many cycles", growth, bound)


def shortest_cycle(every: float, growth: float) -> int:
    """Return how many cycles there can be that grow shorter."""
    return min(floor(log(SHORTEST / every) / log1p(growth - 1)) + 1, MOST_CYCLES)


def countable(every: float, growth: float) -> float:
    """Return how many cycles that grow longer reach the end of the axis."""
    return log1p(MAX_STEP / every * (growth - 1)) / log1p(growth - 1)


def cycle_start(every: float, growth: float, number: int, cycles: int | None = None) -> float:
    """Return where a cycle begins; infinity past the last one of those that grow shorter."""
    if growth == 1:
        return number * every
    if growth < 1 and cycles is not None and number > cycles:
        return inf
    try:
        grown = growth**number - 1 if growth >= _QUICK else expm1(number * log1p(growth - 1))
    except OverflowError:
        return inf
    return every * grown / (growth - 1)


class _Cycles(NamedTuple):
    """
    Where cycles begin that grow longer or shorter, and how much longer than the first they are.

    A block begins at the sum of two floats, and all in it is so many times as large as in the
    first one: a place far out is as exact inside of its cycle as one near to 0.
    """

    blocks: Floats
    rests: Floats
    scales: Floats
    starts: Floats
    factors: Floats
    end: float
    """Where the last one ends, or one that ends past the axis."""

    def cycle(self, t: Array) -> tuple[Array, Array]:
        """Return the numbers of cycles, and the places inside of them on the scale of the first."""
        block = np.searchsorted(self.blocks, t, side="right") - 1
        here = ((t - self.blocks[block]) - self.rests[block]) / self.scales[block]
        inner = np.maximum(np.searchsorted(self.starts, here, side="right") - 1, 0)
        place = (here - self.starts[inner]) / self.factors[inner]
        return block * _BLOCK + inner, np.where(t >= self.end, inf, place)

    def places(self, number: Array) -> tuple[Floats, Floats]:
        """Return where cycles begin, and how much longer than the first they are."""
        block, inner = np.divmod(number, _BLOCK)
        scale = self.scales[block]
        return self.blocks[block] + scale * self.starts[inner], scale * self.factors[inner]


@lru_cache(256)
def _layout(every: float, growth: float, cycles: int) -> _Cycles:
    """Return the cycles, of which the first is ``every`` long, up to the last or past the axis."""
    first = int(Fraction(every) * 2**_BITS)
    starts, lengths = _laid_out(first, growth, min(cycles, _BLOCK))
    blocks, scales = [0], [first]
    while starts[-1] <= _AXIS and len(blocks) * _BLOCK < cycles:
        following = blocks[-1] + starts[-1] * scales[-1] // first
        if following > _AXIS:
            break
        blocks.append(following)
        scales.append(scales[-1] * lengths[-1] // first)
    last = min(cycles - (len(blocks) - 1) * _BLOCK, len(starts) - 1)
    near = [float(block) for block in blocks]
    return _Cycles(
        np.array(near) * _UNIT,
        np.array([float(x - int(y)) for x, y in zip(blocks, near, strict=True)]) * _UNIT,
        np.array([*map(float, scales)]) / float(first),
        np.array([*map(float, starts[:-1])]) * _UNIT,
        np.array([*map(float, lengths[:-1])]) / float(first),
        float(blocks[-1] + starts[last] * scales[-1] // first) * _UNIT,
    )


def _laid_out(length: int, growth: float, most: int) -> tuple[list[int], list[int]]:
    """Return where cycles start and how long they are, and the same of one that is no more."""
    up, down = growth.as_integer_ratio()
    shift = down.bit_length() - 1
    starts, lengths = [0], [length]
    while starts[-1] <= _AXIS and len(starts) <= most:
        starts.append(starts[-1] + lengths[-1])
        lengths.append(lengths[-1] * up >> shift)
    return starts, lengths
