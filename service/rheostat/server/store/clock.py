"""The database's clock: the one time that all processes on it agree on."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from rheostat.server.store import locks


def read(connection: Connection) -> float:
    """Return the time in seconds of the epoch: PostgreSQL's own, or the machine's for SQLite."""
    if not locks.is_shared(connection):
        return time.time()
    return float(connection.execute(select(func.clock_timestamp())).scalar_one().timestamp())


def text(at: float) -> str:
    """Return a time as it is stored: such texts sort as their times do."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def seconds(stored: str) -> float:
    """Return the time that is stored so."""
    return datetime.fromisoformat(stored).timestamp()
