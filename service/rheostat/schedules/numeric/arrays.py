"""What all of the numeric core is written with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Real: TypeAlias = Any
"""A float, or an array of them: formulas are written once for both."""

BLOCK: Final = 16384
"""Elements to work on at a time, so that intermediate results stay in the processor's cache."""


class Curve(Protocol):
    """Values at places t ≥ 0, counted from the curve's origin."""

    @property
    def bounded(self) -> bool:
        """Whether rounding never takes values past the curve's ends."""

    def at(self, t: float) -> float:
        """Return the value at one place."""

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""


def blocks(start: int, stop: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Yield the bounds of pieces of a range that end at multiples of a size."""
    while start < stop:
        end = min(stop, (start // size + 1) * size)
        yield start, end
        start = end


def steps(start: int, stop: int) -> Floats:
    """Return the whole numbers of a range as floats."""
    return np.arange(start, stop, dtype=np.float64)


def distinct(numbers: NDArray[Any], end: int) -> list[int]:
    """Return the different ones of numbers from 0 to below an end, in order."""
    seen = np.zeros(end, dtype=np.bool_)
    seen[numbers] = True
    found: list[int] = np.flatnonzero(seen).tolist()
    return found


def horner(x: Real, coefficients: tuple[float, ...]) -> Real:
    """Return Σ c_k x^k, for two coefficients or more."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total


def sqrt(x: Real) -> Real:
    """Return the square root, which IEEE 754 rounds correctly."""
    return np.sqrt(x) if isinstance(x, np.ndarray) else math.sqrt(x)


def two_sum(a: Real, b: Real) -> tuple[Real, Real]:
    """Return a sum and what its rounding left over."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
