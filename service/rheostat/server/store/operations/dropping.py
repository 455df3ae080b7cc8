"""What a rewind or a fork leaves behind of a run's revisions, told before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rheostat import wire
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Placed
from rheostat.server.runs.revision_state import Fates
from rheostat.server.store.records import Records, RunRecord

MOST_SHOWN: Final = 20
"""Revisions of which more is told than that they are dropped."""

Reach = Mapping[int, float]
"""How far each of a run's generations counts on a line: see `Lineage.reach`."""


def cut(reach: Reach, step: int) -> Reach:
    """Return a line that leaves another one at a step."""
    return {number: min(far, step) for number, far in reach.items()}


def left_behind(
    records: Records, run: RunRecord, lineage: Lineage, generation: int, new: Reach
) -> wire.LeftBehind:
    """Return the revisions on the line of a generation that another line does not have."""
    old = lineage.reach(generation)
    numbers = [
        each.number
        for each in records.revisions.placed(run.id, old)
        if _is_on(each, old) and not _is_on(each, new)
    ]
    fates = Fates(lineage, run.generation)
    shown = [records.revisions.one(run.id, number) for number in numbers[:MOST_SHOWN]]
    return {"many": len(numbers), "items": [fates.to_json(each) for each in shown]}


def _is_on(revision: Placed, line: Reach) -> bool:
    return revision.is_within(line.get(revision.generation, -1))
