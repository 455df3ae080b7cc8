"""
From the parameters of a curve to the `Curve` that computes it.

Values are finite floats in any unit, such as ``start`` and ``end``; lengths are in steps. Callers
have checked the ranges that are stated: nothing here raises, and what is out of range has no
meaning. Errors are at most 4 units in the last place (ulp) of the exact value at whole steps.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from rheostat.schedules.numeric.arrays import Curve, Real, sqrt
from rheostat.schedules.numeric.big import BITS, Big, ln
from rheostat.schedules.numeric.curve_types import (
    Anchored,
    Between,
    Endless,
    Formula,
    Periodic,
    Quotient,
    Scaled,
)
from rheostat.schedules.numeric.expansions import LogarithmExpansion, PowerExpansion, raised
from rheostat.schedules.numeric.laws import (
    CosineLaw,
    GeometricLaw,
    Law,
    PowerLaw,
    RelaxationLaw,
    endless,
)
from rheostat.schedules.numeric.octaves import Axis, Centre, Octaves

ShapeName: TypeAlias = Literal[
    "linear",
    "cosine",
    "1-sqrt",
    "power",
    "polynomial",
    "exponential",
    "rational",
    "logarithmic",
]

_END: Final = 2.0**54
"""Past the last step that there is."""
_STEEPEST: Final = 2.0**900
"""Slopes below it are safe from overflow."""
_LARGE: Final = 2.0**960
"""Values above it are computed at a smaller scale: what they are sums of could overflow."""
_SMALLER: Final = 2.0**-64


class Shape(NamedTuple):
    """How a weight falls from 1 to 0; `power` and `ratio` are for the shapes that name them."""

    name: ShapeName
    power: float = 1.0
    ratio: float = 0.1


def linear(start: float, end: float, steps: int) -> Curve:
    """Return the curve start + (end − start)·t/steps, for 1 ≤ steps < 2^53."""
    return shaped(start, end, steps, Shape("linear"))


def cosine(start: float, end: float, steps: int) -> Curve:
    """Return the curve end + (start − end)·(1 + cos(π·t/steps))/2, for 1 ≤ steps < 2^53."""
    return shaped(start, end, steps, Shape("cosine"))


def cosine_periodic(start: float, end: float, steps: int) -> Curve:
    """Return the cosine wave that goes on, with period 2·steps."""
    return Periodic(cosine(start, end, steps), steps)


def polynomial(start: float, end: float, steps: int, power: float) -> Curve:
    """Return the curve end + (start − end)·(1 − t/steps)^power, for 1e-3 ≤ power ≤ 1e4."""
    return shaped(start, end, steps, Shape("polynomial", power=power))


def shaped(start: float, end: float, steps: int, shape: Shape, *, backwards: bool = False) -> Curve:
    """
    Return the curve from start to end along a shape, or along it run backwards in time.

    It is end + (start − end)·c(t/steps), or start + (end − start)·c(1 − t/steps) if backwards; the
    shape c falls from 1 to 0.
    """
    start, end = _positive_zero(start), _positive_zero(end)
    if start == end:
        return _constant(start)
    if max(abs(start), abs(end)) > _LARGE:
        small = shaped(start * _SMALLER, end * _SMALLER, steps, shape, backwards=backwards)
        return Between(Scaled(small, 1 / _SMALLER), start, end, steps, {})
    if shape.name == "cosine":
        return _walked(CosineLaw(start, end, steps))
    if shape.name in _RATIOS:
        ratio = Big.of(shape.ratio)
        # Run backwards, each of these shapes is the one of the inverse ratio.
        return _RATIOS[shape.name](start, end, steps, Big(1) / ratio if backwards else ratio)
    power = {"linear": 1.0, "1-sqrt": 0.5}.get(shape.name, float(shape.power))
    # 1 − y^p holds a power of y, (1 − y)^p one of 1 − y.
    falls = (shape.name == "polynomial") != backwards
    if power in {1, 2, 3}:
        return _walked(PowerLaw(start, end, steps, int(power), falls=falls))
    return _powered(start, end, steps, power, falls=falls)


def geometric(start: float, end: float, steps: int) -> Curve:
    """
    Return start^(1 − y)·end^y with y = t/steps, for ends of one sign that are not zero.

    Not for ends that may be zero or of two signs: the logarithm of the curve is a line.
    """
    if start == end:
        return _constant(start)
    return _walked(GeometricLaw(float(start), float(end), steps))


def exponential(start: float, factor: float, every: float = 1) -> Curve:
    """
    Return start·factor^(t/every), for factor ≥ 0 and every > 0; of 0 the 0th power is 1.

    Past float64 it is zero or infinite, never NaN.
    """
    start = _positive_zero(start)
    if start == 0 or factor == 1:
        return _constant(start)
    if factor == 0:
        return Between(_constant(0.0), start, 0.0, math.inf, {})
    return Endless(endless(start, ln(Big.of(factor)), every))


def inverse_power(start: float, timescale: float, power: float = 0.5) -> Curve:
    """Return start·(timescale/(timescale + t))^power, for timescale > 0 and power > 0."""
    start, timescale, power = _positive_zero(start), float(timescale), float(power)
    if start == 0:
        return _constant(start)
    if power in {0.5, 1}:
        return _quotient(start, 1.0, timescale, root=power == 0.5)
    if abs(start) > _LARGE:
        small = inverse_power(start * _SMALLER, timescale, power)
        return Between(Scaled(small, 1 / _SMALLER), start, 0.0, math.inf, {})
    axis = Axis(timescale, falls=False)
    reach = timescale, timescale + _END
    expansion = PowerExpansion(Big(0), Big.of(start), timescale, -power, *reach)
    return Between(Octaves(axis, expansion), start, 0.0, math.inf, {})


def inverse_time(start: float, rate: float, every: float = 1) -> Curve:
    """Return start/(1 + rate·t/every), for rate ≥ 0 and every > 0."""
    return _quotient(_positive_zero(start), rate, every, root=False)


def _quotient(start: float, rise: float, run: float, *, root: bool) -> Curve:
    """Return start/(1 + t·rise/run), or start over the square root of that."""
    slope = rise / run
    if slope < _STEEPEST:
        return Quotient(start, 1.0, slope, root=root)
    # Computed at a smaller scale, so that the slope does not overflow.
    steep = Big.of(rise) / Big.of(run)
    halvings = steep.magnitude // 4
    above = Big.of(start).shifted(-halvings if root else -2 * halvings)
    below = steep.shifted(-2 * halvings)
    quotient = Quotient(float(above), 4.0**-halvings, float(below), root=root)
    return Between(quotient, start, 0.0, math.inf, {})


def _positive_zero(value: float) -> float:
    """Return a float whose zero has no sign: equal parameters are to give equal bits."""
    return value + 0.0


def _constant(value: float) -> Curve:
    return Formula(lambda t: np.full_like(t, value) if isinstance(t, np.ndarray) else value)


def _walked(law: Law) -> Curve:
    zero = nearest_zero(lambda n: law.value(n, law.steps), law.first, law.last, law.steps)
    return Between(Anchored(law, zero.place), law.first, law.last, law.steps, zero.beside)


def _relaxation(start: float, end: float, steps: int, ratio: Big) -> Curve:
    return _walked(RelaxationLaw(start, end, steps, ratio))


def _logarithmic(start: float, end: float, steps: int, ratio: Big) -> Curve:
    """Return start + (end − start)·ln(1 + (1/ratio − 1)·y)/ln(1/ratio)."""
    span, rate = Big.of(start) - Big.of(end), Big(ln(ratio), -BITS)
    # It is the logarithm of a line, which falls for ratios above 1: of s = t + least, or of
    # s = (steps − t) + least.
    falls = ratio.magnitude > 0
    least = Big(steps) / (ratio - Big(1) if falls else Big(1) / ratio - Big(1))
    most = least + Big(steps)

    def s(t: int) -> Big:
        return least + Big(steps - t if falls else t)

    def value(t: int) -> Big:
        return Big.of(start).plus(span * Big(ln(s(t) / s(0)), -BITS) / rate)

    zero = nearest_zero(value, start, end, steps)
    t0 = zero.place
    expansion = LogarithmExpansion(start, span, rate, s(0), float(least), float(most))
    centre = Centre(t0, float(s(t0)), float(value(t0)), expansion.change)
    origin = most if falls else least
    axis = Axis(float(origin), float(origin - Big.of(float(origin))), falls=falls)
    return Between(Octaves(axis, expansion, centre), start, end, steps, zero.beside)


def _rational(start: float, end: float, steps: int, ratio: Big) -> Curve:
    """Return end + (start − end)·(1 − y)/(1 − y + ratio·y)."""
    span = Big.of(end) - Big.of(start)

    def divisor(n: int) -> Big:
        return Big(steps - n) + ratio * Big(n)

    def value(n: int) -> Big:
        return Big.of(start).plus(span * ratio * Big(n) / divisor(n))

    zero = nearest_zero(value, start, end, steps)
    t0, value0, slope = zero.place, float(value(zero.place)), float(ratio)
    lever = ratio * Big(steps) / divisor(t0)
    unit, change = 2.0**lever.magnitude, float((span * lever).shifted(-lever.magnitude))

    def formula(t: Real) -> Real:
        return value0 + change * (unit * (t - t0) / ((steps - t) + slope * t))

    return Between(Formula(formula, bounded=False), start, end, steps, zero.beside)


def _powered(start: float, end: float, steps: int, power: float, *, falls: bool) -> Curve:
    """Return the curve along a power of s/steps, where s is steps − t if it falls, or else t."""
    rest, top = map(Big.of, (end, start) if falls else (start, end))
    span = top - rest

    def value(n: int) -> Big:
        s = Big(steps - n if falls else n)
        return rest.plus(span * raised(s / Big(steps), power)) if s.mantissa else rest

    zero = nearest_zero(value, start, end, steps)
    s0 = steps - zero.place if falls else zero.place
    centre = None
    if s0:
        at_zero = value(zero.place)
        centre = Centre(zero.place, s0, float(at_zero), float(at_zero - rest))
    axis = Axis(float(steps) if falls else 0.0, falls=falls)
    if power == 0.5:
        formula = _root(axis, float(rest), float(span), steps, centre)
        return Between(Formula(formula, bounded=False), start, end, steps, zero.beside)
    expansion = PowerExpansion(rest, span, float(steps), power, 0.0, float(steps))
    return Between(Octaves(axis, expansion, centre), start, end, steps, zero.beside)


def _root(
    axis: Axis, rest: float, span: float, steps: int, centre: Centre | None
) -> Callable[[Real], Real]:
    """Return rest + span·√(s/steps) as a formula, expanded about the centre if there is one."""
    if centre is None:
        return lambda t: rest + span * sqrt(axis.rounded(t) / steps)
    root = sqrt(centre.s / steps)

    def formula(t: Real) -> Real:
        share = axis.way(centre.t, t) / steps / (sqrt(axis.rounded(t) / steps) + root)
        return centre.value + span * share

    return formula


class Zero(NamedTuple):
    """The whole step at which a curve is nearest to zero, and exact values right beside it."""

    place: int
    beside: Mapping[int, float]


def nearest_zero(value: Callable[[int], Big], first: float, last: float, steps: int) -> Zero:
    """
    Return where a curve is nearest to zero that runs one way from a first to a last value.

    It is one of the ends, unless they have opposite signs. ``value(n)`` is the value at a
    whole step n. Right beside a change of sign, a sum would still cancel: those values are given.
    """
    if first >= 0 <= last or first <= 0 >= last:
        return Zero(0 if abs(first) <= abs(last) else steps, {})
    rises = last > 0

    def crossed(n: int) -> bool:
        return (value(n).mantissa > 0) == rises

    def rounded(n: int) -> float:
        return {0: first, steps: last}.get(n) or float(value(n))

    after = bisect_left(range(steps), True, lo=1, key=crossed)
    place = min((after - 1, after), key=lambda n: abs(rounded(n)))
    return Zero(place, {n: rounded(n) for n in (place - 1, place + 1) if 0 < n < steps})


_RATIOS: Final = {
    "exponential": _relaxation,
    "rational": _rational,
    "logarithmic": _logarithmic,
}
"""The shapes that have a ratio."""
