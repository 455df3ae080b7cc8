"""
Powers that have no short formula: offset + span·(s/reference)^power, for any real power.

Cells have the same width relative to s: their lower ends c are the numbers of a few leading bits.
In a cell the value is a binomial series in (s − c)/c about the value at c, which is rounded once
from a `Big` number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final, TypeAlias

import numpy as np

from rheostat.schedules.numeric.arrays import Floats, Real, blocks, distinct, horner, steps
from rheostat.schedules.numeric.big import Big, exp, ln

Place: TypeAlias = Callable[[Real], tuple[Real, Real]]
"""From t to s, as a float and what its rounding left over."""

_BITS: Final = 7
"""Leading bits, after the first one, of the lower ends of cells; large powers take more."""
_LEAST: Final = 2.0**-64
"""The least s that is told from others: far below one step."""
_NEGLIGIBLE: Final = 2.0**-60
"""What the series may leave out, relative to its first term."""
_STEEP: Final = 1000.0
"""Powers above this one are taken of c at once, not of its mantissa and exponent."""
_SMALLEST: Final = 1080
"""Below 2^−1080 there is no float64 but zero."""
_FAR: Final = 1000.0


@dataclass(frozen=True)
class Scale:
    """The numbers in offset + span·(s/reference)^power, and the least and the greatest s."""

    offset: float
    span: Big
    reference: float
    power: float
    least: float
    most: float

    def visible(self) -> tuple[float, float]:
        """Return the range of s in which the power is not zero in float64."""
        room = (_SMALLEST + self.span.magnitude) / self.power
        edge = self.reference * 2.0 ** max(-_FAR, min(-room, _FAR))
        if self.power > 0:
            return max(self.least, _LEAST, edge), self.most
        return self.least, min(self.most, max(edge, self.least))


@dataclass(frozen=True)
class Centre:
    """A place t to expand the curve about, the s there, whether s falls with t, and the value."""

    t: int
    s: int
    falls: bool
    value: float

    def distance(self, t: Real) -> Real:
        """Return how much greater s is at t."""
        return self.t - t if self.falls else t - self.t


class PowerLaw:
    """A curve along a power of s, exact even near the centre, if that is where it is zero."""

    bounded = False

    def __init__(self, place: Place, scale: Scale, centre: Centre | None = None) -> None:
        self._place, self._scale, self._centre = place, scale, centre
        self._bits = min(max(_BITS, math.frexp(scale.power)[1] + 4), 52)
        self._series = _binomial(scale.power, 2.0 ** (1 - self._bits))
        self._least, self._most = scale.visible()
        self._nodes: dict[float, tuple[float, float]] = {}
        self._radius = centre.s * 2.0 ** (1 - self._bits) if centre else -1.0

    def at(self, t: float) -> float:
        """Return the value at one place."""
        if self._centre and abs(t - self._centre.t) <= self._radius:
            near: float = self._near(self._centre, t)
            return near
        s, rest = self._place(t)
        s = min(max(s, self._least), self._most)
        mantissa, exponent = math.frexp(s)
        units = 2.0 ** (self._bits + 1)
        c = math.ldexp(math.floor(mantissa * units) / units, exponent)
        value: float = self._about(*self._node(c), ((s - c) + rest) / c)
        return value

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        out = np.empty_like(t)
        for start, stop in blocks(0, len(t)):
            self._block(t[start:stop], out[start:stop])
        return out

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        for low, high in blocks(start, stop):
            self._block(steps(low, high), out[low - start : high - start])

    def _block(self, t: Floats, out: Floats) -> None:
        s, rest = self._place(t)
        s = np.minimum(np.maximum(s, self._least), self._most)
        bits = s.view(np.int64)
        shift = 52 - self._bits
        c = (bits & -(1 << shift)).view(np.float64)
        cells = (bits >> shift) - self._first_cell
        values = self._table[0].take(cells)
        missing = np.isnan(values)
        if missing.any():
            for cell in distinct(cells[missing], self._table.shape[1]):
                node = np.int64((self._first_cell + cell) << shift).view(np.float64)
                self._table[:, cell] = self._node(float(node))
            values = self._table[0].take(cells)
        out[:] = self._about(values, self._table[1].take(cells), ((s - c) + rest) / c)
        if self._centre:
            near = np.abs(t - self._centre.t) <= self._radius
            out[near] = self._near(self._centre, t[near])

    def _about(self, value: Real, change: Real, x: Real) -> Real:
        """Return value + change·((1 + x)^power − 1)."""
        return value + change * (x * horner(x, self._series))

    def _near(self, centre: Centre, t: Real) -> Real:
        return self._about(centre.value, self._central, centre.distance(t) / centre.s)

    def _node(self, c: float) -> tuple[float, float]:
        """Return the value at c, and the part of it that is the power."""
        node = self._nodes.get(c)
        if node is None:
            change = self._power_of(c)
            value = Big.of(self._scale.offset).plus(change)
            node = self._nodes[c] = float(value), float(change)
        return node

    def _power_of(self, c: float) -> Big:
        scale = self._scale
        if abs(scale.power) > _STEEP:
            return scale.span * raised(Big.of(c) / Big.of(scale.reference), scale.power)
        mantissa, exponent = math.frexp(c)
        return self._of_mantissa(mantissa) * self._of_exponent(exponent)

    @cached_property
    def _of_mantissa(self) -> Callable[[float], Big]:
        power = self._scale.power
        return cache(lambda mantissa: raised(Big.of(mantissa), power))

    @cached_property
    def _of_exponent(self) -> Callable[[int], Big]:
        span, power, reference = self._scale.span, self._scale.power, Big.of(self._scale.reference)
        return cache(lambda exponent: span * raised(Big(1, exponent) / reference, power))

    @cached_property
    def _central(self) -> float:
        return float(self._power_of(float(self._centre.s))) if self._centre else 0.0

    @cached_property
    def _first_cell(self) -> int:
        return self._cell(self._least)

    @cached_property
    def _table(self) -> Floats:
        """The nodes in columns, for many at a time: not a number where none is known yet."""
        return np.full((2, self._cell(self._most) - self._first_cell + 1), math.nan)

    def _cell(self, s: float) -> int:
        return int(np.float64(s).view(np.int64)) >> (52 - self._bits)


def raised(x: Big, power: float) -> Big:
    """Return a power of a positive number."""
    numerator, denominator = power.as_integer_ratio()
    return exp(ln(x) * numerator // denominator)


def _binomial(power: float, reach: float) -> tuple[float, ...]:
    """Return the c_k of (1 + x)^power − 1 = x · Σ c_k x^k, for |x| up to a reach."""
    series, k = [power, power * (power - 1) / 2], 2
    while abs(series[-1]) * reach ** (k - 1) > _NEGLIGIBLE * abs(power):
        series.append(series[-1] * (power - k) / (k + 1))
        k += 1
    return tuple(series)
