"""The total of a run: how long it is planned to be, which may change while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.server.runs.changes import NO_CHANGES
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations.revise import (
    Folded,
    effective_step,
    folded_in,
    keep,
    landing,
    rehearsal,
    require_open,
    require_revision,
)
from rheostat.server.store.operations.show import upcoming
from rheostat.server.store.records import Records, RunRecord, now


@dataclass(frozen=True)
class TotalRequest:
    """A total as an operator asks for it."""

    total: int
    effective: Literal["next"] | int = "next"
    expected_revision: int | None = None
    force: bool = False
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


def make_total(records: Records, ref: str, request: TotalRequest) -> tuple[wire.TotalRevised, bool]:
    """
    Make a run longer, or shorter, and return the answer and whether anything was made.

    From the effective step on, definitions whose lengths depend on the total are laid out for the
    new one. The total that is in force already makes nothing.

    Raises:
        Finished, RevisionMismatch, TooLate, GuardViolated, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    _require_allowed(records, run, request)
    if request.total == run.total:
        return _as_it_is(records, run, request.total), False
    folded = _folded(records, run, request)
    answer = keep(records, folded, total=request.total)
    return {**answer, "total": request.total}, True


def rehearse_total(
    records: Records, ref: str, request: TotalRequest, points: int
) -> wire.TotalRehearsal:
    """Return what `make_total` would do: the effective step, and the curves before and after."""
    run = records.find(ref)
    _require_allowed(records, run, request)
    folded = _folded(records, run, request)
    shown = rehearsal(records, folded, run.spec.names, points, request.total)
    return {**shown, "total": request.total}


def check_total(records: Records, ref: str, request: TotalRequest) -> None:
    """Raise what `make_total` would raise now."""
    run = records.find(ref)
    _require_allowed(records, run, request)
    if request.total != run.total:
        _folded(records, run, request)


def _require_allowed(records: Records, run: RunRecord, request: TotalRequest) -> None:
    require_open(run)
    require_revision(run, request.expected_revision)
    require_at_most(records.limits.message, "message", request.note.message, "characters")


def _as_it_is(records: Records, run: RunRecord, total: int) -> wire.TotalRevised:
    """Return the answer for a total that is in force already: as if made by the newest revision."""
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    _, pending = upcoming(records, run, lineage)
    return {
        "revision": run.revision,
        "effective": settled,
        "pending": [revision.to_json(settled) for revision in pending],
        "total": total,
        **landing(records, run, lineage, settled),
    }


def _folded(records: Records, run: RunRecord, request: TotalRequest) -> Folded:
    lineage = records.lineage(run)
    effective = effective_step(run, request.effective, lineage[run.generation].settled_until)
    if request.total < effective:
        message = f"the total is {request.total}, and the run has come, or goes on, to {effective}"
        bound = f">= {effective}"
        raise Invalid(message, errors=[FieldError("total", message, request.total, bound)])
    new = Revision(
        number=run.revision + 1,
        generation=run.generation,
        kind=RevisionKind.TOTAL,
        effective=effective,
        changes=NO_CHANGES,
        note=request.note,
        created_at=now(),
        timelines=Timelines({}),
        forced=request.force,
        total=request.total,
        laid_for=request.total,
        cause=request.cause,
    )
    return folded_in(records, run, lineage, new)
