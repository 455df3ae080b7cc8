"""
What a training applied, until the service has answered for it: no sockets, threads or clocks here.

The training appends a row for each update (`Applied.record`). Somebody else, in the background,
`fold`s rows into windows, and sends the digest of each; the service has the same from its ledger.
What is not listed is not claimed: a cell that was skipped, leapt over, or for which there was no
room here. So whatever is bounded may be dropped, and no alarm is false for it.

Windows end at multiples of W cells, so that ranks which applied the same send the same digest, and
the service computes it once. A window ends early where the training goes back to an earlier step,
where other parameters are applied, where it would be longer than may be sent, and where nothing
more came between two beats.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from rheostat.client.calls import coordinate, invalid, mapping, metric
from rheostat.digests import records_digest
from rheostat.limits import MAX_APPLIED, MAX_STRETCHES, MAX_WINDOWS, MAX_WRONG

if TYPE_CHECKING:
    from rheostat.wire import SlotType

LEAST_WINDOW = 256
"""Cells of the shortest window."""
MOST_VALUES = 2**18
"""Values of one window: as many as fit into one request as JSON."""
MOST_WINDOWS = 4 * MAX_WINDOWS
"""Windows that wait to be answered; then the oldest go."""
MOST_KEPT = 16 * 2**20
"""Bytes of all of them; then the oldest go."""
MOST_PENDING = 4 * 2**20
"""Bytes of rows that wait to be folded; then no more are recorded."""
MOST_BATCHES = 64
"""How often what is applied may become other parameters until rows are folded."""

CODES = {"f64": "d", "f32": "f"}
"""How `struct` names what a value is rounded to."""
ALL_F64: Mapping[str, SlotType] = {}
"""The types of values that all are float64."""


class Wrong(NamedTuple):
    """A value that was applied, and is known, or suspected, not to be the run's."""

    step: int
    parameter: str
    found: float
    dtype: SlotType

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same as another one: NaN is itself, and 0 is not -0."""
        return self.step, self.parameter, bits(self.found), self.dtype

    def told(self) -> dict[str, Any]:
        """Return it as a beat says it."""
        return {**self._asdict(), "found": metric(self.found)}


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What was applied over a stretch of cells, as it is sent."""

    cells: list[list[int]]
    """First coordinate, count, and stride in cells, of each stretch."""
    dtypes: Mapping[str, SlotType]
    """Of each parameter, by name and sorted."""
    rows: bytes
    """The records of the digest."""

    @property
    def start(self) -> int:
        """The first coordinate, which names it."""
        return self.cells[0][0]

    def told(self, *, values: bool = False) -> dict[str, Any]:
        """Return it as a beat says it, if asked for with its ``values``."""
        said = {"cells": self.cells, "parameters": self.dtypes, "digest": records_digest(self.rows)}
        if values:
            record = struct.Struct(f"<8x{len(self.dtypes)}d")
            columns = zip(*record.iter_unpack(self.rows), strict=True)
            named = zip(self.dtypes, columns, strict=True)
            said["values"] = {name: list(map(metric, column)) for name, column in named}
        return said


def window_size(pace: float | None, seconds: float) -> int:
    """
    Return W, in cells: the least power of two, from 256 on, of which at most 8 fall into a while.

    Args:
        pace: Cells in a second; None if it is not known.
        seconds: How long the while is, which lies between two beats.

    >>> window_size(10, 5), window_size(1000, 20), window_size(None, 5)
    (256, 4096, 256)
    """
    many = min((pace or 0.0) * seconds / MAX_WINDOWS, MAX_APPLIED)
    return max(LEAST_WINDOW, 1 << (math.ceil(many) - 1).bit_length()) if many > 1 else LEAST_WINDOW


def stretches(cells: Sequence[int], resolution: int) -> Iterator[list[int]]:
    """
    Yield first coordinate, count, and stride in cells, of rising coordinates of cells.

    >>> list(stretches([0, 1, 2, 10, 15, 20, 99], 1))
    [[0, 3, 1], [10, 3, 5], [99, 1, 1]]
    """
    first = at = 0
    while first < len(cells):
        at = first + 1
        stride = cells[at] - cells[first] if at < len(cells) else resolution
        while at < len(cells) and cells[at] - cells[at - 1] == stride:
            at += 1
        yield [cells[first], at - first, stride // resolution if at - first > 1 else 1]
        first = at


class Batch:
    """Rows of the same parameters: each the coordinate, and a value for each of them."""

    __slots__ = ("asked", "dtypes", "extend", "names", "pack", "row", "rows")

    def __init__(self, names: Iterable[str], asked: Mapping[str, SlotType]) -> None:
        self.asked = asked
        """The types as they were told, which are hardly ever others."""
        self.names = tuple(sorted(names))
        self.dtypes: dict[str, SlotType] = {name: asked.get(name, "f64") for name in self.names}
        self.row = struct.Struct("<Q" + "".join(CODES[kind] for kind in self.dtypes.values()))
        self.rows = bytearray()
        self.pack, self.extend = self.row.pack, self.rows.extend

    def take(self) -> Iterator[tuple[Any, ...]]:
        """Take the rows that are there; others may be appended meanwhile."""
        taken = bytes(self.rows)
        del self.rows[: len(taken)]
        return self.row.iter_unpack(taken)


class Applied:
    """
    What one worker applied since it joined, as far as the service has not answered for it.

    One thread may fold while others record. It holds at most 32 MiB: twice `MOST_PENDING`,
    `MOST_KEPT`, and the window that is being filled. Usually it is a few KB.
    """

    def __init__(self, resolution: int) -> None:
        self.step: int | None = None
        """One cell past the one that was folded last; None before there is any."""
        self.wrong: list[Wrong] = []
        self.slips: deque[int] = deque(maxlen=1)
        """The last step that was said to be applied and was not served."""
        self._resolution = resolution
        self._batches: deque[Batch] = deque([Batch((), ALL_F64)])
        self._batch = self._batches[-1]
        self._changing = Lock()
        self._open = Opened(self._batch, resolution)
        self._windows: deque[Window] = deque()
        self._kept = 0

    def record(
        self, step: int, values: Mapping[str, float], dtypes: Mapping[str, SlotType] = ALL_F64
    ) -> None:
        """
        Append what was applied in the update of a step: some 0.5 µs.

        Args:
            step: A coordinate, of any place in its cell.
            values: The number of each parameter that was applied, not rounded yet. It is read now.
            dtypes: ``"f32"`` for those that are kept as float32. To hand over the same mapping each
                time is quickest.

        Raises:
            Invalid: This is no step, or these are no numbers or types.

        """
        batch = self._batch
        try:
            if dtypes is batch.asked and len(values) == len(batch.names):
                row = batch.pack(step, *[values[name] for name in batch.names])
                if len(batch.rows) < MOST_PENDING:
                    batch.extend(row)
                return
        except Exception:  # noqa: BLE001, S110 - of whatever a number may be; it is told below
            pass
        self._record_otherwise(step, values, dtypes)

    def fold(self, window: int, settled: int) -> None:
        """
        Make windows of the rows that were recorded.

        Args:
            window: W, in cells: where one ends at the latest.
            settled: The first coordinate of which the worker can hold no value: what it says to
                have applied from there on is a slip, and is left out (`slips`).

        """
        span = window * self._resolution
        while True:
            batch = self._batches[0]
            if self._open.batch is not batch:
                self.close()
                self._open = Opened(batch, self._resolution)
            self._fold(batch, span, settled)
            if batch is self._batch:
                return
            self._fold(batch, span, settled)  # it may have got its last row meanwhile
            self._batches.popleft()

    def close(self) -> None:
        """End the window that is being filled: nothing will follow soon."""
        for window in self._open.take():
            self._windows.append(window)
            self._kept += len(window.rows)
        while len(self._windows) > MOST_WINDOWS or self._kept > MOST_KEPT:
            self._kept -= len(self._windows.popleft().rows)

    def windows(self) -> list[Window]:
        """Return those that are to be sent next: of those that were not answered, the oldest."""
        return list(islice(self._windows, MAX_WINDOWS))

    def answered(self, windows: Iterable[Window]) -> None:
        """Forget windows that the service has answered for, or will never."""
        for window in windows:
            if window in self._windows:
                self._windows.remove(window)
                self._kept -= len(window.rows)

    def say_wrong(self, step: int, parameter: str, found: float, dtype: SlotType = "f64") -> None:
        """Take in that a value is wrong; of too many, the first ones are told."""
        cell = step - step % self._resolution
        wrong = Wrong(cell, parameter, rounded(found, dtype), dtype)
        with self._changing:
            known = {each.key for each in self.wrong}
            if len(self.wrong) < MAX_WRONG and wrong.key not in known:
                self.wrong.append(wrong)

    def told_wrong(self, told: Iterable[Wrong]) -> None:
        """Forget wrong values that the service has heard of, or will never."""
        known = {each.key for each in told}
        with self._changing:
            self.wrong = [each for each in self.wrong if each.key not in known]

    def __bool__(self) -> bool:
        """Whether anything is to be sent, or would be if it were folded."""
        return bool(self._windows or self.wrong or self._open.cells or any(self._rows()))

    def _rows(self) -> Iterator[bytearray]:
        return (batch.rows for batch in list(self._batches))

    def _fold(self, batch: Batch, span: int, settled: int) -> None:
        opened, resolution = self._open, self._resolution
        last, end = opened.last, opened.end(span)
        for row in batch.take():
            cell = row[0] - row[0] % resolution
            if cell == last:
                self._require_equal(opened, row)
                continue
            if cell >= settled:
                self.slips.append(row[0])
                continue
            if not last < cell < end or len(opened.cells) >= opened.most:
                self.close()
                end = cell - cell % span + span
            opened.add(cell, row)
            last = cell
        if last != opened.last:
            self.step, opened.last = last + resolution, last

    def _require_equal(self, opened: Opened, row: Sequence[Any]) -> None:
        """Name what differs where a cell was applied twice, and list that cell no more."""
        for (name, dtype), before, now in zip(
            opened.batch.dtypes.items(), opened.newest[1:], row[1:], strict=True
        ):
            if bits(before) != bits(now):
                for found in (before, now):  # at most one of them is the run's
                    self.say_wrong(opened.newest_cell, name, found, dtype)
                opened.forget_newest()

    def _record_otherwise(
        self, step: Any, values: Mapping[str, Any], dtypes: Mapping[str, SlotType]
    ) -> None:
        at = coordinate(step)
        told = mapping(dtypes, "dtypes")
        kinds = {name: told.get(name, "f64") for name in mapping(values, "values")}
        numbers = [number_of(values[name], kinds[name], f"values.{name}") for name in sorted(kinds)]
        if not numbers:
            return
        with self._changing:
            batch = self._batch
            if kinds != batch.dtypes:
                pending = sum(map(len, self._rows()))
                if len(self._batches) >= MOST_BATCHES or pending >= MOST_PENDING:
                    return
                batch = Batch(kinds, dtypes)
                self._batches.append(batch)
            batch.asked = dtypes
            self._batch = batch
        if len(batch.rows) < MOST_PENDING:
            batch.extend(batch.pack(at, *numbers))


class Opened:
    """A window that is being filled."""

    def __init__(self, batch: Batch, resolution: int) -> None:
        self.batch = batch
        self.most = max(1, min(MAX_APPLIED, MOST_VALUES // max(1, len(batch.names))))
        self.cells: list[int] = []
        self.last = -1
        """The cell of the newest row, listed or not."""
        self.newest: Sequence[Any] = ()
        self._resolution = resolution
        self._record = struct.Struct(f"<Q{len(batch.names)}d")
        self._rows = bytearray()

    @property
    def newest_cell(self) -> int:
        """The first coordinate of the cell of the newest row."""
        step: int = self.newest[0]
        return step - step % self._resolution

    def end(self, span: int) -> int:
        """Return the coordinate at which it ends at the latest."""
        return self.cells[0] - self.cells[0] % span + span if self.cells else -1

    def add(self, cell: int, row: Sequence[Any]) -> None:
        """List a cell."""
        self.cells.append(cell)
        self._rows += self._record.pack(cell, *row[1:])
        self.newest = row

    def forget_newest(self) -> None:
        """List the newest cell no more."""
        if self.cells and self.cells[-1] == self.newest_cell:
            self.cells.pop()
            del self._rows[-self._record.size :]

    def take(self) -> Iterator[Window]:
        """Yield all as windows, each of as many stretches as it may have; then it is empty."""
        parts, cells, rows = list(stretches(self.cells, self._resolution)), self.cells, self._rows
        self.cells, self._rows = [], bytearray()
        at = 0
        for first in range(0, len(parts), MAX_STRETCHES):
            part = parts[first : first + MAX_STRETCHES]
            size = sum(count for _, count, _ in part) * self._record.size
            yield Window(part, self.batch.dtypes, bytes(rows[at : at + size]))
            at += size
        assert at == len(rows) == len(cells) * self._record.size  # noqa: S101 - each cell, once


def bits(value: float) -> bytes:
    """Return a float64 as bytes, by which numbers are compared."""
    return struct.pack("<d", value)


def rounded(value: float, dtype: SlotType) -> float:
    """Return a number as a slot holds it; beyond float32 that is infinity."""
    number: float
    [number] = struct.unpack(CODES[dtype], struct.pack(CODES[dtype], value))
    return number


def number_of(value: Any, dtype: Any, field: str) -> float:
    """
    Return a number of any library, as a slot of a type holds it.

    Raises:
        Invalid: It is no number, or there is no such type.

    """
    if dtype not in CODES:
        raise invalid("dtype", dtype, f"one of {', '.join(CODES)}")
    try:
        number = float(value)
    except Exception:  # noqa: BLE001 - of a tensor of several numbers, or whatever it may be
        raise invalid(field, value, "a number") from None
    return rounded(number, dtype)
