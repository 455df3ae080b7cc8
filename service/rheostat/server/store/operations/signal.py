"""Signals: a word is sent to all ranks of a training, for one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rheostat import wire
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.signals import require_sayable, signal_data
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations.limiting import require_act_within_limit
from rheostat.server.store.operations.refusals import explained
from rheostat.server.store.operations.revise import (
    effective_step,
    landing,
    require_open,
    require_revision,
)
from rheostat.server.store.operations.room import require_room
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.revisions import BEYOND


@dataclass(frozen=True)
class SignalRequest:
    """A signal as an operator asks for it."""

    signal: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    effective: Literal["next"] | int = "next"
    expected_revision: int | None = None
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


def signal(records: Records, ref: str, request: SignalRequest) -> wire.Signalled:
    """
    Accept a signal, which is told with the block that holds its step.

    Raises:
        Finished, Stopped, RevisionMismatch, TooLate, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    lineage = records.lineage(run)
    step, data = _allowed(records, run, lineage, request)
    revision = add_unfolded(
        records,
        run,
        lineage,
        RevisionKind.SIGNAL,
        step,
        request.note,
        cause=request.cause,
        data=data,
    )
    return {
        "revision": revision.number,
        "effective": step,
        **landing(records, run, lineage, step),
    }


def check_signal(records: Records, ref: str, request: SignalRequest) -> None:
    """Raise what `signal` would raise now."""
    run = records.find(ref)
    _allowed(records, run, records.lineage(run), request)


def _allowed(
    records: Records, run: RunRecord, lineage: Lineage, request: SignalRequest
) -> tuple[int, Mapping[str, Any]]:
    """Return the step of a signal and what it says, if it is allowed."""
    require_open(run)
    require_revision(run, request.expected_revision)
    require_at_most(records.limits.message, "message", request.note.message, "characters")
    settled = lineage[run.generation].settled_until
    step = effective_step(run, request.effective, settled)
    require_act_within_limit(records, run, lineage, request.note)
    told = run.barriers.told
    if told is not None and step >= told.effective:
        raise explained(records, run, lineage, told.refusal())
    data = signal_data(run.spec, request.signal, request.arguments)
    require_room_to_say(records, run, lineage, request.signal, step)
    return step, data


def require_room_to_say(
    records: Records, run: RunRecord, lineage: Lineage, word: str, step: int, within: str = ""
) -> None:
    """
    Raise `Invalid` unless a word may be said at a step, by a signal, a stop or a pause.

    It is said once at a step, and few words and revisions wait. ``within`` is as in `signal_data`.
    """
    settled = lineage[run.generation].settled_until
    pending = records.revisions.signals(lineage.owners(run.generation, settled, BEYOND))
    require_sayable(pending, word, step, f"{within}signal")
    require_room(records, run, settled, step)
