"""
The fast lane: workers' reads of blocks that are settled and in memory, answered before FastAPI.

What FastAPI and a task of its own do for a request costs many times what sending a block does, and
comes to the same for the same request each time. So a settling read goes through the application
once, and its answer is noted under the request's `Address`: with the method, that is all of a
request that decides which block it gets, and how it is written. The next request from this address
is answered here, and so are those that arrive while the first one is under way: they wait for it.
Whatever else the application asks of a request is asked here too, by the same functions: its host,
its token, its role, its sender's rate. Where the least thing is missing, and for whatever a browser
sends, a request goes through the application, and is refused there: the fast lane has no errors of
its own.

The application does not know of it. `add_fast_lane` is the one line that puts it before an
application; without that line every request gets the same answer, and only later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from rheostat.errors import Forbidden, Unavailable
from rheostat.server.http.access import CALLER, Authenticator, settles
from rheostat.server.http.access_log import AccessLog, trusting
from rheostat.server.http.blocks import (
    ROUTE,
    SETTLED,
    Address,
    BlockAnswer,
    BlockCache,
    BlockKey,
    Rendered,
    address_of,
)
from rheostat.server.http.browsers import HOST, refuse_foreign
from rheostat.server.http.budgets import SMALL, Holding
from rheostat.server.http.holds import (
    BEFORE_HOLDING,
    REFUSED,
    WAITED,
    Held,
    Holds,
    Waiter,
    wait_of,
)
from rheostat.server.http.middleware import identify
from rheostat.server.http.protocol import CONNECTION_CLASS, BoundedHttp
from rheostat.server.http.rates import Rates
from rheostat.server.http.turns import OnePerTurn
from rheostat.server.runs.selector import EVERYTHING
from rheostat.server.runs.sightings import Sightings

BROWSERS = frozenset({b"origin", b"sec-fetch-site", b"sec-fetch-mode"})
"""Headers of requests that go through the application: it is for people."""

PROXIES = frozenset({b"x-forwarded-for"})
"""Headers of requests that do where it matters who sends them: uvicorn reads these later."""

HOSTS = 64
"""Values of ``Host`` about which it is remembered whether they are this service's own."""


def add_fast_lane(app: FastAPI) -> None:
    """Put the fast lane before an application that has yet to start."""
    flight = SingleFlight()
    app.add_middleware(NoteSettled, state=app.state, flight=flight)
    started = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with started(app) as state:
            lane = app.state.fast_lane = FastLane(app.state, flight)
            yield {**(state or {}), CONNECTION_CLASS: partial(FastLaneHttp, lane)}

    app.router.lifespan_context = lifespan


class SingleFlight:
    """
    Requests for one block that arrive together: one goes to the application, the others wait.

    The ranks of a run come to the end of a block at the same moment, and all ask for the next one
    before it is settled. For the event loop alone.
    """

    def __init__(self) -> None:
        self._waiting: dict[Address, list[Callable[[], None]]] = {}

    def lead(self, address: Address) -> bool:
        """Begin a request from an address, unless one is under way; whoever begins it ends it."""
        if address in self._waiting:
            return False
        self._waiting[address] = []
        return True

    def wait(self, address: Address, again: Callable[[], None]) -> None:
        """Have ``again`` called when the request that is under way from an address has ended."""
        self._waiting[address].append(again)

    def end(self, address: Address) -> None:
        """Let the waiting requests go on: the answer is there, or there will be none."""
        for again in self._waiting.pop(address, ()):
            asyncio.get_running_loop().call_soon(again)


class NoteSettled:
    """
    Notes which settled block a request from an address was answered with, or refused at a barrier.

    That is known when the answer begins: those who wait for it do not wait for a slow peer.
    """

    def __init__(self, app: ASGIApp, state: State, flight: SingleFlight) -> None:
        self._app, self._state, self._flight = app, state, flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or not scope["path"].endswith("/values"):
            await self._app(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope)
            await send(message)

        await self._app(scope, receive, noting)

    def _note(self, scope: Scope) -> None:
        note: Callable[[Address, BlockKey], None]
        if SETTLED in scope:
            key, note = scope[SETTLED], self._state.block_cache.note
        elif REFUSED in scope:
            key, note = scope[REFUSED], self._state.holds.note
        else:
            return
        address = address_of(scope, dict(scope["headers"]))
        if address is not None:
            note(address, key)
            self._flight.end(address)


class FastLane:
    """Answers the settling reads whose answers are known, and leaves all else."""

    def __init__(self, state: State, flight: SingleFlight) -> None:
        self.flight = flight
        self.reads = OnePerTurn()
        """Settling reads that begin their way through the application."""
        self._cache: BlockCache = state.block_cache
        self._holds: Holds = state.holds
        self._access_log: AccessLog = state.access_log
        self._access: Authenticator = state.access
        self._rates: Rates = state.rates
        self._sightings: Sightings = state.store.sightings
        self._tallies = {status: state.metrics.tally(ROUTE, "GET", status) for status in (200, 304)}
        self._odd = BROWSERS | PROXIES if self._rates.limited else BROWSERS
        self._is_own = lru_cache(HOSTS)(partial(_is_own, state.answers_for))
        self.proxies = lru_cache(1)(trusting)
        """Returns what knows which proxies the server of a configuration believes."""

    def reply(
        self, scope: Scope, proxies: ProxyHeadersMiddleware | None = None
    ) -> tuple[Rendered, bytes] | None:
        """
        Return the answer to a request and its id, or None if the application has to answer.

        ``proxies`` knows whom to believe for whom a request is: the log says so.
        """
        began = time.perf_counter()
        headers = dict(scope["headers"])
        answer = self._find(scope, headers)
        if answer is None or not self._lets_in(scope, headers):
            return None
        request_id = identify(headers.get(b"x-request-id"))
        sent = answer.to(headers.get(b"if-none-match"))
        seconds = time.perf_counter() - began
        self._tallies[sent.status].add(seconds)
        self._access_log.note(scope, sent.status, seconds, request_id, proxies)
        self._sightings.note(*answer.cells)
        return sent, request_id

    def settling(self, scope: Scope) -> Address | None:
        """Return a request's address if it looks like a settling read."""
        asks = scope["method"] == "GET" and scope["path"].endswith("/values")
        if not asks or b"generation=" not in scope["query_string"]:
            return None
        headers = dict(scope["headers"])
        return address_of(scope, headers) if BROWSERS.isdisjoint(headers) else None

    def park(self, scope: Scope, go_on: Waiter) -> Held | None:
        """Hold a request that waits at a barrier which is known to stand."""
        if WAITED in scope or (address := self.settling(scope)) is None:
            return None
        headers = dict(scope["headers"])
        seconds = wait_of(headers.get(b"prefer", b"").decode("latin-1"))
        if not seconds or not self._lets_in(scope, headers):
            return None
        held = self._holds.park(address, seconds, go_on)
        if held is not None:
            scope[WAITED] = seconds
        return held

    async def lead(
        self, address: Address, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Pass on a request that others wait for; if it is held, each of them is for itself."""

        def held(asked: BlockKey) -> None:
            self._holds.note(address, asked)
            self.flight.end(address)

        scope[BEFORE_HOLDING] = held
        try:
            await app(scope, receive, send)
        finally:
            self.flight.end(address)

    def _find(self, scope: Scope, headers: Mapping[bytes, bytes]) -> BlockAnswer | None:
        if scope["method"] != "GET":
            return None
        address = address_of(scope, headers)
        return None if address is None else self._cache.at(address)

    def _lets_in(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        if not self._odd.isdisjoint(headers) or not self._is_own(headers.get(b"host")):
            return False
        caller = self._access.remembered(headers.get(b"authorization", b""))
        if caller is None or not settles(caller, None):
            return False
        known = caller.runs is EVERYTHING or caller.knows(_run_of(scope))
        if not known or not self._rates.allow(scope):
            return False
        scope[CALLER] = caller
        return True


def _run_of(scope: Scope) -> str:
    """Return the run that a path like `ROUTE` names."""
    path: str = scope["path"]
    return path.removesuffix("/values").rpartition("/")[2]


def _is_own(answers_for: Callable[[str], bool], host: bytes | None) -> bool:
    if not host or not HOST.fullmatch(host):
        return False
    try:
        refuse_foreign({b"host": host}, "GET", answers_for)
    except Forbidden:
        return False
    return True


class FastLaneHttp(BoundedHttp):
    """A connection that asks the fast lane first: its answers cost no task."""

    _lent: Holding | None = None
    """What is held for the large answer that is being sent, of which there is one for all."""

    def __init__(self, lane: FastLane, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lane = lane
        self._proxies = lane.proxies(self.config)

    @property
    def backlog(self) -> int:
        """Bytes that are held for this peer alone."""
        return 0 if self._lent is not None and self._lent.shared is not None else super().backlog

    def resume_writing(self) -> None:
        """Go on: the peer has taken what it was sent."""
        super().resume_writing()
        if self._lent is not None:
            self._lent.release()

    def _give_back(self) -> None:
        super()._give_back()
        if self._lent is not None:
            self._lent.release()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Answer a request, or have it wait for one that asks the same, or pass it on."""
        if not self._is_plain(cycle):
            super()._start_asgi_task(cycle, app)
        elif not self._reply(cycle) and not self._park(cycle, app):
            self._pass_on(cycle, app)

    def _park(self, cycle: Any, app: Any) -> bool:
        """Have a request wait for a barrier to open, which costs no task; say whether it does."""
        held = self._lane.park(cycle.scope, partial(self._unpark, cycle, app))
        if held is None:
            return False
        self._prepare(cycle)
        cycle.when_gone = partial(held, False)
        return True

    def _unpark(self, cycle: Any, app: Any, wanted: bool) -> None:  # noqa: FBT001
        if wanted and not cycle.disconnected:
            self._start_asgi_task(cycle, app)

    def _pass_on(self, cycle: Any, app: Any) -> None:
        flight, address = self._lane.flight, self._lane.settling(cycle.scope)
        if address is None:
            super()._start_asgi_task(cycle, app)
        elif flight.lead(address):  # others may wait for it, so that it is not given up
            self._prepare(cycle)
            self._lane.reads.begin(
                partial(self._run, cycle, partial(self._lane.lead, address, app))
            )
        else:
            flight.wait(address, partial(self._again, cycle, app))

    def _again(self, cycle: Any, app: Any) -> None:
        """Answer a request that has waited, or pass it on for itself."""
        if cycle.disconnected:
            return
        if not self._is_plain(cycle) or not (self._reply(cycle) or self._park(cycle, app)):
            super()._start_asgi_task(cycle, app)

    def _is_plain(self, cycle: Any) -> bool:
        # A peer that takes nothing of what it is sent has to wait, as a task would make it; and
        # what is in the pipeline must not be answered each within the answer to the one before.
        return bool(
            cycle.keep_alive
            and not self.pipeline
            and not self.flow.write_paused
            and not self._long
            and cycle.scope["http_version"] == "1.1"
        )

    def _reply(self, cycle: Any) -> bool:
        """Send the answer that the fast lane has; say whether there was one, and room for it."""
        reply = self._lane.reply(cycle.scope, self._proxies)
        if reply is None:
            return False
        sent, request_id = reply
        parts = [STATUS_LINE[sent.status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        if waited := cycle.scope.get(WAITED):
            parts.append(b"preference-applied: wait=%d\r\n" % waited)
        parts += (sent.lines, b"x-request-id: ", request_id, b"\r\n\r\n")
        if len(sent.body) <= SMALL:
            parts.append(sent.body)
            self.transport.write(b"".join(parts))
        elif not self._lend(b"".join(parts), sent.body):
            return False
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()
        return True

    def _lend(self, head: bytes, body: bytes) -> bool:
        """Send a large answer, of which there is one for all who ask, if there is room for it."""
        try:
            self._lent = self._open.sending.take(len(body), self._cut_off, body)
        except Unavailable:
            return False
        self.transport.writelines([head, body])
        if not self.flow.write_paused:
            self._lent.release()
        return True
