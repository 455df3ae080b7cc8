"""
What a table of runs shows of each: its first curve, how fast it goes, what happened last.

All that is asked of the database is asked of all runs together, so that a page of a thousand costs
a dozen statements. Only curves are computed, run by run: each is remembered for as long as nothing
changes it, and new ones are made for `PATIENCE` seconds; runs for which that was not enough come
without, and have theirs when the table is asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, cast

import numpy as np
import orjson
from sqlalchemy import and_, func, select

from rheostat import wire
from rheostat.errors import Unavailable
from rheostat.limits import MAX_STEP
from rheostat.server.runs.fragments import as_json
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.overview import of_four_digits, restricted
from rheostat.server.store import clock, tables
from rheostat.server.store.caches import RunCurve
from rheostat.server.store.operations.plan import draw, horizon
from rheostat.server.store.operations.workers import found_runs
from rheostat.server.store.records import Records, RunRecord
from rheostat.server.store.run_lists import WantedRuns
from rheostat.server.store.workers import Going, Workers

POINTS = 48
"""Points of a curve: as many as a small picture can show."""

LOOKED_AT = 1_024
"""Values that are computed to find them."""

PATIENCE = 0.3
"""Seconds for which one answer computes curves that nobody has asked for before."""

SHORT = 2_000
"""Characters of what a revision asked for, up to which the table tells it."""


def overviews(records: Records, wanted: WantedRuns) -> tuple[list[wire.RunOverview], str | None]:
    """Return what a table shows of runs, and where to go on."""
    found, following = found_runs(records, wanted)
    runs = [each.run for each in found]
    ids = [run.id for run in runs]
    going = Workers(records.connection).going(ids, clock.read(records.connection))
    newest = _newest(records, ids)
    proposals = _proposals(records, ids)
    attention = _attention(records, ids)
    until = time.monotonic() + PATIENCE
    items: list[wire.RunOverview] = []
    for run, lineage, summary in found:
        curve = _curve(records, run, lineage, until)
        kinds = attention.get(run.id, set())
        if records.ahead.of(run.key)[0] > summary["settled_until"]:
            kinds.add("went-back")
        goes = going.get(run.id, Going(None, None))
        items.append(
            {
                **_from_summary(summary),
                "curve": curve,
                "pace": goes.pace,
                "ends_in": _ends_in(summary, goes),
                "newest": newest[run.id],
                "proposals": proposals.get(run.id, 0),
                "attention": sorted(kinds),
            }
        )
    return items, following


COLUMNS = tuple(wire.RunRow.__annotations__)


def _from_summary(summary: wire.RunSummary) -> wire.RunRow:
    row: dict[str, Any] = {name: summary[name] for name in COLUMNS}  # type: ignore[literal-required]
    return cast("wire.RunRow", row)


def _ends_in(run: wire.RunSummary, goes: Going) -> float | None:
    """Return in how many seconds the slowest worker comes to the end, if both are known."""
    stops = [each["effective"] for each in run["stops"] if not each["hold"]]
    ends = [end for end in (run["end"], run["total"], *stops) if end is not None]
    if not ends or not goes.pace or goes.last is None:
        return None
    return max(min(ends) - goes.last, 0) / goes.pace


def _curve(
    records: Records, run: RunRecord, lineage: Lineage, until: float
) -> wire.RunCurve | None:
    """Return the curve of a run's first parameter, None if there is no time to compute it."""
    settled = lineage[run.generation].settled_until
    # how far it is drawn may depend on where the run is: so it changes when that has doubled
    block = 1 << max(settled - 1, 0).bit_length()
    key = (run.key, run.revision, block)
    known = records.curves.get(key)
    if known is None and time.monotonic() < until:
        try:
            known = _computed(records, run, lineage, min(block, MAX_STEP))
        except Unavailable:  # a newer release stored it: the others are shown all the same
            return None
        records.curves.put(key, known, known.size)
    if known is None:
        return None
    return {
        "parameter": known.parameter,
        "steps": as_json(known.steps),
        "values": as_json(known.values),
    }


def _computed(records: Records, run: RunRecord, lineage: Lineage, settled: int) -> RunCurve:
    run.require_known()
    name = first_of(run.spec.names)
    last = records.revisions.newest_in_force(run.key)
    stop = horizon(run, 0, settled, [restricted(last, [name])])
    parts = lineage.owners(run.generation, 0, stop)
    drawn = draw(records, run, parts, POINTS, [name], LOOKED_AT)
    return RunCurve(name, drawn.steps, np.array(of_four_digits(drawn.values[name])))


def first_of(names: Sequence[str]) -> str:
    """Return the parameter that people look at first: the learning rate, where there is one."""
    return min(names, key=lambda name: (name.partition("/")[0] != "lr", names.index(name)))


def _newest(records: Records, ids: Collection[str]) -> dict[str, wire.NewestRevision]:
    """Return the newest revision of each run; what it asks for only where that is short."""
    revisions, runs = tables.revisions.c, tables.runs.c
    names = ("run_id", "revision", "kind", "effective", "author", "message", "created_at")
    query = (
        select(
            *(revisions[name] for name in names),
            func.substr(revisions.changes, 1, SHORT + 1).label("changes"),
            func.substr(revisions.data, 1, SHORT + 1).label("data"),
        )
        .join(tables.runs, and_(runs.id == revisions.run_id, runs.revision == revisions.revision))
        .where(runs.id.in_(ids))
    )
    return {row.run_id: _shown(row) for row in records.connection.execute(query)}


def _shown(row: Any) -> wire.NewestRevision:
    return {
        "revision": row.revision,
        "kind": row.kind,
        "effective": row.effective,
        "author": row.author,
        "message": row.message,
        "created_at": row.created_at,
        "changes": _short(row.changes) if row.revision > 1 else None,
        "data": _short(row.data),
    }


def _short(text: str | None) -> dict[str, Any] | None:
    return None if text is None or len(text) > SHORT else orjson.loads(text)


def _proposals(records: Records, ids: Collection[str]) -> dict[str, int]:
    table = tables.proposals.c
    query = select(table.run_id, func.count().label("many"))
    query = query.where(table.run_id.in_(ids), table.state == "open").group_by(table.run_id)
    return {row.run_id: row.many for row in records.connection.execute(query)}


def _attention(records: Records, ids: Collection[str]) -> dict[str, set[wire.AttentionKind]]:
    """Return what kinds of things an operator should look at, of each run in its generation."""
    runs = tables.runs.c
    metrics, controllers = tables.report_metrics.c, tables.controllers.c
    consumed, mismatches = tables.consumed.c, tables.mismatches.c
    signs: dict[wire.AttentionKind, Any] = {
        "differs": select(metrics.run_id).where(
            metrics.run_id.in_(ids), metrics.differing.is_not(None)
        ),
        "off-gate": select(controllers.run_id).where(
            controllers.run_id.in_(ids),
            controllers.off_gate.is_not(None),
            controllers.removed.is_(None),
        ),
        "blocked": select(consumed.run_id)
        .join(tables.runs, and_(runs.id == consumed.run_id, runs.generation == consumed.generation))
        .where(runs.id.in_(ids), consumed.event > 0, consumed.decision == "blocked"),
        "mismatch": select(mismatches.run_id)
        .join(
            tables.runs,
            and_(runs.id == mismatches.run_id, runs.generation == mismatches.generation),
        )
        .where(runs.id.in_(ids)),
    }
    found: dict[str, set[wire.AttentionKind]] = {}
    for kind, query in signs.items():
        for run_id in records.connection.execute(query.distinct()).scalars():
            found.setdefault(run_id, set()).add(kind)
    return found
