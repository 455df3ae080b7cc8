"""Ends of runs: finishing, which keeps everything, and deleting, which keeps nothing."""

from __future__ import annotations

from rheostat import wire
from rheostat.errors import Finished, HasForks, TooLate
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store import ledger
from rheostat.server.store.operations import telling
from rheostat.server.store.operations.refusals import explained
from rheostat.server.store.operations.show import show
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.records import Records, RunRecord, now


def finish(records: Records, ref: str, end: int | None, note: Note) -> wire.RunState:
    """
    Close a run: no step from ``end`` on (by default, what is settled) will have a value.

    The history keeps it as a revision, which puts nothing in force. Stops and pauses by which
    nobody has ended are taken back by it.

    Raises:
        Stopped: Workers have ended before that step, by a stop.
        Finished, TooLate, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    if run.end is not None and end in {None, run.end}:
        return show(records, run.id)
    effective = _end(records, run, lineage, end, note)
    show(records, run.id)  # what is shown in the end is read before anything is written
    pending = [stop.revision for stop in run.barriers.stops if not stop.told]
    finished_at = now()
    records.proposals.expire(run.id, finished_at, "the run was finished")
    add_unfolded(
        records,
        run,
        lineage,
        RevisionKind.FINISH,
        effective,
        note,
        data={"cancelled": pending} if pending else None,
        end=effective,
        barriers=run.barriers.without(pending),
        finished_at=finished_at,
    )
    for number in pending:
        records.revisions.cancel(run.id, number)
    ledger.pack(records.connection, run.key, run.layout, run.layout.floor(settled), settled)
    return show(records, run.id)


def check_finish(records: Records, ref: str, end: int | None, note: Note) -> None:
    """Raise what `finish` would raise now."""
    run = records.find(ref)
    _end(records, run, records.lineage(run), end, note)


def _end(records: Records, run: RunRecord, lineage: Lineage, end: int | None, note: Note) -> int:
    """Return where a run that is open may end, or raise why it may not."""
    settled = lineage[run.generation].settled_until
    if run.end is not None:
        raise Finished(f"the run is finished already, at {run.end}", end=run.end)
    if end is not None and run.spec.grid.require("end", end) < settled:
        raise TooLate(
            f"step {end} is settled: workers may have its value; the earliest end is {settled}",
            earliest=settled,
        )
    require_at_most(records.limits.message, "message", note.message, "characters")
    effective = settled if end is None else end
    told = run.barriers.told
    if told is not None and effective > told.effective:
        raise explained(records, run, lineage, told.refusal())
    return effective


def check_delete(records: Records, ref: str) -> None:
    """Raise what `delete` would raise now."""
    _require_childless(records, records.find(ref))


def delete(records: Records, ref: str, author: str | None = None) -> str:
    """
    Remove a run and everything of it, and return its id, which is never used again.

    Hooks are told by whom. Raises `HasForks` if other runs have inherited its past.
    """
    run = records.find(ref, lock=True)
    _require_childless(records, run)
    telling.farewell(records, run, author)
    records.remove(run.id)
    return run.id


def _require_childless(records: Records, run: RunRecord) -> None:
    if records.is_forked(run.id):
        raise HasForks(f"other runs were forked from {run.spec.name!r}, and need its past")
