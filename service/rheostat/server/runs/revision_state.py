"""
What became of a revision: the one place that says so, for lists, answers and whoever waits.

A revision is pending, then settled: it cannot be cancelled any more. It is reached once all workers
are past its step, and proven once they have shown that they applied the ledger's values there. A
signal is done, or has failed, as soon as a worker says so, which goes before both. Else a revision
was cancelled, or dropped by a rewind to before it.

Only what is about a step of the run's line can be reached: a change, a new total, what begins a
generation, a signal, a stop. Notes and controllers have no step that workers come to. Of these only
what puts values in force can be proven: digests are of values, and none tells that a signal was
heard. What workers say of themselves is a hint, so it is given here as plain numbers (`Front`):
nothing that computes values depends on where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from rheostat import wire
from rheostat.server.runs.lineage import Lineage

if TYPE_CHECKING:
    from rheostat.server.runs.revision import Revision

GONE: Final = frozenset({"cancelled", "dropped"})
"""States from which a revision comes to nothing."""

SETTLED: Final = frozenset({"settled", "reached", "proven", "done", "failed"})
"""States in which it cannot be cancelled any more."""

BEFORE: Final = frozenset({"stop", "pause"})
"""Kinds whose step no worker does: all have come to one that have done those before it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many workers said what became of a signal."""

    done: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        return bool(self.done or self.failed)


NO_TALLY: Final = Tally()


class Front(NamedTuple):
    """Up to where all workers of a run are, on the line of its current generation."""

    reached: int | None = None
    """Steps below this are done by all of them; None: nobody says where it is."""
    proven: int | None = None
    """Those below this they have shown to have applied as they were served; None: not all did."""
    generation: int = 0
    """The generation that was the current one then: of another line nothing is known."""

    def is_past(self, kind: str, effective: int) -> bool:
        """Whether all workers are past a revision of a kind."""
        return self.reached is not None and self.reached >= done_at(kind, effective)

    def proves(self, kind: str, effective: int) -> bool:
        """Whether all workers have shown that they applied the values of a revision's step."""
        return self.proven is not None and self.proven >= done_at(kind, effective)


NOBODY: Final = Front()
"""What is known where no worker says anything."""


def done_at(kind: str, effective: int) -> int:
    """Return how far a worker is that has come to a revision: by the step that is its next."""
    return effective if kind in BEFORE else effective + 1


def state_of(
    revision: Revision,
    settled_until: int | None,
    left_by: int | None,
    tally: Tally = NO_TALLY,
    front: Front = NOBODY,
) -> wire.RevisionState:
    """
    Return what became of a revision.

    ``settled_until`` is that of the current generation, None if the revision is of another one;
    ``left_by`` is the generation whose rewind left it behind, if one did.
    """
    if revision.cancelled:
        return "cancelled"
    if left_by is not None and revision.kind != "total":  # a rewind keeps the total
        return "dropped"
    if tally:
        return "failed" if tally.failed else "done"
    if revision.pending(settled_until):
        return "pending"
    on_line = revision.has_place and left_by is None
    return _come(revision, front) if on_line else "settled"


def _come(revision: Revision, front: Front) -> wire.RevisionState:
    """Return how far a settled revision has come among the workers."""
    place = revision.kind, revision.effective
    if revision.folds and front.proves(*place):
        return "proven"
    return "reached" if front.is_past(*place) else "settled"


class Fates:
    """
    Which revisions are on the line of a run's current generation, and what left the others.

    ``front`` is up to where its workers are, of which nothing holds for another generation.
    """

    def __init__(self, lineage: Lineage, current: int, front: Front = NOBODY) -> None:
        self._lineage = lineage
        self._current = current
        self._front = front if front.generation == current else NOBODY
        self._reaches: dict[int, Mapping[int, float]] = {}

    def left_by(self, revision: Revision) -> int | None:
        """Return the generation whose rewind left a revision behind, None if it is on the line."""
        if not revision.has_place:
            return None
        for number in range(self._current, revision.generation, -1):
            if revision.is_within(self._reach(number).get(revision.generation, -1)):
                return None if number == self._current else number + 1
        return None if revision.generation == self._current else revision.generation + 1

    def settled_for(self, revision: Revision) -> int | None:
        """Return up to where the generation of a revision is settled, None if it was left."""
        if revision.generation != self._current:
            return None
        return self._lineage[self._current].settled_until

    def to_json(self, revision: Revision, tally: Tally = NO_TALLY) -> wire.Revision:
        """Return the wire form of any revision of the run."""
        settled, left_by = self.settled_for(revision), self.left_by(revision)
        return revision.to_json(settled, left_by, tally, self._front)

    def _reach(self, number: int) -> Mapping[int, float]:
        if number not in self._reaches:
            self._reaches[number] = self._lineage.reach(number)
        return self._reaches[number]
