"""Revisions: the changes of a run, who made them, and from which step they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, cast

from rheostat import wire
from rheostat.server.runs.changes import Changes
from rheostat.server.runs.revision_state import NO_TALLY, NOBODY, Front, Tally, state_of
from rheostat.server.runs.timeline import Timeline, Timelines


class RevisionKind(StrEnum):
    """What a revision did to its run."""

    CREATE = "create"
    CHANGE = "change"
    CANCEL = "cancel"
    REWIND = "rewind"
    FORK = "fork"
    FINISH = "finish"
    TOTAL = "total"
    ADVANCE = "advance"
    STOP = "stop"
    PAUSE = "pause"
    SIGNAL = "signal"
    CONTROL = "control"
    NOTE = "note"


SINCE: dict[RevisionKind, str] = dict.fromkeys(RevisionKind, "0009")
"""
The schema that brought each kind. Those of before the first release count as its own.

A newer kind says so here, and is refused while replicas of an older release serve.
"""

FIRST = "0009"
"""The schema of the first release, from which on replicas say what they know."""

FIXED = frozenset({RevisionKind.CREATE, RevisionKind.REWIND, RevisionKind.FORK})
"""What begins a generation, and is in force from its start."""
WAITING = frozenset({RevisionKind.CHANGE, RevisionKind.TOTAL})
"""What is folded again until its step is settled."""
FOLDING = FIXED | WAITING
"""What puts something in force."""
RETRACTABLE = frozenset(
    {RevisionKind.CHANGE, RevisionKind.STOP, RevisionKind.PAUSE, RevisionKind.SIGNAL}
)
"""What may be taken back before its step is settled."""


@dataclass(frozen=True)
class Note:
    """Who made a change, and why."""

    author: str | None = None
    message: str = ""


class Placed(NamedTuple):
    """Where a revision stands."""

    number: int
    generation: int
    kind: RevisionKind
    effective: int

    def is_within(self, reach: float) -> bool:
        """
        Whether it is on a line that leaves its generation at ``reach``.

        What changes values there is in force where the line goes on; what ranks act on, is not.
        """
        return self.effective <= reach if self.kind in FOLDING else self.effective < reach


@dataclass(frozen=True)
class Revision:
    """
    One change of a run.

    ``timelines`` are what the run follows from ``effective`` on, until the next revision's: the
    change with everything before it folded in. They are final once ``effective`` is settled.
    ``total`` is what a revision of that kind makes the run's total. ``laid_for`` is the total for
    which the words of a revision's definitions are laid out: the one in force when it was accepted,
    or a newer one that takes effect before it.
    """

    number: int
    generation: int
    kind: RevisionKind
    effective: int
    changes: Changes
    note: Note
    created_at: str
    timelines: Timelines
    forced: bool = False
    cancelled: bool = False
    cancels: int | None = None
    total: int | None = None
    laid_for: int | None = None
    cause: Mapping[str, Any] | None = None
    """Of what a controller or a program decided: the controller and the report's step."""
    data: Mapping[str, Any] | None = None
    """Of what folds nothing: what it says, such as a signal's name; of a change: what it is for."""
    told: bool = False
    """Whether a worker ended by it, or heard of its signal at an end or a pause."""

    @property
    def folding_order(self) -> tuple[int, int]:
        """Where the revision stands in the order of folding."""
        return self.effective, self.number

    @property
    def folds(self) -> bool:
        """Whether it takes part in the folding: it put something in force, or will."""
        return not self.cancelled and self.kind in FOLDING

    def pending(self, settled_until: int | None) -> bool:
        """Whether the revision has yet to take effect; but for a total, it may be cancelled."""
        told = self.told and self.kind is not RevisionKind.PAUSE
        waits = self.kind in WAITING | RETRACTABLE and not self.cancelled and not told
        return waits and settled_until is not None and self.effective >= settled_until

    @property
    def has_place(self) -> bool:
        """Whether it is about a step of a generation, which a rewind may leave behind."""
        return self.kind in FOLDING | RETRACTABLE

    def is_within(self, reach: float) -> bool:
        """Whether it is on a line that leaves its generation at ``reach``: see `Placed`."""
        return Placed(self.number, self.generation, self.kind, self.effective).is_within(reach)

    def _laid_out(self, timeline: Timeline) -> bool:
        """Whether the revision set a total that this timeline is laid out for."""
        ours = (piece.revision == self.number for piece in timeline.pieces)
        return self.kind is RevisionKind.TOTAL and any(ours)

    def to_json(
        self,
        settled_until: int | None,
        left_by: int | None = None,
        tally: Tally = NO_TALLY,
        front: Front = NOBODY,
    ) -> wire.Revision:
        """
        Return the wire form.

        ``settled_until`` is that of the current generation, or None if this one belongs to another:
        what a rewind has left waits for nothing. The others are as in `state_of`.
        """
        return {
            "revision": self.number,
            "generation": self.generation,
            "kind": self.kind.value,
            "effective": self.effective,
            "changes": cast("dict[str, Any]", self.changes.document),
            "total": self.total,
            "parameters": {
                name: timeline.to_json()
                for name, timeline in self.timelines.items()
                if name in self.changes or self._laid_out(timeline)
            },
            "author": self.note.author,
            "message": self.note.message,
            "created_at": self.created_at,
            "forced": self.forced,
            "cancelled": self.cancelled,
            "cancels": self.cancels,
            "cause": None if self.cause is None else dict(self.cause),
            "data": None if self.data is None else dict(self.data),
            "pending": self.pending(settled_until),
            "state": state_of(self, settled_until, left_by, tally, front),
            "left_by": left_by,
        }
