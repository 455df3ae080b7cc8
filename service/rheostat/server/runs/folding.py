"""
Folding: what the revisions of a run put in force, from which step on.

Changes are folded in the order of their effective steps, then of their numbers. What a change
expands to is fixed once its effective step is settled; until then, whatever comes before it in
that order (a later revision, or a cancellation) folds it again.

A new total lays the words of what is in force out again, from its effective step on; and so does
whatever brings back what an older total had laid out: a rewind, a fork.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rheostat.errors import GuardViolated, Invalid
from rheostat.server.runs.edits import History, Target
from rheostat.server.runs.guards import Effort, Guards, require_guards
from rheostat.server.runs.revision import Revision, RevisionKind
from rheostat.server.runs.timeline import Timeline, Timelines


def before_and_after(
    new: Revision, pending: Sequence[Revision]
) -> tuple[Sequence[Revision], Sequence[Revision]]:
    """
    Return the pending revisions that fold before a revision, and those that fold after it.

    The words of those that come after a new total are laid out for it.
    """
    index = bisect_left(pending, new.folding_order, key=lambda item: item.folding_order)
    later = pending[index:]
    if new.kind is RevisionKind.TOTAL:
        later = [replace(revision, laid_for=new.total) for revision in later]
    return pending[:index], later


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

    Raises:
        GuardViolated: A revision that was not forced breaks a guard.
        Invalid: An edit makes no sense where it would act; of a pending revision, its number is
            named.

    """
    ordered = sorted(revisions, key=lambda revision: revision.folding_order)
    folded: list[Revision] = []
    effort = Effort()
    for revision in ordered:
        try:
            if revision.number == asked:
                revision.changes.require_apart(base.from_step(revision.effective).sources)
            timelines = _apply(base, revision, history)
            if not revision.forced:
                at, number = revision.effective, revision.number
                require_guards(guards, base, timelines, at, number, effort)
        except Invalid as refusal:
            told = _of_parameters(refusal) if revision.kind is RevisionKind.TOTAL else refusal
            raise told if revision.number == asked else _obstructed(revision, told) from None
        folded.append(replace(revision, timelines=timelines))
        base = timelines
    return folded


def _of_parameters(refusal: Invalid) -> Invalid:
    """Return the error about a new total, which changes parameters without naming them."""
    fields = [error.field.replace("changes.", "parameters.", 1) for error in refusal.errors]
    errors = [replace(error, field=f) for error, f in zip(refusal.errors, fields, strict=True)]
    return type(refusal)(refusal.detail, errors=errors, **refusal.members)


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


LAYING_OUT = frozenset({RevisionKind.TOTAL, RevisionKind.REWIND, RevisionKind.FORK})


def _apply(base: Timelines, revision: Revision, history: History) -> Timelines:
    timelines = base
    if revision.kind in LAYING_OUT and revision.laid_for is not None:
        timelines = _laid_out(base, revision, revision.laid_for)
    if revision.changes:  # a rewind may change nothing
        timelines = timelines.replaced(_changed(timelines, revision, history))
    if timelines is not base:
        timelines.require_sound(revision.effective)
    return timelines


def _laid_out(base: Timelines, revision: Revision, total: int) -> Timelines:
    """Return what is in force with its words laid out for a total."""
    try:
        return base.laid_out(total, revision.effective, revision.number)
    except Invalid as refusal:
        raise Invalid(
            f"the definitions in force cannot be laid out for a total of {total}",
            errors=refusal.errors,
        ) from None


def _changed(base: Timelines, revision: Revision, history: History) -> dict[str, Timeline]:
    changed: dict[str, Timeline] = {}
    for name, changes in revision.changes.laid_out(revision.laid_for).items():
        timeline = base[name]
        for index, change in enumerate(changes):
            target = Target(
                name,
                f"changes.{name}[{index}]",
                revision.effective,
                revision.number,
                base,
                history,
                revision.laid_for,
            )
            timeline = change.apply(timeline, target)
        changed[name] = timeline.within_reach()
    return changed
