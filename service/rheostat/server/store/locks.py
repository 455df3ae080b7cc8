"""
Locks between replicas: one run, one name, one key at a time, and nobody waits while holding one.

A transaction takes locks as its operations need them, in any order; what another replica holds
it does not wait for, so that there are no deadlocks and no run stands behind another one. The
operation raises `Held` before it has written anything, and the writer tries it again later, at
the start of a transaction that holds nothing yet (`wait`). SQLite has its write lock alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row, Select, func, select, text
from sqlalchemy.exc import OperationalError

LOCK_WAIT_MS = 50
"""How long the other operations of a process stand behind one that waits."""

LOCK_NOT_AVAILABLE = "55P03"


class Held(Exception):
    """Another replica holds a lock; ``waiting`` is the statement that waits for it."""

    def __init__(self, waiting: Executable) -> None:
        super().__init__("another replica holds the lock")
        self.waiting = waiting


def is_shared(connection: Connection) -> bool:
    """Whether other processes may write at the same time."""
    return connection.dialect.name != "sqlite"


def unlocked_row(
    connection: Connection, query: Select[Any], where: Mapping[str, Any]
) -> Row[Any] | None:
    """Return the one row of a query, or None."""
    return connection.execute(query, where).one_or_none()


def row(connection: Connection, query: Select[Any], where: Mapping[str, Any]) -> Row[Any] | None:
    """Return the one row of a query, or None; keep others from changing it, or raise `Held`."""
    if not is_shared(connection):
        return unlocked_row(connection, query, where)
    found = unlocked_row(connection, query.with_for_update(skip_locked=True), where)
    if found is None and unlocked_row(connection, query, where) is not None:
        raise Held(query.with_for_update().params(**where))
    return found


def rows(
    connection: Connection, query: Select[Any], where: Mapping[str, Any]
) -> Sequence[Row[Any]]:
    """Return the rows of a query that nobody holds, and keep others from changing them."""
    if is_shared(connection):
        query = query.with_for_update(skip_locked=True)
    return connection.execute(query, where).all()


def advisory(connection: Connection, name: str) -> None:
    """Keep others from doing what this word stands for, or raise `Held`."""
    if not is_shared(connection):
        return
    number = func.hashtextextended(name, 0)
    if not connection.execute(select(func.pg_try_advisory_xact_lock(number))).scalar_one():
        raise Held(select(func.pg_advisory_xact_lock(number)))


def wait(connection: Connection, waiting: Executable) -> None:
    """Wait a moment for a lock that was held, before this transaction has any other."""
    try:
        with connection.begin_nested():
            connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}"))
            connection.execute(waiting)
            connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    except OperationalError as error:
        if connection.invalidated or getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
