"""Notes: marks in a run's history and charts, which change nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from rheostat import wire
from rheostat.errors import FieldError, Invalid, RateLimited
from rheostat.limits import MAX_NOTES, MAX_NOTES_LIMITED
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.validation import require_at_most
from rheostat.server.store.operations.revise import require_open
from rheostat.server.store.operations.unfolded import add_unfolded
from rheostat.server.store.records import Records, RunRecord

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class NoteRequest:
    """A note as somebody leaves it: its text is the message of ``note``."""

    note: Note = field(default_factory=Note)
    step: int | None = None
    level: Literal["note", "warn", "error"] = "note"


def leave(records: Records, ref: str, request: NoteRequest) -> wire.Noted:
    """
    Keep a note, as a revision that puts nothing in force.

    Raises:
        RateLimited: The run has had as many within a minute as it may have.
        Finished, Invalid: Nothing has changed then.

    """
    run = records.find(ref, lock=True)
    require_open(run)
    text = request.note.message
    require_at_most(records.limits.message, "text", text, "characters")
    if not text.strip():
        message = "text must say something"
        raise Invalid(message, errors=[FieldError("text", message, text, "a text")])
    _require_few(records, run)
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    step = settled if request.step is None else request.step
    data = {"level": request.level}
    made = add_unfolded(records, run, lineage, RevisionKind.NOTE, step, request.note, data=data)
    return {"revision": made.number, "effective": step}


def _require_few(records: Records, run: RunRecord) -> None:
    """Raise `RateLimited` if the last notes, as many as there may be, are of this minute."""
    newest = records.revisions.newest_of(run.id, RevisionKind.NOTE, MAX_NOTES)
    _require_fewer([at for at, _ in newest], MAX_NOTES, "the run has")
    token = records.acting.token
    if records.acting.limit is not None:
        theirs = [at for at, author in newest if author == token]
        _require_fewer(theirs, MAX_NOTES_LIMITED, f"the token {token} is limited, and has")


def _require_fewer(made: Sequence[str], most: int, who_has: str) -> None:
    """Raise unless notes that were made at these times, newest first, leave room for one more."""
    if len(made) < most:
        return
    left = datetime.fromisoformat(made[most - 1]) + MINUTE - datetime.now(UTC)
    if left > timedelta():
        message = f"{who_has} had {most} notes within a minute, and may have no more"
        raise RateLimited(
            message,
            errors=[FieldError("text", message, most + 1, f"<= {most} in a minute")],
            retry_after=math.ceil(left.total_seconds()),
            limit=most,
        )
