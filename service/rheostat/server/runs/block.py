"""Blocks: the answer to a read of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rheostat.server.runs.settling import Reign


@dataclass(frozen=True)
class Block:
    """
    Consecutive cells of a run's parameters.

    ``values`` has shape parameters × cells, with ``names`` sorted. ``settled_until`` is the end of
    what is settled of its generation: of a settling read, at least the end of the block.
    """

    run_id: str
    generation: int
    start: int
    resolution: int
    names: Sequence[str]
    reigns: Sequence[Reign]
    values: NDArray[np.float64]
    settled_until: int
    incarnation: str
    """Which life of its database it comes from."""
    event: int | None = None
    """The number of the event that settled it, if this very read did."""

    @property
    def count(self) -> int:
        """The number of cells."""
        return int(self.values.shape[1])

    @property
    def revisions(self) -> list[tuple[int, int]]:
        """From which step on which revision is in force, within the block."""
        return [(reign.start, reign.revision) for reign in self.reigns]

    @property
    def final(self) -> list[bool]:
        """Which of the cells are settled, and so will never change."""
        settled = (self.settled_until - self.start) // self.resolution
        return [index < settled for index in range(self.count)]
