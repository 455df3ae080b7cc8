"""What controllers have decided, as it is shown."""

from __future__ import annotations

from typing import Any, cast

import orjson
from sqlalchemy import Row

from rheostat import wire
from rheostat.controllers import json_of_value, value_of_bits
from rheostat.server.store.records import Records


def decisions(
    records: Records, ref: str, name: str, after: int, limit: int
) -> tuple[list[wire.Decision], int | None]:
    """Return the decisions of a controller past an event, oldest first, and where to go on."""
    run = records.find(ref)
    if records.controllers.ever(run.id, name) is None:
        records.controllers.one(run.id, name)
    rows = records.controllers.decisions(run.id, name, after, limit + 1)
    items = [decision_json(row) for row in rows[:limit]]
    return items, rows[limit - 1].event if len(rows) > limit else None


def decision_json(row: Row[Any]) -> wire.Decision:
    """Return a decision as it is shown."""
    data = {} if row.data is None else orjson.loads(row.data)
    decision: wire.Decision = {
        "controller": row.controller,
        "step": row.step,
        "value": json_of_value(value_of_bits(row.bits)),
        "decision": cast("wire.DecisionKind", row.decision),
        "revision": row.revision,
        "proposal": row.proposal,
        "effective": row.effective,
        "generation": row.generation,
        "message": data.get("message", ""),
        "created_at": row.at,
        "event": row.event,
    }
    if "problem" in data:
        decision["problem"] = data["problem"]
    return decision
