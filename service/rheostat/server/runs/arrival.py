"""
Arrival: whether a revision has come to what somebody waits for, and who holds it back.

Workers say now and then where they are and what they applied. Whoever waits until all of them are
past a revision, or have shown that they applied it, looks at that; and is told at once where no
waiting helps: nobody says anything, one who trains shows nothing, or has applied another value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rheostat import wire
from rheostat.server.runs.crowd import Crowd, Worker
from rheostat.server.runs.revision import FOLDING, RETRACTABLE, RevisionKind
from rheostat.server.runs.revision_state import BEFORE, GONE, NOBODY, SETTLED, Front

WAITS_FOR_WORKERS: Final = frozenset({"reached", "proven"})
"""Goals to which workers bring a revision, by what they say of themselves."""

MUTE_AFTER: Final = 512
"""Cells of a training within which at least one window of what was applied ends, by far."""

MOST: Final = "which is the most that can be known"


@dataclass(frozen=True, slots=True)
class Witness:
    """A worker, as far as it holds a revision back."""

    worker: str
    generation: int
    step: int
    proven_until: int | None = None
    wrong_at: int | None = None
    """First step of its session at which it applied another value than was served."""
    trained: float = 0.0
    """Steps for which it has had the time to list what it applied, at its pace."""

    def is_mute(self, resolution: int) -> bool:
        """Whether it trains for so long without having listed anything that it never will."""
        return self.proven_until is None and self.trained >= MUTE_AFTER * resolution


@dataclass(frozen=True, slots=True)
class Seen:
    """What the workers of a run say, as far as revisions of its current generation need it."""

    alive: int = 0
    """How many still say something, and have not ended."""
    front: Front = NOBODY
    """Up to where all are, on the line of which generation."""
    last: Witness | None = None
    """The one that is least far."""
    least: Witness | None = None
    """The one that has shown least of what it applied."""


UNSEEN: Final = Seen()


def seen_in(crowd: Crowd) -> Seen:
    """Return what a crowd says, as whoever waits for a revision needs it."""
    last, least = crowd.hindmost, crowd.least_shown
    return Seen(
        len(crowd.alive),
        crowd.front,
        None if last is None else _witness(crowd, last),
        None if least is None else _witness(crowd, least),
    )


def _witness(crowd: Crowd, worker: Worker) -> Witness:
    heard_for = worker.seen_at - worker.since
    had_time = heard_for >= 2 * worker.again
    return Witness(
        worker.worker,
        worker.generation,
        worker.step,
        crowd.proven_until(worker),
        crowd.wrong_at(worker),
        (worker.pace or 0.0) * heard_for if had_time else 0.0,
    )


def is_to_come(found: wire.Revision) -> bool:
    """Whether there are workers, or may be, that have yet to come to a revision."""
    return found["state"] in {"pending", "settled"} and _has_place(found)


def verdict(
    found: wire.Revision,
    goal: wire.RevisionGoal,
    settled_until: int | None = None,
    seen: Seen | None = UNSEEN,
    resolution: int = 1,
) -> wire.Waited | None:
    """
    Return whether a revision has come to a goal, None as long as it still may.

    ``settled_until`` is that of the revision's generation. ``seen`` is None while what is known of
    the workers is older than the run's current generation; ``resolution`` is the run's.

    A pause may be taken back for as long as it holds, and is never settled: whoever waits for that
    is answered once the run is settled up to it, which is as far as workers get.
    """
    state = found["state"]
    if state in GONE:
        return _no(goal, f"the revision is {state}")
    holds = found["kind"] == "pause" and settled_until == found["effective"]
    if not holds and state not in SETTLED:
        return None
    standing = "the run is settled up to it, and holds there" if holds else f"it is {_kept(state)}"
    if goal == "settled":
        return _yes(goal, standing if holds else f"the revision is {state}")
    if goal == "done":
        return _done(found)
    if not _has_place(found):
        return _no(
            goal, f"a {found['kind']} is at no step that workers come to: {standing}, {MOST}"
        )
    if seen is None:
        return None
    if goal == "reached":
        return _reached(found, standing, seen)
    return _proven(found, standing, seen, resolution)


def late(found: wire.Revision, goal: wire.RevisionGoal, seen: Seen | None) -> wire.Waited:
    """Return what to say once the time to wait is over: how far it is, and who holds it back."""
    detail = f"the time is over, and the revision is {found['state']}"
    holder = _holder(goal, seen)
    if seen is not None and holder is not None:
        detail += f": {_held_by(holder, found, goal, seen.front.generation)}"
    return _no(goal, detail)


def _holder(goal: wire.RevisionGoal, seen: Seen | None) -> Witness | None:
    if seen is None or goal not in WAITS_FOR_WORKERS:
        return None
    return seen.last if goal == "reached" else seen.least


def _has_place(found: wire.Revision) -> bool:
    """Whether it is at a step of the run's line, to which workers come."""
    return RevisionKind(found["kind"]) in FOLDING | RETRACTABLE and found["left_by"] is None


def _reached(found: wire.Revision, standing: str, seen: Seen) -> wire.Waited | None:
    if seen.front.is_past(found["kind"], found["effective"]):
        return _yes("reached", _all_past(found, seen))
    return _unless_alive("reached", standing, seen)


def _proven(found: wire.Revision, standing: str, seen: Seen, resolution: int) -> wire.Waited | None:
    if RevisionKind(found["kind"]) not in FOLDING:
        why = f"a {found['kind']} changes no value that workers could show to have applied"
        return _no("proven", f"{why}: {standing}; wait until it is reached")
    if seen.front.proves(found["kind"], found["effective"]):
        return _yes("proven", f"{_workers(seen)} applied the values that were served there")
    least, effective = seen.least, found["effective"]
    if least is not None and least.wrong_at is not None and least.wrong_at <= effective:
        return _no("proven", f"{_wrong(least)}: see the mismatches of the run")
    nobody = _unless_alive("proven", standing, seen)
    if (
        nobody is None
        and least is not None
        and least.step > effective
        and least.is_mute(resolution)
    ):
        return _no("proven", f"{_shows_nothing(least)}: {standing}; wait until it is reached")
    return nobody


def _unless_alive(goal: wire.RevisionGoal, standing: str, seen: Seen) -> wire.Waited | None:
    """Return None if somebody is alive who may come there still, else that nobody is."""
    if seen.alive:
        return None
    if seen.last is None:
        return _no(goal, f"{standing}, {MOST}: no worker says where it is")
    where = f"the last that was heard of is worker {seen.last.worker}, at step {seen.last.step}"
    return _no(goal, f"{standing}, {MOST}: no worker is alive; {where}")


def _held_by(who: Witness, found: wire.Revision, goal: wire.RevisionGoal, current: int) -> str:
    """Say who holds a revision back, and why."""
    effective = found["effective"]
    if who.generation != current:
        return f"worker {who.worker} is still in generation {who.generation}, which was left"
    if goal == "proven" and who.wrong_at is not None:
        return _wrong(who)
    if goal == "proven" and who.proven_until is None:
        return _shows_nothing(who)
    if goal == "proven" and who.step > effective:
        return f"worker {who.worker} has shown what it applied up to step {who.proven_until}"
    left = effective - who.step
    short = f", {left} short of {effective}" if left > 0 else ""
    return f"worker {who.worker} is the last, at step {who.step}{short}"


def _all_past(found: wire.Revision, seen: Seen) -> str:
    past = "have come to it" if found["kind"] in BEFORE else "are past it"
    where = "" if seen.last is None else f", worker {seen.last.worker} at step {seen.last.step}"
    return f"{_workers(seen)} {past}; the last{where}" if where else f"{_workers(seen)} {past}"


def _workers(seen: Seen) -> str:
    return f"all {seen.alive} workers" if seen.alive > 1 else "all workers"


def _wrong(who: Witness) -> str:
    return f"worker {who.worker} applied another value than was served at step {who.wrong_at}"


def _shows_nothing(who: Witness) -> str:
    return f"worker {who.worker} has not shown what it applied"


def _kept(state: wire.RevisionState) -> str:
    return "settled" if state in {"reached", "proven"} else state


def _done(found: wire.Revision) -> wire.Waited | None:
    if found["state"] in {"done", "failed"}:
        detail = f"by what workers say, it is {found['state']}"
        return {"for": "done", "met": found["state"] == "done", "detail": detail}
    if "signal" in (found["data"] or {}):
        return None
    return _no("done", f"a {found['kind']} has no outcome: it is {found['state']}, {MOST}")


def _yes(goal: wire.RevisionGoal, detail: str) -> wire.Waited:
    return {"for": goal, "met": True, "detail": detail}


def _no(goal: wire.RevisionGoal, detail: str) -> wire.Waited:
    return {"for": goal, "met": False, "detail": detail}
