"""Arithmetic on values that gives the same bits everywhere: multiples and powers."""

from __future__ import annotations

from math import inf, isnan, nan
from typing import Literal

import numpy as np

from rheostat.schedules import numeric
from rheostat.schedules.definition import Bounds, Floats


def rounded(
    values: Floats, multiple: float, rounding: Literal["floor", "ceil", "nearest"]
) -> Floats:
    """
    Return the multiple below, above or nearest to each value, ties to the even multiple.

    The remainder is exact, so that a value just below a multiple is never taken for it. A value of
    2^52 multiples or more is returned as it is: float64 has no finer steps there.
    """
    fine = np.abs(values) < multiple * 2.0**52
    inside = np.where(fine, values, 0.0)
    remainder = np.fmod(inside, multiple)
    count = np.rint((inside - remainder) / multiple)
    if rounding == "floor":
        count = count - (remainder < 0)
    elif rounding == "ceil":
        count = count + (remainder > 0)
    else:
        distance = 2 * np.abs(remainder)
        away = (distance > multiple) | ((distance == multiple) & (np.fmod(count, 2) != 0))
        count = count + np.where(away, np.sign(remainder), 0.0)
    return np.where(fine, count * multiple, values)


def power_of_values(values: Floats, exponent: float) -> Floats:
    """Return values^exponent; the exponent is a whole number where values are negative."""
    if exponent == 1:
        return values
    if exponent == 0.5:
        return np.sqrt(values)
    size = numeric.power(np.abs(values), exponent)
    return np.where(values < 0, -size, size) if exponent % 2 == 1 else size


def power_of_bounds(bounds: Bounds, exponent: float) -> Bounds:
    """Return the bounds of powers; NaN if a negative value meets a fractional exponent."""
    if isnan(bounds.min):
        return bounds
    if not exponent.is_integer() and bounds.min < 0:
        return Bounds(nan, nan)
    if not bounds.finite:
        return Bounds(-inf if exponent % 2 == 1 else 0.0, inf)
    ends = Bounds.around(*power_of_values(np.array(bounds), exponent).tolist())
    if exponent != 1:
        ends = ends.widened()
    if exponent % 2 == 1:
        return ends
    return Bounds(0.0 if bounds.min < 0 < bounds.max else max(ends.min, 0.0), ends.max)
