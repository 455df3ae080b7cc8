"""What sends and sleeps as the flows of ``flow.py`` wish, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import aclosing
from typing import Any

import httpx

from rheostat.client import flow, watching, wire
from rheostat.client.flow import Flow, Outcome, Result
from rheostat.client.fork import renew_in_children
from rheostat.client.link import closed, options, request
from rheostat.client.settings import Settings
from rheostat.client.watching import MORE, Piece, Watch, next_wish
from rheostat.client.wire import Call, Document


class AsyncLink:
    """A connection for asyncio, to be used in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._renew()
        renew_in_children(self)

    def _renew(self) -> None:
        self._inherited = getattr(self, "_http", None)
        self._http: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def one(self, call: Call) -> Awaitable[Document]:
        """Return the JSON object that answers the call."""
        return self.run(flow.exchange(call, self.settings.operator(call), wire.document))

    def many(self, call: Call, key: str = "items") -> Awaitable[list[Document]]:
        """Return all items of a list that comes in pages."""
        return self.run(flow.pages(call, key, lambda: self.settings.operator(call)))

    async def nothing(self, call: Call) -> None:
        """Make a call that has no answer."""
        await self.one(call)

    async def run(self, conversation: Flow[Result]) -> Result:
        """Send and sleep as the flow wishes, and return its result."""
        outcome: Outcome = None
        while True:
            try:
                wish = conversation.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome = await (self.send(wish) if isinstance(wish, Call) else asyncio.sleep(wish))

    async def watch(self, conversation: Watch) -> AsyncIterator[Document]:
        """Read streams and sleep as the watch wishes, and yield what it finds."""
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

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Work in the background, until it is done or the link is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Close the connections, and end the work in the background."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    async def send(self, call: Call) -> httpx.Response | httpx.RequestError:
        """Return the answer, of a stream the head alone, or the error that there was instead."""
        if self._closed:
            raise closed()
        if self._http is None:
            self._http = httpx.AsyncClient(**options(self.settings))
        streams = call.silence is not None
        try:
            asked = request(self._http, call, self.settings.timeout)
            answer = await self._http.send(asked, stream=streams)
            if streams and not answer.is_success:
                await answer.aread()
        except httpx.RequestError as error:
            return error
        return answer


class _Stream:
    """The answer that a watch reads piece by piece; one at a time."""

    def __init__(self, link: AsyncLink) -> None:
        self._link = link
        self._answer: httpx.Response | None = None

    async def open(self, call: Call) -> httpx.Response | httpx.RequestError:
        """Ask for a stream, in place of the one before."""
        await self.aclose()
        answer = await self._link.send(call)
        if isinstance(answer, httpx.Response):
            self._answer, self._pieces = answer, aiter(answer.aiter_bytes())
        return answer

    async def more(self) -> Piece:
        """Return the next piece; none if there will be no more."""
        try:
            return await anext(self._pieces, b"")
        except httpx.RequestError as error:
            return error

    async def aclose(self) -> None:
        """Give the connection back, or close it if there is more to read."""
        if self._answer is not None:
            await self._answer.aclose()
