"""Reading reports: a metric's curve along a run's past, and what has come since."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rheostat import wire
from rheostat.controllers import json_of_value
from rheostat.errors import UnknownMetric
from rheostat.limits import MAX_STEP
from rheostat.schedules.thin import thin
from rheostat.server.runs.control.places import stretches
from rheostat.server.store.records import Records
from rheostat.server.store.reports import MOST_READ


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reports to read: of ``generation`` and its past, or those past a number, ``after``."""

    metric: str
    generation: int | None = None
    start: int = 0
    stop: int | None = None
    points: int = 1000
    after: int | None = None


def reported(records: Records, ref: str, wanted: Wanted) -> wire.Reports:
    """
    Return the reports of a metric; raise `UnknownMetric` if there never was one.

    Without ``after`` they are thinned, so that whatever sticks out stays. With it they are the
    next ones in the order in which they were kept, none left out.
    """
    run = records.find(ref)
    newest = records.reports.newest(run.id)  # what comes later is read the next time
    kept = records.reports.metrics(run.id).get(wanted.metric)
    if kept is None:
        raise UnknownMetric(f"the run has kept no report of {wanted.metric!r}")
    lineage = records.lineage(run)
    line = stretches(lineage, wanted.generation or run.generation)
    stop = MAX_STEP if wanted.stop is None else wanted.stop - 1
    rows = records.reports.on_line(
        run.id,
        wanted.metric,
        line,
        between=(wanted.start - 1, stop),
        number=wanted.after or 0,
        each=1 if wanted.after is not None else max(-(-kept.points // MOST_READ), 1),
        limit=None if wanted.after is None else wanted.points,
    )
    if wanted.after is not None and len(rows) == wanted.points:
        newest = max(row.number for row in rows)
    if wanted.after is None and len(rows) > wanted.points:
        values = np.array([row.value for row in rows])
        rows = [rows[index] for index in thin([values], wanted.points)]
    rows = sorted(rows, key=lambda row: (row.step, row.source))
    return {
        "metric": wanted.metric,
        "steps": [row.step for row in rows],
        "values": [json_of_value(row.value) for row in rows],
        "sources": [row.source for row in rows],
        "next": newest,
    }
