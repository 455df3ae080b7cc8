"""The grid of a run: coordinates are whole numbers, and a value belongs to a cell of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.thin import spread


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of ``resolution`` coordinates each, the first at 0."""

    resolution: int = 1

    def floor(self, step: int) -> int:
        """Return the start of the cell that holds ``step``."""
        return step - step % self.resolution

    def ceil(self, step: int) -> int:
        """Return ``step`` if it is the start of a cell, else the start of the next one."""
        return -(-step // self.resolution) * self.resolution

    def cells(self, start: int, stop: int) -> int:
        """Return how many cells lie from ``start`` to ``stop``, both starts of cells."""
        return (stop - start) // self.resolution

    def steps(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the starts of the cells from ``start`` to ``stop``."""
        return np.arange(start, stop, self.resolution, dtype=np.int64)

    def spread(self, start: int, stop: int, most: int) -> NDArray[np.int64]:
        """Return at most so many cells from that of ``start`` to the last before ``stop``."""
        first, last = self.floor(start), self.floor(stop - 1)
        count = self.cells(first, last) + 1
        return first + spread(count, min(count, most)) * self.resolution

    def require(self, field: str, step: int) -> int:
        """Return ``step`` if it is the start of a cell within range, else raise `Invalid`."""
        if not 0 <= step <= MAX_STEP:
            raise _refuse(field, step, f"0 <= {field} <= {MAX_STEP}")
        if step % self.resolution:
            raise _refuse(field, step, f"a multiple of the resolution {self.resolution}")
        return step


def _refuse(field: str, step: int, bound: str) -> Invalid:
    error = FieldError(field, f"{field} is {step}, and must be {bound}", step, bound)
    return Invalid(error.message, errors=[error])
