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

BLOCK: Final = 32768
"""Elements to work on in place at a time, so that they stay in the processor's cache."""
PART: Final = 8192
"""
Elements to work on at a time with arrays made for intermediate results: larger ones would come from
the operating system and go back to it each time.
"""
SLAB: Final = 262144
"""
Elements to work on at a time in rows that share a table: fewer cost calls of NumPy, and more would
go to memory and back for each operation.
"""
_FIRST: Final = np.arange(BLOCK, dtype=np.float64)
"""The whole numbers below it: a sum with them is quicker than a range of others."""


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


def blocks(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of pieces of a range that end at multiples of a size."""
    while start < stop:
        end = min(stop, (start // size + 1) * size)
        yield start, end
        start = end


def slabs(start: int, stop: int, row: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of pieces of a range: some whole rows of so many, or a part of one."""
    while start < stop:
        rows = 0 if start % row else min(stop - start, SLAB) // row
        end = start + rows * row if rows else min(stop, (start // row + 1) * row)
        yield start, end
        start = end


def steps(start: int, stop: int) -> Floats:
    """Return the whole numbers of a range as floats."""
    if stop - start > BLOCK:
        return np.arange(start, stop, dtype=np.float64)
    return rising(start, np.empty(stop - start))


def rising(first: float, out: Floats) -> Floats:
    """Write a number, and one more each time, to an array of up to `BLOCK` elements."""
    return np.add(_FIRST[: len(out)], first, out=out)


def distinct(numbers: NDArray[Any], end: int) -> list[int]:
    """Return the different ones of numbers from 0 to below an end, in order."""
    seen = np.zeros(end, dtype=np.bool_)
    seen[numbers] = True
    found: list[int] = np.flatnonzero(seen).tolist()
    return found


def horner(x: Real, coefficients: tuple[float, ...], out: Floats | None = None) -> Real:
    """Return Σ c_k x^k, for two coefficients or more; in an array that is there if one is given."""
    total = x * coefficients[-1] if out is None else np.multiply(x, coefficients[-1], out=out)
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
