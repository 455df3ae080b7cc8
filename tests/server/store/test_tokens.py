"""Tokens in both databases."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from rheostat.errors import NameTaken, UnknownToken
from rheostat.server.store.operations import tokens
from rheostat.server.store.operations.tokens import NewToken
from rheostat.server.store.records import Records
from rheostat.server.store.tables import tokens as table
from rheostat.server.tokens import Role, Token, hash_of

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

WORKER = NewToken(name="ci", role="worker")
NOON, LATER = "2026-01-01T12:00:00.000000+00:00", "2026-01-01T12:00:00.000001+00:00"


def make(desk: Desk, new: NewToken = WORKER) -> str:
    """Make a token and return its secret."""
    return str(desk.write(tokens.create, new, "ann")["token"])


def found(desk: Desk, secret: str) -> Token:
    """Return the token of a secret."""
    (token,) = desk.read(tokens.find, [hash_of(secret)]).values()
    return token


def test_a_token_is_found_by_its_secret(desk: Desk) -> None:
    """P4: what was made is there after a restart, and nothing else is."""
    secret = make(desk)
    desk.restart()
    token = found(desk, secret)
    assert (token.name, token.role, token.created_by) == ("ci", Role.WORKER, "ann")
    assert token.flaw(NOON) is None
    assert desk.read(tokens.find, [hash_of("rheo_" + "0" * 40)]) == {}


def test_only_the_hash_is_stored(desk: Desk) -> None:
    """A row has the SHA-256 of the secret, and no column has the secret."""
    secret = make(desk)

    def row(records: Records) -> list[object]:
        return list(records.connection.execute(select(table)).one())

    columns = desk.read(row)
    assert hashlib.sha256(secret.encode()).hexdigest() in columns
    assert secret not in columns


def test_secrets_differ(desk: Desk) -> None:
    """Each token has 160 bits of its own."""
    secrets = {make(desk, NewToken(name=f"t{number}", role="viewer")) for number in range(20)}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {len("rheo_") + 160 // 4}


def test_a_name_is_held_until_it_is_revoked(desk: Desk) -> None:
    """Two tokens in use never share a name; a revoked one frees it, and stays revoked."""
    old = make(desk)
    with pytest.raises(NameTaken):
        make(desk)
    desk.write(tokens.revoke, "ci")
    new = make(desk)
    assert "was revoked at" in str(found(desk, old).flaw(NOON))
    assert found(desk, new).flaw(NOON) is None
    assert [item.name for item in desk.read(tokens.page, 0, 10)[0]] == ["ci", "ci"]


def test_the_database_itself_keeps_names_apart(desk: Desk) -> None:
    """Though two replicas make a token of one name at once, one of them is refused."""
    make(desk)

    def insert_another(records: Records) -> None:
        row = {"name": "ci", "role": "admin", "hash": "0" * 64, "created_at": NOON}
        records.connection.execute(table.insert().values(**row))

    with pytest.raises(IntegrityError):
        desk.write(insert_another)
    assert len(desk.read(tokens.page, 0, 10)[0]) == 1


def test_only_what_is_held_can_be_revoked(desk: Desk) -> None:
    """Revoking nobody's token, or one twice, is refused."""
    make(desk)
    desk.write(tokens.revoke, "ci")
    for name in ("ci", "nobody"):
        with pytest.raises(UnknownToken):
            desk.write(tokens.revoke, name)


def test_a_database_is_usable_with_one_good_token(desk: Desk) -> None:
    """A server that needs tokens is of use as long as one of them is good."""
    assert desk.read(tokens.lack) == "its database has none yet"
    make(desk)
    assert desk.read(tokens.lack) is None
    desk.write(tokens.revoke, "ci")
    assert desk.read(tokens.lack) == "each of the 1 in its database has expired or was revoked"


def test_pages_go_through_all_tokens(desk: Desk) -> None:
    """Pages hold each token once, oldest first."""
    for number in range(5):
        make(desk, NewToken(name=f"t{number}", role="viewer"))
    names: list[str] = []
    after: int | None = 0
    while after is not None:
        page, after = desk.read(tokens.page, after, 2)
        names += [token.name for token in page]
    assert names == ["t0", "t1", "t2", "t3", "t4"]


def test_a_token_works_until_it_expires() -> None:
    """At its very time it ceases to work."""
    token = Token("ci", Role.WORKER, NOON, None, expires_at=LATER, revoked_at=None)
    assert token.flaw(NOON) is None
    assert token.flaw(LATER) == f"the token ci expired at {LATER}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00.000000+00:00"),
        ("2999-01-01T01:00:00+01:00", "2999-01-01T00:00:00.000000+00:00"),
        ("2999-01-01T00:00:00.5-00:30", "2999-01-01T00:30:00.500000+00:00"),
    ],
)
def test_times_are_kept_in_utc(given: str, kept: str) -> None:
    """Times are compared as text, so they are all written in one way."""
    assert NewToken(name="ci", role="viewer", expires_at=given).expiry() == kept


def test_roles_include_those_before() -> None:
    """Viewer, proposer, worker, operator, admin: each may do what those before it may."""
    order = ["viewer", "proposer", "worker", "operator", "admin"]
    for have in order:
        for need in order:
            assert Role(have).covers(Role(need)) == (order.index(have) >= order.index(need))
