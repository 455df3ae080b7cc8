"""
Folding: what the revisions of a run put in force, from which step on.

Changes are folded in the order of their effective steps, then of their numbers. What a change
expands to is fixed once its effective step is settled; until then, whatever comes before it in
that order (a later revision, or a cancellation) folds it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rheostat.errors import GuardViolated, Invalid
from rheostat.server.runs.changes import parse_changes
from rheostat.server.runs.edits import History, Place
from rheostat.server.runs.extremes import Effort
from rheostat.server.runs.guards import Guards, require_guards
from rheostat.server.runs.revision import Revision
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.runs.units import Units


def fold(
    base: Timelines,
    revisions: Iterable[Revision],
    guards: Guards,
    history: History,
    *,
    asked: int | None = None,
) -> list[Revision]:
    """
    Return the revisions with their timelines, folded onto ``base`` in order of their places.

    ``asked`` is the number of the one that is being made, if there is one; the others are pending.

    Raises
    ------
    GuardViolated
        A revision that was not forced breaks a guard.
    Invalid
        An edit makes no sense where it would act; of a pending revision, its number is named.

    """
    ordered = sorted(revisions, key=lambda revision: revision.place)
    folded: list[Revision] = []
    effort = Effort()
    for revision in ordered:
        try:
            timelines = _apply(base, revision, history)
            if not revision.forced:
                at, number = revision.effective, revision.number
                require_guards(guards, base, timelines, at, number, effort)
        except Invalid as refusal:
            raise refusal if revision.number == asked else _obstructed(revision, refusal) from None
        folded.append(replace(revision, timelines=timelines))
        base = timelines
    return folded


def _obstructed(revision: Revision, refusal: Invalid) -> Invalid:
    """Return the error about a pending revision that no longer makes sense, or breaks a guard."""
    why = "would break a guard then" if isinstance(refusal, GuardViolated) else "could not follow"
    return type(refusal)(
        f"revision {revision.number} is pending at step {revision.effective}, and {why};"
        " cancel it first",
        errors=refusal.errors,
        revision=revision.number,
        effective=revision.effective,
    )


def _apply(base: Timelines, revision: Revision, history: History) -> Timelines:
    if not revision.changes:  # a rewind may change nothing
        return base
    changed: dict[str, Timeline] = {}
    edits = revision.edits or parse_changes(revision.changes, base.keys(), Units())
    for name, changes in edits.items():
        timeline = base[name]
        for index, change in enumerate(changes):
            field = f"changes.{name}[{index}]"
            place = Place(name, field, revision.effective, revision.number, base, history)
            timeline = change.apply(timeline, place)
        changed[name] = timeline.within_reach()
    timelines = base.replaced(changed)
    timelines.require_sound(revision.effective)
    return timelines
