"""Curves with fewer points, for whoever looks at them: whatever sticks out stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rheostat.schedules.definition import Floats

Indices = NDArray[np.int64]


def thin(curves: Sequence[Floats], limit: int) -> Indices:
    """
    Return at most ``limit ≥ 2`` rising indices at which curves look like all of them.

    The curves, which are of one length, are cut into equal stretches at common indices. Kept are
    the ends of the stretches, and within each stretch the least and the greatest value of every
    curve that goes beyond its values at both ends. The more sticks out, the fewer stretches there
    are; so the first, last, least and greatest value of each of n curves are among the kept ones
    if ``limit ≥ 2 + 2·n``. With a lower limit that is reached, some of them are, evenly chosen.
    """
    count = len(curves[0])
    if count <= limit:
        return np.arange(count)
    stretches, fewest = limit - 1, max((limit - 1) // (1 + 2 * len(curves)), 1)
    ends = spread(count, stretches + 1)
    while (excess := len(ends) + _count(curves, ends) - limit) > 0 and stretches > fewest:
        stretches = max(stretches - excess, fewest)
        ends = spread(count, stretches + 1)
    out = [index for curve in curves for index in _sticking_out(curve, ends)]
    kept = np.unique(np.concatenate([ends, np.array(out, dtype=np.int64)]))
    return kept if len(kept) <= limit else kept[spread(len(kept), limit)]


def spread(count: int, parts: int) -> Indices:
    """Return ``parts`` whole numbers from 0 to ``count − 1``, as evenly as they can be."""
    return np.linspace(0, count - 1, parts).round().astype(np.int64)


def _count(curves: Sequence[Floats], ends: Indices) -> int:
    return sum(len(there) for curve in curves for there in _stretches(curve, ends))


def _stretches(curve: Floats, ends: Indices) -> Iterator[NDArray[np.intp]]:
    """Yield the stretches in which a curve is below both ends, and those where it is above."""
    left, right = curve[ends[:-1]], curve[ends[1:]]
    yield np.flatnonzero(np.minimum.reduceat(curve, ends[:-1]) < np.minimum(left, right))
    yield np.flatnonzero(np.maximum.reduceat(curve, ends[:-1]) > np.maximum(left, right))


def _sticking_out(curve: Floats, ends: Indices) -> Iterator[int]:
    for there, furthest in zip(_stretches(curve, ends), (np.argmin, np.argmax), strict=True):
        for start, stop in zip(ends[there].tolist(), ends[there + 1].tolist(), strict=True):
            yield start + int(furthest(curve[start:stop]))
