"""The database: an engine with the guarantees that the promises need, and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL

from rheostat.errors import FieldError, Invalid
from rheostat.server.store.turn import Turn

BUSY_SECONDS = 30
"""How long a SQLite connection waits for a lock; the turn makes waits of this length a defect."""

POOL: dict[str, Any] = {"pool_size": 5, "max_overflow": 60}
"""More connections than threads that read, so that the writer never waits for one."""


class Database:
    """
    SQLite or PostgreSQL, by URL.

    A write transaction on SQLite is ``BEGIN IMMEDIATE`` within the process's turn, with
    ``synchronous=FULL`` under WAL: a commit that returned survives power loss. On PostgreSQL it
    is READ COMMITTED with ``synchronous_commit=on``, and gives up on locks after seconds.
    """

    def __init__(self, url: str) -> None:
        self.url = _require_known(url)
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        self._turn = Turn(Path(str(self.url.database))) if self.is_sqlite else None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; commit it on success."""
        with self._turn.taken() if self._turn else nullcontext():
            writer = self.engine.execution_options(write=True)
            with writer.begin() as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database throughout."""
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**level) as connection, connection.begin():
            yield connection

    def ping(self) -> None:
        """Raise unless the database answers, from the tables themselves."""
        with self.read() as connection:
            connection.execute(text("SELECT version_num FROM alembic_version"))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._turn:
            self._turn.close()


def _require_known(url: str) -> URL:
    try:
        parsed = make_url(url)
    except Exception:  # noqa: BLE001 - SQLAlchemy's errors here are of several classes
        parsed = None
    if parsed is None or parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        bound = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        message = f"the database URL must be {bound}"
        raise Invalid(message, errors=[FieldError("database", message, None, bound)])
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        message = "an SQLite database must be a file: what is acknowledged has to survive"
        raise Invalid(message, errors=[FieldError("database", message, url, "sqlite:///FILE")])
    return parsed


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **POOL)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where _begin says, and only there
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    options = (
        "-c synchronous_commit=on -c lock_timeout=2s -c idle_in_transaction_session_timeout=5s"
    )
    url = url.set(drivername="postgresql+psycopg")
    arguments = {"options": options, "connect_timeout": 5}
    return create_engine(url, pool_pre_ping=True, connect_args=arguments, **POOL)
