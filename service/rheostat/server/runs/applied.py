"""
What workers applied, held against what was served.

A worker lists the cells whose values it applied in windows, each with a digest of these values. The
same digest is made here of the ledger. Where the two differ, the worker sends the values once, and
the first step at which they differ is named. Numbers are compared bit for bit, after those of the
ledger are rounded as the worker's slot is: float32 where the rate lies in a float32 tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.digests import records_digest
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_APPLIED, MAX_STEP
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.spec import StoredRun
from rheostat.wire import SlotType

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

SLOTS: Final[Mapping[SlotType, type[np.floating[Any]]]] = {"f64": np.float64, "f32": np.float32}
"""The types of slots that a worker applies values to."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Cells of a run: the first coordinate, how many there are, and every how many-th they are."""

    start: int
    count: int
    stride: int

    def last(self, grid: Grid) -> int:
        """Return the first coordinate of the last cell."""
        return self.start + (self.count - 1) * self.stride * grid.resolution

    def steps(self, grid: Grid) -> Cells:
        """Return the first coordinates of the cells."""
        width = self.stride * grid.resolution
        return self.start + width * np.arange(self.count, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Window:
    """
    Cells that a worker applied, each once and rising, with the digest of what it applied.

    ``parameters`` has the type of each slot, by name, and ``values`` what was applied, once the
    service has asked for it. Neither cells nor parameters are none.
    """

    cells: Sequence[Stretch]
    parameters: Mapping[str, SlotType]
    digest: str
    values: Mapping[str, Sequence[float]] | None = None

    @property
    def start(self) -> int:
        """Its first step, by which it is named."""
        return self.cells[0].start

    def stop(self, grid: Grid) -> int:
        """Return where its last cell ends."""
        return self.cells[-1].last(grid) + grid.resolution

    @property
    def count(self) -> int:
        """The number of its cells."""
        return sum(stretch.count for stretch in self.cells)

    @property
    def slots(self) -> list[tuple[str, SlotType]]:
        """Its parameters by name, with the types of their slots."""
        return sorted(self.parameters.items())

    def key(self, generation: int) -> bytes:
        """Return what determines its digest, among the windows of its run."""
        cells = [(each.start, each.count, each.stride) for each in self.cells]
        written = repr((generation, cells, self.slots))
        return blake2b(written.encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that a worker found in a slot, at a step, and that it had not been given."""

    step: int
    parameter: str
    found: float
    dtype: SlotType = "f64"


class Mismatch(NamedTuple):
    """A value that a worker applied and was not given; both as the bits of a float64."""

    step: int
    parameter: str
    expected: int
    found: int
    dtype: SlotType
    worker: str
    generation: int


# --- what a window may be -------------------------------------------------------------------------


def require_window(spec: StoredRun, window: Window, field: str) -> None:
    """
    Raise `Invalid` unless a run can have such a window: cells that rise, and known parameters.

    ``field`` is its path in the request.
    """
    _require_cells(spec.grid, window, f"{field}.cells")
    for name in window.parameters:
        require_parameter(spec, name, f"{field}.parameters.{name}")
    if window.values is not None:
        _require_values(window, window.values, f"{field}.values")


def require_parameter(spec: StoredRun, name: str, field: str) -> None:
    """Raise `Invalid` unless a run has this parameter."""
    if name not in spec.parameters:
        known = ", ".join(sorted(spec.parameters)[:16])
        raise _refuse(field, f"the run has no parameter {name!r}", name, f"one of {known}")


def require_holds(dtype: SlotType, values: Sequence[float], field: str) -> None:
    """Raise `Invalid` unless a slot of this type can hold each of these values."""
    numbers = np.array(values, np.float64)
    odd = (rounded(numbers, dtype) != numbers) & ~np.isnan(numbers)
    if odd.any():
        message = f"a slot of {dtype} cannot hold this number"
        raise _refuse(field, message, float(numbers[odd][0]), f"a number of {dtype}")


def _require_values(window: Window, values: Mapping[str, Sequence[float]], field: str) -> None:
    if values.keys() != window.parameters.keys():
        message = "values are sent of the parameters that the window names, and of no others"
        raise _refuse(field, message, sorted(values)[:16], ", ".join(window.parameters))
    for name, column in values.items():
        if len(column) != window.count:
            message = f"the window has {window.count} cells, and {len(column)} values"
            raise _refuse(f"{field}.{name}", message, len(column), f"{window.count} values")
        require_holds(window.parameters[name], column, f"{field}.{name}")


def _require_cells(grid: Grid, window: Window, field: str) -> None:
    before = -1
    for index, stretch in enumerate(window.cells):
        _require_stretch(grid, stretch, before, f"{field}[{index}]")
        before = stretch.last(grid)
    if window.count > MAX_APPLIED:
        message = f"the window has {window.count} cells, and at most {MAX_APPLIED} are taken"
        raise _refuse(field, message, window.count, f"<= {MAX_APPLIED} cells")


def _require_stretch(grid: Grid, stretch: Stretch, before: int, field: str) -> None:
    grid.require(f"{field}[0]", stretch.start)
    if stretch.start <= before:
        message = f"cells rise, each of them once: this begins at {stretch.start}, after {before}"
        raise _refuse(f"{field}[0]", message, stretch.start, f"> {before}")
    for place, name, value in ((1, "count", stretch.count), (2, "stride", stretch.stride)):
        if value < 1:
            raise _refuse(f"{field}[{place}]", f"{name} must be at least 1", value, ">= 1")
    if stretch.last(grid) > MAX_STEP:
        message = f"the last of these cells would begin past {MAX_STEP}"
        raise _refuse(field, message, stretch.last(grid), f"<= {MAX_STEP}")


# --- values ---------------------------------------------------------------------------------------


def steps_of(cells: Sequence[Stretch], grid: Grid) -> Cells:
    """Return the first coordinates of all cells of these stretches."""
    return np.concatenate([stretch.steps(grid) for stretch in cells])


def rounded(values: Floats, dtype: SlotType) -> Floats:
    """Return values as a slot of this type holds them; beyond float32 that is infinity."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(SLOTS[dtype]).astype(np.float64)


def digest_of(steps: Cells, columns: Sequence[Floats]) -> str:
    """Return `rheostat.digests.applied_digest` of cells and the values of each parameter."""
    records = np.empty((len(steps), 1 + len(columns)), np.dtype("<u8"))
    records[:, 0] = steps
    for place, column in enumerate(columns, start=1):
        records[:, place] = _bits(column)
    return records_digest(records.tobytes())


def expected(window: Window, served: Mapping[str, Floats]) -> list[Floats]:
    """Return what the slots of a window must have held, by what was served, sorted by name."""
    return [rounded(served[name], dtype) for name, dtype in window.slots]


def differing(
    window: Window, steps: Cells, must: Sequence[Floats], field: str
) -> Iterator[tuple[str, int, float, float]]:
    """
    Yield, for each parameter that differs, its name and the first such step, with both values.

    Raises:
        Invalid: The window's ``values`` are what must have been applied, and its digest is not
            that of them.

    """
    values = window.values or {}
    same = True
    for (name, _), column in zip(window.slots, must, strict=True):
        found = np.array(values[name], np.float64)
        (places,) = np.nonzero(_bits(found) != _bits(column))
        if len(places):
            first, same = places[0], False
            yield name, int(steps[first]), float(column[first]), float(found[first])
    if same:
        message = "the values are what was served, and the digest is not that of them"
        raise _refuse(f"{field}.digest", message, window.digest, "the digest of its values")


def _bits(values: Floats) -> NDArray[np.uint64]:
    return np.ascontiguousarray(values, np.dtype("<f8")).view(np.dtype("<u8"))


def _refuse(field: str, message: str, value: Any, bound: str) -> Invalid:
    return Invalid(message, errors=[FieldError(field, message, value, bound)])
