"""
Who may do what: each route says which role it needs, and `StrictRoute` asks `admit` first of all.

A token is found by the hash of its secret, and what was found is believed for `TRUSTED` seconds, so
that a fleet's reads do not each ask the database. Where tokens are not required, everybody is an
operator, and nobody an admin: tokens that outlive such a server are not for its callers to make.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.types import Scope

from rheostat.errors import Forbidden, Unauthenticated
from rheostat.server.roles import Role
from rheostat.server.store import Store
from rheostat.server.store.operations import tokens
from rheostat.server.store.records import now
from rheostat.server.tokens import PREFIX, Token, hash_of

TRUSTED = 3.0
"""Seconds for which a process believes what it found: as long as a revoked token may still work."""

MOST = 4096
"""Tokens that a process remembers."""

BEARER = re.compile(rb"(?i:bearer) +(rheo_[0-9a-f]{40}) *")
CALLER = "rheostat.caller"
"""Key of the scope under which `admit` leaves the caller."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_roles: WeakKeyDictionary[Callable[..., Any], Role | None] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the name of a token, or None where there are none."""

    name: str | None
    role: Role


EVERYBODY = Caller(None, Role.OPERATOR)
"""Whoever reaches a server that requires no tokens."""


def needs(role: Role | None) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function with the role that callers need; None lets in whoever asks."""

    def mark(endpoint: Endpoint) -> Endpoint:
        _roles[endpoint] = role
        return endpoint

    return mark


def role_needed(endpoint: Callable[..., Any]) -> Role | None:
    """Return the role of a route's function; raise `TypeError` if it was not marked."""
    if endpoint not in _roles:
        raise TypeError(f"{endpoint.__qualname__} must say who may call it, by @needs(…)")
    return _roles[endpoint]


async def admit(request: Request, role: Role | None) -> None:
    """Let a request in, and note who sends it; raise `Unauthenticated` or `Forbidden`."""
    if role is None:
        return
    access: Access = request.app.state.access
    request.scope[CALLER] = await access.caller(request.scope)
    require(request, role)


def require(request: Request, role: Role) -> None:
    """Raise `Forbidden` unless the caller has this role."""
    caller = caller_of(request)
    if not caller.role.covers(role):
        raise _refusal(caller, role)


def caller_of(request: Request) -> Caller:
    """Return who sends a request that was admitted by a role."""
    caller: Caller = request.scope[CALLER]
    return caller


def may_settle(request: Request) -> bool:
    """
    Say whether a read may hand out values for good: a worker's may, a look in a browser may not.

    So neither a link that somebody follows nor an address that is tried out moves a run.
    """
    looks = request.headers.get("sec-fetch-mode") == "navigate"
    return caller_of(request).role.covers(Role.WORKER) and not looks


class Access:
    """Knows callers by their tokens; without a store, it asks for none."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._known: dict[str, tuple[Token, float]] = {}
        self._searches: dict[str, asyncio.Task[Token | None]] = {}

    async def caller(self, scope: Scope) -> Caller:
        """Return who sends a request; raise `Unauthenticated` if no token says so."""
        if self._store is None:
            return EVERYBODY
        token = await self._find(self._store, hash_of(_secret(scope)))
        if token is None:
            raise Unauthenticated("the token is not known")
        if flaw := token.flaw(now()):
            raise Unauthenticated(flaw)
        return Caller(token.name, token.role)

    async def _find(self, store: Store, key: str) -> Token | None:
        token, until = self._known.get(key, (None, 0.0))
        if time.monotonic() < until:
            return token
        search = self._searches.get(key)
        if search is None:  # many requests with one token are one question
            search = self._searches[key] = asyncio.create_task(self._search(store, key))
        return await asyncio.shield(search)

    async def _search(self, store: Store, key: str) -> Token | None:
        began = time.monotonic()
        try:
            token = await store.read(tokens.find, key)
        finally:
            del self._searches[key]
        if token is not None:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = token, began + TRUSTED
        return token


def _secret(scope: Scope) -> str:
    sent = [value for key, value in scope["headers"] if key == b"authorization"]
    found = BEARER.fullmatch(sent[0]) if len(sent) == 1 else None
    if found is not None:
        return found[1].decode()
    fault = "the Authorization header is not" if sent else "a token is needed, as the header"
    raise Unauthenticated(f"{fault} Authorization: Bearer {PREFIX}…")


def _refusal(caller: Caller, role: Role) -> Forbidden:
    if caller is EVERYBODY:
        return Forbidden(
            "this server requires no tokens, so nobody is its admin: `rheostat token` with"
            " --database works on the database itself",
            role=role,
        )
    detail = f"the token {caller.name} is a {caller.role}'s, and this needs the role {role}"
    return Forbidden(detail, role=role)
