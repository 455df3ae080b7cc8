"""
Sessions of the page in the database: begun with a token, kept while they are used, and ended.

A row says that whoever knows what it is the hash of may do what a token may: its secret is in no
row, nor is the session's. What becomes of the token is looked up each time, so a session never
outlives it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, insert, or_, select, update

from rheostat.limits import MAX_SESSIONS, SESSION_HOURS
from rheostat.server.store import clock, locks
from rheostat.server.store.operations import tokens
from rheostat.server.store.records import Records, now
from rheostat.server.store.tables import sessions as table
from rheostat.server.tokens import Token

LASTS = timedelta(hours=SESSION_HOURS)
KEPT = timedelta(minutes=10)
"""How much of that has to be over before it is written down that a session was used."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is kept: the hash of its token's secret, and when it ends if it is unused."""

    token_hash: str
    expires_at: str

    @property
    def aged(self) -> bool:
        """Whether that it is used now should be written down."""
        return self.expires_at < clock.from_now(LASTS - KEPT)


def begin(records: Records, session_hash: str, token_hash: str, before: str | None) -> Session:
    """
    Begin a session with a token, and end the one that the same browser had before.

    Of more than `MAX_SESSIONS` with one token, the one that was used longest ago ends.
    """
    connection = records.connection
    _alone(records)
    records.write()
    mine = table.c.token == token_hash
    over = table.c.expires_at <= now()
    connection.execute(delete(table).where(or_(over, table.c.hash == before)))
    kept = select(table.c.hash).where(mine).order_by(table.c.expires_at.desc(), table.c.hash)
    newest = list(connection.execute(kept.limit(MAX_SESSIONS - 1)).scalars())
    connection.execute(delete(table).where(mine, table.c.hash.not_in(newest)))
    made = Session(token_hash, clock.from_now(LASTS))
    row = {"hash": session_hash, "token": token_hash, "expires_at": made.expires_at}
    connection.execute(insert(table).values(**row))
    return made


def keep(records: Records, hashes: Collection[str]) -> None:
    """Write down that sessions are used: from now on they last as long as new ones."""
    _alone(records)
    used = update(table).where(table.c.hash.in_(hashes))
    records.connection.execute(used.values(expires_at=clock.from_now(LASTS)))


def end(records: Records, session_hash: str) -> None:
    """End a session, if it has not ended."""
    _alone(records)
    records.write()
    records.connection.execute(delete(table).where(table.c.hash == session_hash))


@dataclass(frozen=True, slots=True)
class Found:
    """Sessions by their hashes, and tokens by those of their secrets, be they of use or not."""

    sessions: Mapping[str, Session]
    tokens: Mapping[str, Token]


def find(records: Records, token_hashes: Collection[str], session_hashes: Collection[str]) -> Found:
    """Return tokens, sessions that have not expired, and the tokens of these."""
    found = _sessions(records, session_hashes) if session_hashes else {}
    wanted = {*token_hashes, *(each.token_hash for each in found.values())}
    return Found(found, tokens.find(records, tuple(wanted)))


def _sessions(records: Records, hashes: Collection[str]) -> dict[str, Session]:
    query = select(table).where(table.c.hash.in_(hashes), table.c.expires_at > now())
    return {
        row.hash: Session(row.token, row.expires_at) for row in records.connection.execute(query)
    }


def _alone(records: Records) -> None:
    """Keep other replicas from changing sessions: nobody waits for a row while holding another."""
    locks.advisory(records.connection, "sessions")
