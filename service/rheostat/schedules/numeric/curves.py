"""The curves as functions of the step."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Generic, ParamSpec, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from rheostat.schedules.numeric import build
from rheostat.schedules.numeric.arrays import Curve, Floats
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
