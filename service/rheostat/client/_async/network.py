"""
What waits, with asyncio: sending, sleeping, locks and work in the background.

The only file of this folder that is not turned into one of ``_sync``: `Network` there has the same
methods, and does the same with threads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Literal

import httpx

from rheostat.client import transport
from rheostat.client.after_fork import renew_in_children
from rheostat.client.answers import Answer
from rheostat.client.calls import Call
from rheostat.client.retry import Outcome
from rheostat.client.settings import Settings
from rheostat.client.transport import Body, closed
from rheostat.errors import RheostatError, WrongLoop
from rheostat.saying import log


class AsyncNetwork:
    """What one event loop of asyncio sends and waits with."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._renew()
        renew_in_children(self)

    def _renew(self) -> None:
        # kept, and never used: to close what a forked child inherits could disturb its parent
        self._inherited = getattr(self, "_http", None)
        self._http: dict[bool, httpx.AsyncClient] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def send(self, call: Call) -> Outcome:
        """Return the answer, or the error that there was instead."""
        seconds = transport.seconds_of(call, self.settings.timeout)

        async def work() -> Answer:
            response = await self.open(call)
            async with aclosing(response):
                return await _whole(response, call, seconds)

        return await self.attempt(seconds, work)

    async def attempt(self, seconds: float, work: Callable[[], Awaitable[Answer]]) -> Outcome:
        """Do the work of an attempt, and leave it when its time is over."""
        self.require_loop()
        try:
            async with asyncio.timeout(seconds):
                return await work()
        except TimeoutError:
            return transport.late(seconds)
        except RheostatError:
            raise
        except Exception as error:  # noqa: BLE001
            if self._closed:
                raise closed() from None
            return transport.failure(error)

    async def sleep(self, seconds: float) -> None:
        """Wait, and let other tasks run meanwhile."""
        await asyncio.sleep(seconds)

    def stream(self) -> AsyncStream:
        """Return what reads answers piece by piece."""
        return AsyncStream(self)

    def lock(self) -> asyncio.Lock:
        """Return a lock for the tasks of this event loop."""
        return _Lock(self)

    def background(self, name: str) -> AsyncBackground:
        """Return what does work that nobody waits for."""
        return AsyncBackground(self, name)

    def at_exit(self, session: object) -> None:
        """Do nothing: when the program ends, there is no event loop to send anything in."""

    def bell(self) -> AsyncBell:
        """Return what somebody waits for until it is rung."""
        return AsyncBell()

    def require_open(self) -> None:
        """Raise `Closed` if the client was closed."""
        if self._closed:
            raise closed()

    async def close(self) -> None:
        """Close the connections, and end the work in the background."""
        self._closed = True
        try:
            self.require_loop()
        except WrongLoop:
            return  # what belonged to another loop has ended with it
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for http in self._http.values():
            await http.aclose()

    def require_loop(self) -> None:
        """Raise `WrongLoop` unless this is asyncio, and the event loop of the first use."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WrongLoop(
                "an AsyncClient needs asyncio, and no event loop of it is running here: under trio "
                "use a `Client` in a thread"
            ) from None
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise WrongLoop(
                "an AsyncClient belongs to the event loop in which it was used first, and this is "
                "another one: make a new AsyncClient in each `asyncio.run`"
            )

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work in the background, until it is done or the client is closed."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("something in the background failed", exc_info=error)

    async def open(self, call: Call) -> httpx.Response:
        """Send a call, and return its answer when the head is there."""
        http = self._client(streams=call.silence is not None)
        request = transport.request(http, call, self.settings.timeout)
        return await http.send(request, stream=True)

    def _client(self, *, streams: bool) -> httpx.AsyncClient:
        """Return what sends; streams have connections of their own, so that no read lacks one."""
        if self._closed:
            raise closed()
        own = self.settings.transport is None
        if (key := streams and own) not in self._http:
            given = self.settings.transport
            if own:
                options = transport.transport_options(self.settings)
                limits = transport.pool_limits(None)
                given = httpx.AsyncHTTPTransport(**options, limits=limits)
            options = transport.client_options(self.settings)
            self._http[key] = httpx.AsyncClient(**options, transport=given)
        return self._http[key]


class AsyncStream:
    """The answer that is read piece by piece; one at a time."""

    def __init__(self, network: AsyncNetwork) -> None:
        self._network = network
        self._response: httpx.Response | None = None

    async def open(self, call: Call) -> Outcome:
        """Ask for a stream, in place of the one before; return its head, or a whole refusal."""
        self._network.require_loop()
        await self.aclose()
        seconds = transport.seconds_of(call, self._network.settings.timeout)

        async def work() -> Answer:
            response = await self._network.open(call)
            if not response.is_success:
                async with aclosing(response):
                    return await _whole(response, call, seconds)
            self._response, self._pieces = response, aiter(response.aiter_raw())
            return transport.head(response)

        return await self._network.attempt(seconds, work)

    async def more(self) -> bytes | Exception:
        """Return the next piece; none if there will be no more."""
        try:
            return await anext(self._pieces, b"")
        except Exception as error:  # noqa: BLE001
            return transport.failure(error)

    async def aclose(self) -> None:
        """Give the connection back, or close it if there is more to read."""
        if self._response is not None:
            response, self._response = self._response, None
            with contextlib.suppress(RuntimeError):  # its event loop is gone
                await response.aclose()


class AsyncBackground:
    """Work that nobody waits for: tasks, which end when they are done or the client is closed."""

    def __init__(self, network: AsyncNetwork, name: str) -> None:
        self._network = network
        self._name = name

    def do(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have something done soon."""
        self._network.require_loop()
        self._network.start(work(), self._name)


class AsyncBell:
    """What somebody waits for until it is rung, or for a while."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits, or who will."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Wait until it is rung, at most for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()


class _Lock(asyncio.Lock):
    """A lock that says so where it is used in another event loop."""

    def __init__(self, network: AsyncNetwork) -> None:
        super().__init__()
        self._network = network

    async def acquire(self) -> Literal[True]:
        self._network.require_loop()
        return await super().acquire()


async def _whole(response: httpx.Response, call: Call, seconds: float) -> Answer:
    body = Body(response, call, seconds)
    if response.is_stream_consumed:  # a transport of tests had all of it
        body.take(response.content)
        return body.answer()
    async for piece in response.aiter_raw():
        if not body.take(piece):
            break
    return body.answer()
