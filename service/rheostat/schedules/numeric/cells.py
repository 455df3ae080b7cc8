"""
Curves in cells: exact at nodes, and a few float64 operations from a node to a step.

A `Walk` is one side of a curve, walked away from an anchor at distance u = 0. It is cut into cells
of a power of two of steps; with u = node + r, the value is

    value(node) + Σ weight_i(node) · x_i(r)

Values and weights of a node are rounded once, from `Big` numbers; the x_i are short series in r
that are the same in all cells. In a run of steps the x_i are tabulated once for all cells, and each
step costs one to five additions and multiplications. A single step, a shuffled array and a run do
the very same operations on the same numbers, so that they give the same bits; and since these are
additions, multiplications and truncations as IEEE 754 defines them, so does every processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    steps,
)

Node: TypeAlias = Callable[[int], tuple[float, ...]]
"""From the number of a cell to the value and the weights at its lower end."""
Basis: TypeAlias = Callable[[Real], tuple[Real, ...]]
"""From distances r in a cell to the x_i; one that has no weight comes last."""

_SHORT: Final = 256
"""Cells of fewer steps are gathered rather than walked through one by one."""
_LONG: Final = 65536
"""Tables of more steps are slower to write and read than to compute again."""
_NEAR: Final = 2.0**-48
_TINY: Final = 2.0**-1066
"""More than rounding can move a value: relative to it, and among the subnormal numbers."""


class Walk:
    """
    One side of a curve, for distances from its anchor.

    It has so many cells of 2^shift steps, and `node` gives the value and the weights at the lower
    end of each. Values rise or fall to `limit`, and not past it.
    """

    def __init__(
        self, cells: int, shift: int, node: Node, basis: Basis, limit: float, *, rises: bool
    ) -> None:
        self.last = (cells - 1) * 2.0**shift
        """The distance of the last node."""
        self._cells, self._width, self._inverse = cells, 2.0**shift, 2.0**-shift
        self._node, self._basis, self._limit, self._rises = node, basis, limit, rises
        self._nodes: dict[int, tuple[float, ...]] = {}

    def at(self, u: float) -> float:
        """Return the value at one distance."""
        j = int(u * self._inverse)
        value, *weights = self._known(j)
        xs = self._basis(u - j * self._width)
        moved: float = weights[0] * xs[0] if weights else xs[0]
        for i in range(1, len(xs)):
            moved += weights[i] * xs[i] if i < len(weights) else xs[i]
        moved += value
        return min(moved, self._limit) if self._rises else max(moved, self._limit)

    def many(self, u: Floats) -> Floats:
        """Return the values at distances in any order."""
        out = np.empty_like(u)
        for start, stop in blocks(0, len(u), PART):
            self._gather(u[start:stop], out[start:stop])
        return out

    def run(self, start: int, stop: int, out: Floats, *, backwards: bool = False) -> None:
        """Write the values at consecutive whole distances, the greatest one first if backwards."""
        if self._width < _SHORT:
            self._short(start, stop, out[::-1] if backwards else out)
            return
        width = int(self._width)
        worth = width <= min(_LONG, len(out) // 2)
        shared = self._tabulated(0, width, backwards=backwards) if worth else None
        spare = np.empty(min(width, BLOCK))
        for low, high in blocks(start, stop, min(width, BLOCK)):
            j, r = divmod(low, width)
            end = r + high - low
            if shared is None:
                xs = self._tabulated(r, end, backwards=backwards)
            else:
                xs = [x[width - end : width - r] if backwards else x[r:end] for x in shared]
            piece = out[stop - high : stop - low] if backwards else out[low - start : high - start]
            self._cross(j, xs, piece, spare[: high - low])
            # Values run one way, but for rounding: if the farthest is not at the limit, none is.
            if abs(self._limit - piece.item(0 if backwards else -1)) <= self._margin:
                self._clamp(piece)

    def _short(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole distances, however short the cells are."""
        for low, high in blocks(start, stop, PART):
            self._gather(steps(low, high), out[low - start : high - start])

    def _tabulated(self, start: int, stop: int, *, backwards: bool) -> Sequence[Floats]:
        """Return the x_i for a range of distances."""
        r = steps(start, stop)
        return self._basis(r[::-1].copy() if backwards else r)

    def _cross(self, j: int, xs: Sequence[Floats], out: Floats, spare: Floats) -> None:
        """Write the values in one cell."""
        value, *weights = self._known(j)
        if not weights:
            np.add(xs[0], value, out=out)
            return
        np.multiply(xs[0], weights[0], out=out)
        for i in range(1, len(xs)):
            out += np.multiply(xs[i], weights[i], out=spare) if i < len(weights) else xs[i]
        out += value

    def _gather(self, u: Floats, out: Floats) -> None:
        """Write the values in any cells."""
        j = (u * self._inverse).astype(np.intp)
        xs = self._basis(u - j * self._width)
        values, *weights = table = self._table
        missing = np.isnan(values.take(j))
        if missing.any():
            for k in distinct(j[missing], self._cells):
                # Other threads look at the value to see whether the weights are there.
                table[1:, k], table[0, k] = self._known(k)[1:], self._known(k)[0]
        moved = weights[0].take(j) * xs[0] if len(weights) else xs[0]
        for i in range(1, len(xs)):
            moved += weights[i].take(j) * xs[i] if i < len(weights) else xs[i]
        np.add(moved, values.take(j), out=out)
        self._clamp(out)

    def _clamp(self, values: Floats) -> None:
        (np.minimum if self._rises else np.maximum)(values, self._limit, out=values)

    def _known(self, j: int) -> tuple[float, ...]:
        """Return value and weights of a node; they are computed when first asked for."""
        row = self._nodes.get(j)
        if row is None:
            row = self._nodes[j] = self._node(j)
        return row

    @cached_property
    def _table(self) -> Floats:
        """The nodes in columns, for many at a time: not a number where none is known yet."""
        return np.full((len(self._known(0)), self._cells), math.nan)

    @cached_property
    def _margin(self) -> float:
        """How near to the limit rounding could pass it."""
        return abs(self._limit) * _NEAR + _TINY if math.isfinite(self._limit) else 0.0
