"""Advancing: an operator moves the settled end on, past steps that nobody will train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rheostat import wire
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.reach import require_advance
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations.refusals import MET, explained
from rheostat.server.store.operations.revise import landing, require_open, require_revision
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.records import Records, RunRecord


@dataclass(frozen=True)
class AdvanceRequest:
    """An advance as an operator asks for it."""

    to: int
    expected_revision: int | None = None
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


def advance(records: Records, ref: str, request: AdvanceRequest) -> wire.Advanced:
    """
    Settle the current generation up to a step, by the revisions in force, without any read.

    Raises:
        Finished, RevisionMismatch, TooLate, PastTotal, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    lineage = records.lineage(run)
    _require_possible(records, run, lineage, request)
    before = lineage[run.generation]
    revision = add_unfolded(
        records,
        run,
        lineage,
        RevisionKind.ADVANCE,
        request.to,
        request.note,
        barriers=run.barriers.moved(request.to),
    )
    for gate in run.barriers.gates:  # so that the next report does not move it back
        records.controllers.change(run.id, gate.controller, armed_at=request.to)
    event = run.newest_event(lineage) + 1
    records.settle(run.key, request.to, event + 1, before.read)
    records.pack(run, before.settled_until, request.to)
    return {
        "revision": revision.number,
        "effective": request.to,
        "settled_until": request.to,
        "generation": run.generation,
        **landing(records, run, lineage, request.to),
    }


def check_advance(records: Records, ref: str, request: AdvanceRequest) -> None:
    """Raise what `advance` would raise now."""
    run = records.find(ref)
    _require_possible(records, run, records.lineage(run), request)


def _require_possible(
    records: Records, run: RunRecord, lineage: Lineage, request: AdvanceRequest
) -> None:
    require_open(run)
    require_revision(run, request.expected_revision)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    try:
        require_advance(run.progress(lineage), request.to)
    except MET as error:
        raise explained(records, run, lineage, error) from None
