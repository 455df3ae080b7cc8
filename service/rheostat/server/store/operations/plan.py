"""Plans: the curves of a run, past and future, with their revisions; nothing is settled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import FieldError, Invalid, TooLarge
from rheostat.server.runs.grid import MAX_STEP, Grid
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.settling import Reign
from rheostat.server.runs.timeline import Timelines
from rheostat.server.store.records import Records, RunRecord


def plan(
    records: Records, ref: str, start: int, stop: int | None, points: int, most: int
) -> dict[str, Any]:
    """
    Return the curves of a run from ``start`` to ``stop``, past and future, at some steps.

    Raises `TooLarge` if they would have more than ``most`` values in all.
    """
    run = records.find(ref)
    if points * len(run.spec.names) > most:
        message = f"{points} points of {len(run.spec.names)} parameters are over {most} values"
        bound = f"<= {most // len(run.spec.names)}"
        raise TooLarge(message, errors=[FieldError("points", message, points, bound)])
    lineage = records.lineage(run)
    settled = lineage[run.generation].settled_until
    if stop is None:
        last = records.revisions.in_force_at(run.key, MAX_STEP)
        stop = horizon(run, max(start, settled), [last.timelines])
    if not start < stop:
        message = f"stop is {stop}, and must be past start, which is {start}"
        raise Invalid(message, errors=[FieldError("stop", message, stop, f"> {start}")])
    reigns = _all_reigns(records, run, lineage, start, stop)
    steps = sample(run.spec.grid, start, stop, points)
    return {
        "id": run.id,
        "name": run.spec.name,
        "axis": run.spec.axis,
        "generation": run.generation,
        "settled_until": settled,
        "steps": steps,
        "parameters": _evaluate(reigns, steps),
        "revisions": [_mark(reign) for reign in reigns],
    }


def horizon(run: RunRecord, step: int, timelines: Iterable[Timelines]) -> int:
    """Return where a plan ends by default: at the run's end or total, or where its curves end."""
    planned = run.end or run.spec.total
    if planned is not None and planned > step:
        return planned
    ends = [
        piece.origin + piece.definition.length
        for each in timelines
        for timeline in each.values()
        for piece in timeline.pieces
        if piece.definition.length is not None
    ]
    return min(max([step + 1000 * run.spec.resolution, *ends]), MAX_STEP + 1)


def _all_reigns(
    records: Records, run: RunRecord, lineage: Lineage, start: int, stop: int
) -> list[Reign]:
    return [
        reign
        for stretch in lineage.owners(run.generation, start, stop)
        for reign in records.revisions.reigns(stretch)
    ]


def sample(grid: Grid, start: int, stop: int, points: int) -> NDArray[np.int64]:
    """Return up to ``points`` cells, spread evenly from the first to the last before ``stop``."""
    first, last = grid.floor(start), grid.floor(stop - 1)
    count = min(points, grid.cells(first, last) + 1)
    cells = np.linspace(0, grid.cells(first, last), count).round().astype(np.int64)
    return first + cells * grid.resolution


def _evaluate(reigns: list[Reign], steps: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return each parameter's values at rising ``steps`` that the reigns cover."""
    parts = []
    for index, reign in enumerate(reigns):
        # the first cell may begin before `start`, where no reign does
        lower = reign.start if index else int(steps[0])
        there = steps[(steps >= lower) & (steps < reign.stop)]
        parts.append(reign.timelines.evaluate(there))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _mark(reign: Reign) -> dict[str, Any]:
    return {
        "from": reign.start,
        "revision": reign.revision,
        "author": reign.note.author,
        "message": reign.note.message,
    }
