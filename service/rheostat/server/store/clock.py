"""
Times as they are stored, and the database's clock: the one that all processes on it agree on.

What is stored is ISO 8601 in UTC, to the microsecond: such texts sort as their times do.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from rheostat.server.store import locks


def read(connection: Connection) -> float:
    """Return the time in seconds of the epoch: PostgreSQL's own, or the machine's for SQLite."""
    if not locks.is_shared(connection):
        return time.time()
    return float(connection.execute(select(func.clock_timestamp())).scalar_one().timestamp())


def text(at: float) -> str:
    """Return a time in seconds of the epoch as it is stored."""
    return stored(datetime.fromtimestamp(at, UTC))


def stored(moment: datetime) -> str:
    """Return a moment in UTC as it is stored."""
    return moment.isoformat(timespec="microseconds")


def from_now(time: timedelta) -> str:
    """Return, as it is stored, the time so long from now by this machine's clock."""
    return stored(datetime.now(UTC) + time)


def written(said: str) -> str:
    """Return a time that somebody wrote in ISO 8601, with its offset from UTC, as it is stored."""
    moment = datetime.fromisoformat(said)
    if moment.tzinfo is None:
        raise ValueError("it has no offset from UTC")
    return stored(moment.astimezone(UTC))


def seconds(stored: str) -> float:
    """Return the time that is stored so."""
    return datetime.fromisoformat(stored).timestamp()
