"""Folding the revisions of a stored run: what is a lot of work is done outside of transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rheostat.errors import FieldError, Invalid
from rheostat.schedules.references import Lookup
from rheostat.server.runs.edits import History, RevertEdit
from rheostat.server.runs.folding import fold
from rheostat.server.runs.revision import Revision
from rheostat.server.runs.timeline import Timelines
from rheostat.server.store.outside import Results
from rheostat.server.store.records import Records, RunRecord

AT_ONCE = 1_024
"""
Changes and pieces of curves that are folded within a transaction, while other runs wait.

A run may have hundreds of thousands of them pending, and each takes up to a millisecond.
"""


def refold(
    records: Records,
    run: RunRecord,
    before: Timelines,
    revisions: Sequence[Revision],
    look_up: History,
    *,
    asked: int | None = None,
) -> list[Revision]:
    """Return what `fold` does; what may take long is folded outside of the transaction."""
    guards = run.spec.guards
    if _effort(before, revisions) <= AT_ONCE:
        return fold(before, revisions, guards, look_up, asked=asked)
    found = _looked_up(revisions, look_up)
    places = ((*revision.folding_order, revision.laid_for) for revision in revisions)
    # what was in force before them, and what others expand to, follows from the newest revision
    key = ("folded", run.id, run.revision, *places)

    def folded(_lookup: Lookup) -> Results:
        return {key: fold(before, revisions, guards, _history(found), asked=asked)}

    changes = [revision.changes.document for revision in revisions]
    done: list[Revision] = records.outside(key, folded, changes, stored=True)
    timelines = {revision.number: revision.timelines for revision in done}
    ordered = sorted(revisions, key=lambda revision: revision.folding_order)
    return [replace(revision, timelines=timelines[revision.number]) for revision in ordered]


def history(records: Records, run: RunRecord) -> History:
    """Return how edits look up what an earlier revision had in force."""

    def timelines(number: int) -> Timelines:
        found = records.revisions.one(run.id, number)
        lineage = records.lineage(run)
        waits = found.pending(lineage[found.generation].settled_until)
        kept = lineage.kept(found.generation, run.generation, found.effective)
        if not found.folds or (waits and not kept):
            message = f"revision {number} has put nothing in force"
            bound = "a revision that is in force, or was"
            raise Invalid(message, errors=[FieldError("changes", message, number, bound)])
        return found.timelines

    return timelines


def _effort(before: Timelines, revisions: Sequence[Revision]) -> int:
    """Return how much there is to fold: each revision looks at all that is in force."""
    pieces = sum(len(timeline.pieces) for timeline in before.values())
    changes = sum(len(each) for one in revisions for each in one.changes.values())
    return changes + len(revisions) * pieces


def _looked_up(
    revisions: Sequence[Revision], look_up: History
) -> Mapping[int, Timelines | Invalid]:
    """Return what edits look up, or why they cannot: no database is at hand where they act."""
    changes = (change for one in revisions for each in one.changes.values() for change in each)
    found: dict[int, Timelines | Invalid] = {}
    for number in {change.to for change in changes if isinstance(change, RevertEdit)}:
        try:
            found[number] = look_up(number)
        except Invalid as refusal:
            found[number] = refusal
    return found


def _history(found: Mapping[int, Timelines | Invalid]) -> History:
    def timelines(number: int) -> Timelines:
        known = found[number]
        if isinstance(known, Invalid):
            raise known
        return known

    return timelines
