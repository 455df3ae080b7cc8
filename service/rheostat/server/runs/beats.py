"""Beats: what workers say of themselves, and of what they have applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rheostat.wire import SlotType

Doing = Literal["training", "waiting", "ended"]
"""What a worker says that it does."""

Stretch = tuple[int, int, int]
"""Cells that were applied: the first coordinate, how many, and how many cells apart."""


@dataclass(frozen=True, slots=True)
class Window:
    """Cells of which a worker says what it applied to them: a digest, and the values if asked."""

    cells: tuple[Stretch, ...]
    parameters: Mapping[str, SlotType]
    digest: str
    values: Mapping[str, tuple[float, ...]] | None = None

    @property
    def start(self) -> int:
        """The first coordinate."""
        return self.cells[0][0]

    @property
    def count(self) -> int:
        """How many cells there are."""
        return sum(count for _, count, _ in self.cells)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that a worker found where it was applied, and that is not what it was to be."""

    step: int
    parameter: str
    found: float
    dtype: SlotType = "f64"


@dataclass(frozen=True, slots=True)
class Said:
    """What one worker says of itself."""

    worker: str
    session: str
    step: int
    host: str | None = None
    job: str | None = None
    pace: float | None = None
    waited: float = 0.0
    state: Doing = "training"
    applied: tuple[Window, ...] = ()
    wrong: tuple[Wrong, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """What workers of a generation say together; the first of them is who sends it."""

    generation: int
    workers: tuple[Said, ...]
