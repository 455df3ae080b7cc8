"""Reading reports: a metric's curve along a run's past, and what has come since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rheostat import wire
from rheostat.controllers import json_of_value, value_of_bits
from rheostat.errors import UnknownMetric
from rheostat.limits import MAX_STEP
from rheostat.schedules.thin import thin
from rheostat.server.runs.control.places import stretches
from rheostat.server.store.records import Records
from rheostat.server.store.reports import Reported

LOOKED_AT: Final = 50_000
"""Reports that are looked at to choose those that are shown; of more, evenly many of them."""


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
    between = (wanted.start - 1, stop)
    if wanted.after is None:
        each = max(-(-kept.points // LOOKED_AT), 1)
        rows = records.reports.on_line(run.id, wanted.metric, line, between=between, each=each)
        rows = _thinned(rows, wanted.points)
    else:
        rows = records.reports.following(
            run.id, wanted.metric, line, between=between, after=wanted.after, limit=wanted.points
        )
        newest = rows[-1][3] if len(rows) == wanted.points else newest
        rows.sort()
    return {
        "metric": wanted.metric,
        "steps": [step for step, *_ in rows],
        "values": [json_of_value(value_of_bits(bits)) for _, _, bits, _ in rows],
        "sources": [source for _, source, *_ in rows],
        "next": newest,
    }


def _thinned(rows: list[Reported], points: int) -> list[Reported]:
    if len(rows) <= points:
        return rows
    values = np.array([bits for _, _, bits, _ in rows], dtype=np.int64).view(np.float64)
    return [rows[index] for index in thin([values], points)]
