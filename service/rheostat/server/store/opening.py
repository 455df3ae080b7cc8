"""The database that the settings name, as commands and supervisors have it: without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rheostat import wire
from rheostat.errors import Refused, RheostatError
from rheostat.server.runs.validation import validate
from rheostat.server.settings import Settings
from rheostat.server.store.addresses import require_quoted, without_secrets
from rheostat.server.store.database import LONG_TIMEOUTS, Database
from rheostat.server.store.failures import line
from rheostat.server.store.operations import tokens
from rheostat.server.store.store import Store

TOKENS_PAGE = 1000
"""How many tokens are read at a time."""


def open_store(settings: Settings) -> Store:
    """
    Return the store, started, for a command that somebody waits for.

    Raises `Invalid` for a URL that can be no database, and `RheostatError` if it is not to be had.
    """
    require_quoted(settings.database)
    try:
        store = Store(settings.database, settings.limits, LONG_TIMEOUTS)
    except Refused:
        raise
    except Exception as error:  # drivers have many classes, and their message is clear
        raise _cannot("open", settings, error) from error
    try:
        store.start()
    except Exception as error:
        store.close()
        raise _cannot("open", settings, error) from error
    return store


def require_usable(store: Store, settings: Settings) -> None:
    """Raise `RheostatError` if a server could not do its work on a store."""
    try:
        store.require_usable()
    except Exception as error:
        raise _cannot("serve from", settings, error) from error


@contextmanager
def keeping_open(settings: Settings) -> Iterator[None]:
    """Hold on to the database file for processes that open it, so that none takes another one."""
    database = Database(settings.database)
    try:
        database.keep_open()
        yield
    finally:
        database.close()


class StoredTokens:
    """
    The tokens of a store, as a client has those of a service; ``author`` is who makes them.

    Whoever can open the database can make the first one.
    """

    def __init__(self, store: Store, author: str) -> None:
        self._store = store
        self._author = author

    def list(self) -> Sequence[wire.Token]:
        """Return all tokens, oldest first."""
        items: list[wire.Token] = []
        after: int | None = 0
        while after is not None:
            found, after = asyncio.run(self._store.read(tokens.page, after, TOKENS_PAGE))
            items += [token.to_json() for token in found]
        return items

    def create(
        self,
        name: str,
        role: wire.Role,
        *,
        expires_at: str | None = None,
        runs: str | None = None,
    ) -> wire.IssuedToken:
        """Make a token, and return it with its secret; raise `Invalid` or `NameTaken`."""
        asked = {"name": name, "role": role, "expires_at": expires_at, "runs": runs}
        new = validate(tokens.NEW_TOKEN, asked, "")
        return asyncio.run(self._store.write(tokens.create, new, self._author))

    def revoke(self, name: str) -> None:
        """Revoke a token; raise `UnknownToken` if there is none of this name."""
        asyncio.run(self._store.write(tokens.revoke, name))


def _cannot(verb: str, settings: Settings, error: Exception) -> RheostatError:
    reason = without_secrets(line(error))
    return RheostatError(f"cannot {verb} the database {settings.safe_database}: {reason}")
