"""Remainders: where in a period places lie, though the period be no float64."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from rheostat.schedules.numeric.arrays import Floats

_SPLIT = 2.0**27 + 1
COUNTED = 2.0**52
"""Periods that can be counted: where more have passed, there is no remainder to speak of."""


def remainder(t: Floats, period: Fraction) -> Floats:
    """
    Return t modulo a period, for 0 ≤ t < `COUNTED` periods.

    The period is a sum of two floats, and the product of the count with the greater one is taken
    without rounding, so that the error is a few units in the last place of the *period*, not of t.
    """
    high = float(period)
    low = float(period - Fraction(high))
    count = np.floor(np.minimum(t / high, COUNTED))
    product, rounding = _product(count, high)
    rest = ((t - product) - rounding) - count * low
    rest = np.where(rest < 0, rest + high, rest)  # the quotient was rounded up
    return np.where(rest >= high, rest - high, rest)


def _product(a: Floats, b: float) -> tuple[Floats, Floats]:
    """Return a product and what its rounding left over, by Dekker's method."""
    product = a * b
    above = a * _SPLIT
    above -= above - a
    top = b * _SPLIT
    top -= top - b
    below, rest = a - above, b - top
    return product, below * rest - (((product - above * top) - below * top) - above * rest)
