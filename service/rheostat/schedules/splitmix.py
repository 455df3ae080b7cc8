"""
Random numbers that are a function of a seed and a step, with the same bits everywhere.

The generator is SplitMix64 (Steele, Lea and Flood 2014): its n-th output is a hash of the seed
plus n times an odd constant, so that any step costs the same. All of it is arithmetic on 64-bit
integers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rheostat.schedules.definition import Floats

_STRIDE: Final = np.uint64(0x9E3779B97F4A7C15)


def splitmix64(seed: int, n: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return outputs number n (from 0) of the generator with this seed, 0 ≤ seed < 2^64."""
    z = np.uint64(seed) + (n.astype(np.uint64) + np.uint64(1)) * _STRIDE
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: int, n: NDArray[np.int64]) -> Floats:
    """Return numbers spread evenly over (−1, 1): odd multiples of 2^−52, none of them 0."""
    return ((splitmix64(seed, n) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-51 - 1.0
