"""
Generations: the tree that rewinds and forks grow, and who owns which cell of it.

A generation branches from its parent at ``start``. Cells below that are its ancestors', bit for
bit; cells from there on are its own. A rewind branches within a run; a fork branches off into a
run of its own, and fences nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rheostat import wire
from rheostat.errors import StaleCheckpoint, UnknownGeneration
from rheostat.server.runs.grid import Grid


class GenerationKey(NamedTuple):
    """Names a generation among those of all runs."""

    run_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """A worker read the cells from ``start`` to ``stop``, at a time in seconds of the epoch."""

    start: int
    stop: int
    at: float


@dataclass(frozen=True, slots=True)
class Generation:
    """
    A part of a run's life. ``settled_until`` is its first open step.

    ``event`` is the number of the event that settled it up to there, at ``settled_at``; ``read``
    is the last read that did.
    """

    key: GenerationKey
    parent: GenerationKey | None
    start: int
    settled_until: int
    event: int = 0
    settled_at: str | None = None
    read: Sighting | None = None

    def to_json(self) -> wire.Generation:
        """Return the wire form; ``parent_run`` is there if the run was forked from another one."""
        document: wire.Generation = {
            "generation": self.key.number,
            "parent": self.parent.number if self.parent else None,
            "from": self.start,
            "settled_until": self.settled_until,
        }
        if self.parent and self.parent.run_id != self.key.run_id:
            document["parent_run"] = self.parent.run_id
        return document


@dataclass(frozen=True, slots=True)
class OwnedSteps:
    """The steps from ``start`` to ``stop`` that the generation ``owner`` owns."""

    owner: GenerationKey
    start: int
    stop: int


class Lineage:
    """The generations of a run, and of the runs that it was forked from."""

    def __init__(self, run_id: str, generations: Iterable[Generation]) -> None:
        self._run_id = run_id
        self._generations = {generation.key: generation for generation in generations}

    def __getitem__(self, number: int) -> Generation:
        try:
            return self._generations[GenerationKey(self._run_id, number)]
        except KeyError:
            raise UnknownGeneration(f"the run has no generation {number}") from None

    def __iter__(self) -> Iterator[Generation]:
        """Iterate over the run's own generations."""
        return (g for g in self._generations.values() if g.key.run_id == self._run_id)

    def ancestors(self) -> set[str]:
        """Return the ids of the runs that it was forked from."""
        return {key.run_id for key in self._generations} - {self._run_id}

    def settled(self, number: int, until: int) -> Lineage:
        """Return the lineage with a generation settled further."""
        new = replace(self[number], settled_until=until)
        return Lineage(self._run_id, [*self._generations.values(), new])

    def line(self, number: int) -> list[Generation]:
        """Return the generation, its parent, and so on to the root."""
        line = [self[number]]
        while (parent := line[-1].parent) is not None:
            line.append(self._generations[parent])
        return line

    def past(self, number: int) -> dict[GenerationKey, float]:
        """
        Return up to which step each generation belongs to the past of one of them.

        What a generation did below a step is the past of another one if no branch between the two
        lies below that step.
        """
        found: dict[GenerationKey, float] = {}
        reach = math.inf
        for generation in self.line(number):
            found[generation.key] = reach
            reach = min(reach, generation.start)
        return found

    def reach(self, number: int) -> dict[int, float]:
        """Return how far each of the run's own generations counts on the line of one of them."""
        past = self.past(number).items()
        return {key.number: reach for key, reach in past if key.run_id == self._run_id}

    def kept(self, number: int, current: int, effective: int) -> bool:
        """Whether the line of ``current`` left a generation at a step or later, revisions too."""
        return number != current and effective <= self.reach(current).get(number, -1)

    def owners(self, number: int, start: int, stop: int) -> list[OwnedSteps]:
        """Return who owns the steps from ``start`` to ``stop`` of a generation, by rising step."""
        parts: list[OwnedSteps] = []
        for generation in self.line(number):
            first = max(start, generation.start)
            if first < stop:
                parts.append(OwnedSteps(generation.key, first, stop))
            stop = min(stop, generation.start)
        return parts[::-1]

    def require_resumable(
        self, current: int, checkpoint: GenerationKey, step: int, grid: Grid
    ) -> None:
        """
        Raise `StaleCheckpoint` unless a checkpoint lies in the past of generation ``current``.

        A checkpoint at ``step`` has used the values below it: see `past`.
        """
        if step <= self.past(current).get(checkpoint, -1):
            return
        detail = (
            f"the checkpoint is at step {step} of generation {checkpoint.number}, which is not in"
            f" the past of generation {current}; resume from an earlier checkpoint"
        )
        if checkpoint.run_id != self._run_id or checkpoint not in self._generations:
            raise StaleCheckpoint(detail, generation=current)
        to = grid.ceil(step)
        command = f"rheostat run rewind {self._run_id} {to} --from-generation {checkpoint.number}"
        raise StaleCheckpoint(
            f"{detail}, or have all workers go on from this one: {command}",
            generation=current,
            rewind={"to": to, "from_generation": checkpoint.number},
        )
