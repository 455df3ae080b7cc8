"""
Numbers of some 200 bits, for the few values that each curve is built upon.

A `Big` is an integer times a power of two. Sums and products of them, and the elementary functions
of rational numbers below, are right to better than 2⁻¹⁷⁰; ``float()`` rounds correctly, down into
the subnormal numbers. It is integer arithmetic throughout, so that results are the same everywhere.
A function is a table at multiples of 2⁻⁸ and a series from there on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

BITS: Final = 192
"""Fraction bits of fixed-point numbers."""
_ONE: Final = 1 << BITS
_LN2: Final = 4350955369971217654477563090224794165364344896676135745069
_PI: Final = 19720096697726538562396133364228268891463450865190089732560
_KEPT: Final = BITS + 32
"""Bits that the mantissa of a sum or a product keeps."""
_PART: Final = 8
"""Fraction bits of what tables are made for."""
_GROWTH: Final = tuple(_ONE // math.factorial(k) for k in range(17, -1, -1))
"""e^x = Σ x^k/k!, from the highest power down, for x < 2^−8."""
_AREA: Final = tuple(_ONE // (2 * k + 1) for k in range(11, -1, -1))
"""artanh x = x · Σ x^2k/(2k + 1), from the highest power down, for x ≤ 2^−8."""
_SINE: Final = tuple((-1) ** k * _ONE // math.factorial(2 * k + 1) for k in range(8, -1, -1))
"""sin x = x · Σ ±x^2k/(2k + 1)!, from the highest power down, for x < 2^−8."""
_OUT_OF_RANGE: Final = 4096
"""No float64 has an exponent of this size."""
_FAR: Final = 1 << 20
_CANCELLED: Final = 150


class Big:
    """The number mantissa · 2^exponent."""

    __slots__ = ("exponent", "mantissa")

    def __init__(self, mantissa: int, exponent: int = 0) -> None:
        self.mantissa = mantissa
        self.exponent = exponent

    @classmethod
    def of(cls, value: float) -> Big:
        """Return a float64 exactly."""
        numerator, denominator = value.as_integer_ratio()
        return cls(numerator, 1 - denominator.bit_length())

    @classmethod
    def ratio(cls, n: int, d: int) -> Big:
        """Return n/d."""
        bits = BITS + d.bit_length()
        return cls((n << bits) // d, -bits)

    def __neg__(self) -> Big:
        return Big(-self.mantissa, self.exponent)

    def __add__(self, other: Big) -> Big:
        shift = self.exponent - other.exponent
        if shift < 0:
            return _cut(self.mantissa + (other.mantissa << -shift), self.exponent)
        return _cut((self.mantissa << shift) + other.mantissa, other.exponent)

    def __sub__(self, other: Big) -> Big:
        shift = self.exponent - other.exponent
        if shift < 0:
            return _cut(self.mantissa - (other.mantissa << -shift), self.exponent)
        return _cut((self.mantissa << shift) - other.mantissa, other.exponent)

    def __mul__(self, other: Big) -> Big:
        mantissa = self.mantissa * other.mantissa
        excess = mantissa.bit_length() - _KEPT
        if excess > 0:
            return Big(mantissa >> excess, self.exponent + other.exponent + excess)
        return Big(mantissa, self.exponent + other.exponent)

    def __truediv__(self, other: Big) -> Big:
        shift = BITS + other.mantissa.bit_length() - self.mantissa.bit_length()
        if shift <= 0:
            return Big(self.mantissa // other.mantissa, self.exponent - other.exponent)
        quotient = (self.mantissa << shift) // other.mantissa
        return Big(quotient, self.exponent - other.exponent - shift)

    def __float__(self) -> float:
        try:
            if self.exponent >= 0:
                return float(self.mantissa << self.exponent)
            return self.mantissa / (1 << -self.exponent)
        except OverflowError:
            return math.inf if self.mantissa > 0 else -math.inf

    def over(self, d: int) -> float:
        """Return the quotient with a positive whole number, of a number with a fraction."""
        return self.mantissa / (d << -self.exponent)

    def shifted(self, bits: int) -> Big:
        """Return the product with a power of two."""
        return Big(self.mantissa, self.exponent + bits)

    def plus(self, other: Big) -> Big:
        """Return the sum; zero if it cancels so far that only rounding is left of it."""
        total = self + other
        if (self.mantissa < 0) == (other.mantissa < 0):
            return total
        least = max(self.magnitude, other.magnitude) - _CANCELLED
        return total if total.magnitude > least else Big(0)

    @property
    def magnitude(self) -> int:
        """Return the k for which the absolute value is in [2^(k−1), 2^k)."""
        return self.mantissa.bit_length() + self.exponent if self.mantissa else -_FAR


def _cut(mantissa: int, exponent: int) -> Big:
    excess = mantissa.bit_length() - BITS - 32
    return Big(mantissa >> excess, exponent + excess) if excess > 0 else Big(mantissa, exponent)


def exp(x: int) -> Big:
    """Return e^x for a fixed-point number; zero or out of range where no float64 could tell."""
    doublings, rest = divmod(x, _LN2)
    if abs(doublings) > _OUT_OF_RANGE:
        return Big(0) if doublings < 0 else Big(1, _OUT_OF_RANGE)
    return Big(_exp(rest), doublings - BITS)


def ln(number: Big) -> int:
    """Return the natural logarithm of a positive number as a fixed-point number."""
    excess = number.mantissa.bit_length() - BITS
    x = number.mantissa >> excess if excess > 0 else number.mantissa << -excess
    cell = x >> BITS - _PART
    middle = 2 * cell + 1 << BITS - _PART - 1
    return _LOGARITHMS[cell] + _ln_ratio(x - middle, x + middle) + number.magnitude * _LN2


PI: Final = Big(_PI, -BITS)


def cos_sin(n: int, d: int) -> tuple[Big, Big]:
    """Return cosine and sine of π·n/d, for quotients from 0 to 1."""
    mirrored = 2 * n > d
    if mirrored:
        n = d - n
    if 4 * n > d:
        sine, cosine = _cos_sin(_PI * (d - 2 * n) // (2 * d))
    else:
        cosine, sine = _cos_sin(_PI * n // d)
    return Big(-cosine if mirrored else cosine, -BITS), Big(sine, -BITS)


def _series(coefficients: tuple[int, ...], x: int) -> int:
    total = 0
    for coefficient in coefficients:
        total = coefficient + (total * x >> BITS)
    return total


def _exp(x: int) -> int:
    part = x >> BITS - _PART
    return _EXPONENTIALS[part] * _series(_GROWTH, x - (part << BITS - _PART)) >> BITS


def _ln_ratio(difference: int, total: int) -> int:
    """Return ln(a/b) by a − b and a + b."""
    x = (difference << BITS) // total
    return _series(_AREA, x * x >> BITS) * x >> BITS - 1


def _cos_sin(x: int) -> tuple[int, int]:
    part = x >> BITS - _PART
    x -= part << BITS - _PART
    sine = _series(_SINE, x * x >> BITS) * x >> BITS
    return _turned(math.isqrt((_ONE << BITS) - sine * sine), sine, *_TURNS[part])


def _turned(a: int, b: int, c: int, d: int) -> tuple[int, int]:
    """Return cosine and sine of the sum of two angles by theirs."""
    return (a * c - b * d) >> BITS, (a * d + b * c) >> BITS


def _exponentials() -> Iterator[int]:
    """Yield e^x of the multiples x of 2^−8 below ln 2."""
    step, power = _series(_GROWTH, _ONE >> _PART), _ONE
    for _ in range((_LN2 >> BITS - _PART) + 1):
        yield power
        power = power * step >> BITS


def _logarithms() -> Iterator[tuple[int, int]]:
    """Yield the logarithms of the middles of cells of 2^−8 from 1/2 to 1, by their numbers."""
    last = (1 << _PART) - 1
    total = _ln_ratio(-1, 4 * last + 3)
    for cell in range(last, last >> 1, -1):
        yield cell, total
        total -= _ln_ratio(1, 2 * cell)


def _turns() -> Iterator[tuple[int, int]]:
    """Yield cosine and sine of the multiples of 2^−8 up to π/4."""
    sine = _series(_SINE, _ONE >> 2 * _PART) >> _PART
    step, turn = (math.isqrt((_ONE << BITS) - sine * sine), sine), (_ONE, 0)
    for _ in range((_PI >> BITS - _PART + 2) + 1):
        yield turn
        turn = _turned(*step, *turn)


_EXPONENTIALS: Final = tuple(_exponentials())
_LOGARITHMS: Final = dict(_logarithms())
_TURNS: Final = tuple(_turns())
