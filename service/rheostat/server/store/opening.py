"""The database that the settings name, as commands and supervisors have it: without a server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rheostat import wire
from rheostat.errors import FieldError, Invalid, Refused, RheostatError
from rheostat.limits import MAX_DELIVERIES, MAX_HOOKS, MAX_WAITING, NAME, NAME_RULE
from rheostat.server.hooks.hook import NEW_HOOK
from rheostat.server.hooks.posting import Poster
from rheostat.server.hooks.targets import Networks
from rheostat.server.runs.validation import validate
from rheostat.server.settings import Settings
from rheostat.server.store.addresses import require_quoted, without_secrets
from rheostat.server.store.audit import Deed, deed
from rheostat.server.store.database import LONG_TIMEOUTS, Database
from rheostat.server.store.failures import line
from rheostat.server.store.operations import deliveries, hooks, tokens
from rheostat.server.store.records import now
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
        limit: str | None = None,
    ) -> wire.IssuedToken:
        """Make a token, and return it with its secret; raise `Invalid` or `NameTaken`."""
        asked = {"name": name, "role": role, "expires_at": expires_at, "runs": runs, "limit": limit}
        new = validate(tokens.NEW_TOKEN, asked, "")
        with deed(Deed("create-token", self._author, told=tuple(asked))):
            return asyncio.run(self._store.write(tokens.create, new, self._author))

    def revoke(self, name: str) -> None:
        """Revoke a token; raise `UnknownToken` if there is none of this name."""
        with deed(Deed("revoke-token", self._author, subject=name)):
            asyncio.run(self._store.write(tokens.revoke, name))


class StoredHooks:
    """The hooks of a store, as a client has those of a service; ``author`` is who sets them."""

    def __init__(self, store: Store, networks: Networks, author: str) -> None:
        self._store = store
        self._networks = networks
        self._author = author

    def set(
        self,
        name: str,
        url: str,
        events: Sequence[wire.HookEvent],
        *,
        selector: str = "",
        format: wire.HookFormat = "standard",  # noqa: A002 - as the service calls it
        secret: str | None = None,
        renew: bool = False,
    ) -> wire.SetHook:
        """Set a hook, and return it; raise `Invalid` if it makes no sense."""
        if not re.fullmatch(NAME, name):
            message = f"name must be {NAME_RULE}"
            raise Invalid(message, errors=[FieldError("name", message, name, NAME_RULE)])
        body = {"url": url, "events": [*events], "selector": selector, "format": format}
        new = validate(NEW_HOOK, body | {"secret": secret, "renew": renew}, "")
        checked = new.checked(self._networks)
        return asyncio.run(self._store.write(hooks.put, name, checked, self._author))[0]

    def list(self) -> Sequence[wire.Hook]:
        """Return all hooks, by name."""
        return asyncio.run(self._store.read(hooks.page, "", MAX_HOOKS))[0]

    def get(self, name: str) -> wire.Hook:
        """Return a hook; raise `UnknownHook` if there is none of this name."""
        return asyncio.run(self._store.read(hooks.get, name))

    def remove(self, name: str) -> None:
        """Remove a hook; raise `UnknownHook` if there is none of this name."""
        asyncio.run(self._store.write(hooks.remove, name))

    def test(self, name: str) -> wire.HookTrial:
        """Send a hook a message for a trial, from here; raise `UnknownHook`."""
        return asyncio.run(self._test(name))

    async def _test(self, name: str) -> wire.HookTrial:
        poster = Poster(self._networks)
        hook = await self._store.read(hooks.require, name)
        try:
            return (await poster.trial(hook, now())).to_json()
        finally:
            await poster.close()

    def deliveries(
        self, name: str, *, state: wire.DeliveryState | None = None, limit: int | None = 100
    ) -> Sequence[wire.Delivery]:
        """Return messages to a hook, the newest first; raise `UnknownHook`."""
        most = MAX_WAITING + MAX_DELIVERIES if limit is None else limit
        return asyncio.run(self._store.read(deliveries.page, name, state, 0, most))[0]

    def retry(self, name: str, number: int) -> wire.Delivery:
        """Have the service send a message again, at once, and return it."""
        return asyncio.run(self._store.write(deliveries.retry, name, number))


def _cannot(verb: str, settings: Settings, error: Exception) -> RheostatError:
    reason = without_secrets(line(error))
    return RheostatError(f"cannot {verb} the database {settings.safe_database}: {reason}")
