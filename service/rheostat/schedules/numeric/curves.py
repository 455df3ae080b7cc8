"""The base curves by their direct formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

ShapeName = Literal["linear", "cosine", "1-sqrt", "power", "polynomial", "exponential"]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a weight falls from 1 to 0; ``power`` and ``ratio`` matter to the shapes that use them."""

    name: ShapeName
    power: float = 1.0
    ratio: float = 0.1


class _Curve:
    """A curve that takes one step or many."""

    def __init__(self, function: Callable[..., Floats]) -> None:
        self._function = function
        wraps(function)(self)

    @overload
    def __call__(self, t: int, *args: Any, **kwargs: Any) -> float: ...
    @overload
    def __call__(self, t: Ints, *args: Any, **kwargs: Any) -> Floats: ...
    def __call__(self, t: int | Ints, *args: Any, **kwargs: Any) -> float | Floats:
        if isinstance(t, int):
            return float(self._function(np.array([t], dtype=np.int64), *args, **kwargs)[0])
        return self._function(t, *args, **kwargs)


def mix(start: float, end: float, w: Floats, v: Floats) -> Floats:
    """Return start·w + end·v, never outside of the two."""
    low, high = min(start, end), max(start, end)
    return np.clip(start * w + end * v, low, high)


def weight(shape: Shape, n: Ints, d: int) -> tuple[Floats, Floats]:
    """Return (w, 1 − w) of the shape at y = n/d, both accurate; n is clipped to [0, d]."""
    n = np.minimum(n, d)
    y, z = n / d, (d - n) / d
    if shape.name == "linear":
        return z, y
    if shape.name == "cosine":
        return np.sin(np.pi / 2 * z) ** 2 * (n < d), np.sin(np.pi / 2 * y) ** 2
    if shape.name == "1-sqrt":
        return z / (1 + np.sqrt(y)), np.sqrt(y)
    if shape.name == "power":
        return 1 - y**shape.power, y**shape.power
    if shape.name == "polynomial":
        return z**shape.power, 1 - z**shape.power
    r = shape.ratio
    log = np.log(r)
    return r * np.expm1(-z * log) / (1 - r), np.expm1(y * log) / (r - 1)


@_Curve
def shaped(t: Ints, start: float, end: float, steps: int, shape: Shape) -> Floats:
    """Return the curve from start to end along a shape."""
    w, v = weight(shape, t, steps)
    return np.where(t >= steps, end, mix(start, end, w, v))


@_Curve
def linear(t: Ints, start: float, end: float, steps: int) -> Floats:
    """Return the line from start to end."""
    return shaped(t, start, end, steps, Shape("linear"))


@_Curve
def cosine(t: Ints, start: float, end: float, steps: int) -> Floats:
    """Return half a cosine wave from start to end."""
    return shaped(t, start, end, steps, Shape("cosine"))


@_Curve
def cosine_periodic(t: Ints, start: float, end: float, steps: int) -> Floats:
    """Return the cosine wave that goes on, with period 2·steps."""
    p = t % (2 * steps)
    return cosine(np.minimum(p, 2 * steps - p), start, end, steps)


@_Curve
def polynomial(t: Ints, start: float, end: float, steps: int, power: float) -> Floats:
    """Return end + (start − end)·(1 − t/steps)^power."""
    return shaped(t, start, end, steps, Shape("polynomial", power=power))


@_Curve
def geometric(t: Ints, start: float, end: float, steps: int) -> Floats:
    """Return start^(1 − y)·end^y; both of one sign, and not zero."""
    y = np.minimum(t, steps) / steps
    return np.where(t >= steps, end, start * np.exp(y * (np.log(end / start))))


@_Curve
def exponential(t: Ints, start: float, factor: float, every: float = 1) -> Floats:
    """Return start·factor^(t/every)."""
    return start * np.power(factor, t / every)


@_Curve
def inverse_power(t: Ints, start: float, timescale: float, power: float = 0.5) -> Floats:
    """Return start·(timescale/(timescale + t))^power."""
    return start * (timescale / (timescale + t)) ** power


@_Curve
def inverse_time(t: Ints, start: float, rate: float, every: float = 1) -> Floats:
    """Return start/(1 + rate·t/every)."""
    return start / (1 + rate * t / every)
