"""From how a project counts its steps to a run's, whose first update is step 0."""

from __future__ import annotations

from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.parse import sound


def counted_from_one(curve: Definition, field: str) -> Definition:
    """Return the curve of a project whose trainer counts a step before it updates."""
    if isinstance(curve, Constant):
        return curve
    part = Part.model_validate({"schedule": curve, "from": 1.0})
    return sound(Sequence(parts=(part,)), field)
