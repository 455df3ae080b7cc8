"""SQLite: one writer at a time among the processes, on a file that is looked at each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from rheostat.server.store.failures import DatabaseFailure, Outage, reason_of
from rheostat.server.store.file import SqliteFile
from rheostat.server.store.write_lock import WriteLock

BUSY_SECONDS = 5
"""How long a connection waits for a lock of another program: ours wait for `WriteLock`."""

UNSOUND = {Outage.READ_ONLY, Outage.DATABASE_AWAY, Outage.FILE_REPLACED}
"""After these, connections are opened again: one made of a read-only file never writes."""


class Sqlite:
    """The database in a file: its connections, and the lock under which it is written."""

    def __init__(self, url: URL, pool: Mapping[str, Any]) -> None:
        path = Path(str(url.database)).absolute()
        self._lock = WriteLock(path)
        self.file = SqliteFile(path, self._lock)
        self.engine = self._make(url, pool)
        self._unsound = False

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write, under the write lock."""
        with self._lock.held():
            self._open()
            try:
                self.file.begin()
                if self._unsound:
                    self._reopen()
                with self.engine.execution_options(write=True).begin() as connection:
                    yield connection
            except Exception as error:
                self._unsound |= reason_of(error) in UNSOUND
                with suppress(DatabaseFailure):
                    self.file.sign()
                raise
            self.file.sign()  # raises, if what was committed went to a file that is gone

    def require_readable(self) -> None:
        """Raise `DatabaseFailure` unless the file is the one that was opened."""
        if not self.file.is_open:
            with self._lock.held():
                self._open()
        self.file.check()

    def quick_check(self) -> None:
        """Raise `DatabaseFailure` if one look at the path shows that no write could work."""
        if self.file.is_open:
            self.file.check()
            self.file.require_writable()

    def reason_of(self, error: BaseException) -> Outage | None:
        """Return why an error may pass."""
        reason = reason_of(error)
        return None if reason is None else self.file.reason_of(reason)

    def probe(self, connection: Connection) -> None:
        """Write a page, which no table is of."""
        number = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        connection.exec_driver_sql(f"PRAGMA user_version = {(number + 1) % 2**31}")

    def close(self) -> None:
        """Close every connection."""
        with self._lock.held_at_the_end():
            self.engine.dispose()
            self.file.close()
        self._lock.close()

    def _open(self) -> None:
        if not self.file.is_open:
            self.file.open()

    def _reopen(self) -> None:
        self.engine.dispose()
        self.file.reopen()
        self._unsound = False

    def _make(self, url: URL, pool: Mapping[str, Any]) -> Engine:
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(
                self.file.uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False
            )

        engine = create_engine(url, creator=connect, hide_parameters=True, **pool)

        @event.listens_for(engine, "connect")
        def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
            connection.isolation_level = (
                None  # transactions begin where _begin says, and only there
            )
            for pragma in ("synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            write = connection.get_execution_options().get("write")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine
