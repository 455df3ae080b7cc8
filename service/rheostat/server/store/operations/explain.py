"""Explanations: why each parameter has the value that it has at a step."""

from __future__ import annotations

from typing import Any

from rheostat.server.runs.settling import Reign
from rheostat.server.store.operations import values
from rheostat.server.store.records import Records


def explain(records: Records, ref: str, step: int) -> dict[str, Any]:
    """Return each parameter's value at a step, and the revision and definition that give it."""
    run = records.find(ref)
    block = values.preview_step(records, ref, step)
    (reign,) = block.reigns
    return {
        "id": run.id,
        "step": step,
        "generation": run.generation,
        "revision": reign.revision,
        "final": block.final[0],
        "parameters": {
            name: {
                "value": float(column[0]),
                **_source(records, reign, name, block.start),
            }
            for name, column in zip(block.names, block.values, strict=True)
        },
    }


def _source(records: Records, reign: Reign, name: str, step: int) -> dict[str, Any]:
    piece = reign.timelines[name].at(step)
    revision = records.revisions.one(reign.run_id, piece.revision)
    return {
        "revision": revision.number,
        "effective": revision.effective,
        "author": revision.note.author,
        "message": revision.note.message,
        "created_at": revision.created_at,
        "definition": piece.definition,
        "origin": piece.origin,
        **({} if piece.words is None else {"words": piece.words.to_json()}),
    }
