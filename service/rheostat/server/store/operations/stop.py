"""Stopping a run, holding it, and letting it go on: revisions beyond which nothing settles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rheostat import wire
from rheostat.errors import NotPending, TooLate
from rheostat.limits import MAX_STOPS
from rheostat.server.runs.barriers import Stop
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.signals import signal_data
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations.limiting import require_act_within_limit, require_own
from rheostat.server.store.operations.refusals import explained, told_refusal
from rheostat.server.store.operations.revise import (
    decided_before,
    effective_step,
    landing,
    require_open,
    require_revision,
)
from rheostat.server.store.operations.room import require_room
from rheostat.server.store.operations.signal import require_room_to_say
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.records import Records, RunRecord


@dataclass(frozen=True)
class StopRequest:
    """A stop as somebody asks for it or, with ``hold``, a pause; maybe with a signal."""

    effective: Literal["next"] | int = "next"
    hold: bool = False
    expected_revision: int | None = None
    signal: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ResumeRequest:
    """An end of all pauses at which a run holds, maybe up to the next one."""

    until: int | None = None
    expected_revision: int | None = None
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


def stop(records: Records, ref: str, request: StopRequest) -> wire.Halted:
    """
    Have a run end, or hold, at a step that is open: no cell from there on settles.

    Raises:
        Stopped: A worker has ended by an earlier stop, which lies there or before.
        Finished, RevisionMismatch, TooLate, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    lineage = records.lineage(run)
    kind = RevisionKind.PAUSE if request.hold else RevisionKind.STOP
    known = decided_before(records, run, request.cause, kind)
    if known is not None:
        where = landing(records, run, lineage, known.effective)
        return {"revision": known.number, "effective": known.effective, **where}
    effective, data = _allowed(records, run, lineage, request)
    made = halt(
        records, run, effective, request.note, hold=request.hold, cause=request.cause, data=data
    )
    return {
        "revision": made.number,
        "effective": effective,
        **landing(records, run, lineage, effective),
    }


def check_stop(records: Records, ref: str, request: StopRequest) -> None:
    """Raise what `stop` would raise now."""
    run = records.find(ref)
    _allowed(records, run, records.lineage(run), request)


def _allowed(
    records: Records, run: RunRecord, lineage: Lineage, request: StopRequest
) -> tuple[int, Mapping[str, Any] | None]:
    """Return the step of a stop, and the data of its signal, if it is allowed."""
    require_open(run)
    require_revision(run, request.expected_revision)
    settled = lineage[run.generation].settled_until
    effective = effective_step(run, request.effective, settled)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    word, cause = request.signal, request.cause
    require_act_within_limit(records, run, lineage, request.note, word=word, cause=cause)
    data = None
    if request.signal is not None:
        data = signal_data(run.spec, request.signal, request.arguments, "signal.")
    _require_possible(records, run, lineage, effective, hold=request.hold)
    if request.signal is None:
        require_room(records, run, settled, effective)
    else:
        require_room_to_say(records, run, lineage, request.signal, effective, "signal.")
    return effective, data


def halt(
    records: Records, run: RunRecord, effective: int, note: Note, *, hold: bool, **more: Any
) -> Revision:
    """Store a stop or a pause, for which all is decided, as the next revision of a run."""
    kind = RevisionKind.PAUSE if hold else RevisionKind.STOP
    barriers = run.barriers.adding(Stop(run.revision + 1, effective, hold))
    lineage = records.lineage(run)
    return add_unfolded(records, run, lineage, kind, effective, note, barriers=barriers, **more)


def resume(records: Records, ref: str, request: ResumeRequest) -> wire.Resumed:
    """
    Take back every pause at which a run holds; with ``until``, hold it there next.

    Raises:
        NotPending: It holds at none; with the rewind that lifts a stop, if workers ended by one.
        Finished, RevisionMismatch, TooLate, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    held, until = _resumable(records, run, lineage, request)
    pauses = sorted(pause.revision for pause in held)
    kept = run.barriers.without(pauses)
    lifted = add_unfolded(
        records,
        run,
        lineage,
        RevisionKind.CANCEL,
        settled,
        request.note,
        cancels=held[0].revision,
        data={"pauses": pauses},
        barriers=kept,
    )
    for number in pauses:
        records.revisions.cancel(run.id, number)
    following = None
    if until is not None:
        following = halt(records, records.find(run.id), until, request.note, hold=True)
    return {
        "revision": lifted.number,
        "pause": None if following is None else following.number,
        "cancelled": pauses,
        "settled_until": settled,
    }


def check_resume(records: Records, ref: str, request: ResumeRequest) -> None:
    """Raise what `resume` would raise now."""
    run = records.find(ref)
    _resumable(records, run, records.lineage(run), request)


def _resumable(
    records: Records, run: RunRecord, lineage: Lineage, request: ResumeRequest
) -> tuple[Sequence[Stop], int | None]:
    """Return the pauses at which a run holds, and where it is to hold next."""
    require_open(run)
    require_revision(run, request.expected_revision)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    settled = lineage[run.generation].settled_until
    held = run.barriers.held(settled)
    if not held:
        raise _holds_nowhere(run, settled)
    require_own(records, [pause.revision for pause in held], run)
    if request.until is None:
        return held, None
    until = _next_pause(run, request.until, settled)
    _require_possible(records, run, lineage, until, hold=True)
    return held, until


def _next_pause(run: RunRecord, until: int, settled: int) -> int:
    if run.spec.grid.require("until", until) > settled:
        return until
    earliest = settled + run.spec.resolution
    message = f"the run is settled up to {settled}: {earliest} is the earliest at which it can hold"
    raise TooLate(message, earliest=earliest)


def _holds_nowhere(run: RunRecord, settled: int) -> NotPending:
    told = run.barriers.told
    if told is not None:
        return told_refusal(run, told, settled)
    ahead = [str(stop.effective) for stop in run.barriers.stops if stop.hold]
    later = f"; it will hold at {', '.join(sorted(ahead, key=int))}" if ahead else ""
    return NotPending(f"the run does not hold at {settled}{later}", state="running")


def _require_possible(
    records: Records, run: RunRecord, lineage: Lineage, effective: int, *, hold: bool
) -> None:
    """Raise unless a stop (or a pause) there is met, by all ranks alike."""
    require_at_most(MAX_STOPS, "effective", len(run.barriers.stops) + 1, "stops and pauses with it")
    told = run.barriers.told
    if told is not None and (not hold or effective >= told.effective):
        raise explained(records, run, lineage, told.refusal())
