"""What sends and sleeps as the flows of ``flow.py`` wish, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import httpx

from rheostat.client import flow, wire
from rheostat.client.flow import Flow, Outcome, Result
from rheostat.client.fork import renew_in_children
from rheostat.client.link import closed, options, request
from rheostat.client.settings import Settings
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
            outcome = await (self._send(wish) if isinstance(wish, Call) else asyncio.sleep(wish))

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

    async def _send(self, call: Call) -> Outcome:
        if self._closed:
            raise closed()
        if self._http is None:
            self._http = httpx.AsyncClient(**options(self.settings))
        try:
            return await self._http.send(request(self._http, call, self.settings.timeout))
        except httpx.RequestError as error:
            return error
