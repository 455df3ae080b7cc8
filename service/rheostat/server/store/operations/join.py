"""Joining: what a worker learns of its run before it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rheostat.errors import StaleCheckpoint
from rheostat.server.runs.lineage import Key
from rheostat.server.store.records import Records


@dataclass(frozen=True)
class Checkpoint:
    """What a worker's checkpoint holds: the run's id, the generation, and the next step."""

    id: str
    generation: int
    step: int


def join(records: Records, ref: str, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Return the run's id, current generation, grid and parameters; refuse a stale checkpoint."""
    run = records.find(ref)
    lineage = records.lineage(run)
    if checkpoint is not None:
        if all(checkpoint.id != past.key.run_id for past in lineage.line(run.generation)):
            raise StaleCheckpoint(
                f"the checkpoint is of the run {checkpoint.id}, and {run.spec.name!r} is {run.id}",
                id=run.id,
            )
        key = Key(checkpoint.id, checkpoint.generation)
        lineage.require_resumable(run.generation, key, checkpoint.step, run.spec.grid)
    spec = run.spec
    return {
        "id": run.id,
        "name": spec.name,
        "axis": spec.axis,
        "resolution": spec.resolution,
        "generation": run.generation,
        "revision": run.revision,
        "settled_until": lineage[run.generation].settled_until,
        "parameters": spec.names,
        "max_block": spec.max_block,
        "max_jump": spec.max_jump,
        "total": spec.total,
        "end": run.end,
    }
