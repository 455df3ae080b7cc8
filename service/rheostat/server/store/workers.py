"""
Workers, as one transaction sees them and writes down what they last said.

It takes a connection and is no part of `Records`: nothing that gives a value may read it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from rheostat import wire
from rheostat.limits import MAX_ALL_WORKERS, MAX_WORKERS
from rheostat.server.runs import presence
from rheostat.server.runs.crowd import CLOCKS_APART, Mistake, Worker, is_wrong
from rheostat.server.runs.status import Turnout
from rheostat.server.store import clock, locks, tables

TABLE = tables.workers
WRONG = tables.mismatches

LATEST = "latest"
"""Name of the time after which nothing can have been said yet."""

SAID = ("host", "session", "job", "generation", "step", "pace", "waited", "state", "again")
"""Columns of what a worker last said, besides its times and what is proven."""


class Going(NamedTuple):
    """How those go who train in the current generation of a run, by what is written."""

    last: int | None
    """Where the last of them is."""
    pace: float | None
    """Steps in a second, the mean of theirs."""


class Workers:
    """The workers of runs: a hint, which is written now and then."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, run_id: str) -> list[Worker]:
        """Return all workers of a run that are written down."""
        query = select(TABLE).where(TABLE.c.run_id == run_id)
        return [_worker(row) for row in self._connection.execute(query)]

    def some(self, run_id: str, names: Collection[str]) -> list[Worker]:
        """Return some workers of a run, of those that are written down."""
        if not names:
            return []
        query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.worker.in_(names))
        return [_worker(row) for row in self._connection.execute(query)]

    def mistakes(self, run_id: str) -> list[Mistake]:
        """Return what the workers of a run are known to have applied wrongly."""
        columns = (WRONG.c.worker, WRONG.c.generation, WRONG.c.step, WRONG.c.told_at)
        query = select(*columns).where(WRONG.c.run_id == run_id)
        return [
            Mistake(row.worker, row.generation, row.step, clock.seconds(row.told_at))
            for row in self._connection.execute(query)
        ]

    def turnouts(self, run_ids: Collection[str], now: float) -> dict[str, Turnout]:
        """Return how many workers of some runs are there, and how far any came."""
        alive = func.sum(case((speaks(now), 1), else_=0)).label("alive")
        query = (
            select(TABLE.c.run_id, alive, func.count().label("many"), func.max(TABLE.c.step))
            .where(TABLE.c.run_id.in_(run_ids))
            .group_by(TABLE.c.run_id)
        )
        return {
            run_id: Turnout(int(alive), many - int(alive), furthest)
            for run_id, alive, many, furthest in self._connection.execute(query)
        }

    def going(self, run_ids: Collection[str], now: float) -> dict[str, Going]:
        """Return how those go who train, of some runs that anybody trains."""
        runs = tables.runs
        here = and_(runs.c.id == TABLE.c.run_id, runs.c.generation == TABLE.c.generation)
        query = (
            select(TABLE.c.run_id, func.min(TABLE.c.step), func.avg(TABLE.c.pace))
            .join(runs, here)
            .where(TABLE.c.run_id.in_(run_ids), speaks(now))
            .group_by(TABLE.c.run_id)
        )
        return {run_id: Going(last, pace) for run_id, last, pace in self._connection.execute(query)}

    def counts(self, run_ids: Collection[str], now: float) -> dict[str, wire.WorkerCounts]:
        """Return how many workers of some runs are alive, silent and wrong, by what is written."""
        found: dict[str, wire.WorkerCounts] = {
            run_id: {"alive": 0, "silent": 0, "wrong": 0} for run_id in run_ids
        }
        speaks = (TABLE.c.silent_at >= clock.text(now)).label("speaks")
        query = (
            select(TABLE.c.run_id, speaks, func.count().label("many"))
            .where(TABLE.c.run_id.in_(run_ids), TABLE.c.state != "ended")
            .group_by(TABLE.c.run_id, speaks)
        )
        for row in self._connection.execute(query):
            found[row.run_id]["alive" if row.speaks else "silent"] = row.many
        for run_id in self._wrong(run_ids):
            found[run_id]["wrong"] += 1
        return found

    def _wrong(self, run_ids: Collection[str]) -> list[str]:
        """Return the run of each worker that is wrong, of some runs."""
        same = and_(
            TABLE.c.run_id == WRONG.c.run_id,
            TABLE.c.worker == WRONG.c.worker,
            TABLE.c.generation == WRONG.c.generation,
        )
        query = (
            select(TABLE.c.run_id, TABLE.c.since, func.max(WRONG.c.told_at).label("at"))
            .join(WRONG, same)
            .where(TABLE.c.run_id.in_(run_ids))
            .group_by(TABLE.c.run_id, TABLE.c.worker, TABLE.c.since)
        )
        return [
            row.run_id
            for row in self._connection.execute(query)
            if is_wrong(clock.seconds(row.since), clock.seconds(row.at))
        ]

    def write(self, workers: Mapping[str, Sequence[Worker]], shift: float) -> None:
        """
        Write down what workers last said, by run, with their times shifted to this clock.

        Of what two processes say of a worker, the newer counts: see `crowd.merged`. What is written
        of the future does not: the clock was set back.
        """
        until = {LATEST: clock.text(presence.now() + shift + CLOCKS_APART)}
        rows = [
            _row(run_id, each, shift) | until
            for run_id in sorted(workers)
            for each in sorted(workers[run_id], key=lambda each: each.worker)
        ]
        if rows:
            self._connection.execute(_upsert(self._connection.dialect.name), rows)

    def there(self, run_ids: Iterable[str]) -> tuple[set[str], set[str]]:
        """
        Return those of some runs that can be written of, and those that exist at all.

        The first stay until the transaction ends. One that another replica holds is not waited for.
        """
        runs = tables.runs.c
        query = select(runs.id).where(runs.id.in_(sorted(run_ids))).order_by(runs.id)
        exist = set(self._connection.execute(query).scalars())
        if not locks.is_shared(self._connection):
            return exist, exist
        free = query.with_for_update(key_share=True, read=True, skip_locked=True)
        return set(self._connection.execute(free).scalars()), exist

    def retire(self, run_id: str) -> None:
        """Forget those whom a newer job has retired, as `crowd.current` says."""
        mine = (TABLE.c.run_id == run_id, TABLE.c.job.is_not(None))
        began = func.min(TABLE.c.since).label("began")
        query = select(TABLE.c.job, began).where(*mine).group_by(TABLE.c.job)
        newest = self._connection.execute(
            query.order_by(began.desc(), TABLE.c.job.desc()).limit(1)
        ).one_or_none()
        if newest is not None:
            old = (TABLE.c.job != newest.job, TABLE.c.seen_at < newest.began)
            self._connection.execute(delete(TABLE).where(*mine, *old))

    def forget_some(self, run_id: str) -> None:
        """Forget those that were heard longest ago, if a run has too many."""
        mine = TABLE.c.run_id == run_id
        excess = self._count(mine) - MAX_WORKERS
        if excess > 0:
            oldest = select(TABLE.c.worker).where(mine).order_by(TABLE.c.seen_at).limit(excess)
            self._connection.execute(delete(TABLE).where(mine, TABLE.c.worker.in_(oldest)))

    def forget_some_of_all(self) -> None:
        """Forget a tenth, those that were heard longest ago, if all runs together have too many."""
        if self._count(true()) > MAX_ALL_WORKERS:
            ordered = select(TABLE.c.seen_at).order_by(TABLE.c.seen_at)
            until = ordered.offset(MAX_ALL_WORKERS // 10).limit(1).scalar_subquery()
            self._connection.execute(delete(TABLE).where(TABLE.c.seen_at <= until))

    def _count(self, which: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(TABLE).where(which)
        return int(self._connection.execute(query).scalar_one())


def may_be(status: wire.RunStatus, now: float) -> ColumnElement[bool]:
    """
    Say of a run what holds if its state is this one, as `runs.status` tells.

    What a run ends or holds by is in no column: of those that have any, some may be in another
    state.
    """
    runs, generation = tables.runs.c, tables.generations.c
    mine = TABLE.c.run_id == runs.id
    nobody = ~exists().where(mine, speaks(now))
    stuck = and_(exists().where(mine), nobody, ~exists().where(mine, TABLE.c.step >= runs.total))
    settled = exists().where(
        generation.run_id == runs.id,
        generation.generation == runs.generation,
        generation.settled_until >= runs.total,
    )
    ended = and_(settled, nobody)
    holds: Mapping[wire.RunStatus, ColumnElement[bool]] = {
        "live": not_(or_(stuck, ended)),
        "paused": and_(runs.barriers.is_not(None), not_(stuck)),
        "stuck": stuck,
        "ended": and_(ended, not_(stuck)),
        "stopped": runs.barriers.is_not(None),
    }
    if status == "finished":
        return runs.end.is_not(None)
    return and_(runs.end.is_(None), holds[status])


def speaks(now: float) -> ColumnElement[bool]:
    """Say of a worker's row that it is alive: it has not ended, and is not silent."""
    return and_(TABLE.c.state != "ended", TABLE.c.silent_at >= clock.text(now))


def _row(run_id: str, worker: Worker, shift: float) -> dict[str, Any]:
    row = {name: getattr(worker, name) for name in SAID}
    return row | {
        "run_id": run_id,
        "worker": worker.worker,
        "proven_until": worker.proven_until,
        "since": clock.text(worker.since + shift),
        "seen_at": clock.text(worker.seen_at + shift),
        "silent_at": clock.text(worker.silent_at + shift),
    }


def _worker(row: Row[Any]) -> Worker:
    return Worker(
        worker=row.worker,
        session=row.session,
        generation=row.generation,
        step=row.step,
        again=row.again,
        since=clock.seconds(row.since),
        seen_at=clock.seconds(row.seen_at),
        host=row.host,
        job=row.job,
        pace=row.pace,
        waited=row.waited,
        proven_until=row.proven_until,
        state=row.state,
    )


@cache
def _upsert(dialect: str) -> Any:
    """Return the statement in a database's own dialect, which no other one is loaded for."""
    insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(TABLE)
    new, old = insert.excluded, TABLE.c
    newer = or_(new.seen_at >= old.seen_at, old.seen_at > bindparam(LATEST))
    same = new.session == old.session

    def newest(name: str) -> ColumnElement[Any]:
        return case((newer, new[name]), else_=old[name])

    none: ColumnElement[Any] = literal_column("-1")
    proven = case(
        (
            func.coalesce(new.proven_until, none) > func.coalesce(old.proven_until, none),
            new.proven_until,
        ),
        else_=old.proven_until,
    )
    alike = and_(same, new.generation == old.generation)
    return insert.on_conflict_do_update(
        index_elements=[TABLE.c.run_id, TABLE.c.worker],
        set_={name: newest(name) for name in (*SAID, "seen_at", "silent_at")}
        | {
            "since": case(
                (and_(same, new.since < old.since), new.since),
                (same, old.since),
                else_=newest("since"),
            ),
            "proven_until": case((alike, proven), else_=newest("proven_until")),
        },
    )
