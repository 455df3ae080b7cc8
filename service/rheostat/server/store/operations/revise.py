"""Revising runs: changes that take effect beyond what is settled, and taking them back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rheostat import wire
from rheostat.errors import Finished, NotPending, RevisionMismatch, TooLate
from rheostat.schedules.references import Lookup
from rheostat.server.runs.barriers import lifted
from rheostat.server.runs.changes import NO_CHANGES, Changes, parse_changes
from rheostat.server.runs.control.places import lasts
from rheostat.server.runs.folding import before_and_after
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.guards import violations
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.overview import Span, overview, restricted
from rheostat.server.runs.revision import FOLDING, RETRACTABLE, Note, Revision, RevisionKind
from rheostat.server.runs.sightings import warnings
from rheostat.server.runs.timeline import Timelines
from rheostat.server.runs.validation import Units, require_at_most
from rheostat.server.store.operations.limiting import (
    require_own,
    require_reason,
    require_values_within_limit,
    within_limit,
)
from rheostat.server.store.operations.plan import horizon
from rheostat.server.store.operations.refold import history, refold
from rheostat.server.store.operations.refusals import told_refusal
from rheostat.server.store.operations.relieve import relieve
from rheostat.server.store.operations.room import require_room
from rheostat.server.store.operations.show import upcoming
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord, now


@dataclass(frozen=True)
class RevisionRequest:
    """A revision as an operator asks for it."""

    changes: Any
    effective: Literal["next"] | int = "next"
    expected_revision: int | None = None
    force: bool = False
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Folded:
    """
    What a new revision comes to: it is among the pending ones, all folded.

    ``base`` is in force before all of these, and ``before`` just before the new one.
    """

    run: RunRecord
    lineage: Lineage
    base: Timelines
    before: Timelines
    revision: Revision
    old: Sequence[Revision]
    pending: Sequence[Revision]

    @property
    def settled(self) -> int:
        """The first step that is still open."""
        return self.lineage[self.run.generation].settled_until


def revise(records: Records, ref: str, request: RevisionRequest) -> wire.Revised:
    """
    Accept a revision.

    Raises:
        Finished, RevisionMismatch, TooLate, GuardViolated, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    known = decided_before(records, run, request.cause, RevisionKind.CHANGE)
    if known is not None:
        return _told_again(records, run, known)
    folded = _folded(records, run, request)
    require_reason(records, request.note)
    return keep(records, folded)


def decided_before(
    records: Records, run: RunRecord, cause: Mapping[str, Any] | None, kind: RevisionKind
) -> Revision | None:
    """
    Return what a controller or a program has decided on a report already, on the present line.

    It decides once on each, whoever asks for it twice. What a rewind has dropped does not count.
    """
    if cause is None or "controller" not in cause:
        return None
    line = lasts(records.lineage(run), run.generation)
    found = records.revisions.caused(run.id, cause["controller"], cause["step"])
    there = (each for each in found if each.kind is kind and each.generation in line)
    return next((each for each in there if each.effective <= line[each.generation]), None)


def _told_again(records: Records, run: RunRecord, known: Revision) -> wire.Revised:
    """Answer what was answered when a revision was made, as it stands by now."""
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    _, pending = upcoming(records, run, lineage)
    return {
        "revision": known.number,
        "effective": known.effective,
        "pending": [item.to_json(settled) for item in pending],
        **landing(records, run, lineage, known.effective),
    }


def rehearse(records: Records, ref: str, request: RevisionRequest, points: int) -> wire.Rehearsal:
    """Return what `revise` would do: the effective step, and the curves before and after."""
    folded = _folded(records, records.find(ref), request)
    return rehearsal(records, folded, sorted(folded.revision.changes), points)


def tried(records: Records, ref: str, request: RevisionRequest) -> Folded:
    """Return what `revise` would make of a run; raise what it would raise."""
    return _folded(records, records.find(ref), request)


def check_revision(records: Records, ref: str, request: RevisionRequest) -> None:
    """Raise what `revise` would raise now."""
    _folded(records, records.find(ref), request)


def check_cancel(
    records: Records, ref: str, number: int, expected_revision: int | None, note: Note
) -> None:
    """Raise what `cancel` would raise now, but for bounds that the others break without it."""
    _retractable(records, records.find(ref), number, expected_revision, note)


def cancel(
    records: Records, ref: str, number: int, expected_revision: int | None, note: Note
) -> wire.Cancelled:
    """Take back a pending revision; the history keeps it, and the cancellation is one too."""
    run = records.find(ref, lock=True)
    revision, lineage = _retractable(records, run, number, expected_revision, note)
    settled = lineage[run.generation].settled_until
    pending: Sequence[Revision]
    if revision.kind in FOLDING:
        cancellation, pending = _folded_out(records, run, lineage, revision, note)
    else:
        _, pending = upcoming(records, run, lineage)
        barriers, data = lifted(run.barriers, number, settled)
        records.revisions.cancel(run.id, number)
        cancellation = _cancellation(
            records, run, lineage, revision, note, data=data, barriers=barriers
        )
    relieve(records, run, revision)
    return {
        "revision": cancellation.number,
        "cancelled": number,
        "effective": revision.effective,
        "pending": [item.to_json(settled) for item in pending],
        **landing(records, run, lineage, revision.effective),
    }


def _retractable(
    records: Records, run: RunRecord, number: int, expected_revision: int | None, note: Note
) -> tuple[Revision, Lineage]:
    """Return a revision that can be taken back, and the generations of its run."""
    require_at_most(records.limits.message, "message", note.message, "characters")
    require_open(run)
    require_revision(run, expected_revision)
    lineage = records.lineage(run)
    revision = records.revisions.one(run.id, number)
    _require_pending(revision, run, lineage[run.generation].settled_until)
    require_own(records, [number], run)
    return revision, lineage


def _folded_out(
    records: Records, run: RunRecord, lineage: Lineage, revision: Revision, note: Note
) -> tuple[Revision, Sequence[Revision]]:
    """Take a change back, fold again what is pending after it, and return that with the others."""
    base, pending = upcoming(records, run, lineage)
    earlier, (_, *later) = before_and_after(revision, pending)
    later = records.revisions.read_changes(run.id, later)
    before = (earlier[-1] if earlier else base).timelines
    folded = [*earlier, *refold(records, run, before, later, history(records, run))]
    require_values_within_limit(records, run, lineage, base.timelines, folded, len(earlier))
    records.revisions.cancel(run.id, revision.number)
    cancellation = _cancellation(records, run, lineage, revision, note)
    _update(records, run.id, pending, folded)
    return cancellation, folded


def _cancellation(
    records: Records,
    run: RunRecord,
    lineage: Lineage,
    revision: Revision,
    note: Note,
    **more: Any,
) -> Revision:
    """Store that a revision was taken back, as one of its own."""
    step, number = revision.effective, revision.number
    return add_unfolded(
        records, run, lineage, RevisionKind.CANCEL, step, note, cancels=number, **more
    )


def landing(records: Records, run: RunRecord, lineage: Lineage, step: int) -> wire.Landing:
    """
    Return how far beyond the fastest worker a change at ``step`` lands, as far as is known.

    ``beyond`` counts from where it was last seen to read, and is None if nobody was.
    """
    seen = records.seen(run, lineage)
    return {
        "beyond": None if seen is None else max(step - seen.start, 0),
        "warnings": warnings(step, seen, time.time()),
    }


def _folded(records: Records, run: RunRecord, request: RevisionRequest) -> Folded:
    lineage = records.lineage(run)
    require_open(run)
    require_revision(run, request.expected_revision)
    effective = effective_step(run, request.effective, lineage[run.generation].settled_until)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    new = Revision(
        number=run.revision + 1,
        generation=run.generation,
        kind=RevisionKind.CHANGE,
        effective=effective,
        changes=parsed_changes(records, run, request.changes),
        note=request.note,
        created_at=now(),
        timelines=Timelines({}),
        forced=request.force,
        laid_for=run.total,
        cause=request.cause,
    )
    folded = folded_in(records, run, lineage, within_limit(records, run, lineage, new))
    place = folded.pending.index(folded.revision)
    require_values_within_limit(records, run, lineage, folded.base, folded.pending, place)
    return folded


def folded_in(records: Records, run: RunRecord, lineage: Lineage, new: Revision) -> Folded:
    """Return what a new revision comes to, among the pending ones, which it folds again."""
    base, old = upcoming(records, run, lineage)
    field = "total" if new.kind is RevisionKind.TOTAL else "changes"
    require_at_most(records.limits.pending - 1, field, old, "pending revisions before it")
    require_room(records, run, lineage[run.generation].settled_until, new.effective)
    earlier, after = before_and_after(new, old)
    later = records.revisions.read_changes(run.id, after)
    before = (earlier[-1] if earlier else base).timelines
    first, *rest = refold(
        records, run, before, [new, *later], history(records, run), asked=new.number
    )
    revision = mark_forced(first, before, run)
    return Folded(run, lineage, base.timelines, before, revision, old, [*earlier, revision, *rest])


def keep(records: Records, folded: Folded, **values: Any) -> wire.Revised:
    """Store a revision and what it folded again, and return the answer."""
    run, revision = folded.run, folded.revision
    event = run.newest_event(folded.lineage) + 1
    records.revisions.add(run.id, revision, event)
    _update(records, run.id, folded.old, folded.pending)
    records.change(run.id, revision=revision.number, event=event, **values)
    lands = landing(records, run, folded.lineage, revision.effective)
    if lands["beyond"] is not None:
        records.note_place(lands["beyond"])
    return {
        "revision": revision.number,
        "effective": revision.effective,
        "pending": [item.to_json(folded.settled) for item in folded.pending],
        **lands,
    }


def rehearsal(
    records: Records, folded: Folded, names: Sequence[str], points: int, stop: int = 0
) -> wire.Rehearsal:
    """Return the curves of parameters before and after a revision, at least up to ``stop``."""
    run, effective = folded.run, folded.revision.effective
    both = [restricted(each, names) for each in (folded.before, folded.revision.timelines)]
    stop = max(horizon(run, effective, effective, both), stop)
    lines = [[Span(effective, stop, timelines)] for timelines in both]
    steps, (before, after) = overview(run.spec.grid, lines, points)
    return {
        "effective": effective,
        "steps": as_json(steps),
        "before": {name: as_json(before[name]) for name in names},
        "after": {name: as_json(after[name]) for name in names},
        "pending": [item.to_json(folded.settled) for item in folded.pending],
        **landing(records, run, folded.lineage, effective),
    }


def mark_forced(revision: Revision, before: Timelines, run: RunRecord) -> Revision:
    """Return the revision, marked as forced only if it really breaks a guard."""
    after, step = revision.timelines, revision.effective
    broken = revision.forced and any(violations(run.spec.guards, before, after, step))
    return replace(revision, forced=broken)


def require_open(run: RunRecord) -> None:
    """Raise `Finished` if the run is."""
    if run.end is not None:
        raise Finished(f"the run is finished: its last step lies before {run.end}", end=run.end)


def effective_step(run: RunRecord, wanted: Literal["next"] | int, settled: int) -> int:
    """Return the step from which a revision holds; raise `TooLate` if it is settled."""
    step = run.spec.grid.require("effective", settled if wanted == "next" else wanted)
    if step < settled:
        raise TooLate(
            f"step {step} is settled: workers may have its value; {settled} is the earliest",
            earliest=settled,
        )
    return step


def require_revision(run: RunRecord, expected: int | None) -> None:
    """Raise `RevisionMismatch` if the run has moved on from the revision that was expected."""
    if expected is not None and expected != run.revision:
        raise RevisionMismatch(
            f"the run is at revision {run.revision}, and {expected} was expected",
            revision=run.revision,
        )


def _require_pending(revision: Revision, run: RunRecord, settled: int) -> None:
    waits = revision.generation == run.generation and revision.pending(settled)
    if waits and revision.kind in RETRACTABLE:
        return
    told = run.barriers.told
    current = revision.generation == run.generation
    if revision.told and told is not None and current and not revision.cancelled:
        raise told_refusal(run, told, settled)
    if revision.cancelled:
        state = "cancelled already"
    elif revision.told and current:
        state = "told to a worker already"
    elif revision.kind not in RETRACTABLE:
        state = f"a {revision.kind}, which cannot be cancelled"
    elif revision.generation != run.generation:
        state = "of a generation that was left"
    else:
        state = f"in force since step {revision.effective}"
    raise NotPending(f"revision {revision.number} is {state}", state=state)


def changes_if_any(records: Records, run: RunRecord, given: Any) -> Changes:
    """Return the changes that come with a rewind or a fork."""
    return NO_CHANGES if given is None else parsed_changes(records, run, given)


def parsed_changes(records: Records, run: RunRecord, given: Any) -> Changes:
    """Return a request's changes, parsed aside for what they depend on of the run, if need be."""
    if isinstance(given, Changes):  # a controller's
        return given
    units, names = run.units(Units()), run.spec.names
    key = ("changes", *names, units.total, units.steps_per_epoch)

    def parsed(lookup: Lookup) -> Results:
        changes = parse_changes(given, names, replace(units, lookup=lookup))
        changes.document  # noqa: B018 - what is to be stored is made here, too
        return {key: changes}

    changes: Changes = records.outside(key, parsed, given)
    return changes


def _update(
    records: Records, run_id: str, old: Sequence[Revision], new: Sequence[Revision]
) -> None:
    """Store what pending revisions expand to, where that has changed."""
    known = {revision.number: (revision.timelines, revision.laid_for) for revision in old}
    for revision in new:
        expansion = revision.timelines, revision.laid_for
        if revision.number in known and expansion != known[revision.number]:
            records.revisions.update(run_id, revision)
