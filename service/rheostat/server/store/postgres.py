"""
PostgreSQL: connections that give up, and that are what the promises need.

A host that died without a word, or a balancer that goes on acknowledging bytes for one, is never
noticed by TCP or by the database's own limits: the reader simply waits. So a connection that has
heard nothing for `Timeouts.answer` seconds closes itself, and the next one goes to whatever is
there now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

from rheostat.server.store.database import Timeouts

NETWORK = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5_000,
}
"""What libpq asks of TCP: a host that acknowledges nothing is given up within seconds."""

NO_LIMIT = "0"

INTERVAL = 0.1
"""Seconds between two looks at the clock while a connection waits."""


def engine(url: URL, timeouts: Timeouts, pool: Mapping[str, Any]) -> Engine:
    """Return an engine whose connections give up, and have been looked at."""
    url = url.set(drivername="postgresql+psycopg")
    wanted = _session(timeouts)
    given = url.query.get("options", "")
    options = [given if isinstance(given, str) else " ".join(given)]
    options += [f"-c {name}={value}" for name, value in wanted.items()]
    arguments = {
        **NETWORK,
        "options": " ".join(options).strip(),
        "connect_timeout": timeouts.connect,
    }
    made = create_engine(
        url, pool_pre_ping=True, hide_parameters=True, connect_args=arguments, **pool
    )

    @event.listens_for(made, "do_connect")
    def _connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Connection[Any]:
        connection: _TimedConnection = _TimedConnection.connect(*args, **parameters)
        connection.timeouts = timeouts.answer
        return connection

    @event.listens_for(made, "connect")
    def _look(connection: Connection[Any], _record: Any) -> None:
        _require_session(connection, wanted)

    return made


def require_no_pooler(engine: Engine) -> None:
    """
    Raise `psycopg.OperationalError` if a pooler gives a connection another session each time.

    What a session was told, and the statements that it has prepared, would be those of others. One
    that keeps a session for each connection is as good as none.
    """
    first = engine.raw_connection()
    second = engine.raw_connection()
    try:
        before = _backend(first)
        if before == first.driver_connection.info.backend_pid:  # type: ignore[union-attr]
            return
        first.commit()
        _backend(second)  # and holds on to it
        if _backend(first) != before:
            raise psycopg.OperationalError(
                "a pooler in transaction mode stands between Rheostat and PostgreSQL, and gives"
                " each transaction another session; connect to PostgreSQL itself, or to a pooler"
                " in session mode"
            )
    finally:
        for connection in (first, second):
            connection.close()


def _backend(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


class _TimedConnection(Connection[Any]):
    """A connection that closes when it hears nothing for too long."""

    timeouts: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = INTERVAL, timeout: float | None = None) -> RV:
        if timeout is not None or self.timeouts is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.timeouts)
        except _WaitTimeout:
            self.close()
            raise psycopg.OperationalError(
                f"no answer for {self.timeouts:g} seconds: the connection was given up"
            ) from None


def _session(timeouts: Timeouts) -> dict[str, str]:
    """Return what each session must have, as PostgreSQL shows it, in milliseconds."""
    return {
        "synchronous_commit": "on",
        "lock_timeout": "2000",
        "idle_in_transaction_session_timeout": "5000",
        "statement_timeout": str(round(1000 * timeouts.statement)),
    }


def _require_session(connection: Connection[Any], wanted: Mapping[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(wanted)])
        found = dict(cursor.fetchall())
    connection.rollback()
    for name, value in wanted.items():
        if value not in {found.get(name), NO_LIMIT}:
            raise psycopg.OperationalError(
                f"the session has {name}={found.get(name)} and not the {value} that was asked for:"
                " a pooler that drops what a connection asks for stands between, so connect to"
                " PostgreSQL itself"
            )
