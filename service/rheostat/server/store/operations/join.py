"""Joining: what a worker learns of its run before it reads, and where a training begins."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rheostat import wire
from rheostat.errors import StaleCheckpoint
from rheostat.limits import LEAST_AGAIN
from rheostat.server.runs.lineage import GenerationKey, Lineage, Sighting
from rheostat.server.runs.reach import begun_at, require_near
from rheostat.server.store.records import Records, RunRecord, now


@dataclass(frozen=True)
class Checkpoint:
    """What a worker's checkpoint holds: the run's id, the generation, and the next step."""

    id: str
    generation: int
    step: int


@dataclass(frozen=True)
class Arrival:
    """What a worker says when it joins: its checkpoint, and where its training begins."""

    checkpoint: Checkpoint | None = None
    start: int | None = None


def join(records: Records, ref: str, arrival: Arrival) -> wire.Joined | None:
    """
    Return the run's id, current generation, grid and parameters, or None if it has to `begin`.

    Raises:
        StaleCheckpoint: The checkpoint lies beyond a rewind, or belongs to another run.
        StepJump: It, or the start, lies too far past what is settled.

    """
    run = records.find(ref)
    lineage = records.lineage(run)
    return _joined(records, run, lineage) if _beginning(run, lineage, arrival) is None else None


def begin(records: Records, ref: str, arrival: Arrival, author: str | None) -> wire.Joined:
    """Settle the run up to where a training begins, once in its life, and join it; see `join`."""
    run = records.find(ref, lock=True)
    lineage = records.lineage(run)
    step = _beginning(run, lineage, arrival)
    if step is not None:
        _begin(records, run, lineage, step, author)
        run = records.find(run.id)
        lineage = records.lineage(run)
    return _joined(records, run, lineage)


def _beginning(run: RunRecord, lineage: Lineage, arrival: Arrival) -> int | None:
    """Return up to where the run has to be settled for a worker to join, or None."""
    progress = run.progress(lineage)
    if arrival.checkpoint is not None:
        _require_of_the_past(run, lineage, arrival.checkpoint)
    begins = None if arrival.start is None else begun_at(progress, arrival.start)
    if arrival.checkpoint is not None:
        require_near(progress, arrival.checkpoint.step, begins or progress.settled)
    return begins


def _begin(
    records: Records, run: RunRecord, lineage: Lineage, step: int, author: str | None
) -> None:
    before = lineage[run.generation]
    told = run.end is None  # the last event of a run is its end
    event = run.newest_event(lineage) + 1
    here = Sighting(step, step + run.spec.resolution, time.time())
    records.settle(run.key, step, event + 1 if told else before.event, here)
    records.change(
        run.id,
        begins=step,
        begun_by=author,
        begun_at=now(),
        begun_event=event if told else None,
        event=event if told else run.event,
    )
    records.pack(run, before.settled_until, step)


def _require_of_the_past(run: RunRecord, lineage: Lineage, checkpoint: Checkpoint) -> None:
    if all(checkpoint.id != past.key.run_id for past in lineage.line(run.generation)):
        raise StaleCheckpoint(
            f"the checkpoint is of the run {checkpoint.id}, and {run.spec.name!r} is {run.id}: it"
            " was made anew, or its database was restored from a backup and recovered. To go on in"
            f" this one, begin at step {checkpoint.step} without the checkpoint's run",
            id=run.id,
        )
    key = GenerationKey(checkpoint.id, checkpoint.generation)
    lineage.require_resumable(run.generation, key, checkpoint.step, run.spec.grid)


def watched(records: Records, run: RunRecord) -> list[str]:
    """Return the metrics that a run's controllers read."""
    if run.end is not None:
        return []
    return sorted({each.metric for each in records.controllers.armed(run.id)})


def _joined(records: Records, run: RunRecord, lineage: Lineage) -> wire.Joined:
    spec = run.spec
    return {
        "id": run.id,
        "name": spec.name,
        "axis": spec.axis,
        "resolution": spec.resolution,
        "generation": run.generation,
        "revision": run.revision,
        "event": run.newest_event(lineage),
        "incarnation": records.incarnation,
        "settled_until": lineage[run.generation].settled_until,
        "begins": run.begins,
        "parameters": spec.names,
        "max_block": spec.max_block,
        "max_gap": spec.max_gap,
        "max_jump": spec.max_jump,
        "total": run.total,
        "end": run.end,
        "stop": run.barriers.ends_at,
        "watched": watched(records, run),
        "again": LEAST_AGAIN,
    }
