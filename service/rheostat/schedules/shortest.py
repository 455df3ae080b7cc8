"""Definitions as people would write them: without what is the default."""

from __future__ import annotations

from typing import Any

from rheostat.schedules.kinds.sequence import Part
from rheostat.schedules.union import KINDS


def shortest(data: Any) -> Any:
    """
    Return the JSON of a definition without fields that have their defaults, inside as well.

    >>> shortest({"kind": "ramp", "start": 1, "end": 0, "steps": 9, "shape": "linear"})
    {'kind': 'ramp', 'start': 1, 'end': 0, 'steps': 9}
    """
    if isinstance(data, list):
        return [shortest(each) for each in data]
    if not isinstance(data, dict):
        return data
    part = Part if "schedule" in data else None  # of a sequence, which has no kind
    kind = KINDS.get(data["kind"]) if "kind" in data else part
    usual = {} if kind is None else _defaults(kind)
    return {
        name: shortest(value)
        for name, value in data.items()
        if name == "kind" or name not in usual or usual[name] != value
    }


def _defaults(kind: Any) -> dict[str, Any]:
    fields = kind.model_fields.items()
    return {each.alias or name: each.default for name, each in fields if not each.is_required()}
