"""The surface of a run: all that can be seen and done of it, as one document."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from rheostat import changes, wire
from rheostat.schedules.definition import REFERENCE
from rheostat.server.runs import edits
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.spec import StoredRun
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
        "metrics": sorted(records.reports.metrics(run.id))[:METRICS],
        "controllers": _controllers(records, run.id),
    }


@cache
def _edits() -> dict[str, wire.SurfaceEdit]:
    schemas = {edit.called(): _referring(edit.model_json_schema()) for edit in edits.EDITS}
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


def _controllers(records: Records, run_id: str) -> dict[str, wire.SurfaceController]:
    return {
        each.name: {"kind": each.controller.kind, "metric": each.metric, "revision": each.since}
        for each in records.controllers.armed(run_id)
    }
