"""Why a database cannot be used: what callers and readiness are told, on either kind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from rheostat.errors import RheostatError, Unavailable
from rheostat.server.settings import Settings
from rheostat.server.store.failures import WORDS, Outage, Reporter, line, reason_of, unavailable
from rheostat.server.store.opening import open_store, require_usable
from rheostat.server.store.operations import revise
from rheostat.server.store.store import PROBED_SECONDS, Store

HALVE = {"lr": [{"edit": "scale", "factor": 0.5}]}


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE ledger", "ALTER TABLE runs DROP COLUMN finished_at", "DROP TABLE labels"],
)
def test_tables_of_another_release_are_a_defect(desk: Any, statement: str) -> None:
    """Nobody is told to try again, and the server is not ready, for `schema`, until a restart."""
    run = desk.create()
    other = create_engine(desk.url.replace("postgresql:", "postgresql+psycopg:"))
    with other.begin() as connection:
        connection.execute(text(statement))
    other.dispose()
    with pytest.raises(DBAPIError) as failure:
        use_all_tables(desk, run)
    said = str(failure.value)
    assert "sqlalche.me" not in said
    assert "nlp" not in line(failure.value)
    assert ready(desk.store) == ["schema"]
    desk.write(lambda records: records.limits)  # what works besides does not mend it
    assert ready(desk.store) == ["schema"]


def use_all_tables(desk: Any, run: str) -> None:
    """Settle a block, and create a run with a label."""
    desk.settle(run, 0, 4)
    desk.create(name="another", labels={"team": "nlp"})


def ready(store: Store) -> list[str]:
    """Return what readiness says once a commit that has just worked is not news any more."""

    async def ask() -> list[str]:
        store._probe = None  # of another loop
        await asyncio.sleep(PROBED_SECONDS)
        return [*await store.reasons()]

    return asyncio.run(ask())


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_postgresql_that_takes_no_changes(desk: Any) -> None:
    """Reads go on; writes are refused, a server does not start, and all is well again later."""
    desk.create()
    _set(desk, "SET default_transaction_read_only = on")
    with pytest.raises(Unavailable) as refused:
        desk.revise(HALVE)
    assert refused.value.members["reason"] == "read-only"
    assert desk.read(lambda records: records.find("gpt")).revision == 1
    assert ready(desk.store) == ["read-only"]
    settings = Settings(database=desk.url)
    store = open_store(settings)
    with pytest.raises(RheostatError, match="takes no changes"):
        require_usable(store, settings)
    store.close()
    _set(desk, "RESET default_transaction_read_only")
    assert desk.revise(HALVE)["revision"] == 2
    assert ready(desk.store) == []


def _set(desk: Any, setting: str) -> None:
    name = desk.url.rpartition("?")[0].rpartition("/")[2]
    with psycopg.connect(desk.url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} {setting}".encode())
    desk.store._database.engine.dispose()  # what is set counts for sessions that begin


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_lock_that_another_program_holds(desk: Any) -> None:
    """P9: whoever waits is told that it is busy, in seconds."""
    desk.create()
    other = sqlite3.connect(desk.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as refused:
        desk.revise(HALVE)
    assert refused.value.members["reason"] == "busy"
    other.execute("ROLLBACK")
    other.close()
    assert desk.revise(HALVE)["revision"] == 2


def _sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    return error


EXTENDED = {
    sqlite3.SQLITE_FULL: Outage.DISK_FULL,
    sqlite3.SQLITE_IOERR_WRITE: Outage.DATABASE_AWAY,
    sqlite3.SQLITE_READONLY_DBMOVED: Outage.READ_ONLY,
    sqlite3.SQLITE_CORRUPT_VTAB: Outage.FILE_REPLACED,
    sqlite3.SQLITE_NOTADB: Outage.FILE_REPLACED,
    sqlite3.SQLITE_BUSY_SNAPSHOT: Outage.BUSY,
    sqlite3.SQLITE_ERROR: None,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: None,
}


@pytest.mark.parametrize("code", EXTENDED)
def test_reasons_of_sqlite(code: int) -> None:
    """Extended codes mean what their kind means."""
    assert reason_of(_sqlite(code)) == EXTENDED[code]


STATES = {
    "53100": Outage.DISK_FULL,
    "53300": Outage.BUSY,
    "25006": Outage.READ_ONLY,
    "42501": Outage.READ_ONLY,
    "57014": Outage.BUSY,
    "55P03": Outage.BUSY,
    "57P01": Outage.DATABASE_AWAY,
    "57P03": Outage.DATABASE_AWAY,
    "08006": Outage.DATABASE_AWAY,
    "25P03": Outage.DATABASE_AWAY,
    "42P01": None,
    "42703": None,
    "23505": None,
    "22003": None,
}


@pytest.mark.parametrize("state", STATES)
def test_reasons_of_postgresql(state: str) -> None:
    """The state decides, and what another attempt would not mend is a defect."""
    assert reason_of(psycopg.errors.lookup(state)("it failed")) == STATES[state]


@pytest.mark.parametrize("reason", Outage)
def test_each_reason_has_words(reason: Outage) -> None:
    """Its sentence is one, and goes before what became of the request."""
    refused = unavailable(reason)
    assert refused.members["reason"] == reason.value
    assert refused.detail == f"{WORDS[reason]}: try again"


def test_many_failures_are_one_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """A database that is away does not fill the disk of the log."""
    reporter = Reporter()
    tell: Callable[[], None] = lambda: reporter.tell("a read", Outage.BUSY, OSError("no\nmore"))  # noqa: E731
    for _ in range(1000):
        tell()
    assert [record.getMessage() for record in caplog.records] == ["a read failed, busy: no"]


def test_a_wish_is_refused_as_it_was_sent(desk: Any) -> None:
    """A refusal of the domain is none of the database's: it stays what it is, on either kind."""
    desk.create()
    with pytest.raises(Exception, match="no run"):
        desk.write(revise.revise, "nobody", revise.RevisionRequest(HALVE))
    assert ready(desk.store) == []
