"""Explanations: why each parameter has the value that it has at a step."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Row

from rheostat import wire
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.timeline import Piece
from rheostat.server.store.operations import values
from rheostat.server.store.records import Records


def explain(records: Records, ref: str, step: int) -> wire.Explanation:
    """Return each parameter's value at a step, and the revision and definition that give it."""
    run = records.find(ref)
    block = values.preview_step(records, ref, step)
    (rule,) = block.in_force
    pieces = {name: rule.timelines[name].at(block.start) for name in block.names}
    numbers = {piece.revision for piece in pieces.values()}
    heads = records.revisions.heads(rule.run_id, numbers)
    return {
        "id": run.id,
        "step": step,
        "generation": run.generation,
        "revision": rule.revision,
        "final": block.final[0],
        "parameters": {
            name: _reason(float(column[0]), pieces[name], heads[pieces[name].revision])
            for name, column in zip(block.names, block.values, strict=True)
        },
    }


def _reason(value: float, piece: Piece, head: Row[Any]) -> wire.Reason:
    reason: wire.Reason = {
        "value": value,
        "revision": head.revision,
        "effective": head.effective,
        "author": head.author,
        "message": head.message,
        "cause": None if head.cause is None else orjson.loads(head.cause),
        "created_at": head.created_at,
        "definition": as_json(piece.definition),
        "origin": piece.origin,
    }
    if piece.words is not None:
        reason["words"] = piece.words.to_json()
    return reason
