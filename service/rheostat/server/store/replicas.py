"""
Which replicas serve from the database, and what an older one may not be confronted with.

While a fleet is upgraded, two releases share one database. Each replica says every few seconds
which release it is, and which schema it knows. A kind of revision that an older one does not know
is refused as long as such a one was seen within a minute. One that starts later finds at the run
that it needs a newer release (`Records.find`), and serves what is settled of it alone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select, update

from rheostat import __version__
from rheostat.errors import Unavailable
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.store import clock, migrate
from rheostat.server.store.tables import replicas as table

if TYPE_CHECKING:
    from rheostat.server.store.records import Records

EVERY = 20.0
"""Seconds after which a replica says again that it lives."""

GONE = 60.0
"""Seconds after which a replica that has said nothing serves no more."""

FORGOTTEN = 86_400.0
"""Seconds after which the row of one that was killed is removed."""


@dataclass(frozen=True)
class Replica:
    """A process that serves: what it is, and what it knows."""

    release: str = __version__
    schema: str = field(default_factory=lambda: migrate.HEAD)
    id: str = field(default_factory=lambda: secrets.token_hex(8))


def say(records: Records, replica: Replica) -> None:
    """Write down that a replica lives, and forget those that have not for long."""
    connection = records.connection
    moment = clock.text(clock.read(connection))
    mine = table.c.id == replica.id
    found = connection.execute(update(table).where(mine).values(seen_at=moment))
    if not found.rowcount:
        row = {"id": replica.id, "release": replica.release, "schema": replica.schema}
        connection.execute(insert(table).values(seen_at=moment, **row))
        connection.execute(delete(table).where(table.c.seen_at < _ago(connection, FORGOTTEN)))


def leave(records: Records, replica: Replica) -> None:
    """Take note that a replica has stopped: nobody has to wait for it."""
    records.connection.execute(delete(table).where(table.c.id == replica.id))


def require_known_to_all(connection: Connection, kind: RevisionKind, since: str) -> None:
    """
    Raise unless every replica knows a kind of revision, which a schema brought.

    Raises:
        Unavailable: One of an older release was seen within a minute; ``reason`` is ``schema``.

    """
    older = (table.c.schema < since, table.c.seen_at >= _ago(connection, GONE))
    query = select(table).where(*older).order_by(table.c.seen_at.desc()).limit(1)
    found = connection.execute(query).one_or_none()
    if found is not None:
        raise Unavailable(
            f"a replica of release {found.release} still serves from this database, and knows no"
            f" {kind}: stop it, and try again in a minute",
            reason="schema",
        )


def _ago(connection: Connection, seconds: float) -> str:
    return clock.text(clock.read(connection) - seconds)
