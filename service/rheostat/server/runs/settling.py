"""
Settling: which reads may be answered for good, and up to where they settle the run.

The one rule that everything else rests on: workers run only on settled values, and a revision
takes effect only at steps that were open when it was accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import FieldError, Invalid, StaleGeneration
from rheostat.limits import MAX_STEP
from rheostat.server.runs.barriers import Stop, require_way
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.reach import Progress, require_reach
from rheostat.server.runs.revision import Note
from rheostat.server.runs.signals import Signal
from rheostat.server.runs.spec import RunSpec
from rheostat.server.runs.timeline import Timelines


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """A settling read: ``count`` cells from ``start``, in ``generation``."""

    generation: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class InForce:
    """From ``start`` to ``stop``, a revision of a run and its timelines are in force."""

    start: int
    stop: int
    run_id: str
    revision: int
    note: Note
    timelines: Timelines
    changed_at: str | None = None
    """When the change was made that takes effect at ``start``, if one does."""


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
    in_force: Sequence[InForce]
    values: NDArray[np.float64]
    settled_until: int
    incarnation: str
    """Which life of its database it comes from."""
    signals: Sequence[Signal] = ()
    """Those from `max_gap` cells before its start to its end, so that strides miss none."""
    event: int | None = None
    """The number of the event that settled it, if this very read did."""

    @property
    def count(self) -> int:
        """The number of cells."""
        return int(self.values.shape[1])

    @property
    def revisions(self) -> list[tuple[int, int]]:
        """From which step on which revision is in force, within the block."""
        return [(rule.start, rule.revision) for rule in self.in_force]

    @property
    def final(self) -> list[bool]:
        """Which of the cells are settled, and so will never change."""
        settled = (self.settled_until - self.start) // self.resolution
        return [index < settled for index in range(self.count)]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive cells of the ledger; ``values`` has shape parameters × cells."""

    start: int
    stop: int
    values: NDArray[np.float64]

    @property
    def count(self) -> int:
        """The number of cells."""
        return int(self.values.shape[1])

    def clipped(self, grid: Grid, start: int, stop: int) -> Segment:
        """Return what lies between ``start`` and ``stop``."""
        first, last = max(start, self.start), min(stop, self.stop)
        offset = grid.cells(self.start, first)
        return Segment(first, last, self.values[:, offset : offset + grid.cells(first, last)])


def require_block(spec: RunSpec, start: int, count: int) -> int:
    """Return the end of a block of cells that a run can have, else raise `Invalid`."""
    spec.grid.require("start", start)
    if not 1 <= count <= spec.max_block:
        message = f"count is {count}, and a block of this run holds 1 to {spec.max_block} cells"
        bound = f"1 <= count <= {spec.max_block}"
        raise Invalid(message, errors=[FieldError("count", message, count, bound)])
    stop = start + count * spec.resolution
    if stop - 1 > MAX_STEP:
        message = f"the block ends at {stop}, past the last coordinate {MAX_STEP}"
        raise Invalid(message, errors=[FieldError("count", message, count, f"<= {MAX_STEP}")])
    return stop


def settled_end(progress: Progress, request: BlockRequest, left: Stop | None = None) -> int | None:
    """
    Return up to where a read settles its generation, or None if it settles nothing new.

    ``left`` is the told stop of the read's generation, if a rewind has left it.

    Raises:
        UnknownGeneration: There never was such a generation.
        Stopped, Finished, Paused, AwaitingReport: It reaches past an end, or a barrier.
        StaleGeneration: The read would settle steps of a generation that a rewind has left.
        PastTotal, StepJump: It reaches too far: see `require_reach`.

    """
    lineage = progress.lineage
    stop = require_block(progress.spec, request.start, request.count)
    if stop <= lineage[request.generation].settled_until:
        return None
    if request.generation != progress.generation:
        if left is not None and stop > left.effective:
            raise left.refusal()
        raise stale(lineage, request.generation, progress.generation)
    require_way(progress.barriers, stop, floor=progress.floor, end=progress.end)
    require_reach(progress, request.start, stop)
    return stop


def stale(lineage: Lineage, generation: int, current: int) -> StaleGeneration:
    """Return what a generation is refused with that the current line has left."""
    # the branch at which the current line left the reader's generation, or its own line to it
    ancestors = {ancestor.key for ancestor in lineage.line(generation)}
    branch = [g for g in lineage.line(current) if g.key not in ancestors][-1]
    return StaleGeneration(
        f"generation {generation} was left by a rewind to step {branch.start};"
        f" the run is in generation {current}",
        generation=current,
        rewound_to=branch.start,
        settled_until=lineage[generation].settled_until,
    )


def holes(start: int, stop: int, segments: Iterable[Segment]) -> list[tuple[int, int]]:
    """Return the spans between ``start`` and ``stop`` that no segment covers."""
    found: list[tuple[int, int]] = []
    for segment in sorted(segments, key=lambda segment: segment.start):
        if segment.start > start:
            found.append((start, segment.start))
        start = max(start, segment.stop)
    return [*found, (start, stop)] if start < stop else found


def compute(grid: Grid, start: int, stop: int, in_force: Sequence[InForce]) -> Segment:
    """Return the values from ``start`` to ``stop`` by the revisions in force there."""
    columns = [
        np.stack(list(rule.timelines.evaluate(grid.steps(first, last)).values()))
        for rule in in_force
        if (first := max(start, rule.start)) < (last := min(stop, rule.stop))
    ]
    return Segment(start, stop, np.concatenate(columns, axis=1))


def join_up(segments: Iterable[Segment]) -> NDArray[np.float64]:
    """Return the values of segments that follow each other without a gap."""
    ordered = sorted(segments, key=lambda segment: segment.start)
    return np.concatenate([segment.values for segment in ordered], axis=1)
