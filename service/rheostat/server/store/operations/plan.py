"""Plans: the curves of a run, past and future, with their revisions; nothing is settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rheostat import wire
from rheostat.errors import FieldError, Invalid, TooLarge
from rheostat.limits import MAX_STEP
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.lineage import Lineage, OwnedSteps
from rheostat.server.runs.overview import Span, overview
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.store.records import Records, RunRecord

ROOM = 1000
"""Cells that a plan shows past what is known of the future, where nothing says how many."""
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
    in_force = [rule for owned in parts for rule in records.revisions.in_force(owned)]
    line = [Span(rule.start, rule.stop, rule.timelines) for rule in in_force]
    steps, (values,) = overview(run.spec.grid, [line], points)
    return {
        "id": run.id,
        "name": run.spec.name,
        "axis": run.spec.axis,
        "generation": run.generation,
        "settled_until": settled,
        "steps": as_json(steps),
        "parameters": {name: as_json(column) for name, column in values.items()},
        "left": list(_left(records, run, lineage, Wanted(start, stop, points))),
        "revisions": [mark for owned in parts for mark in _marks(records, owned)],
        "signals": [
            {"at": each.at, "signal": each.word, "revision": each.revision}
            for each in records.revisions.signals(parts)
        ],
    }


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
        in_force = [rule for owned in parts for rule in records.revisions.in_force(owned)]
        line = [Span(rule.start, rule.stop, rule.timelines) for rule in in_force]
        points = max(2, min(wanted.points, POINTS_LEFT))
        steps, (values,) = overview(run.spec.grid, [line], points)
        yield {
            "generation": each.key.number,
            "steps": as_json(steps),
            "parameters": {name: as_json(column) for name, column in values.items()},
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


def _marks(records: Records, owned: OwnedSteps) -> Iterator[wire.PlanRevision]:
    for revision in records.revisions.marks(owned):
        yield {
            "from": revision.effective,
            "revision": revision.revision,
            "author": revision.author,
            "message": revision.message,
        }
