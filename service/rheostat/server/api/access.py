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
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.types import Scope

from rheostat.errors import Forbidden, Unauthenticated
from rheostat.server.roles import Role
from rheostat.server.store import Store
from rheostat.server.store.operations import tokens
from rheostat.server.store.records import now
from rheostat.server.store.store import work_for_all
from rheostat.server.tokens import PREFIX, Token, hash_of

TRUSTED = 3.0
"""Seconds for which a process believes what it found: as long as a revoked token may still work."""

MOST = 4096
"""Tokens that a process remembers."""

BEARER = re.compile(rb"(?i:bearer) +(rheo_[0-9a-f]{40}) *")
SHAPE = f"Authorization: Bearer {PREFIX}…"
CALLER = "rheostat.caller"
"""Key of the scope under which `admit` leaves the caller."""

SETTLERS = tuple(role for role in Role if role.covers(Role.WORKER))
"""Roles that may hand out values for good."""

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
    return settles(caller_of(request), request.headers.get("sec-fetch-mode"))


def settles(caller: Caller, fetch_mode: str | None) -> bool:
    """Say what `may_settle` says of a caller, and the ``Sec-Fetch-Mode`` of the request."""
    return fetch_mode != "navigate" and caller.role in SETTLERS


class Known(NamedTuple):
    """What was found of a header, and until when it is believed, by the monotonic clock."""

    token: Token
    caller: Caller
    until: float


class Access:
    """Knows callers by their tokens; without a store, it asks for none."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._known: dict[bytes, Known] = {}
        self._searches: dict[bytes, asyncio.Task[Known | None]] = {}

    async def caller(self, scope: Scope) -> Caller:
        """Return who sends a request; raise `Unauthenticated` if no token says so."""
        if self._store is None:
            return EVERYBODY
        found = await self._find(self._store, _sent(scope))
        if found is None:
            raise Unauthenticated("the token is not known")
        if flaw := _flaw(found.token):
            raise Unauthenticated(flaw)
        return found.caller

    def remembered(self, header: bytes) -> Caller | None:
        """Return who sends a request with this header, None unless that is known at once."""
        if self._store is None:
            return EVERYBODY
        known = self._known.get(header)
        if known is None or _flaw(known.token):
            return None
        left = known.until - time.monotonic()
        if 0 < left < TRUSTED / 2:  # ask again before others have to wait for it
            self._search(self._store, header)
        return known.caller if left > 0 else None

    async def _find(self, store: Store, header: bytes) -> Known | None:
        known = self._known.get(header)
        if known is not None and time.monotonic() < known.until:
            return known
        return await asyncio.shield(self._search(store, header))

    def _search(self, store: Store, header: bytes) -> asyncio.Task[Known | None]:
        search = self._searches.get(header)
        if search is None:  # many requests with one token are one question
            search = asyncio.create_task(self._look_up(store, header, _secret(header)))
            search.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._searches[header] = search
        return search

    async def _look_up(self, store: Store, header: bytes, secret: str) -> Known | None:
        work_for_all()
        began = time.monotonic()
        try:
            token = await store.read(tokens.find, hash_of(secret))
        finally:
            del self._searches[header]
        if token is None:
            return None
        if len(self._known) >= MOST:
            self._known.clear()
        known = Known(token, Caller(token.name, token.role), began + TRUSTED)
        self._known[header] = known
        return known


def _sent(scope: Scope) -> bytes:
    sent: list[bytes] = [value for key, value in scope["headers"] if key == b"authorization"]
    if not sent:
        raise Unauthenticated(f"a token is needed, as the header {SHAPE}")
    if len(sent) > 1:
        raise Unauthenticated(f"the Authorization header is not {SHAPE}")
    return sent[0]


def _secret(header: bytes) -> str:
    found = BEARER.fullmatch(header)
    if found is None:
        raise Unauthenticated(f"the Authorization header is not {SHAPE}")
    return found[1].decode()


def _flaw(token: Token) -> str | None:
    return token.flaw(now() if token.expires_at else "")


def _refusal(caller: Caller, role: Role) -> Forbidden:
    if caller is EVERYBODY:
        return Forbidden(
            "this server requires no tokens, so nobody is its admin: `rheostat token` with"
            " --database works on the database itself",
            role=role,
        )
    detail = f"the token {caller.name} has the role {caller.role}, and this needs {role}"
    return Forbidden(detail, role=role)
