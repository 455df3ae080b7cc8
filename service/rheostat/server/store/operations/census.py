"""
The census: what a database holds, counted in one read, for figures.

It is read by itself now and then, never because somebody asks. It looks at every run that is not
finished and at every worker, so whoever reads it rests for a multiple of the time that it took.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, NamedTuple, cast

import orjson
from sqlalchemy import Row, and_, func, select, text

from rheostat import wire
from rheostat.server.runs.barriers import NO_BARRIERS, Barriers
from rheostat.server.runs.revision import WAITING
from rheostat.server.runs.selector import Selector
from rheostat.server.runs.status import Turnout, status
from rheostat.server.store import clock, locks, tables
from rheostat.server.store.records import Records
from rheostat.server.store.selecting import conditions
from rheostat.server.store.workers import Going, Workers, speaks

LOOK_AHEAD: Final = 2.0
"""Seconds that a worker reads ahead, unless it was told otherwise."""

MOST_DUE: Final = 1_000
"""Changes that are due, of which the oldest is looked for."""

STATES: Final = ("live", "paused", "stuck", "ended", "stopped", "finished")
DOING: Final = ("training", "waiting", "silent", "gone", "ended")


class RunFigures(NamedTuple):
    """What is told of one run."""

    settled_until: int
    age: float | None
    """Seconds since something was settled."""
    slowest: int | None
    revision: int
    workers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Census:
    """What a database holds."""

    runs: Mapping[str, int]
    """By state."""
    workers: Mapping[str, int]
    """Of runs that are not finished, by what they do."""
    due: float
    """Look-aheads for which the change has waited that has done so for longest."""
    named: Mapping[str, RunFigures] = field(default_factory=dict)
    """Some runs, by name."""
    left_out: int = 0
    """Runs that were to be among these, and are too many."""
    bytes: int | None = None
    """What PostgreSQL says that it takes."""


class _Crowd(NamedTuple):
    """The workers of a run, counted."""

    doing: Counter[str]
    turnout: Turnout


NOBODY: Final = _Crowd(Counter(), Turnout())


def take(records: Records, named: Selector | None, most: int) -> Census:
    """Count everything; up to ``most`` of the runs that are ``named`` are told one by one."""
    now = clock.read(records.connection)
    crowds = _crowds(records, now)
    runs, doing = dict.fromkeys(STATES, 0), dict.fromkeys(DOING, 0)
    unfinished = 0
    for row in _unfinished(records):
        crowd = crowds.get(row.id, NOBODY)
        runs[_state(row, crowd.turnout)] += 1
        unfinished += 1
        for word, many in crowd.doing.items():
            doing[word] += many
    everything = select(func.count()).select_from(tables.runs)
    runs["finished"] = int(records.connection.execute(everything).scalar_one()) - unfinished
    shown, left_out = _named(records, named, most, crowds, now) if named else ({}, 0)
    return Census(runs, doing, _due(records, crowds, now), shown, left_out, _bytes(records))


def _crowds(records: Records, now: float) -> dict[str, _Crowd]:
    """Return the workers of every run that has any, counted."""
    table = tables.workers.c
    heard = speaks(now).label("heard")
    query = (
        select(table.run_id, table.state, heard, func.count().label("many"), func.max(table.step))
        .group_by(table.run_id, table.state, heard)
        .order_by(table.run_id)
    )
    found = {}
    for run_id, group in groupby(records.connection.execute(query), key=lambda row: row.run_id):
        rows = [(state, heard, many, step) for _, state, heard, many, step in group]
        alive = sum(many for _, heard, many, _ in rows if heard)
        doing: Counter[str] = Counter()
        for state, heard, many, _ in rows:
            quiet = "silent" if alive else "gone"
            doing[state if heard or state == "ended" else quiet] += many
        everybody = sum(many for _, _, many, _ in rows)
        furthest = max(step for _, _, _, step in rows)
        found[run_id] = _Crowd(doing, Turnout(alive, everybody - alive, furthest))
    return found


def _unfinished(records: Records) -> Any:
    runs, newest = tables.runs.c, tables.generations.c
    here = and_(newest.run_id == runs.id, newest.generation == runs.generation)
    query = (
        select(runs.id, runs.total, runs.barriers, newest.settled_until)
        .join(tables.generations, here)
        .where(runs.end.is_(None))
    )
    return records.connection.execute(query.execution_options(yield_per=1_000))


def _state(row: Row[Any], turnout: Turnout) -> str:
    """Return a run's state, by the one rule that there is for it."""
    barriers = _barriers(row.barriers)
    summary = {
        "settled_until": row.settled_until,
        "total": row.total,
        "finished_at": None,
        "stops": [stop.to_json() for stop in barriers.stops],
        "paused": barriers.holds(row.settled_until),
    }
    return status(cast("wire.RunSummary", summary), turnout)


def _barriers(stored: str | None) -> Barriers:
    return NO_BARRIERS if stored is None else Barriers.from_json(orjson.loads(stored))


def _due(records: Records, crowds: Mapping[str, _Crowd], now: float) -> float:
    """
    Return for how many look-aheads the oldest change has waited that the next block brings.

    Its step is where its run is settled to, somebody trains, and nothing holds them there.
    """
    runs, newest, revisions = tables.runs.c, tables.generations.c, tables.revisions.c
    here = and_(newest.run_id == runs.id, newest.generation == runs.generation)
    next_ = and_(
        revisions.run_id == newest.run_id,
        revisions.generation == newest.generation,
        revisions.effective == newest.settled_until,
    )
    query = (
        select(runs.id, runs.total, runs.barriers, newest.settled_until)
        .add_columns(newest.read_from, newest.read_until, revisions.created_at)
        .join(tables.generations, here)
        .join(tables.revisions, next_)
        .where(runs.end.is_(None), revisions.folds, revisions.kind.in_(sorted(WAITING)))
        .order_by(revisions.created_at)
        .limit(MOST_DUE)
    )
    rows = [
        row
        for row in records.connection.execute(query)
        if crowds.get(row.id, NOBODY).turnout.alive and not _is_held(row)
    ]
    going = Workers(records.connection).going([row.id for row in rows], now) if rows else {}
    waits = (_waits(row, going.get(row.id), now) for row in rows)
    return max(waits, default=0.0)


def _is_held(row: Row[Any]) -> bool:
    """Whether nothing is read past where a run is settled to."""
    settled, barriers = row.settled_until, _barriers(row.barriers)
    nearest = barriers.nearest
    at_stop = nearest is not None and nearest.effective <= settled
    at_end = row.total is not None and settled >= row.total
    return at_stop or at_end or barriers.has_gate_at(settled)


def _waits(row: Row[Any], going: Going | None, now: float) -> float:
    """Return for how many look-aheads a change waits: each as long as the last block lasts."""
    block = LOOK_AHEAD
    if going is not None and going.pace and row.read_until is not None:
        block = max(block, (row.read_until - row.read_from) / going.pace)
    return max(now - clock.seconds(row.created_at), 0.0) / block


def _named(
    records: Records, named: Selector, most: int, crowds: Mapping[str, _Crowd], now: float
) -> tuple[dict[str, RunFigures], int]:
    """Return the figures of those that were made last, and how many there are besides."""
    runs, newest = tables.runs.c, tables.generations.c
    here = and_(newest.run_id == runs.id, newest.generation == runs.generation)
    fitting = (runs.end.is_(None), *conditions(named))
    query = (
        select(runs.id, runs.name, runs.revision, newest.settled_until, newest.settled_at)
        .join(tables.generations, here)
        .where(*fitting)
        .order_by(runs.created_at.desc(), runs.id)
        .limit(most)
    )
    rows = records.connection.execute(query).all()
    count = select(func.count()).select_from(tables.runs).where(*fitting)
    all_of_them = len(rows) if len(rows) < most else records.connection.execute(count).scalar_one()
    going = Workers(records.connection).going([row.id for row in rows], now) if rows else {}
    return {row.name: _figures(row, crowds, going, now) for row in rows}, all_of_them - len(rows)


def _figures(
    row: Any, crowds: Mapping[str, _Crowd], going: Mapping[str, Going], now: float
) -> RunFigures:
    goes, doing = going.get(row.id), crowds.get(row.id, NOBODY).doing
    age = None if row.settled_at is None else max(now - clock.seconds(row.settled_at), 0.0)
    return RunFigures(
        row.settled_until,
        age,
        None if goes is None else goes.last,
        row.revision,
        {word: doing[word] for word in DOING},
    )


def _bytes(records: Records) -> int | None:
    if not locks.is_shared(records.connection):
        return None
    size = text("SELECT pg_database_size(current_database())")
    return int(records.connection.execute(size).scalar_one())
