"""
Generations: the tree that rewinds grow, and who owns which cell of it.

A generation branches from its parent at ``start``. Cells below that are its ancestors', bit for
bit; cells from there on are its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rheostat.errors import StaleCheckpoint, UnknownGeneration


@dataclass(frozen=True, slots=True)
class Generation:
    """A stretch of a run's life. ``settled_until`` is its first open step."""

    number: int
    parent: int | None
    start: int
    settled_until: int

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {
            "generation": self.number,
            "parent": self.parent,
            "from": self.start,
            "settled_until": self.settled_until,
        }


@dataclass(frozen=True, slots=True)
class Stretch:
    """The steps from ``start`` to ``stop`` that ``generation`` owns."""

    generation: int
    start: int
    stop: int


class Lineage:
    """All generations of one run."""

    def __init__(self, generations: Iterable[Generation]) -> None:
        self._generations = {generation.number: generation for generation in generations}

    def __getitem__(self, number: int) -> Generation:
        try:
            return self._generations[number]
        except KeyError:
            raise UnknownGeneration(f"the run has no generation {number}") from None

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._generations.values())

    def line(self, number: int) -> list[Generation]:
        """Return the generation, its parent, and so on to the root."""
        line = [self[number]]
        while (parent := line[-1].parent) is not None:
            line.append(self[parent])
        return line

    def owners(self, number: int, start: int, stop: int) -> list[Stretch]:
        """Return who owns the steps from ``start`` to ``stop`` of a generation, by rising step."""
        stretches: list[Stretch] = []
        for generation in self.line(number):
            first = max(start, generation.start)
            if first < stop:
                stretches.append(Stretch(generation.number, first, stop))
            stop = min(stop, generation.start)
        return stretches[::-1]

    def require_resumable(self, current: int, generation: int, step: int) -> None:
        """
        Raise `StaleCheckpoint` unless a checkpoint lies in the past of generation ``current``.

        A checkpoint at ``step`` has used the values below it. They are the current generation's
        own past only if no branch between the two lies below ``step``.
        """
        line = self.line(current)
        branches = [descendant for descendant in line if descendant.number > generation]
        on_line = any(ancestor.number == generation for ancestor in line)
        if on_line and all(step <= descendant.start for descendant in branches):
            return
        raise StaleCheckpoint(
            f"the checkpoint is at step {step} of generation {generation}, which is not in the past"
            f" of generation {current}; resume from an earlier checkpoint, or rewind the run to it",
            generation=current,
            rewind={"to": step, "from_generation": generation},
        )
