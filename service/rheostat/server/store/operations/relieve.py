"""Relieving a controller whose decision was taken back: its counters begin anew, its best stays."""

from __future__ import annotations

from rheostat.server.runs.control.armed import relieved
from rheostat.server.runs.revision import Revision
from rheostat.server.store.records import Records, RunRecord


def relieve(records: Records, run: RunRecord, revision: Revision) -> None:
    """Have the controller that decided a revision count anew, or it would decide so again."""
    name = (revision.cause or {}).get("controller")
    armed = None if name is None else records.controllers.ever(run.id, name)
    if armed is None or armed.removed is not None or revision.number < armed.epoch:
        return
    head = records.controllers.heads(run.id, run.generation, [armed])[armed.name]
    found = relieved(armed, head)
    records.controllers.keep_head(run.id, run.generation, armed, found)
    records.controllers.keep_state(run.id, run.generation, armed, found)
