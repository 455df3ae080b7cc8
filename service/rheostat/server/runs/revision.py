"""Revisions: the changes of a run, who made them, and from which step they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rheostat.server.runs.changes import Changes
from rheostat.server.runs.timeline import Timelines


class RevisionKind(StrEnum):
    """What a revision did to its run."""

    CREATE = "create"
    CHANGE = "change"
    CANCEL = "cancel"
    REWIND = "rewind"
    FORK = "fork"
    FINISH = "finish"
    ADVANCE = "advance"


@dataclass(frozen=True)
class Note:
    """Who made a change, and why."""

    author: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Revision:
    """
    One change of a run.

    ``timelines`` are what the run follows from ``effective`` on, until the next revision's: the
    change with everything before it folded in. They are final once ``effective`` is settled.
    """

    number: int
    generation: int
    kind: RevisionKind
    effective: int
    changes: Mapping[str, Any]
    note: Note
    created_at: str
    timelines: Timelines
    forced: bool = False
    cancelled: bool = False
    cancels: int | None = None
    edits: Changes | None = field(default=None, compare=False)
    """The changes as they were parsed, where they are needed for folding."""

    @property
    def place(self) -> tuple[int, int]:
        """Where the revision stands in the order of folding."""
        return self.effective, self.number

    @property
    def folds(self) -> bool:
        """Whether it takes part in the folding: it put something in force, or will."""
        silent = {RevisionKind.CANCEL, RevisionKind.FINISH, RevisionKind.ADVANCE}
        return not self.cancelled and self.kind not in silent

    def pending(self, settled_until: int | None) -> bool:
        """Whether the revision has yet to take effect, and so may still be cancelled."""
        waits = self.kind is RevisionKind.CHANGE and not self.cancelled
        return waits and settled_until is not None and self.effective >= settled_until

    def to_json(self, settled_until: int | None) -> dict[str, Any]:
        """
        Return the wire form.

        ``settled_until`` is that of the current generation, or None if this one belongs to another:
        what a rewind has left waits for nothing.
        """
        return {
            "revision": self.number,
            "generation": self.generation,
            "kind": self.kind,
            "effective": self.effective,
            "changes": self.changes,
            "parameters": {
                name: timeline.to_json()
                for name, timeline in self.timelines.items()
                if name in self.changes
            },
            "author": self.note.author,
            "message": self.note.message,
            "created_at": self.created_at,
            "forced": self.forced,
            "cancelled": self.cancelled,
            "cancels": self.cancels,
            "pending": self.pending(settled_until),
        }
