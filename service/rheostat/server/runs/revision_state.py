"""
What became of a revision: the one place that says so, for lists, answers and whoever waits.

A revision is pending, then settled: it cannot be cancelled any more. A signal is then done, or has
failed, as soon as a worker says so. Else it was cancelled, or dropped by a rewind to before it.
That all ranks are past a revision, and agree on its values, are states that nothing tells yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rheostat import wire
from rheostat.server.runs.lineage import Lineage

if TYPE_CHECKING:
    from rheostat.server.runs.revision import Revision

GONE: Final = frozenset({"cancelled", "dropped"})
"""States from which a revision comes to nothing."""

SETTLED: Final = frozenset({"settled", "done", "failed"})
"""States in which it cannot be cancelled any more."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many workers said what became of a signal."""

    done: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        return bool(self.done or self.failed)


NO_TALLY: Final = Tally()


def state_of(
    revision: Revision, settled_until: int | None, left_by: int | None, tally: Tally = NO_TALLY
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
    return "pending" if revision.pending(settled_until) else "settled"


class Fates:
    """Which revisions are on the line of a run's current generation, and what left the others."""

    def __init__(self, lineage: Lineage, current: int) -> None:
        self._lineage = lineage
        self._current = current
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
        return revision.to_json(self.settled_for(revision), self.left_by(revision), tally)

    def _reach(self, number: int) -> Mapping[int, float]:
        if number not in self._reaches:
            self._reaches[number] = self._lineage.reach(number)
        return self._reaches[number]


def verdict(
    found: wire.Revision, goal: wire.RevisionGoal, settled_until: int | None = None
) -> wire.Waited | None:
    """
    Return whether a revision has come to a goal, None as long as it still may.

    ``settled_until`` is that of the revision's generation. A pause may be taken back for as long as
    it holds, and is never settled: whoever waits for that is answered once the run is settled up to
    it, which is as far as workers get.
    """
    state = found["state"]
    if state in GONE:
        return {"for": goal, "met": False, "detail": f"the revision is {state}"}
    if goal == "settled" and found["kind"] == "pause" and settled_until == found["effective"]:
        return {"for": goal, "met": True, "detail": "the run is settled up to it, and holds there"}
    if state not in SETTLED:
        return None
    if goal == "settled":
        return {"for": goal, "met": True, "detail": f"the revision is {state}"}
    if goal == "done":
        return _done(found)
    detail = (
        f"the revision is {state}, which is the most that can be known: workers do not say yet"
        " where they are, nor which values they have"
    )
    return {"for": goal, "met": False, "detail": detail}


def _done(found: wire.Revision) -> wire.Waited | None:
    if found["state"] != "settled":
        detail = f"by what workers say, it is {found['state']}"
        return {"for": "done", "met": found["state"] == "done", "detail": detail}
    if "signal" in (found["data"] or {}):
        return None
    detail = f"a {found['kind']} has no outcome: it is settled, which is the most that can be known"
    return {"for": "done", "met": False, "detail": detail}
