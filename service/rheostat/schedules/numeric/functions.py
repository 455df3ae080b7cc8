"""The curves as functions of the step."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Generic, ParamSpec, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from rheostat.schedules.numeric import build
from rheostat.schedules.numeric.arrays import Curve, Floats
from rheostat.schedules.numeric.build import Shape
from rheostat.schedules.numeric.elementwise import geometric_between

P = ParamSpec("P")

Places: TypeAlias = NDArray[np.int64] | NDArray[np.float64]
"""Steps, or places between them."""

_KEPT: Final = 128
"""Curves of each kind that are kept with their nodes."""
_FEW: Final = 4
"""Up to so many places are quicker one by one."""


class Function(Generic[P]):
    """A curve as a function of the step and of the curve's parameters."""

    def __init__(self, curve: Callable[P, Curve]) -> None:
        self.curve = cast("Callable[P, Curve]", lru_cache(_KEPT)(curve))
        """From the parameters to the curve itself."""
        self.__doc__ = curve.__doc__

    @overload
    def __call__(self, t: float, *args: P.args, **kwargs: P.kwargs) -> float: ...
    @overload
    def __call__(self, t: range | Places, *args: P.args, **kwargs: P.kwargs) -> Floats: ...
    def __call__(
        self, t: float | range | Places, *args: P.args, **kwargs: P.kwargs
    ) -> float | Floats:
        """Return the value at one place, or an array of the values at many."""
        curve = self.curve(*args, **kwargs)
        if isinstance(t, (int, float)):
            return curve.at(t)
        if len(t) <= _FEW:
            places = t if isinstance(t, range) else t.tolist()
            return np.array([curve.at(place) for place in places], dtype=np.float64)
        if not _consecutive(t):
            places = np.arange(t.start, t.stop, t.step) if isinstance(t, range) else t
            return curve.many(places.astype(np.float64, copy=False))
        out = np.empty(len(t))
        curve.run(int(t[0]), int(t[-1]) + 1, out)
        return out


def _consecutive(t: range | Places) -> bool:
    """Whether these are whole numbers, one right after the other."""
    if isinstance(t, range):
        return t.step == 1
    if t.dtype.kind != "i" or t[-1] - t[0] != len(t) - 1:
        return False
    return bool((t[1:] > t[:-1]).all())


linear = Function(build.linear)
cosine = Function(build.cosine)
cosine_periodic = Function(build.cosine_periodic)
polynomial = Function(build.polynomial)
shaped = Function(build.shaped)
exponential = Function(build.exponential)
inverse_power = Function(build.inverse_power)
inverse_time = Function(build.inverse_time)
_geometric = Function(build.geometric)


@overload
def geometric(t: float, start: float, end: float, steps: int) -> float: ...
@overload
def geometric(t: range | Places, start: float, end: float, steps: int) -> Floats: ...
@overload
def geometric(t: Places, start: Floats, end: Floats, steps: Places) -> Floats: ...
def geometric(t: Any, start: Any, end: Any, steps: Any) -> float | Floats:
    """
    Return start^(1 − y)·end^y with y = t/steps, for ends of one sign that are not zero.

    The ends and the steps are numbers, or arrays that hold one for each place.
    """
    if isinstance(start, np.ndarray):
        t, steps = (x.astype(np.float64, copy=False) for x in (t, steps))
        return geometric_between(t, start, end, steps)
    values: float | Floats = _geometric(t, start, end, steps)
    return values


_UNIT: Final = 4096
"""Steps of the curves from 0 to 1 that give the weights, read at places between steps."""


def weight(shape: Shape, n: Places, d: int | Places) -> tuple[Floats, Floats]:
    """
    Return the pair (w, 1 − w) of a shape at y = n/d, each accurate, however near to 0 it is.

    ``n`` holds places from 0 on; ``d`` is a length above 0, or an array of one for each of them.
    """
    if not isinstance(d, np.ndarray):
        return shaped(n, 1.0, 0.0, d, shape), shaped(n, 0.0, 1.0, d, shape)
    y, left = np.minimum(n / d, 1.0) * _UNIT, np.maximum((d - n) / d, 0.0) * _UNIT
    early = y <= left
    place = np.where(early, y, left)
    falling, rising = _unit(shape, 1.0), _unit(shape, 0.0)
    w, v = (np.where(early, *(curve.many(place) for curve in pair)) for pair in (falling, rising))
    return w, v


def mix(start: float | Floats, end: float | Floats, w: Floats, v: Floats) -> Floats:
    """Return start·w + end·v, never outside of the two."""
    return np.clip(start * w + end * v, np.minimum(start, end), np.maximum(start, end))


@lru_cache(64)
def _unit(shape: Shape, first: float) -> tuple[Curve, Curve]:
    """Return the curves from 0 or 1 to the other: in time, and backwards from the end."""
    forwards = build.shaped(first, 1 - first, _UNIT, shape)
    return forwards, build.shaped(1 - first, first, _UNIT, shape, backwards=True)
