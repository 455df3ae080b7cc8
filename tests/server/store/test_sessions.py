"""Sessions of the page in both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from rheostat.limits import MAX_SESSIONS
from rheostat.server.store.operations import sessions, tokens
from rheostat.server.store.operations.sessions import Session
from rheostat.server.store.operations.tokens import NewToken
from rheostat.server.store.tables import sessions as table
from rheostat.server.tokens import hash_of

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

    from rheostat.server.store.records import Records

ANN, BEN = hash_of("ann"), hash_of("ben")


def begin(desk: Desk, name: str, token: str = ANN, before: str | None = None) -> Session:
    """Begin a session, whose hash is that of its name."""
    old = None if before is None else hash_of(before)
    return desk.write(sessions.begin, hash_of(name), token, old)


def alive(desk: Desk, *names: str) -> set[str]:
    """Return which sessions have not ended."""
    found = desk.read(sessions.find, (), [hash_of(name) for name in names])
    return {name for name in names if hash_of(name) in found.sessions}


def count(records: Records) -> int:
    """Return how many sessions are stored."""
    return int(records.connection.execute(select(func.count()).select_from(table)).scalar_one())


def set_end(records: Records, name: str, end: timedelta) -> None:
    """Have a session end so long from now."""
    at = (datetime.now(UTC) + end).isoformat(timespec="microseconds")
    where = table.c.hash == hash_of(name)
    records.connection.execute(update(table).where(where).values(expires_at=at))


def test_a_session_is_found_with_its_token(desk: Desk) -> None:
    """P4: it is there after a restart, with what has become of its token meanwhile."""
    secret = desk.write(tokens.create, NewToken(name="ci", role="viewer"), None)["token"]
    begin(desk, "a", hash_of(secret))
    desk.restart()
    found = desk.read(sessions.find, (), [hash_of("a"), hash_of("b")])
    assert found.sessions.keys() == {hash_of("a")}
    assert found.tokens[hash_of(secret)].revoked_at is None
    desk.write(tokens.revoke, "ci")
    found = desk.read(sessions.find, (), [hash_of("a")])
    assert found.tokens[hash_of(secret)].revoked_at is not None


def test_a_session_of_no_token_has_none(desk: Desk) -> None:
    """What its token may do is not stored: without one it stands for nobody."""
    begin(desk, "a")
    assert desk.read(sessions.find, (), [hash_of("a")]).tokens == {}


def test_the_next_sign_in_ends_the_one_before(desk: Desk) -> None:
    """A browser has one session, and a new one when somebody signs in again."""
    begin(desk, "a")
    begin(desk, "b", BEN, before="a")
    assert alive(desk, "a", "b") == {"b"}


def test_a_token_has_no_more_than_so_many(desk: Desk) -> None:
    """P13: the one that was used longest ago ends; those of another token stay."""
    begin(desk, "of ben", BEN)
    names = [f"{number}" for number in range(MAX_SESSIONS)]
    for name in names:
        begin(desk, name)
    desk.write(set_end, "7", timedelta(hours=1))
    begin(desk, "one more")
    assert desk.read(count) == MAX_SESSIONS + 1
    assert alive(desk, *names, "one more", "of ben") == {*names, "one more", "of ben"} - {"7"}


def test_a_session_ends_by_itself(desk: Desk) -> None:
    """After its time it is not found, and the next sign-in of anybody removes it."""
    for name in ("a", "b"):
        begin(desk, name)
    desk.write(set_end, "a", timedelta(seconds=-1))
    assert alive(desk, "a", "b") == {"b"}
    begin(desk, "c", BEN)
    assert desk.read(count) == 2


def test_a_session_that_is_kept_lasts_as_a_new_one(desk: Desk) -> None:
    """Twelve hours from its use; one that has ended is not brought back by it."""
    made = begin(desk, "a")
    assert not made.aged
    desk.write(set_end, "a", timedelta(hours=1))
    (old,) = desk.read(sessions.find, (), [hash_of("a")]).sessions.values()
    assert old.aged
    desk.write(sessions.keep, [hash_of("a"), hash_of("gone")])
    (kept,) = desk.read(sessions.find, (), [hash_of("a")]).sessions.values()
    assert kept.expires_at >= made.expires_at
    assert alive(desk, "gone") == set()


def test_an_ended_session_is_gone(desk: Desk) -> None:
    """Signing out removes it; a second time there is nothing to do."""
    begin(desk, "a")
    for _ in range(2):
        desk.write(sessions.end, hash_of("a"))
    assert desk.read(count) == 0
