"""Powers and logarithms of a positive s, as exact values and short series about any s."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Final

from rheostat.schedules.numeric.big import BITS, Big, exp, ln

_BITS: Final = 5
"""Leading bits, after the first one, of the lower ends of cells; large powers take more."""
_LEAST: Final = 2.0**-64
"""The least s that is told from others: far below one step."""
_STEEP: Final = 1000.0
"""Powers above this one are taken of s at once, not of its mantissa and exponent."""
_FEW: Final = 3
"""So many values are taken at once, for those who want no more."""
_SMALLEST: Final = 1080
"""Below 2^−1080 there is no float64 but zero."""
_FAR: Final = 1000.0


class Expansion(ABC):
    """A curve over s from `least` to `most`, and its series about any s."""

    least: float
    most: float
    bits = _BITS

    @abstractmethod
    def node(self, s: float) -> tuple[float, float]:
        """Return the value at s, and the change."""

    @abstractmethod
    def series(self, reach: float, negligible: float) -> tuple[float, ...]:
        """
        Return the c_k of change · x · Σ c_k x^k, by which s·(1 + x) differs, |x| ≤ reach.

        Terms that are negligible are left out.
        """


class PowerExpansion(Expansion):
    """offset + span·(s/reference)^power, for any real power but 0."""

    def __init__(
        self,
        offset: Big,
        span: Big,
        reference: float,
        power: float,
        least: float,
        most: float,
    ) -> None:
        self._offset, self._span, self._reference = offset, span, Big.of(reference)
        self._power = power
        self.bits = min(max(_BITS, math.frexp(power)[1] + 3), 50)
        self.least, self.most = self._visible(reference, least, most)
        self._first = _FEW
        self._mantissas: dict[float, Big] = {}
        self._exponents: dict[int, Big] = {}

    def node(self, s: float) -> tuple[float, float]:
        """Return the value at s, and the part of it that is the power."""
        change = self._raised(s)
        return float(self._offset.plus(change)), float(change)

    def series(self, reach: float, negligible: float) -> tuple[float, ...]:
        """Return the binomial series."""
        return _binomial(self._power, reach, negligible)

    def _raised(self, s: float) -> Big:
        """Return the power; its mantissa's and its exponent's are used again, if there are many."""
        self._first = max(self._first - 1, 0)
        if self._first or abs(self._power) > _STEEP:
            return self._span * raised(Big.of(s) / self._reference, self._power)
        mantissa, exponent = math.frexp(s)
        if mantissa not in self._mantissas:
            self._mantissas[mantissa] = raised(Big.of(mantissa), self._power)
        if exponent not in self._exponents:
            ratio = Big(1, exponent) / self._reference
            self._exponents[exponent] = self._span * raised(ratio, self._power)
        return self._mantissas[mantissa] * self._exponents[exponent]

    def _visible(self, reference: float, least: float, most: float) -> tuple[float, float]:
        """Return the range of s in which the power is not zero in float64."""
        room = (_SMALLEST + self._span.magnitude) / self._power
        edge = reference * 2.0 ** max(-_FAR, min(-room, _FAR))
        if self._power > 0:
            return max(least, _LEAST, edge), most
        return least, min(most, max(edge, least))


class LogarithmExpansion(Expansion):
    """offset + span·ln(s/reference)/rate."""

    def __init__(
        self, offset: float, span: Big, rate: Big, reference: Big, least: float, most: float
    ) -> None:
        self._offset, self._span, self._reference = Big.of(offset), span / rate, reference
        self.least, self.most = least, most
        # A small rate is made up for by the series, so that the change does not overflow.
        self._unit = -rate.magnitude
        self.change = float(self._span.shifted(-self._unit))
        """The change at every s."""

    def node(self, s: float) -> tuple[float, float]:
        """Return the value at s, and the change."""
        grown = self._span * Big(ln(Big.of(s) / self._reference), -BITS)
        return float(self._offset.plus(grown)), self.change

    def series(self, reach: float, negligible: float) -> tuple[float, ...]:
        """Return the logarithmic series."""
        count = math.ceil(math.log2(negligible) / math.log2(reach)) + 1
        return tuple((-1) ** k / (k + 1) * 2.0**self._unit for k in range(count))


@lru_cache(64)
def _binomial(power: float, reach: float, negligible: float) -> tuple[float, ...]:
    terms, term, share, k = [power], power * (power - 1) / 2, reach, 1
    least = negligible * min(abs(power), 1.0)
    while abs(term) * share > least or k < 2:
        terms.append(term)
        k += 1
        term = term * (power - k) / (k + 1)
        share *= reach
    return tuple(terms)


def raised(x: Big, power: float) -> Big:
    """Return a power of a positive number."""
    numerator, denominator = power.as_integer_ratio()
    return exp(ln(x) * numerator >> denominator.bit_length() - 1)
