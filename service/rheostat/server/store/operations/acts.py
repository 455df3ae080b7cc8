"""
What an operator does to a run besides changing it, as proposals take it: tried, and then done.

Each is the very operation that does it when an operator asks. What it makes names in its cause the
proposal, and who accepted it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import advance, close, control, revise, stop
from rheostat.server.store.operations.propose import Done
from rheostat.server.store.records import Records


@dataclass(frozen=True)
class Cancellation:
    """A revision that is to be taken back."""

    revision: int
    expected_revision: int | None = None
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


def check_cancel(records: Records, ref: str, asked: Cancellation) -> None:
    """Raise what `cancel` would raise now, as far as that can be said without doing it."""
    revise.check_cancel(records, ref, asked.revision, asked.expected_revision, asked.note)


def cancel(records: Records, ref: str, asked: Cancellation) -> Done:
    """Take a revision back."""
    _told(records, asked.cause)
    made = revise.cancel(records, ref, asked.revision, asked.expected_revision, asked.note)
    return Done(made["revision"], made["effective"])


def resume(records: Records, ref: str, asked: stop.ResumeRequest) -> Done:
    """Take pauses back."""
    _told(records, asked.cause)
    made = stop.resume(records, ref, asked)
    return Done(made["revision"], made["settled_until"])


def move_on(records: Records, ref: str, asked: advance.AdvanceRequest) -> Done:
    """Settle a run up to a step."""
    _told(records, asked.cause)
    made = advance.advance(records, ref, asked)
    return Done(made["revision"], made["effective"])


@dataclass(frozen=True)
class Closing:
    """An end of a run, or its removal."""

    end: int | None = None
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


def check_finish(records: Records, ref: str, asked: Closing) -> None:
    """Raise what `finish` would raise now."""
    close.check_finish(records, ref, asked.end, asked.note)


def finish(records: Records, ref: str, asked: Closing) -> Done:
    """Close a run."""
    _told(records, asked.cause)
    made = close.finish(records, ref, asked.end, asked.note)
    return Done(made["revision"], made["end"] or 0)


def check_delete(records: Records, ref: str, _asked: Closing) -> None:
    """Raise what `delete` would raise now."""
    close.check_delete(records, ref)


def delete(records: Records, ref: str, asked: Closing) -> Done:
    """Remove a run, and the proposal with it."""
    run = records.find(ref)
    settled = records.lineage(run)[run.generation].settled_until
    close.delete(records, ref, asked.note.author)
    return Done(None, settled)


@dataclass(frozen=True)
class OfController:
    """What is to be done to an armed controller; ``expected`` is the revision that armed it."""

    name: str
    expected: int | None = None
    note: Note = field(default_factory=Note)
    cause: Mapping[str, Any] | None = None


def check_armed(records: Records, ref: str, asked: OfController) -> None:
    """Raise what `disarm` and `reset` would raise now."""
    control.check_armed(records, ref, asked.name, asked.expected, asked.note)


def disarm(records: Records, ref: str, asked: OfController) -> Done:
    """Have a controller decide no more."""
    _told(records, asked.cause)
    control.disarm(records, ref, asked.name, asked.expected, asked.note)
    return _newest(records, ref)


def reset(records: Records, ref: str, asked: OfController) -> Done:
    """Have a controller forget what it remembers."""
    _told(records, asked.cause)
    control.reset(records, ref, asked.name, asked.expected, asked.note)
    return _newest(records, ref)


def _newest(records: Records, ref: str) -> Done:
    run = records.find(ref)
    made = records.revisions.one(run.id, run.revision)
    return Done(made.number, made.effective)


def _told(records: Records, cause: Mapping[str, Any] | None) -> None:
    records.revisions.besides |= cause or {}
