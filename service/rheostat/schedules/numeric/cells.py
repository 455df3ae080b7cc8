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
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np

from rheostat.schedules.numeric.arrays import (
    BLOCK,
    PART,
    SLAB,
    Floats,
    Real,
    blocks,
    distinct,
    slabs,
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
        if self._width <= min(_LONG, len(out) // 2):
            self._rows(start, stop, out, backwards=backwards)
        else:
            self._parts(start, stop, out, backwards=backwards)
        # Values run one way, but for rounding: if the farthest is not at the limit, none is.
        if abs(self._limit - out.item(0 if backwards else -1)) <= self._margin:
            self._clamp(out)

    def _rows(self, start: int, stop: int, out: Floats, *, backwards: bool) -> None:
        """Write the values at consecutive whole distances, by a table that cells share."""
        width, order = int(self._width), -1 if backwards else 1
        xs = self._tabulated(0, width, backwards=backwards)
        first, last = start // width, (stop - 1) // width
        nodes = self._columns(first, last + 1)
        spare = np.empty(min(len(out), SLAB) if len(nodes) > 2 else 0)
        for low, high in slabs(start, stop, width):
            j, r = divmod(low - first * width, width)
            end = min(r + high - low, width)
            part = slice(width - end, width - r) if backwards else slice(r, end)
            piece = out[stop - high : stop - low] if backwards else out[low - start : high - start]
            rows = piece.reshape(-1, end - r)
            some = nodes[:, j : j + len(rows)][:, ::order]
            self._cross(some, [x[part] for x in xs], rows, spare[: piece.size])

    def _parts(self, start: int, stop: int, out: Floats, *, backwards: bool) -> None:
        """Write the values at consecutive whole distances, in a few cells or in long ones."""
        width = int(self._width)
        size = min(width, BLOCK)
        spare = np.empty(min(len(out), size))
        for low, high in blocks(start, stop, size):
            j, r = divmod(low, width)
            xs = self._tabulated(r, r + high - low, backwards=backwards)
            piece = out[stop - high : stop - low] if backwards else out[low - start : high - start]
            self._cross(self._known(j), xs, piece, spare[: high - low])

    def _short(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole distances, however short the cells are."""
        for low, high in blocks(start, stop, PART):
            self._gather(steps(low, high), out[low - start : high - start])

    def _tabulated(self, start: int, stop: int, *, backwards: bool) -> Sequence[Floats]:
        """Return the x_i for a range of distances."""
        if backwards:
            return self._basis(stop - 1 - steps(0, stop - start))
        return self._basis(steps(start, stop))

    def _cross(
        self, node: Iterable[Real], xs: Sequence[Floats], out: Floats, spare: Floats
    ) -> None:
        """Write the values in a cell, or in some, a row for each."""
        value, *weights = node
        if not weights:
            np.add(xs[0], value, out=out)
            return
        np.multiply(xs[0], weights[0], out=out)
        for x, weight in zip(xs[1:], weights[1:], strict=False):
            out += np.multiply(x, weight, out=spare.reshape(out.shape))
        if len(xs) > len(weights):
            out += xs[-1]
        out += value

    def _gather(self, u: Floats, out: Floats) -> None:
        """Write the values in any cells."""
        j = (u * self._inverse).astype(np.intp)
        xs = self._basis(u - j * self._width)
        values, *weights = self._table
        missing = np.isnan(values.take(j))
        if missing.any():
            self._tabulate(distinct(j[missing], self._cells))
        moved = weights[0].take(j) * xs[0] if len(weights) else xs[0]
        for i in range(1, len(xs)):
            moved += weights[i].take(j) * xs[i] if i < len(weights) else xs[i]
        np.add(moved, values.take(j), out=out)
        self._clamp(out)

    def _columns(self, first: int, end: int) -> Floats:
        """Return the nodes of consecutive cells, a row for each cell in each of their numbers."""
        nodes = self._table[:, first:end, None]
        if np.isnan(nodes[0]).any():
            self._tabulate(range(first, end))
        return nodes

    def _tabulate(self, cells: Iterable[int]) -> None:
        """Take the nodes of some cells into the table."""
        for j in cells:
            # Other threads look at the value to see whether the weights are there.
            self._table[1:, j], self._table[0, j] = self._known(j)[1:], self._known(j)[0]

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
