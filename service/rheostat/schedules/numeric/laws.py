"""
The laws of the curves that are walked in cells of equal width.

A law is a curve over y from 0 to 1, from a first to a last value. At y = n/d it knows its exact
value, and for steps of h its weights (see `cells`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, TypeAlias

from rheostat.schedules.numeric.arrays import Real, horner
from rheostat.schedules.numeric.big import BITS, PI, Big, cos_sin, exp, ln
from rheostat.schedules.numeric.cells import Basis, Walk

Side: TypeAlias = tuple[Callable[[int, int], tuple[float, ...]], Basis]
"""From y = n/d to the value and the weights of the cell there, and the x_i."""

_CELLS: Final = 6
"""A walk has 2^5 to 2^6 cells, where nothing else limits their width."""
_REACH: Final = 2
"""The exponent of an exponential changes by less than 2^-2 in a cell."""

_STEEPEST: Final = 1e300
_WIDEST: Final = 1000

_SINE: Final = (1.0, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880)
"""sin ρ = ρ · Σ c_k ρ^2k, for ρ < 0.1."""
_VERSINE: Final = (1.0, -1 / 12, 1 / 360, -1 / 20160, 1 / 1814400)
"""1 − cos ρ = ρ²/2 · Σ c_k ρ^2k, for ρ < 0.1."""
_HALF_SQUARE: Final = (PI * PI).shifted(-1)
"""π²/2."""
_GROWTH: Final = tuple(1 / math.factorial(k) for k in range(1, 13))
"""e^x − 1 = x · Σ c_k x^k, for |x| < 1/4."""


class Law(ABC):
    """A curve of so many steps, from a first to a last value."""

    def __init__(self, first: float, last: float, steps: int) -> None:
        self.first, self.last, self.steps = first, last, steps

    @abstractmethod
    def value(self, n: int, d: int) -> Big:
        """Return the value at y = n/d."""

    @abstractmethod
    def side(self, direction: int, shift: int) -> Side:
        """Return how to walk up (1) or down (−1) in cells of 2^shift steps."""

    def shift(self, length: int) -> int:
        """Return the binary logarithm of the width of cells in a walk of some length."""
        return length.bit_length() - _CELLS

    def walk(self, anchor: int, direction: int) -> Walk:
        """Return the walk from an anchor up (1) to the last value, or down (−1) to the first."""
        length, limit = anchor, self.first
        if direction > 0:
            length, limit = self.steps - anchor, self.last
        shift = self.shift(length)
        up, down = max(shift, 0), max(-shift, 0)
        first, width, d = anchor << down, direction << up, self.steps << down
        node, basis = self.side(direction, shift)
        cells = ((length << down) >> up) + 1
        rises = (self.last > self.first) == (direction > 0)
        return Walk(cells, shift, lambda j: node(first + j * width, d), basis, limit, rises=rises)


class PowerLaw(Law):
    """
    A power of y, 1, 2 or 3, or of 1 − y if that falls.

    first + (last − first)·y^power, or last + (first − last)·(1 − y)^power.
    """

    def __init__(
        self, first: float, last: float, steps: int, power: int, *, falls: bool = False
    ) -> None:
        super().__init__(first, last, steps)
        self._power, self._falls = power, falls
        self._rest, top = map(Big.of, (last, first) if falls else (first, last))
        self._span = top - self._rest

    def value(self, n: int, d: int) -> Big:
        """See `Law`."""
        y = Big.ratio(d - n if self._falls else n, d)
        top = self._span * y
        for _ in range(1, self._power):
            top *= y
        return self._rest.plus(top)

    def side(self, direction: int, shift: int) -> Side:
        """Return the coefficients of (y + h)^power as weights of the powers of a distance."""
        h = Big.ratio(-direction if self._falls else direction, self.steps).shifted(shift)
        inverse, top = 2.0**-shift, self._span
        for _ in range(self._power):
            top *= h
        scale = float(top)

        def node(n: int, d: int) -> tuple[float, ...]:
            y = Big.ratio(d - n if self._falls else n, d)
            line = self._span * y
            if self._power == 1:
                return (float(self._rest.plus(line)),)
            square = line * y
            if self._power == 2:
                return float(self._rest.plus(square)), float((line * h).shifted(1))
            three = Big(3) * h
            value = self._rest.plus(square * y)
            return float(value), float(three * square), float(three * h * line)

        def powers(r: Real) -> tuple[Real, ...]:
            x = r * inverse
            if self._power == 1:
                return (x * scale,)
            square = x * x
            if self._power == 2:
                return x, square * scale
            return x, square, square * x * scale

        return node, powers


class CosineLaw(Law):
    """Half a cosine wave: last + (first − last)·(1 + cos πy)/2."""

    def __init__(self, first: float, last: float, steps: int) -> None:
        super().__init__(first, last, steps)
        top, rest = Big.of(first).shifted(-1), Big.of(last).shifted(-1)
        self._middle, self._half = top + rest, top - rest

    def value(self, n: int, d: int) -> Big:
        """See `Law`."""
        return self._middle.plus(self._half * cos_sin(n, d)[0])

    def side(self, direction: int, shift: int) -> Side:
        """Return the weights of sin ρ and of 1 − cos ρ, for the angle ρ."""
        del shift
        slope, square = PI.over(self.steps), _HALF_SQUARE.over(self.steps**2)

        def node(n: int, d: int) -> tuple[float, ...]:
            cosine, sine = cos_sin(n, d)
            wave = self._half * cosine
            value, along = self._middle.plus(wave), float(self._half * sine)
            return float(value), -along if direction > 0 else along, -float(wave)

        def sine_versine(r: Real) -> tuple[Real, ...]:
            half = r * r * square
            z = half + half
            return r * slope * horner(z, _SINE), half * horner(z, _VERSINE)

        return node, sine_versine


class ExponentialLaw(Law):
    """A law whose weight is span·e^(rate·y); the rate is a fixed-point number."""

    def __init__(self, first: float, last: float, steps: int, rate: int, span: Big) -> None:
        super().__init__(first, last, steps)
        self._rate, self._span = rate, span
        self._slope = Big(rate, -BITS).over(steps)

    @abstractmethod
    def rest(self, growth: Big) -> Big:
        """Return the value where the exponential is so large."""

    def value(self, n: int, d: int) -> Big:
        """See `Law`."""
        return self.rest(exp(self._rate * n // d))

    def side(self, direction: int, shift: int) -> Side:
        """Return the weight of e^x − 1, and that of what the exponent grows by, at its scale."""
        scale = math.frexp(self._slope)[1] + shift

        def node(n: int, d: int) -> tuple[float, ...]:
            grown = exp(self._rate * n // d)
            return float(self.rest(grown)), float((self._span * grown).shifted(scale))

        return node, growth(direction * self._slope, 2.0**-scale)

    def shift(self, length: int) -> int:
        """Return the width in which the exponent changes by less than a quarter."""
        return min(super().shift(length), reach(self._slope))


class GeometricLaw(ExponentialLaw):
    """first^(1 − y)·last^y, for ends of one sign."""

    def __init__(self, first: float, last: float, steps: int) -> None:
        ratio = Big.of(last) / Big.of(first)
        super().__init__(first, last, steps, ln(ratio), Big.of(first))

    def rest(self, growth: Big) -> Big:
        """See `ExponentialLaw`."""
        return self._span * growth


class RelaxationLaw(ExponentialLaw):
    """last + (first − last)·(ratio^y − ratio)/(1 − ratio), for ratios above 0 other than 1."""

    def __init__(self, first: float, last: float, steps: int, ratio: Big) -> None:
        span = (Big.of(first) - Big.of(last)) / (Big(1) - ratio)
        super().__init__(first, last, steps, ln(ratio), span)
        self._bottom = ratio

    def rest(self, growth: Big) -> Big:
        """See `ExponentialLaw`."""
        return Big.of(self.last).plus(self._span * (growth - self._bottom))


def growth(slope: float, scale: float = 1.0) -> Basis:
    """Return scale·(e^(slope·r) − 1) as a function of r."""

    def grown(r: Real) -> tuple[Real, ...]:
        x = r * slope
        return (x * scale * horner(x, _GROWTH),)

    return grown


def reach(slope: float) -> int:
    """Return the largest binary logarithm of a width in which an exponent changes little."""
    return max(-_WIDEST, min(-_REACH - math.frexp(slope)[1], _WIDEST))


def endless(start: float, rate: int, every: float) -> Walk:
    """Return the walk along start·e^(rate·t/every), up to where it is zero or out of range."""
    a, b = every.as_integer_ratio()
    slope = Big(rate * b, -BITS).over(a)
    slope = max(-_STEEPEST, min(slope, _STEEPEST))
    shift = reach(slope)
    up, down = max(shift, 0), max(-shift, 0)
    first = Big.of(start)

    def node(j: int) -> tuple[float, ...]:
        value = float(first * exp(rate * (j << up) * b // (a << down)))
        # An infinite weight would make nothing of no distance.
        return value, value if math.isfinite(value) else 0.0

    room = math.log(abs(start)) + 750 if slope < 0 else 710 - math.log(abs(start))
    cells = int(room / (abs(slope) * 2.0**shift)) + 2
    rises = (start > 0) == (rate > 0)
    limit = math.inf if rises else -math.inf
    return Walk(cells, shift, node, growth(slope), limit, rises=rises)
