"""
Curves over cells of equal relative width: powers and logarithms of a line s = origin ± t.

The lower ends of the cells are the numbers of a few leading bits. In a cell the value is a series
in (s − c)/c about the value at the middle c, which is rounded once from a `Big` number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np

from rheostat.schedules.numeric.arrays import (
    BLOCK,
    PART,
    Floats,
    Real,
    blocks,
    distinct,
    horner,
    rising,
    steps,
    two_sum,
)
from rheostat.schedules.numeric.expansions import Expansion

_NEGLIGIBLE: Final = 2.0**-56
"""What a series may leave out, relative to its first term."""
_WIDE: Final = 2048
"""Cells of so many steps are walked through one by one."""


class Axis:
    """s = origin + t, or origin − t if it falls; the origin is a sum of two floats."""

    def __init__(self, high: float, low: float = 0.0, *, falls: bool) -> None:
        self._high, self._low, self._falls = high, low, falls
        self._whole = low == 0 and high.is_integer()

    def at(self, t: Real) -> tuple[Real, Real]:
        """Return s as a float and what its rounding left over."""
        s, rest = two_sum(self._high, -t if self._falls else t)
        return s, rest + self._low

    def rounded(self, t: Real) -> Real:
        """Return s alone."""
        return self._high - t if self._falls else self._high + t

    def way(self, start: float, t: Real) -> Real:
        """Return how far it is from one place to another along s, or from one s to another."""
        return start - t if self._falls else t - start

    def until(self, t: int, width: float) -> int:
        """Return the number of whole steps up to the next multiple of a width, for a whole s."""
        passed: float = self.rounded(t) % width
        return math.floor(passed) + 1 if self._falls else math.ceil(width - passed)

    def along(self, c: float, start: int, out: Floats) -> None:
        """Write s − c, or c − s if it falls, at consecutive whole places near to c."""
        if self._whole:  # nothing of this is rounded
            rising(self.way(c, self.rounded(start)), out)
            return
        s, rest = self.at(steps(start, start + len(out)))
        np.add(s - c, rest, out=out)
        if self._falls:
            np.negative(out, out=out)


Node: TypeAlias = tuple[float, float, float, float]
"""The value and the change at the middle c of a cell, c, and the inverse of c."""


@dataclass(frozen=True)
class Centre:
    """A place t to expand a curve about: its s, the value and the change there."""

    t: int
    s: float
    value: float
    change: float


class Octaves:
    """A curve over s, exact even near the centre, if that is where it is zero."""

    bounded = False

    def __init__(self, axis: Axis, expansion: Expansion, centre: Centre | None = None) -> None:
        self._axis, self._expansion, self._centre = axis, expansion, centre
        self._bits = expansion.bits
        self._shift = 52 - expansion.bits
        reach = 0.5 ** (expansion.bits + 1)
        # Away from a zero, a correction is a small part of the value.
        self._series = expansion.series(reach, _NEGLIGIBLE if centre else _NEGLIGIBLE / reach)
        self._nodes: dict[float, Node] = {}
        self._radius = int(centre.s * 2 * reach) if centre else -1

    def at(self, t: float) -> float:
        """Return the value at one place."""
        if self._centre and abs(t - self._centre.t) <= self._radius:
            near: float = self._near(self._centre, t)
            return near
        s, rest = self._axis.at(t)
        if not self._expansion.least <= s <= self._expansion.most:
            s = min(max(s, self._expansion.least), self._expansion.most)
        value, change, c, inverse = self._known(self._middle(s))
        x = ((s - c) + rest) * inverse
        moved: float = change * (horner(x, self._series) * x)
        return value + moved

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        out = np.empty_like(t)
        for start, stop in blocks(0, len(t), PART):
            some, piece = t[start:stop], out[start:stop]
            self._gather(some, piece)
            if self._centre:
                near = np.abs(some - self._centre.t) <= self._radius
                piece[near] = self._near(self._centre, some[near])
        return out

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        first, last = start, start
        if self._centre:
            first = min(max(self._centre.t - self._radius, start), stop)
            last = min(max(self._centre.t + self._radius + 1, start), stop)
            for low, high in blocks(first, last, PART):
                out[low - start : high - start] = self._near(self._centre, steps(low, high))
        spare = np.empty(min(len(out), BLOCK))
        for low, high in (*self._pieces(start, first), *self._pieces(last, stop)):
            self._piece(low, high, out[low - start : high - start], spare[: high - low])

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the bounds of pieces of a range, each in one cell if that is a wide one."""
        low = start
        while low < stop:
            s = self._axis.rounded(low)
            width = math.ldexp(1.0, math.frexp(s)[1] - 1 - self._bits)
            inside = min(self._axis.until(low, width), BLOCK) if width >= _WIDE else PART
            high = min(low + inside, stop)
            yield low, high
            low = high

    def _piece(self, start: int, stop: int, out: Floats, x: Floats) -> None:
        """Write the values at consecutive whole places, in one cell if it can be."""
        ends = self._axis.rounded(start), self._axis.rounded(stop - 1)
        c, d = map(self._middle, ends)
        if c != d or min(ends) < self._expansion.least or max(ends) > self._expansion.most:
            self._gather(steps(start, stop), out)
            return
        value, change, _, inverse = self._known(c)
        self._axis.along(c, start, x)
        x *= self._axis.way(0, inverse)
        horner(x, self._series, out)
        out *= x
        out *= change
        out += value

    def _gather(self, t: Floats, out: Floats) -> None:
        """Write the values in any cells."""
        s, rest = self._axis.at(t)
        s = np.maximum(s, self._expansion.least)
        np.minimum(s, self._expansion.most, out=s)
        cells = s.view(np.int64) >> self._shift
        cells -= self._first
        value, change, c, inverse = table = self._table
        missing = np.isnan(value.take(cells))
        if missing.any():
            for cell in distinct(cells[missing], table.shape[1]):
                lower = np.int64((self._first + cell) << self._shift).view(np.float64)
                node = self._known(self._middle(float(lower)))
                # Other threads look at the value to see whether the rest is there.
                table[1:, cell], table[0, cell] = node[1:], node[0]
        s -= c.take(cells)
        s += rest
        s *= inverse.take(cells)
        horner(s, self._series, out)
        out *= s
        out *= change.take(cells)
        out += value.take(cells)

    def _near(self, centre: Centre, t: Real) -> Real:
        """Return values about the centre."""
        x = self._axis.way(centre.t, t) / centre.s
        return centre.value + centre.change * (x * horner(x, self._central))

    def _middle(self, s: float) -> float:
        """Return the middle of the cell of s."""
        mantissa, exponent = math.frexp(s)
        units = 2.0 ** (self._bits + 1)
        return math.ldexp((math.floor(mantissa * units) + 0.5) / units, exponent)

    def _known(self, c: float) -> Node:
        """Return the node of a cell; once computed, it is kept."""
        node = self._nodes.get(c)
        if node is None:
            node = self._nodes[c] = (*self._expansion.node(c), c, 1 / c)
        return node

    @cached_property
    def _central(self) -> tuple[float, ...]:
        return self._expansion.series(0.5**self._bits, _NEGLIGIBLE)

    @cached_property
    def _first(self) -> int:
        return self._cell(self._expansion.least)

    @cached_property
    def _table(self) -> Floats:
        """The nodes in columns, for many at a time: not a number where none is known yet."""
        return np.full((4, self._cell(self._expansion.most) - self._first + 1), math.nan)

    def _cell(self, s: float) -> int:
        return int(np.float64(s).view(np.int64)) >> self._shift
