"""Locks between replicas on PostgreSQL: nobody waits behind what is not their own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select, text, update

from rheostat.controllers import bits_of_value
from rheostat.errors import Unavailable
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.spec import parse_run
from rheostat.server.runs.validation import Limits, Units
from rheostat.server.store import locks, statements, tables, writer
from rheostat.server.store.database import Database
from rheostat.server.store.operations import create, report, reported, revise, values
from rheostat.server.store.operations.report import Point, ReportRequest
from rheostat.server.store.operations.reported import Wanted
from rheostat.server.store.revisions import StoredChanges

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
T = TypeVar("T")
HALVE = {"lr": [{"edit": "scale", "factor": 0.5}]}


def in_background(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start work in a thread of its own."""
    future: Future[T] = Future()
    threading.Thread(target=lambda: future.set_result(asyncio.run(work)), daemon=True).start()
    return future


@contextmanager
def replica(desk: Any) -> Iterator[Connection]:
    """Open a transaction as another replica would."""
    other = Database(desk.url)
    try:
        with other.write() as connection:
            yield connection
    finally:
        other.close()


def hold(connection: Connection, run_id: str) -> None:
    """Lock a run's row."""
    assert locks.row(connection, statements.RUN_BY_ID, {"ref": run_id})


def test_no_run_waits_behind_another_one(desk: Any) -> None:
    """P5: while a replica holds a run, this one serves the others; then it serves that one."""
    held, free = desk.create(name="held"), desk.create(name="free")
    with replica(desk) as other:
        hold(other, held)
        waiting = in_background(desk.store.write(values.settle, held, BlockRequest(1, 0, 4)))
        for step in range(5):
            assert desk.settle(free, step, 1)[0] == [100.0 - step]
        desk.write(revise.revise, "free", revise.RevisionRequest(HALVE))
        assert not waiting.done()
    assert list(waiting.result(30).values[0]) == [100.0, 99.0, 98.0, 97.0]


def test_replicas_that_want_the_same_runs_in_another_order_do_not_block_each_other(
    desk: Any,
) -> None:
    """P7: whoever holds a lock waits for none, so that there are no deadlocks."""
    first, second = desk.create(name="first"), desk.create(name="second")

    def both(records: Any) -> None:
        for run_id in (second, first):
            records.find(run_id, lock=True)

    with replica(desk) as other:
        hold(other, first)
        waiting = in_background(desk.store.write(both))
        # the other one gets its second lock, though this one has already asked for it
        for _ in range(5):
            desk.write(lambda records: records.limits)
        other.execute(text("SET LOCAL lock_timeout = '20s'"))
        query = select(tables.runs.c.id).where(tables.runs.c.id == second)
        assert other.execute(query.with_for_update()).scalar_one() == second
    assert waiting.result(30) is None


def reporting(desk: Any, run_id: str, *values: tuple[int, float]) -> Future[Any]:
    """Report values of a metric in the background."""
    points = [
        Point(n, step, "loss", bits_of_value(value)) for n, (step, value) in enumerate(values)
    ]
    return in_background(desk.store.write(report.report, ReportRequest(1, "main", points), run_id))


def test_a_report_that_nothing_reads_waits_for_no_settle(desk: Any) -> None:
    """P13: it has a lock of its own, and so has the foreign key of its row."""
    run = desk.create()
    desk.settle(run, 0, 20)
    with replica(desk) as other:
        hold(other, run)
        assert reporting(desk, run, (10, 2.0)).result(5)["kept"] == 1


def test_a_report_that_a_controller_reads_is_in_the_order_of_the_run(desk: Any) -> None:
    """P7: it waits until the run is free, and decides by what it finds there."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("stop", kind="stop", metric="loss", patience=1)
    with replica(desk) as other:
        hold(other, run)
        waiting = reporting(desk, run, (10, 2.0), (20, 2.0))
        desk.write(lambda records: records.limits)
        assert not waiting.done()
        where = tables.generations.c.run_id == run
        other.execute(update(tables.generations).where(where).values(settled_until=24))
    (decision,) = waiting.result(30)["decisions"]
    assert decision["effective"] == 24


def test_numbers_of_reports_are_in_the_order_of_commits(desk: Any) -> None:
    """So that who follows them misses none: the counter is held until the commit."""
    run = desk.create()
    desk.settle(run, 0, 20)
    with replica(desk) as other:
        records = desk.store._records(other)
        records.begin({})
        points = [Point(0, 5, "loss", bits_of_value(1.0))]
        report.report(records, ReportRequest(1, "main", points), run)
        records.flush()
        waiting = reporting(desk, run, (10, 2.0))
        desk.write(lambda records: records.limits)
        assert not waiting.done()
    assert waiting.result(30)["kept"] == 1
    found = desk.read(reported.reported, run, Wanted("loss", after=0))
    assert (found["steps"], found["next"]) == ([5, 10], 2)


def test_a_name_is_given_once(desk: Any) -> None:
    """P7: who loses the race for a name finds the run that was made, and no error."""
    body = {"name": "new", "parameters": {"lr": {"kind": "constant", "value": 1}}}
    with replica(desk) as other:
        records = desk.store._records(other)
        records.begin(
            {
                "run": create.NewRun(
                    *parse_run(body, Units(), Limits()),
                    StoredChanges(json.dumps(body["parameters"])),
                )
            }
        )
        made, new = create.ensure(records, body, Note("ann"))
        waiting = in_background(desk.store.write(create.ensure, body, Note("bob")))
        desk.write(lambda records: records.limits)
        assert (new, waiting.done()) == (True, False)
    assert waiting.result(30) == (made, False)


def test_a_frozen_replica_holds_nobody_up_for_long(desk: Any) -> None:
    """P5: the database ends a transaction in which nothing happens, and its run goes on."""
    run = desk.create()
    frozen = Database(desk.url)
    connection = frozen.engine.connect()
    transaction = connection.begin()
    hold(connection, run)
    assert desk.settle(run, 0, 2)[0] == [100.0, 99.0]
    with pytest.raises(Exception, match=r"idle-in-transaction|terminat"):
        connection.execute(text("SELECT 1"))
    transaction.close()
    frozen.close()


def test_patience_ends(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: a run that another replica keeps to itself is answered by 503."""
    run = desk.create()
    monkeypatch.setattr(writer, "HELD_SECONDS", 0.2)
    with replica(desk) as other:
        hold(other, run)
        with pytest.raises(Unavailable, match="another replica"):
            desk.settle(run, 0, 1)
    assert desk.settle(run, 0, 1)[0] == [100.0]
