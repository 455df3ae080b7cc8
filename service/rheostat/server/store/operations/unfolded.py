"""Revisions that put nothing in force: stops, signals and notes, among others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rheostat.server.runs.changes import NO_CHANGES
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.timeline import Timelines
from rheostat.server.store.records import Records, RunRecord, now


def add_unfolded(  # noqa: PLR0913 - what a revision is made of
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    kind: RevisionKind,
    effective: int,
    note: Note,
    *,
    cancels: int | None = None,
    cause: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    **values: Any,
) -> Revision:
    """
    Store the next revision of a run, which changes no value, as its next event, and return it.

    ``values`` are further columns of the run's row that change with it.
    """
    revision = Revision(
        number=run.revision + 1,
        generation=run.generation,
        kind=kind,
        effective=effective,
        changes=NO_CHANGES,
        note=note,
        created_at=now(),
        timelines=Timelines({}),
        cancels=cancels,
        cause=cause,
        data=data,
    )
    event = run.newest_event(lineage) + 1
    records.revisions.add(run.id, revision, event)
    records.change(run.id, revision=revision.number, event=event, **values)
    return revision
