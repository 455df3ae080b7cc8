"""Explanations: why each parameter has the value that it has at a step."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from rheostat.server.runs.timeline import Piece
from rheostat.server.store.operations import values
from rheostat.server.store.records import Records


def explain(records: Records, ref: str, step: int) -> dict[str, Any]:
    """Return each parameter's value at a step, and the revision and definition that give it."""
    run = records.find(ref)
    block = values.preview_step(records, ref, step)
    (reign,) = block.reigns
    pieces = {name: reign.timelines[name].at(block.start) for name in block.names}
    numbers = {piece.revision for piece in pieces.values()}
    heads = records.revisions.heads(reign.run_id, numbers)
    return {
        "id": run.id,
        "step": step,
        "generation": run.generation,
        "revision": reign.revision,
        "final": block.final[0],
        "parameters": {
            name: {
                "value": float(column[0]),
                **_source(pieces[name], heads[pieces[name].revision]),
            }
            for name, column in zip(block.names, block.values, strict=True)
        },
    }


def _source(piece: Piece, head: Row[Any]) -> dict[str, Any]:
    return {
        "revision": head.revision,
        "effective": head.effective,
        "author": head.author,
        "message": head.message,
        "created_at": head.created_at,
        "definition": piece.definition,
        "origin": piece.origin,
        **({} if piece.words is None else {"words": piece.words.to_json()}),
    }
