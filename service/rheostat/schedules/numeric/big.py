"""
Numbers of some 200 bits, for the few values that each curve is built upon.

A `Big` is an integer times a power of two. Sums and products of them, and the elementary functions
of rational numbers below, are right to better than 2⁻¹⁷⁰; ``float()`` rounds correctly, down into
the subnormal numbers. It is integer arithmetic throughout, so that results are the same everywhere.
"""

from __future__ import annotations

import math
from typing import Final

BITS: Final = 192
"""Fraction bits of fixed-point numbers."""
_ONE: Final = 1 << BITS
_LN2: Final = 4350955369971217654477563090224794165364344896676135745069
_PI: Final = 19720096697726538562396133364228268891463450865190089732560
_HALVINGS: Final = 10
_BISECTIONS: Final = 4
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
        numerator, denominator = float(value).as_integer_ratio()
        return cls(numerator, 1 - denominator.bit_length())

    def __neg__(self) -> Big:
        return Big(-self.mantissa, self.exponent)

    def __add__(self, other: Big) -> Big:
        shift = self.exponent - other.exponent
        if shift < 0:
            return _cut(self.mantissa + (other.mantissa << -shift), self.exponent)
        return _cut((self.mantissa << shift) + other.mantissa, other.exponent)

    def __sub__(self, other: Big) -> Big:
        return self + -other

    def __mul__(self, other: Big) -> Big:
        return _cut(self.mantissa * other.mantissa, self.exponent + other.exponent)

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

    def shifted(self, bits: int) -> Big:
        """Return the product with a power of two."""
        return Big(self.mantissa, self.exponent + bits)

    def plus(self, other: Big) -> Big:
        """Return the sum; zero if it cancels so far that only rounding is left of it."""
        total = self + other
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
    doublings = number.magnitude
    x = number.mantissa >> excess if excess > 0 else number.mantissa << -excess
    guess = round(math.log(x / _ONE) * 2.0**60) << (BITS - 60)
    # What the guess lacks is the logarithm of x/e^guess, which is all but 1.
    near = _exp(guess)
    ratio = ((x - near) << BITS) // (x + near)
    cube = (ratio * ratio >> BITS) * ratio >> BITS
    return guess + 2 * ratio + 2 * cube // 3 + doublings * _LN2


PI: Final = Big(_PI, -BITS)


def cos_sin(n: int, d: int) -> tuple[Big, Big]:
    """Return cosine and sine of π·n/d, for quotients from 0 to 1."""
    if 2 * n > d:
        cosine, sine = cos_sin(d - n, d)
        return -cosine, sine
    if 4 * n > d:
        b, a = _cos_sin(_PI * (d - 2 * n) // (2 * d))
    else:
        a, b = _cos_sin(_PI * n // d)
    return Big(a, -BITS), Big(b, -BITS)


def _exp(x: int) -> int:
    x >>= _HALVINGS
    total = term = _ONE
    k = 1
    while term:
        term = (term * x >> BITS) // k
        total += term
        k += 1
    for _ in range(_HALVINGS):
        total = total * total >> BITS
    return total


def _cos_sin(x: int) -> tuple[int, int]:
    x >>= _BISECTIONS
    square = x * x >> BITS
    sine = term = x
    k = 2
    while term:
        term = (term * square >> BITS) // (k * (k + 1))
        sine += -term if k & 2 else term
        k += 2
    cosine = math.isqrt((_ONE << BITS) - sine * sine)
    for _ in range(_BISECTIONS):
        cosine, sine = (cosine * cosine - sine * sine) >> BITS, cosine * sine >> (BITS - 1)
    return cosine, sine
