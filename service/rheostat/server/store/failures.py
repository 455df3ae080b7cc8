"""What a failure of the database means: a reason for machines, a sentence, one line for the log."""

from __future__ import annotations

import errno
import logging
import sqlite3
import threading
import time
from collections import Counter
from enum import StrEnum

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rheostat.errors import Unavailable

logger = logging.getLogger("rheostat.store")


class Outage(StrEnum):
    """Why the database cannot be used now: the member `reason` of a 503."""

    DISK_FULL = "disk-full"
    READ_ONLY = "read-only"
    DATABASE_AWAY = "database-away"
    WRITER_STUCK = "writer-stuck"
    SCHEMA = "schema"
    FILE_REPLACED = "file-replaced"
    BUSY = "busy"


WORDS = {
    Outage.DISK_FULL: "the disk of the database is full",
    Outage.READ_ONLY: "the database cannot be written to",
    Outage.DATABASE_AWAY: "the database does not answer",
    Outage.WRITER_STUCK: "the database has not finished an earlier change",
    Outage.SCHEMA: "the tables of the database are not those that this release uses",
    Outage.FILE_REPLACED: "the database file was replaced, deleted or damaged under the service",
    Outage.BUSY: "the database has too much to do",
}

NOTHING_DONE = "nothing was changed; try again"
UNKNOWN = "whether this was done is not known; look, or repeat it with its Idempotency-Key"


class DatabaseFailure(Exception):
    """A failure that the store found by itself, before a driver would."""

    def __init__(self, reason: Outage, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def unavailable(reason: Outage, error: object = None, *, outcome: str = "try again") -> Unavailable:
    """Return the refusal for a reason; what the store found by itself is said in full."""
    words = str(error) if isinstance(error, DatabaseFailure) else WORDS[reason]
    return Unavailable(f"{words}: {outcome}", reason=reason.value)


def reason_of(error: BaseException) -> Outage | None:
    """Return why an error of the database may pass, or None: it is a defect, or no such error."""
    if isinstance(error, DatabaseFailure):
        return error.reason
    if isinstance(error, PoolTimeout):
        return Outage.BUSY
    if isinstance(error, DBAPIError):
        cause = error.orig
        known = isinstance(cause, sqlite3.Error) or hasattr(cause, "sqlstate")
        return reason_of(cause) if cause is not None and known else Outage.DATABASE_AWAY
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if isinstance(error, OSError):
        return _ERRNOS.get(error.errno or 0)
    if hasattr(error, "sqlstate"):
        return _of_postgresql(error)
    return None


def is_schema(error: BaseException) -> bool:
    """Say whether an error means that a table or a column is not there."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return str(cause).startswith(MISSING)
    return getattr(cause, "sqlstate", None) in MISSING_STATES


def line(error: BaseException) -> str:
    """Return an error as one line, without statements and their parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = str(cause).strip()
    return said.splitlines()[0] if said else type(cause).__name__


class Reporter:
    """Logs failures in one line each, and many of one kind in one line a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[tuple[str, Outage], float] = {}
        self._unsaid: Counter[tuple[str, Outage]] = Counter()

    def tell(self, what: str, reason: Outage, error: BaseException) -> None:
        """Log that something failed for a reason."""
        kind, now = (what, reason), time.monotonic()
        with self._lock:
            if now < self._said.get(kind, -QUIET) + QUIET:
                self._unsaid[kind] += 1
                return
            self._said[kind] = now
            more = self._unsaid.pop(kind, 0)
        others = f" (and {more} before)" if more else ""
        logger.warning("%s failed, %s: %s%s", what, reason, line(error), others)


class StoreHealth:
    """
    What keeps a store from serving.

    A reason that a failed transaction gave holds until one works. One that was found otherwise
    (`hold`) stays until whoever found it takes it back, or for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reporter = Reporter()
        self._last: Outage | None = None
        self._worked = float("-inf")
        self._held: set[Outage] = set()

    def failed(self, reason: Outage) -> None:
        """Note why the last transaction failed."""
        with self._lock:
            self._last = None if reason is Outage.BUSY else reason

    def worked(self) -> None:
        """Note that the last transaction was committed."""
        with self._lock:
            self._last = None
            self._worked = time.monotonic()

    def worked_within(self, seconds: float) -> bool:
        """Say whether a transaction was committed in the last seconds."""
        return time.monotonic() < self._worked + seconds

    def hold(self, reason: Outage) -> None:
        """Say that the store must not serve, whatever transactions work."""
        with self._lock:
            self._held.add(reason)

    def release(self, reason: Outage) -> None:
        """Take back what `hold` said."""
        with self._lock:
            self._held.discard(reason)

    def reasons(self) -> list[Outage]:
        """Return what is wrong, without what happens all the time."""
        with self._lock:
            found = self._held | ({self._last} if self._last else set())
        return sorted(found)


QUIET = 1.0
"""Seconds between two lines about failures of one kind."""

MISSING = ("no such table", "no such column", "table ")
"""How SQLite begins to say so; the last one is "table runs has no column named …"."""

MISSING_STATES = {"42P01", "42703", "3F000", "42704"}

_ERRNOS = {
    errno.ENOENT: Outage.FILE_REPLACED,
    errno.ENOTDIR: Outage.FILE_REPLACED,
    errno.ENOSPC: Outage.DISK_FULL,
    errno.EDQUOT: Outage.DISK_FULL,
    errno.EROFS: Outage.READ_ONLY,
    errno.EACCES: Outage.READ_ONLY,
    errno.EPERM: Outage.READ_ONLY,
}

_SQLITE = {
    sqlite3.SQLITE_FULL: Outage.DISK_FULL,
    sqlite3.SQLITE_READONLY: Outage.READ_ONLY,
    sqlite3.SQLITE_PERM: Outage.READ_ONLY,
    sqlite3.SQLITE_AUTH: Outage.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Outage.FILE_REPLACED,
    sqlite3.SQLITE_NOTADB: Outage.FILE_REPLACED,
    sqlite3.SQLITE_BUSY: Outage.BUSY,
    sqlite3.SQLITE_LOCKED: Outage.BUSY,
    sqlite3.SQLITE_PROTOCOL: Outage.BUSY,
    sqlite3.SQLITE_IOERR: Outage.DATABASE_AWAY,
    sqlite3.SQLITE_CANTOPEN: Outage.DATABASE_AWAY,
    sqlite3.SQLITE_NOMEM: Outage.BUSY,
    sqlite3.SQLITE_INTERRUPT: Outage.BUSY,
}


def _of_sqlite(error: sqlite3.Error) -> Outage | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else _SQLITE.get(code & 0xFF)


_STATES = {
    "25006": Outage.READ_ONLY,  # a standby, or a transaction that may not write
    "42501": Outage.READ_ONLY,  # no privilege
    "53100": Outage.DISK_FULL,
    "53200": Outage.BUSY,  # out of memory
    "53300": Outage.BUSY,  # too many connections
    "53400": Outage.BUSY,
    "57014": Outage.BUSY,  # took longer than a statement may
    "55P03": Outage.BUSY,  # a lock was not to be had
    "40001": Outage.BUSY,
    "40P01": Outage.BUSY,
}

_DEFECTS = ("22", "23", "26", "42")
"""Classes of states that no other time would mend: data, integrity, statements."""


def _of_postgresql(error: BaseException) -> Outage | None:
    import psycopg  # noqa: PLC0415 - SQLite needs no driver of PostgreSQL

    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if state in _STATES:
        return _STATES[state]
    if state is None:
        away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Outage.DATABASE_AWAY if away else None
    return None if state.startswith(_DEFECTS) else Outage.DATABASE_AWAY
