"""Blocks of values: which cells to ask for in one request, and the values that came."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rheostat.client.answers import Answer, Broken
from rheostat.client.calls import F64
from rheostat.client.revisions import InForce
from rheostat.client.signals import Place

if TYPE_CHECKING:
    Column = memoryview[float]
else:
    Column = memoryview  # not subscriptable before Python 3.14


class BlockRequest(NamedTuple):
    """Cells to ask for: ``size`` of them from ``start`` on, both in cells."""

    start: int
    size: int

    @property
    def stop(self) -> int:
        """The cell after the last."""
        return self.start + self.size


def around(cell: int, longest: float, first: int, stop: int) -> tuple[int, int]:
    """
    Return start and count of the largest aligned block around a cell.

    The count is a power of two, at most ``longest``, and the start a multiple of it, so that
    workers at the same place ask for the same block. It lies in [first, stop), as the cell must.

    >>> around(1000, 4096, 0, 1020)
    (992, 16)
    >>> around(1050, 8, 1050, 2**53)
    (1050, 2)
    """
    count = floor_power(longest)
    while True:
        start = cell - cell % count
        if first <= start and start + count <= stop:
            return start, count
        count //= 2


def onward(cell: int, longest: float, stop: int) -> tuple[int, int]:
    """
    Return start and count of a block from a cell on that ends where a large aligned one begins.

    It has more than half of ``longest`` cells, rounded down to a power of two, unless ``stop`` is
    nearer.

    >>> onward(1051, 16, 2**53)
    (1051, 13)
    """
    count = floor_power(longest)
    end = cell - cell % (count // 2) + count
    return cell, min(end, stop) - cell


def floor_power(number: float) -> int:
    """Return the largest power of two that is at most ``number``, and at least 1."""
    return 1 << (max(1, int(number)).bit_length() - 1)


class HalfBlock:
    """
    Half a block, indexed for look-ups.

    ``cells[name][step]`` holds the values by coordinate. A dictionary of dictionaries is the
    quickest look-up that plain Python has: two subscripts, and neither arithmetic nor a comparison.
    A parameter is indexed when it is first read.
    """

    __slots__ = ("_columns", "_steps", "cells", "revisions", "span")

    def __init__(
        self,
        columns: Mapping[str, Column],
        steps: range,
        revisions: Sequence[InForce] = (),
    ) -> None:
        self._columns = columns
        self._steps = steps
        self.span = range(steps.start, steps.stop)
        """All coordinates in it, those within a cell too."""
        self.revisions = revisions
        """Which revisions give the values of the whole block."""
        self.cells: dict[str, dict[int, float]] = {}

    def index(self, names: Iterable[str]) -> None:
        """Index these parameters."""
        for name in names:
            if name not in self.cells:
                self.cells[name] = dict(zip(self._steps, self._columns[name], strict=True))

    def until(self, step: int | None) -> HalfBlock:
        """Return what lies before a step, not indexed yet; itself if the step lies outside."""
        if step is None or step not in self.span[1:]:
            return self
        steps = self._steps[: (step - self.span.start) // self._steps.step]
        columns = {name: column[: len(steps)] for name, column in self._columns.items()}
        return HalfBlock(columns, range(steps.start, step, steps.step), self.revisions)


NO_CELLS = HalfBlock({}, range(0))


class Block:
    """The values of consecutive cells, as two halves; of a single cell, as one."""

    __slots__ = ("columns", "halves", "middle", "revisions", "signals", "start", "stop")

    def __init__(
        self,
        request: BlockRequest,
        columns: Mapping[str, Column],
        resolution: int,
        signals: tuple[Place, ...] | None = (),
        revisions: tuple[InForce, ...] = (),
    ) -> None:
        self.signals = signals
        """Those that it tells; None: more than its header holds."""
        self.revisions = revisions
        """Those that give its values, by rising step."""
        self.start = request.start
        self.stop = request.stop
        self.middle = request.start + request.size // 2
        self.columns = columns
        parts = (range(self.start, self.middle), range(self.middle, self.stop))
        self.halves = [self._half(cells, resolution) for cells in parts if cells]

    def __contains__(self, cell: int) -> bool:
        return self.start <= cell < self.stop

    @property
    def request(self) -> BlockRequest:
        """The cells that it has."""
        return BlockRequest(self.start, self.stop - self.start)

    def value(self, name: str, cell: int) -> float:
        """Return the parameter's value of a cell."""
        return self.columns[name][cell - self.start]

    def row(self, cell: int) -> dict[str, float]:
        """Return all parameters' values of a cell."""
        at = cell - self.start
        return {name: column[at] for name, column in self.columns.items()}

    def _half(self, cells: range, resolution: int) -> HalfBlock:
        part = slice(cells.start - self.start, cells.stop - self.start)
        columns = {name: column[part] for name, column in self.columns.items()}
        steps = range(cells.start * resolution, cells.stop * resolution, resolution)
        return HalfBlock(columns, steps, self.revisions)


def columns(answer: Answer, request: BlockRequest, names: Sequence[str]) -> Mapping[str, Column]:
    """
    Return the values of each parameter, which are read in the answer's own bytes.

    Raises:
        Broken: These are not exactly the values that were asked for, or one is not finite.

    """
    size = 8 * request.size * len(names)
    if answer.kind != F64 or len(answer.body) != size or answer.over:
        raise Broken(f"expected {size} bytes of {F64}, got {answer}", answer.status)
    values = _float64(answer.body)
    # the sum is quick, and finite unless a value is not, or the values are very large
    if not (math.isfinite(sum(values)) or all(map(math.isfinite, values))):
        raise Broken("a block with a value that is not finite")
    starts = range(0, len(values), request.size)
    return {
        name: values[start : start + request.size]
        for name, start in zip(names, starts, strict=True)
    }


def _float64(body: bytes) -> Column:
    """Return little-endian float64 as numbers: in place where that is the machine's own request."""
    values: Any = memoryview(body).cast("d")
    if sys.byteorder == "big":
        values = array("d", body)
        values.byteswap()
    return memoryview(values)
