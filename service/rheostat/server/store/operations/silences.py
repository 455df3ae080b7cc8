"""
Workers that have fallen silent, of whom hooks are told once.

That somebody is silent happens in no transaction: it follows from the time, and from what workers
last said, which every process writes down now and then. So it is told a little later than lists
show it, and of many who fall silent one after the other, together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update

from rheostat.server.hooks.messages import Notice
from rheostat.server.runs.crowd import PATIENCE, Crowd, believed
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import hooks
from rheostat.server.store.operations.telling import sends, told_of, write
from rheostat.server.store.records import Records
from rheostat.server.store.workers import Workers

TOLD = tables.told
TABLE = tables.workers

GRACE = 10.0
"""Seconds after which silence is believed: what workers say is written down every five."""

APART = 300.0
"""Seconds between two messages about workers of one run."""

RUNS_AT_ONCE = 20
"""Runs that are looked at at a time."""

NAMED = 10
"""Workers that a message names."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Workers of a run that have fallen silent since hooks were told of any, up to a time."""

    run_id: str
    known: str
    until: str
    notice: Notice | None
    """None if nobody is to be told: a newer job has retired them, or they were done."""


def look(records: Records, well_for: float) -> list[Silence]:
    """
    Return the silences that hooks were not told of.

    A process that has not heard workers for long, since it began a moment ago or the database was
    away, does not know who is silent: it waits until each had the time to say something.
    """
    now = clock.read(records.connection)
    limit, apart = clock.text(now - GRACE), clock.text(now - APART)
    runs = tables.runs
    query = (
        select(
            TABLE.c.run_id,
            TOLD.c.silent_until.label("known"),
            func.max(TABLE.c.silent_at).label("until"),
        )
        .join(TOLD, TOLD.c.run_id == TABLE.c.run_id)
        .join(runs, runs.c.id == TABLE.c.run_id)
        .where(
            runs.c.end.is_(None),
            TABLE.c.state != "ended",
            TABLE.c.silent_at < limit,
            TABLE.c.silent_at > TOLD.c.silent_until,
            TOLD.c.silence_at.is_(None) | (TOLD.c.silence_at < apart),
        )
        .group_by(TABLE.c.run_id, TOLD.c.silent_until)
        .having(func.max(TABLE.c.again) * PATIENCE + GRACE < well_for)
        .limit(RUNS_AT_ONCE)
    )
    rows = records.connection.execute(query).all()
    return [
        Silence(run_id, known, until, _notice(records, run_id, known, until, now))
        for run_id, known, until in rows
    ]


def tell(records: Records, holder: str, silences: Sequence[Silence]) -> None:
    """Write the messages about them, unless another process did."""
    if not sends(records, holder):
        return
    now = clock.text(clock.read(records.connection))
    notices = []
    for each in silences:
        where = TOLD.c.run_id == each.run_id, TOLD.c.silent_until == each.known
        values = {"silent_until": each.until}
        if each.notice is not None:
            values["silence_at"] = now
        changed = records.connection.execute(update(TOLD).where(*where).values(**values))
        if changed.rowcount and each.notice is not None:
            notices.append(each.notice)
    write(records, hooks.every(records), notices)


def _notice(records: Records, run_id: str, known: str, until: str, now: float) -> Notice | None:
    run = records.find(run_id)
    workers = [believed(each, now) for each in Workers(records.connection).of(run_id)]
    crowd = Crowd(workers, now, run.generation)
    total = run.total
    since = select(TABLE.c.worker).where(
        TABLE.c.run_id == run_id,
        TABLE.c.state != "ended",
        TABLE.c.silent_at > known,
        TABLE.c.silent_at <= until,
    )
    names = {*records.connection.execute(since).scalars()}
    fallen = [
        each
        for each in crowd.workers
        if each.worker in names and (total is None or each.step < total)
    ]
    if not fallen:
        return None
    fallen.sort(key=lambda each: each.place)
    details = {
        "workers": [each.worker for each in fallen[:NAMED]],
        "fallen": len(fallen),
        "silent": crowd.counts["silent"],
        "alive": crowd.counts["alive"],
        "step": max(each.step for each in fallen),
        "seen_at": clock.text(max(each.seen_at for each in fallen)),
    }
    fields = {"generation": run.generation, "details": details}
    return Notice("silent", f"silent {until}", clock.text(now), told_of(run), fields)
