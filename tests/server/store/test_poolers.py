"""Poolers: one that breaks what the service needs of a session is refused at the start."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from tests.server.store.poolers import Pooler

from rheostat.errors import RheostatError
from rheostat.server.settings import Settings
from rheostat.server.store.opening import open_store, require_usable

KEPT = ("lock_timeout=2s", "idle_in_transaction_session_timeout=5s")


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """Return the address of PostgreSQL, whose role has by itself what sessions ask for."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE ROLE pooled SUPERUSER LOGIN")
        for setting in KEPT:
            name, value = setting.split("=")
            connection.execute(f"ALTER ROLE pooled SET {name} = '{value}'".encode())
        connection.execute("CREATE DATABASE pooled OWNER pooled")
    yield postgres
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE pooled WITH (FORCE)")
        connection.execute("DROP ROLE pooled")


def said(url: str, *, forgetful: bool, role: str) -> str:
    """Return why a server does not start behind a pooler."""
    socket = url.partition("host=")[2] + "/.s.PGSQL.5432"
    with Pooler(socket, forgetful=forgetful) as pooler:
        settings = Settings(database=f"postgresql://{role}@127.0.0.1:{pooler.port}/pooled")
        with pytest.raises(RheostatError) as refusal:
            start(settings)
    return str(refusal.value)


def start(settings: Settings) -> None:
    """Open a database as a server does before it serves."""
    store = open_store(settings)
    try:
        require_usable(store, settings)
    finally:
        store.close()


def test_one_that_drops_what_a_session_asks_for(url: str) -> None:
    """P5: without its time limits, one frozen replica would hold up all others."""
    reason = said(url, forgetful=True, role="postgres")
    assert "lock_timeout=0" in reason
    assert "pooler" in reason
    assert reason.count("\n") == 0


@pytest.mark.parametrize("forgetful", [True, False])
def test_one_that_gives_each_transaction_another_session(url: str, forgetful: bool) -> None:  # noqa: FBT001
    """P7: prepared statements are those of another session, whatever its settings are."""
    reason = said(url, forgetful=forgetful, role="pooled")
    assert "transaction mode" in reason
    assert reason.count("\n") == 0
