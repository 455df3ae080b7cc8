"""The surface of a run: all that can be seen and done of it, as one document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import numpy as np
import orjson
from sqlalchemy import func, select

from rheostat import changes, wire
from rheostat.schedules.definition import REFERENCE
from rheostat.server.runs import edits
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.spec import StoredRun
from rheostat.server.store import tables
from rheostat.server.store.operations.show import declared
from rheostat.server.store.records import Records

METRICS = 128
"""Names of metrics that are told."""


def surface(records: Records, ref: str) -> wire.Surface:
    """Return the surface of a run."""
    run = records.find(ref)
    spec, said = run.spec, declared(run.spec)
    settled = records.lineage(run)[run.generation].settled_until
    timelines = records.revisions.in_force_at(run.key, settled).timelines
    current = timelines.evaluate(np.array([settled], dtype=np.int64))
    return {
        "id": run.id,
        "name": spec.name,
        "axis": spec.axis,
        "about": said["about"],
        "goal": said["goal"],
        "generation": run.generation,
        "revision": run.revision,
        "settled_until": settled,
        "parameters": {
            name: {
                "value": float(current[name][0]),
                "definition": as_json(timeline.at(settled).definition),
                "guard": spec.guards[name].to_json() if name in spec.guards else None,
                "description": said["describe"].get(name, {}),
            }
            for name, timeline in timelines.items()
        },
        "edits": _edits(),
        "signals": _signals(spec),
        "any_signal": not spec.signals,
        "metrics": list(_metrics(records, run.id)),
        "controllers": _controllers(records, run.id),
    }


@cache
def _edits() -> dict[str, wire.SurfaceEdit]:
    schemas = {
        get_args(edit.model_fields["edit"].annotation)[0]: _referring(edit.model_json_schema())
        for edit in edits.EDITS
    }
    return {
        name: {"usage": row.usage, "text": row.sentence, "schema": schemas[name]}
        for name, row in changes.EDITS.items()
    }


def _referring(node: Any) -> Any:
    """Return a schema with the references that fields left in it, to the OpenAPI document."""
    if isinstance(node, list):
        return [_referring(item) for item in node]
    if not isinstance(node, dict):
        return node
    if REFERENCE in node:
        return {"$ref": f"/openapi.json#/components/schemas/{node[REFERENCE]}"}
    return {key: _referring(value) for key, value in node.items()}


def _signals(spec: StoredRun) -> dict[str, wire.SurfaceSignal]:
    return {
        name: {"text": form.text, "schema": form.schema_of_arguments()}
        for name, form in spec.signals.items()
    }


def _metrics(records: Records, run_id: str) -> Iterator[str]:
    # from one name to the next along the index: a metric may have many reports
    table = tables.reports
    least = select(func.min(table.c.metric)).where(table.c.run_id == run_id)
    query = least
    for _ in range(METRICS):
        name = records.connection.execute(query).scalar_one()
        if name is None:
            return
        yield name
        query = least.where(table.c.metric > name)


def _controllers(records: Records, run_id: str) -> dict[str, wire.SurfaceController]:
    table = tables.controllers
    query = select(table).where(table.c.run_id == run_id, table.c.removed.is_(None))
    found: dict[str, wire.SurfaceController] = {}
    for row in records.connection.execute(query.order_by(table.c.name)):
        config = orjson.loads(row.config)
        kind, metric = str(config.get("kind", "")), str(config.get("metric", ""))
        found[row.name] = {"kind": kind, "metric": metric, "revision": row.since}
    return found
