"""Weights along a shape, and the mixing of values by them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from rheostat.schedules.numeric import build
from rheostat.schedules.numeric.arrays import Curve, Floats
from rheostat.schedules.numeric.build import Shape
from rheostat.schedules.numeric.curves import Places, shaped

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
