"""What all processes of one training are told."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

RANKS = 4
LR, WEIGHT_DECAY, LAST_LR = 0.05, 5e-4, 5e-4


class Plan(NamedTuple):
    """The training's length and what happens when; ``directory`` is for what ranks share."""

    steps: int
    directory: Path
    address: str

    @property
    def halve_at(self) -> int:
        """The step at which the operator decides to halve the learning rate."""
        return self.steps // 5

    @property
    def kill_at(self) -> int:
        """The step at which the server is killed."""
        return self.steps * 2 // 5

    @property
    def tail_at(self) -> int:
        """The step at which the operator decides that the tail begins."""
        return self.steps // 2

    @property
    def tail(self) -> int:
        """The length of the tail."""
        return self.steps // 4

    def record_of(self, rank: int) -> Path:
        """Return the file in which a rank leaves its record."""
        return self.directory / f"rank{rank}.pickle"
