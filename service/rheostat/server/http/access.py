"""
Who may do what: each route says which role it needs, and `StrictRoute` asks `admit` first of all.

A token is found by the hash of its secret, and what was found is believed for `TRUSTED` seconds, so
that a fleet's reads do not each ask the database. Where tokens are not required, everybody is an
operator, and nobody an admin: tokens that outlive such a server are not for its callers to make.

A browser that has signed in sends a cookie instead, which stands for a session, which stands for a
token. A browser sends it of itself, so it does less than the token: it settles nothing, and what it
changes has to come from our own page.

A token may have a selector, and then knows of the runs alone that have such labels: all others are
not there for it, whatever it asks. Every operation comes to its run through `Records.find`, which
holds to that; and since some answers are in memory, whoever names a run is asked about it first.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar, get_args
from weakref import WeakKeyDictionary, WeakSet

from starlette.requests import Request
from starlette.types import Scope

from rheostat import wire
from rheostat.errors import Forbidden, Unauthenticated, Unavailable
from rheostat.limits import RUN_ID
from rheostat.server.http.browsers import require_own_page
from rheostat.server.runs.selector import EVERYTHING, Selector
from rheostat.server.runs.token_limit import TokenLimit
from rheostat.server.settings import Settings
from rheostat.server.store import Store
from rheostat.server.store.acting import Acting, acting
from rheostat.server.store.operations import sessions
from rheostat.server.store.operations.sessions import Session
from rheostat.server.store.records import Records, now
from rheostat.server.store.shares import Share
from rheostat.server.store.store import work_for_all
from rheostat.server.tokens import PREFIX, Role, Token, hash_of

TRUSTED = 3.0
"""Seconds for which a process believes what it found: as long as a revoked token may still work."""

MOST = 4096
"""Tokens and sessions that a process remembers."""

QUESTION = 256
"""Tokens and sessions about which the database is asked at once."""

SCHEME = b"Bearer "
BEARER = re.compile(rb"(?i:bearer) +(rheo_[0-9a-f]{40}) *")
SECRET = re.compile(r"rheo_[0-9a-f]{40}")
SHAPE = f"Authorization: Bearer {PREFIX}…"

COOKIE = "rheostat_session"
SESSION = b"Session "
"""How what is remembered of a session begins, where a token's begins with `SCHEME`."""
SENT = re.compile(rb"(?:^|;)[ \t]*rheostat_session=([^;]*)")
A_SESSION = re.compile(rb"[A-Za-z0-9_-]{43}")
READS = frozenset({"GET", "HEAD", "OPTIONS"})
CALLER = "rheostat.caller"
"""Key of the scope under which `admit` leaves the caller."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_roles: WeakKeyDictionary[Callable[..., Any], Role | None] = WeakKeyDictionary()
_rehearsals: WeakKeyDictionary[Callable[..., Any], Role] = WeakKeyDictionary()
_free_of_limits: WeakSet[Callable[..., Any]] = WeakSet()
_of_all_runs: WeakSet[Callable[..., Any]] = WeakSet()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the name of a token, or None where there are none."""

    name: str | None
    role: Role
    by_session: bool = False
    """Whether a browser says so, by a cookie."""
    runs: Selector = EVERYTHING
    """Which runs they know of; to them, all others are not there."""
    limit: TokenLimit | None = None
    """What they may do to a run; for all else, they are proposers."""
    admitted: set[str] = field(default_factory=set, compare=False, repr=False)
    """Ids of some of these runs, for as long as it is believed who they are."""

    @property
    def bounded(self) -> bool:
        """Whether there are runs of which they do not know."""
        return bool(self.runs.requirements)

    def covers(self, role: Role) -> bool:
        """Whether they may do what this role may, without a look at what it is."""
        return (self.role if self.limit is None else Role.PROPOSER).covers(role)

    @property
    def may(self) -> list[str]:
        """What they may do to a run: to propose, to leave notes, and which acts of an operator."""
        if self.limit is not None:
            return ["propose", "note", *self.limit.allowed]
        if self.covers(Role.OPERATOR):
            return ["propose", "note", *get_args(wire.ProposalKind)]
        if self.covers(Role.WORKER):
            return ["propose", "note"]
        return ["propose"] if self.covers(Role.PROPOSER) else []

    def knows(self, run_id: str) -> bool:
        """Whether it is known at once that they know of a run."""
        return not self.runs.requirements or run_id in self.admitted


EVERYBODY = Caller(None, Role.OPERATOR)
"""Whoever reaches a server that requires no tokens."""

OWNER = Caller(None, Role.OPERATOR)
"""Whoever started a local server, and can read its token from the file beside the database."""


def needs(role: Role | None, *, rehearsal: Role | None = None) -> Callable[[Endpoint], Endpoint]:
    """
    Mark a route's function with the role that callers need; None lets in whoever asks.

    ``rehearsal`` is the role for a request with ``dry_run``, which changes nothing.
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        _roles[endpoint] = role
        if rehearsal is not None:
            _rehearsals[endpoint] = rehearsal
        return endpoint

    return mark


def free_of_limits(endpoint: Endpoint) -> Endpoint:
    """Mark a route's function that a token with a limit may call as any other of its role."""
    _free_of_limits.add(endpoint)
    return endpoint


def role_for(request: Request, endpoint: Callable[..., Any]) -> Role | None:
    """Return the role that a request needs."""
    rehearsal = _rehearsals.get(endpoint) if rehearses(request) else None
    return rehearsal or role_needed(endpoint)


def rehearses(request: Request) -> bool:
    """Whether a request is for a rehearsal alone: it says so in these very words."""
    return request.query_params.get("dry_run") in {"true", "1"}


def is_left(endpoint: Callable[..., Any], act: wire.ProposalKind | None, caller: Caller) -> bool:
    """Whether a caller's limit leaves them to do as their role may, by an act or by a route."""
    if caller.limit is None or endpoint in _free_of_limits:
        return True
    return act in caller.limit.allowed


def of_all_runs(endpoint: Endpoint) -> Endpoint:
    """Mark a route's function as one for callers who know of all runs: it is about them all."""
    _of_all_runs.add(endpoint)
    return endpoint


def role_needed(endpoint: Callable[..., Any]) -> Role | None:
    """Return the role of a route's function; raise `TypeError` if it was not marked."""
    if endpoint not in _roles:
        raise TypeError(f"{endpoint.__qualname__} must say who may call it, by @needs(…)")
    return _roles[endpoint]


async def admit(
    request: Request, role: Role | None, leaves: Callable[[Caller], bool] = lambda _: False
) -> None:
    """
    Let a request in, and note who sends it; raise `Unauthenticated` or `Forbidden`.

    ``leaves`` says whether a caller with a limit may do as their role may: else they may propose.
    """
    if role is None:
        return
    access: Authenticator = request.app.state.access
    caller = request.scope[CALLER] = await access.caller(request.scope)
    share = _share(caller, request.app.state.settings)
    acting.set(Acting(caller.runs, share, token=caller.name, limit=caller.limit))
    if caller.by_session and request.method not in READS:
        require_own_page(request.headers)
    if not (leaves(caller) and caller.role.covers(role)):
        require(request, role)


def require_reach(request: Request, endpoint: Callable[..., Any]) -> None:
    """Raise `Forbidden` for a caller who knows of some runs only, where all are concerned."""
    caller = caller_of(request)
    if caller.bounded and endpoint in _of_all_runs:
        message = f"the token {caller.name} is for runs with {caller.runs}, and this is about all"
        raise Forbidden(message, runs=str(caller.runs))


async def require_known(request: Request, run: str) -> None:
    """Raise `UnknownRun` if there is no such run, as far as the caller may know."""
    caller = caller_of(request)
    if caller.knows(run):
        return
    store: Store = request.app.state.store
    await store.quick_read(Records.find, run)
    if re.fullmatch(RUN_ID, run):  # a name may be another run's in a moment
        if len(caller.admitted) >= MOST:
            caller.admitted.clear()
        caller.admitted.add(run)


def require(request: Request, role: Role) -> None:
    """Raise `Forbidden` unless the caller has this role."""
    caller = caller_of(request)
    if not caller.covers(role):
        raise _refusal(caller, role)


def _share(caller: Caller, settings: Settings) -> Share | None:
    """Return what a caller may create, None for operators of all runs: it is theirs to judge."""
    if caller.covers(Role.OPERATOR) and not caller.bounded:
        return None
    return Share(settings.max_live_runs, settings.max_stored_bytes)


def holder_of(request: Request) -> str:
    """Return whose streams are counted together: a token's, or an address's if there are none."""
    caller = caller_of(request)
    if caller.name is not None:
        return f"the token {caller.name}"
    return f"the address {request.client.host if request.client else 'unknown'}"


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
    return fetch_mode != "navigate" and caller.covers(Role.WORKER) and not caller.by_session


class Known(NamedTuple):
    """What was found of a token or a session, and until when it is believed, by our clock."""

    token: Token | None
    """None of a local server's own, which nobody keeps."""
    session: Session | None
    caller: Caller
    until: float


Search = asyncio.Future[Known | None]


class Authenticator:
    """
    Knows callers by their tokens and sessions; without a store, it asks for none.

    Tokens are remembered, and looked for, by their secret alone, as ``Bearer rheo_…``: however a
    header is written, it is one entry; and so are sessions. The database is asked one question at a
    time, about all that wait for an answer, so that whoever sends unknown ones costs no more than
    one query after the other, and nobody who has a token waits for more than the next.
    """

    def __init__(self, store: Store | None, own: str | None = None) -> None:
        self._store = store
        self._own = None if own is None else SCHEME + own.encode()
        """The header of who started this server for themselves, with a token that nobody keeps."""
        self._known: dict[bytes, Known] = {}
        self._searches: dict[bytes, Search] = {}
        self._wanted: deque[bytes] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._keeping: set[asyncio.Task[None]] = set()

    @property
    def required(self) -> bool:
        """Whether callers need a token."""
        return self._store is not None

    async def caller(self, scope: Scope) -> Caller:
        """Return who sends a request; raise `Unauthenticated` if no token or session says so."""
        if self._store is None:
            return EVERYBODY
        header = _sent(scope)
        if header is None:
            return (await self.session(scope))[0]
        return await self._bearer(self._store, _plain(header))

    async def holder(self, secret: str) -> Caller:
        """Return whose token has a secret; raise `Unauthenticated` if that is nobody's."""
        if self._store is None:
            return EVERYBODY
        if not SECRET.fullmatch(secret):
            raise Unauthenticated("the token is not known")
        return await self._bearer(self._store, SCHEME + secret.encode())

    async def _bearer(self, store: Store, header: bytes) -> Caller:
        if self._is_own(header):
            return OWNER
        found = await self._find(store, header)
        if found is None:
            raise Unauthenticated("the token is not known")
        return _unless_flawed(found)

    async def session(self, scope: Scope) -> tuple[Caller, Session]:
        """Return who has signed in, and their session; raise `Unauthenticated` for nobody."""
        cookie = session_of(scope)
        if cookie is None or self._store is None:
            raise Unauthenticated(f"a token is needed, as the header {SHAPE}")
        found = await self._find(self._store, SESSION + cookie.encode())
        if found is None or found.session is None:
            raise Unauthenticated("the session has ended: sign in again")
        return _unless_flawed(found), found.session

    def forget(self, cookie: str) -> None:
        """Believe nothing any more of a session that has ended."""
        self._known.pop(SESSION + cookie.encode(), None)

    def remembered(self, header: bytes) -> Caller | None:
        """Return who sends a request with this header, None unless that is known at once."""
        if self._store is None:
            return EVERYBODY
        if self._is_own(header):
            return OWNER
        known = self._known.get(header)
        if known is None or _flaw(known.token):
            return None
        left = known.until - time.monotonic()
        if 0 < left < TRUSTED / 2:  # ask again before others have to wait for it
            self._search(self._store, header)
        return known.caller if left > 0 else None

    def _is_own(self, header: bytes) -> bool:
        return self._own is not None and secrets.compare_digest(header, self._own)

    async def _find(self, store: Store, header: bytes) -> Known | None:
        known = self._known.get(header)
        if known is not None and time.monotonic() < known.until:
            return known
        return await asyncio.shield(self._search(store, header))

    def _search(self, store: Store, header: bytes) -> Search:
        search = self._searches.get(header)
        if search is None:  # many requests with one token are one question
            search = self._searches[header] = asyncio.get_running_loop().create_future()
            search.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._wanted.append(header)
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask(store))
        return search

    async def _ask(self, store: Store) -> None:
        """Ask the database about all tokens that are wanted, some at a time."""
        while self._wanted:
            count = min(QUESTION, len(self._wanted))
            headers = [self._wanted.popleft() for _ in range(count)]
            searches = {header: self._searches.pop(header) for header in headers}
            try:
                found = await self._look_up(store, headers)
            except Exception as error:  # noqa: BLE001 - each of those who wait is told
                for search in searches.values():
                    search.set_exception(error)
            except BaseException:
                for search in searches.values():
                    search.cancel()
                raise
            else:
                for header, search in searches.items():
                    search.set_result(found.get(header))

    async def _look_up(self, store: Store, headers: Sequence[bytes]) -> dict[bytes, Known]:
        work_for_all()
        until = time.monotonic() + TRUSTED
        bearers = {_hash(each, SCHEME): each for each in headers if each.startswith(SCHEME)}
        cookies = {_hash(each, SESSION): each for each in headers if each.startswith(SESSION)}
        found = await store.quick_read(sessions.find, tuple(bearers), tuple(cookies))
        known = {
            bearers[each]: Known(token, None, _caller(token), until)
            for each, token in found.tokens.items()
            if each in bearers
        }
        for each, session in found.sessions.items():
            token = found.tokens.get(session.token_hash)
            if (caller := self._signed_in(session, token)) is not None:
                known[cookies[each]] = Known(token, session, caller, until)
        for header, its in known.items():
            self._remember(header, its)
        if used := [each for each, session in found.sessions.items() if session.aged]:
            self._keep(store, used)
        return known

    def _signed_in(self, session: Session, token: Token | None) -> Caller | None:
        """Return whom a session stands for, None if its token is gone."""
        if token is not None:
            return _caller(token, by_session=True)
        if self._own is not None and session.token_hash == _hash(self._own, SCHEME):
            return Caller(OWNER.name, OWNER.role, by_session=True)
        return None

    def _keep(self, store: Store, hashes: Sequence[str]) -> None:
        """Have it written down that sessions are used; nobody waits for it."""
        task = asyncio.create_task(_kept(store, hashes))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    def _remember(self, header: bytes, known: Known) -> None:
        """Keep what was found, and let go of what is no longer believed: it is the oldest."""
        self._known.pop(header, None)
        now = time.monotonic()
        for oldest, its in list(islice(self._known.items(), 2)):
            if its.until < now or len(self._known) >= MOST:
                del self._known[oldest]
        self._known[header] = known


def _caller(token: Token, *, by_session: bool = False) -> Caller:
    return Caller(token.name, token.role, by_session, _selector(token.runs), token.limit)


@lru_cache(maxsize=256)
def _selector(text: str | None) -> Selector:
    return EVERYTHING if text is None else Selector.parse(text)


async def _kept(store: Store, hashes: Sequence[str]) -> None:
    with suppress(Unavailable):  # whoever comes next tries it again
        await store.write(sessions.keep, hashes)


def session_of(scope: Scope) -> str | None:
    """Return what a browser sends of its session, if it has one; raise for what cannot be one."""
    sent = [
        value
        for key, cookies in scope["headers"]
        if key == b"cookie"
        for value in SENT.findall(cookies)
    ]
    if not sent:
        return None
    if len(sent) > 1 or not A_SESSION.fullmatch(sent[0]):
        raise Unauthenticated(f"the cookie {COOKIE} is not one of this service: sign in again")
    return str(sent[0], "ascii")


def _hash(header: bytes, scheme: bytes) -> str:
    return hash_of(header.removeprefix(scheme).decode())


def _sent(scope: Scope) -> bytes | None:
    sent: list[bytes] = [value for key, value in scope["headers"] if key == b"authorization"]
    if len(sent) > 1:
        raise Unauthenticated(f"the Authorization header is not {SHAPE}")
    return sent[0] if sent else None


def _plain(header: bytes) -> bytes:
    """Return a header as most clients write it."""
    found = BEARER.fullmatch(header)
    if found is None:
        raise Unauthenticated(f"the Authorization header is not {SHAPE}")
    return SCHEME + found[1]


def _unless_flawed(found: Known) -> Caller:
    """Return who was found; raise `Unauthenticated` if their token cannot be used any more."""
    if flaw := _flaw(found.token):
        raise Unauthenticated(flaw)
    return found.caller


def _flaw(token: Token | None) -> str | None:
    return None if token is None else token.flaw(now() if token.expires_at else "")


def _refusal(caller: Caller, role: Role) -> Forbidden:
    if caller.name is None:
        reason = "requires no tokens" if caller is EVERYBODY else "is a local one"
        return Forbidden(
            f"this server {reason}, so nobody is its admin: `rheostat token`, `audit` and `purge`"
            " with --database work on the database itself",
            role=role,
        )
    if caller.limit is not None:
        acts = ", ".join(caller.limit.allowed)
        return Forbidden(
            f"the token {caller.name} is limited to {acts}; what else is done to a run, it may"
            " propose",
            role=role,
            limit=str(caller.limit),
        )
    detail = f"the token {caller.name} has the role {caller.role}, and this needs {role}"
    return Forbidden(detail, role=role)
