"""
Arithmetic on arrays whose elements have nothing in common: powers, remainders, multiples.

Logarithms come as unevaluated sums of two floats, right to about 2⁻⁶⁴ of what is added up in them,
from a table of 91 exact logarithms and a short series.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Final, Literal, TypeAlias

import numpy as np

from rheostat.schedules.numeric.arrays import Floats, Real, horner, two_sum
from rheostat.schedules.numeric.big import BITS, Big, ln
from rheostat.schedules.numeric.curve_types import Endless
from rheostat.schedules.numeric.laws import endless

_Pair: TypeAlias = tuple[Floats, Floats]

_PARTS: Final = 128
_FIRST, _LAST = 90, 182
_HALF: Final = 0.7071067811865476
_SERIES: Final = (-1 / 2, 1 / 3, -1 / 4, 1 / 5, -1 / 6, 1 / 7, -1 / 8)
"""ln(1 + x) = x + x² · Σ c_k x^k, for |x| < 0.006."""
_SAFE: Final = 700.0
_SPLIT: Final = 2.0**27 + 1
"""What halves a float64: its product with it has the upper bits alone, less its difference."""
COUNTED: Final = 2.0**52
"""Periods that can be counted: where more have passed, there is no remainder to speak of."""


def power(values: Floats, exponent: float) -> Floats:
    """Return values^exponent for values from 0 to infinity; 0 to a negative power is infinite."""
    if exponent == 0:
        return np.ones_like(values)
    out = np.where((values > 0) == (exponent > 0), np.inf, 0.0)
    inside = (values > 0) & (values < np.inf)
    high, low = _log(values[inside])
    product, rest = two_product(high, np.full_like(high, exponent))
    out[inside] = _exp(product, rest + low * exponent)
    return out


def signed_power(values: Floats, exponent: float) -> Floats:
    """Return values^exponent; the exponent is a whole number where values are negative."""
    if exponent == 1:
        return values
    if exponent == 0.5:
        return np.sqrt(values)
    if exponent == -1:
        with np.errstate(divide="ignore"):
            return 1 / values
    size = power(np.abs(values), exponent)
    return np.where(values < 0, -size, size) if exponent % 2 == 1 else size


def geometric_between(t: Floats, start: Floats, end: Floats, steps: Floats) -> Floats:
    """Return start^(1 − y)·end^y, y = t/steps, element by element."""
    y = np.clip(t / steps, 0.0, 1.0)
    product, rest = two_product(y, steps)
    left = ((t - product) - rest) / steps
    (a, a_low), (b, b_low) = _log(np.abs(end)), _log(np.abs(start))
    high, low = two_sum(a, -b)
    low += a_low - b_low
    exponent, rest = two_product(y, high)
    # Where the exponential alone is out of range, it comes as a square.
    part = np.where(np.abs(exponent) > _SAFE, 0.5, 1.0)
    grown = _exp(exponent * part, (rest + y * low + left * high) * part)
    values = start * grown * np.where(part == 1, 1.0, grown)
    values = np.clip(values, np.minimum(start, end), np.maximum(start, end))
    return np.where(t >= steps, end, np.where(t <= 0, start, values))


def remainder(t: Floats, period: Fraction) -> Floats:
    """
    Return t modulo a period, for 0 ≤ t < `COUNTED` periods.

    The period is a sum of two floats, and the product of the count with the greater one is taken
    without rounding, so that the error is a few units in the last place of the *period*, not of t.
    """
    high = float(period)
    low = float(period - Fraction(high))
    count = np.floor(np.minimum(t / high, COUNTED))
    product, rounding = two_product(count, high)
    rest = ((t - product) - rounding) - count * low
    rest = np.where(rest < 0, rest + high, rest)  # the quotient was rounded up
    return np.where(rest >= high, rest - high, rest)


def quotient(t: Floats, ratio: float) -> _Pair:
    """Return t/ratio as the nearest float, and what is left over."""
    high = t / ratio
    product, rounding = two_product(high, ratio)
    return high, ((t - product) - rounding) / ratio


def to_multiple(
    values: Floats, multiple: float, rounding: Literal["floor", "ceil", "nearest"]
) -> Floats:
    """
    Return the multiple below, above or nearest to each value, ties to the even multiple.

    The remainder is exact, so that a value just below a multiple is never taken for it. A value of
    2^52 multiples or more is returned as it is: float64 has no finer steps there.
    """
    fine = np.abs(values) < multiple * 2.0**52
    inside = np.where(fine, values, 0.0)
    rest = np.fmod(inside, multiple)
    count = np.rint((inside - rest) / multiple)
    if rounding == "floor":
        count = count - (rest < 0)
    elif rounding == "ceil":
        count = count + (rest > 0)
    else:
        distance = 2 * np.abs(rest)
        away = (distance > multiple) | ((distance == multiple) & (np.fmod(count, 2) != 0))
        count = count + np.where(away, np.sign(rest), 0.0)
    return np.where(fine, count * multiple, values)


def _log(x: Floats) -> _Pair:
    """Return natural logarithms of positive numbers."""
    mantissa, exponent = np.frexp(x)
    low_half = mantissa < _HALF
    mantissa *= 1.0 + low_half
    doublings = (exponent - low_half).astype(np.float64)
    part = np.rint(mantissa * _PARTS)
    c = part / _PARTS
    r = (mantissa - c) / c
    product, rest = two_product(r, c)
    left = ((mantissa - c - product) - rest) / c
    table, (ln2, ln2_low) = _logarithms()
    row = part.astype(np.intp) - _FIRST
    high, first = two_sum(doublings * ln2, table[0].take(row))
    high, second = two_sum(high, r)
    low = doublings * ln2_low + table[1].take(row) + left + r * r * horner(r, _SERIES)
    return two_sum(high, first + second + low)


def _exp(high: Floats, low: Floats) -> Floats:
    """Return e^(high + low), where low is far below one."""
    growing, shrinking = _exponentials()
    values = np.where(
        high > 0, growing.many(np.maximum(high, 0)), shrinking.many(np.maximum(-high, 0))
    )
    return values + np.where(np.isinf(values), 0.0, values) * low


def two_product(a: Floats, b: Real) -> tuple[Floats, Floats]:
    """Return a product and what its rounding left over, by Dekker's method."""
    total = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return total, ((a_high * b_high - total) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: Real) -> tuple[Real, Real]:
    spread = a * _SPLIT
    high = spread - (spread - a)
    return high, a - high


@cache
def _logarithms() -> tuple[Floats, tuple[float, float]]:
    """Return the logarithms of k/128 in two rows, and that of 2 with few bits and the rest."""
    logs = [Big(ln(Big(k, -7)), -BITS) for k in range(_FIRST, _LAST + 1)]
    two = ln(Big(2))
    few = two >> (BITS - 40)
    rest = Big(two - (few << (BITS - 40)), -BITS)
    return np.array([_split(log) for log in logs]).T, (float(Big(few, -40)), float(rest))


def _split(x: Big) -> tuple[float, float]:
    high = float(x)
    return high, float(x - Big.of(high))


@cache
def _exponentials() -> tuple[Endless, Endless]:
    return Endless(endless(1.0, 1 << BITS, 1.0)), Endless(endless(1.0, -1 << BITS, 1.0))
