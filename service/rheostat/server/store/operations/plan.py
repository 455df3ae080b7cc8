"""Plans: the curves of a run, past and future, with their revisions; nothing is settled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rheostat import wire
from rheostat.errors import FieldError, Invalid, TooLarge
from rheostat.limits import MAX_STEP
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.lineage import Lineage, OwnedSteps
from rheostat.server.runs.overview import LOOKED_AT, Span, evaluate, overview, restricted
from rheostat.server.runs.timeline import Steps, Timeline, Timelines, Values
from rheostat.server.store.records import Records, RunRecord

ROOM = 1000
"""Cells that a plan shows past what is known of the future, where nothing says how many."""
FEW = 200
"""Revisions up to which a curve is looked at everywhere, however few its points are."""
MOST_LEFT, POINTS_LEFT = 4, 200
"""Generations left by rewinds that a plan shows, the newest ones, and the most points of each."""


def plan(
    records: Records, ref: str, start: int, stop: int | None, points: int, most: int
) -> wire.Plan:
    """
    Return the curves of a run from ``start`` to ``stop``, past and future, at some steps.

    Raises `TooLarge` if they would have more than ``most`` values in all.
    """
    run = records.find(ref)
    _require_few(run, points, most)
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    if stop is None:
        last = records.revisions.in_force_at(run.key, MAX_STEP)
        stop = horizon(run, start, settled, [last.timelines])
    if not start < stop:
        message = f"stop is {stop}, and must be past start, which is {start}"
        raise Invalid(message, errors=[FieldError("stop", message, stop, f"> {start}")])
    parts = lineage.owners(run.generation, start, stop)
    drawn = draw(records, run, parts, points)
    return {
        "id": run.id,
        "name": run.spec.name,
        "axis": run.spec.axis,
        "generation": run.generation,
        "settled_until": settled,
        "steps": as_json(drawn.steps),
        "parameters": {name: as_json(column) for name, column in drawn.values.items()},
        "left": list(_left(records, run, lineage, Wanted(start, stop, points))),
        "revisions": [mark for owned in parts for mark in _marks(records, owned, drawn.revisions)],
        "signals": [
            {"at": each.at, "signal": each.word, "revision": each.revision}
            for each in records.revisions.signals(parts)
        ],
    }


class Drawn(NamedTuple):
    """A curve at a few steps, by parameter; of many revisions, those in force at these steps."""

    steps: Steps
    values: Mapping[str, Values]
    revisions: Collection[int] | None


def draw(
    records: Records,
    run: RunRecord,
    parts: Sequence[OwnedSteps],
    points: int,
    names: Sequence[str] | None = None,
    looked_at: int = LOOKED_AT,
) -> Drawn:
    """
    Return the curves of a run, or of some parameters, at up to ``points`` steps of its line.

    Where there are more revisions than that, and than `FEW`, the steps are spread evenly and all
    that is read is what is in force at one of them: so ten thousand revisions cost what a thousand
    do, and each value is exact.
    """
    many = sum(records.revisions.count(owned) for owned in parts) > max(points, FEW)
    steps = run.spec.grid.spread(parts[0].start, parts[-1].stop, points) if many else None
    rules = [rule for owned in parts for rule in records.revisions.in_force(owned, at=steps)]
    line = [
        Span(
            *(rule.start, rule.stop),
            restricted(rule.timelines, names) if names else rule.timelines,
        )
        for rule in rules
    ]
    if steps is not None:
        return Drawn(steps, evaluate(line, steps), {rule.revision for rule in rules})
    steps, (values,) = overview(run.spec.grid, [line], points, looked_at)
    return Drawn(steps, values, None)


class Wanted(NamedTuple):
    """Of which steps a plan is, and how many points it may have."""

    start: int
    stop: int
    points: int


def _left(
    records: Records, run: RunRecord, lineage: Lineage, wanted: Wanted
) -> Iterator[wire.LeftLine]:
    """Yield what was served in generations that were left, the newest first."""
    reach = lineage.reach(run.generation)
    others = [each for each in lineage if each.key.number != run.generation]
    newest = sorted(others, key=lambda each: -each.key.number)[:MOST_LEFT]
    for each in newest:
        branched = reach.get(each.key.number, each.start)
        first, stop = max(wanted.start, int(branched)), min(wanted.stop, each.settled_until)
        if first >= stop:
            continue
        parts = lineage.owners(each.key.number, first, stop)
        drawn = draw(records, run, parts, max(2, min(wanted.points, POINTS_LEFT)))
        yield {
            "generation": each.key.number,
            "steps": as_json(drawn.steps),
            "parameters": {name: as_json(column) for name, column in drawn.values.items()},
        }


def horizon(run: RunRecord, start: int, settled: int, timelines: Iterable[Timelines]) -> int:
    """
    Return where a plan from ``start`` ends by default.

    A finished run's plan ends with it; any other at the run's total or, if that is later, where its
    curves end. If neither is known, or both are past, it shows `ROOM` cells of what is open.
    """
    if run.end is not None and run.end > start:
        return run.end
    lines = [timeline for each in timelines for timeline in each.values()]
    known = max(start, settled, *(line.pieces[-1].start for line in lines))
    planned = max(run.total or 0, *(end for line in lines for end in _ends(line)))
    if run.total is None or planned <= known:
        planned = max(planned, known + ROOM * run.spec.resolution)
    return min(planned, MAX_STEP + 1)


def _ends(timeline: Timeline) -> Iterator[int]:
    """Yield where the curves of a timeline end, if others do not replace them before."""
    stops = [*(piece.start for piece in timeline.pieces[1:]), MAX_STEP + 1]
    for piece, stop in zip(timeline.pieces, stops, strict=True):
        if piece.definition.length is not None:
            yield min(piece.origin + piece.definition.length, stop)


def _require_few(run: RunRecord, points: int, most: int) -> None:
    if points * len(run.spec.names) > most:
        message = f"{points} points of {len(run.spec.names)} parameters are over {most} values"
        bound = f"<= {most // len(run.spec.names)}"
        raise TooLarge(message, errors=[FieldError("points", message, points, bound)])


def _marks(
    records: Records, owned: OwnedSteps, among: Collection[int] | None
) -> Iterator[wire.PlanRevision]:
    for revision in records.revisions.marks(owned):
        if among is None or revision.revision in among:
            yield {
                "from": revision.effective,
                "revision": revision.revision,
                "author": revision.author,
                "message": revision.message,
            }
