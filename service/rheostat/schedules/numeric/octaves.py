"""
Curves over cells of equal relative width: powers and logarithms of a positive s.

The lower ends c of the cells are the numbers of a few leading bits. In a cell the value is a series
in (s − c)/c about the value at c, which is rounded once from a `Big` number.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np

from rheostat.schedules.numeric.arrays import Floats, Real, blocks, distinct, horner, steps
from rheostat.schedules.numeric.big import BITS, Big, exp, ln

Place: TypeAlias = Callable[[Real], tuple[Real, Real]]
"""From t to s, as a float and what its rounding left over."""

_BITS: Final = 7
"""Leading bits, after the first one, of the lower ends of cells; large powers take more."""
_LEAST: Final = 2.0**-64
"""The least s that is told from others: far below one step."""
_NEGLIGIBLE: Final = 2.0**-57
"""What a series may leave out, relative to its first term."""
_STEEP: Final = 1000.0
"""Powers above this one are taken of c at once, not of its mantissa and exponent."""
_SMALLEST: Final = 1080
"""Below 2^−1080 there is no float64 but zero."""
_FAR: Final = 1000.0


class Scale(ABC):
    """A curve over s from `least` to `most`, and its series about any s."""

    least: float
    most: float
    bits = _BITS

    @abstractmethod
    def node(self, s: float) -> tuple[float, float]:
        """Return the value at s, and the change."""

    @abstractmethod
    def series(self, reach: float) -> tuple[float, ...]:
        """Return the c_k of change · x · Σ c_k x^k, by which s·(1 + x) differs, |x| ≤ reach."""


class Power(Scale):
    """offset + span·(s/reference)^power, for any real power but 0."""

    def __init__(
        self,
        offset: float,
        span: Big,
        reference: float,
        power: float,
        least: float,
        most: float,
    ) -> None:
        self._offset, self._span, self._reference = Big.of(offset), span, Big.of(reference)
        self._power = power
        self.bits = min(max(_BITS, math.frexp(power)[1] + 4), 52)
        self.least, self.most = self._visible(least, most)
        self._mantissas: dict[float, Big] = {}
        self._exponents: dict[int, Big] = {}

    def node(self, s: float) -> tuple[float, float]:
        """Return the value at s, and the part of it that is the power."""
        change = self._raised(s)
        return float(self._offset.plus(change)), float(change)

    def series(self, reach: float) -> tuple[float, ...]:
        """Return the binomial series."""
        terms, k, share = [self._power, self._power * (self._power - 1) / 2], 2, reach
        while abs(terms[-1]) * share > _NEGLIGIBLE * abs(self._power):
            terms.append(terms[-1] * (self._power - k) / (k + 1))
            k, share = k + 1, share * reach
        return tuple(terms)

    def _raised(self, s: float) -> Big:
        """Return the power; its mantissa's and its exponent's are used again and again."""
        if abs(self._power) > _STEEP:
            return self._span * raised(Big.of(s) / self._reference, self._power)
        mantissa, exponent = math.frexp(s)
        if mantissa not in self._mantissas:
            self._mantissas[mantissa] = raised(Big.of(mantissa), self._power)
        if exponent not in self._exponents:
            ratio = Big(1, exponent) / self._reference
            self._exponents[exponent] = self._span * raised(ratio, self._power)
        return self._mantissas[mantissa] * self._exponents[exponent]

    def _visible(self, least: float, most: float) -> tuple[float, float]:
        """Return the range of s in which the power is not zero in float64."""
        room = (_SMALLEST + self._span.magnitude) / self._power
        edge = float(self._reference) * 2.0 ** max(-_FAR, min(-room, _FAR))
        if self._power > 0:
            return max(least, _LEAST, edge), most
        return least, min(most, max(edge, least))


class Logarithm(Scale):
    """offset + span·ln(s/reference)/rate."""

    def __init__(
        self, offset: float, span: Big, rate: Big, reference: Big, least: float, most: float
    ) -> None:
        self._offset, self._span, self._reference = Big.of(offset), span / rate, reference
        self.least, self.most = least, most
        # A small rate is made up for by the series, so that the change does not overflow.
        self._unit = -rate.magnitude
        self.change = float(self._span * Big(1, -self._unit))
        """The change at every s."""

    def node(self, s: float) -> tuple[float, float]:
        """Return the value at s, and the change."""
        grown = self._span * Big(ln(Big.of(s) / self._reference), -BITS)
        return float(self._offset.plus(grown)), self.change

    def series(self, reach: float) -> tuple[float, ...]:
        """Return the logarithmic series."""
        count = math.ceil(math.log2(_NEGLIGIBLE) / math.log2(reach)) + 1
        return tuple((-1) ** k / (k + 1) * 2.0**self._unit for k in range(count))


@dataclass(frozen=True)
class Centre:
    """
    A place t to expand a curve about: its s, the value and the change there.

    ``falls`` says that s falls with t.
    """

    t: int
    s: float
    falls: bool
    value: float
    change: float

    def distance(self, t: Real) -> Real:
        """Return how much greater s is at another place."""
        return self.t - t if self.falls else t - self.t


class Octaves:
    """A curve over s, exact even near the centre, if that is where it is zero."""

    bounded = False

    def __init__(self, place: Place, scale: Scale, centre: Centre | None = None) -> None:
        self._place, self._scale, self._centre = place, scale, centre
        self._shift = 52 - scale.bits
        self._series = scale.series(0.5**scale.bits)
        self._nodes: dict[float, tuple[float, float]] = {}
        self._radius = centre.s * 2.0 ** (1 - scale.bits) if centre else -1.0

    def at(self, t: float) -> float:
        """Return the value at one place."""
        if self._centre and abs(t - self._centre.t) <= self._radius:
            near: float = self._near(self._centre, t)
            return near
        s, rest = self._place(t)
        s = min(max(s, self._scale.least), self._scale.most)
        mantissa, exponent = math.frexp(s)
        units = 2.0 ** (self._scale.bits + 1)
        c = math.ldexp(math.floor(mantissa * units) / units, exponent)
        known, change = self._known(c)
        x = ((s - c) + rest) / c
        value: float = known + change * (x * horner(x, self._series))
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
        s = np.maximum(s, self._scale.least)
        np.minimum(s, self._scale.most, out=s)
        bits = s.view(np.int64)
        c = (bits & -(1 << self._shift)).view(np.float64)
        cells = bits >> self._shift
        cells -= self._first
        values = self._table[0].take(cells)
        missing = np.isnan(values)
        if missing.any():
            for cell in distinct(cells[missing], self._table.shape[1]):
                node = np.int64((self._first + cell) << self._shift).view(np.float64)
                self._table[:, cell] = self._known(float(node))
            values = self._table[0].take(cells)
        s -= c
        s += rest
        s /= c
        moved = horner(s, self._series)
        moved *= s
        moved *= self._table[1].take(cells)
        np.add(moved, values, out=out)
        if self._centre:
            near = np.abs(t - self._centre.t) <= self._radius
            if near.any():
                out[near] = self._near(self._centre, t[near])

    def _near(self, centre: Centre, t: Real) -> Real:
        """Return values about the centre."""
        x = centre.distance(t) / centre.s
        return centre.value + centre.change * (x * horner(x, self._central))

    def _known(self, c: float) -> tuple[float, float]:
        """Return value and change at the lower end of a cell; once computed, they are kept."""
        node = self._nodes.get(c)
        if node is None:
            node = self._nodes[c] = self._scale.node(c)
        return node

    @cached_property
    def _central(self) -> tuple[float, ...]:
        return self._scale.series(2.0 ** (1 - self._scale.bits))

    @cached_property
    def _first(self) -> int:
        return self._cell(self._scale.least)

    @cached_property
    def _table(self) -> Floats:
        """The nodes in columns, for many at a time: not a number where none is known yet."""
        return np.full((2, self._cell(self._scale.most) - self._first + 1), math.nan)

    def _cell(self, s: float) -> int:
        return int(np.float64(s).view(np.int64)) >> self._shift


def raised(x: Big, power: float) -> Big:
    """Return a power of a positive number."""
    numerator, denominator = power.as_integer_ratio()
    return exp(ln(x) * numerator // denominator)
