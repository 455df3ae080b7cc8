"""What sends and sleeps as the flows of ``flow.py`` wish, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import aclosing
from typing import Any

import httpx

from rheostat.client import answers, connection, flow, watching
from rheostat.client.answers import Answer, Document
from rheostat.client.connection import Body, closed
from rheostat.client.flow import Flow, Outcome, Result
from rheostat.client.fork import renew_in_children
from rheostat.client.settings import Settings
from rheostat.client.watching import MORE, Piece, Watch, next_wish
from rheostat.client.wire import Call
from rheostat.errors import RheostatError, WrongLoop

log = logging.getLogger("rheostat")


class AsyncLink:
    """A connection for asyncio, to be used in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._renew()
        renew_in_children(self)

    def _renew(self) -> None:
        self._inherited = getattr(self, "_http", None)
        self._http: dict[bool, httpx.AsyncClient] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def one(self, call: Call) -> Awaitable[Document]:
        """Return the JSON object that answers the call."""
        return self.run(flow.exchange(call, self.settings.operator(call), answers.document))

    def many(self, call: Call, key: str = "items") -> Awaitable[list[Document]]:
        """Return all items of a list that comes in pages."""
        return self.run(flow.pages(call, key, lambda: self.settings.operator(call)))

    async def nothing(self, call: Call) -> None:
        """Make a call that has no answer."""
        await self.run(flow.exchange(call, self.settings.operator(call), answers.nothing))

    async def run(self, conversation: Flow[Result]) -> Result:
        """Send and sleep as the flow wishes, and return its result."""
        self.require_loop()
        outcome: Outcome = None
        while True:
            try:
                wish = conversation.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome = await (self.send(wish) if isinstance(wish, Call) else asyncio.sleep(wish))

    def number(self, conversation: Flow[float]) -> Awaitable[float]:
        """Return the number that is the result of several calls."""
        return self.run(conversation)

    async def watch(self, conversation: Watch) -> AsyncIterator[Document]:
        """Read streams and sleep as the watch wishes, and yield what it finds."""
        self.require_loop()
        outcome: watching.Outcome = None
        async with aclosing(_Stream(self)) as stream:
            while (wish := next_wish(conversation, outcome)) is not None:
                outcome = None
                if isinstance(wish, Call):
                    outcome = await stream.open(wish)
                elif wish is MORE:
                    outcome = await stream.more()
                elif isinstance(wish, dict):
                    yield wish
                else:
                    await asyncio.sleep(wish)

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

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Work in the background, until it is done or the link is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("nothing is fetched ahead this time", exc_info=error)

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

    async def send(self, call: Call) -> Answer | Exception:
        """Return the answer, or the error that there was instead."""
        seconds = connection.seconds_of(call, self.settings.timeout)
        try:
            async with asyncio.timeout(seconds):
                response = await self.open(call)
                async with aclosing(response):
                    return await _whole(response, call, seconds)
        except TimeoutError:
            return connection.late(seconds)
        except RheostatError:
            raise
        except Exception as error:  # noqa: BLE001
            if self._closed:
                raise closed() from None
            return connection.failure(error)

    async def open(self, call: Call) -> httpx.Response:
        """Send a call, and return its answer when the head is there."""
        http = self._client(streams=call.silence is not None)
        request = connection.request(http, call, self.settings.timeout)
        return await http.send(request, stream=True)

    def _client(self, *, streams: bool) -> httpx.AsyncClient:
        """Return what sends; streams have connections of their own, so that no read lacks one."""
        if self._closed:
            raise closed()
        own = self.settings.transport is None
        if (key := streams and own) not in self._http:
            transport = self.settings.transport
            if own:
                told = connection.transport_options(self.settings)
                limits = connection.pool_limits(None)
                transport = httpx.AsyncHTTPTransport(**told, limits=limits)
            options = connection.client_options(self.settings)
            self._http[key] = httpx.AsyncClient(**options, transport=transport)
        return self._http[key]


async def _whole(response: httpx.Response, call: Call, seconds: float) -> Answer:
    body = Body(response, call, seconds)
    if response.is_stream_consumed:  # a transport of tests had all of it
        body.take(response.content)
        return body.answer()
    async for piece in response.aiter_raw():
        if not body.take(piece):
            break
    return body.answer()


class _Stream:
    """The answer that a watch reads piece by piece; one at a time."""

    def __init__(self, link: AsyncLink) -> None:
        self._link = link
        self._response: httpx.Response | None = None

    async def open(self, call: Call) -> Answer | Exception:
        """Ask for a stream, in place of the one before; return its head, or a whole refusal."""
        await self.aclose()
        seconds = connection.seconds_of(call, self._link.settings.timeout)
        try:
            async with asyncio.timeout(seconds):
                response = await self._link.open(call)
                if not response.is_success:
                    async with aclosing(response):
                        return await _whole(response, call, seconds)
        except TimeoutError:
            return connection.late(seconds)
        except RheostatError:
            raise
        except Exception as error:  # noqa: BLE001
            return connection.failure(error)
        self._response, self._pieces = response, aiter(response.aiter_raw())
        return connection.head(response)

    async def more(self) -> Piece:
        """Return the next piece; none if there will be no more."""
        try:
            return await anext(self._pieces, b"")
        except Exception as error:  # noqa: BLE001
            return connection.failure(error)

    async def aclose(self) -> None:
        """Give the connection back, or close it if there is more to read."""
        if self._response is not None:
            response, self._response = self._response, None
            with contextlib.suppress(RuntimeError):  # its event loop is gone
                await response.aclose()
