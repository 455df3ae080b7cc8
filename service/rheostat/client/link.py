"""What sends and sleeps as the flows of ``flow.py`` wish, blocking."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from rheostat.client import flow, wire
from rheostat.client.flow import Flow, Outcome, Result
from rheostat.client.fork import renew_in_children
from rheostat.client.settings import Settings
from rheostat.client.wire import Call, Document
from rheostat.errors import Closed

SHORTEST_ATTEMPT = 1.0
"""Seconds that every attempt has, even the last one before a deadline."""


class Link:
    """A connection that blocks. It may be used by many threads, and after a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._renew()
        renew_in_children(self)

    def _renew(self) -> None:
        # What a forked child inherits it keeps, and never uses: to close it could disturb the
        # parent's connections, and wait for locks of threads that the child does not have.
        self._inherited = getattr(self, "_http", None)
        self._http: httpx.Client | None = None
        self._opening = threading.Lock()
        self._closed = threading.Event()

    def one(self, call: Call) -> Document:
        """Return the JSON object that answers the call."""
        return self.run(flow.exchange(call, self.settings.operator(call), wire.document))

    def many(self, call: Call, key: str = "items") -> list[Document]:
        """Return all items of a list that comes in pages."""
        return self.run(flow.pages(call, key, lambda: self.settings.operator(call)))

    def nothing(self, call: Call) -> None:
        """Make a call that has no answer."""
        self.one(call)

    def run(self, conversation: Flow[Result]) -> Result:
        """Send and sleep as the flow wishes, and return its result."""
        outcome: Outcome = None
        while True:
            try:
                wish = conversation.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome = self._send(wish) if isinstance(wish, Call) else self._sleep(wish)

    def close(self) -> None:
        """Close the connections; whatever waits ends with `Closed`."""
        self._closed.set()
        if self._http is not None:
            self._http.close()

    def _sleep(self, seconds: float) -> Outcome:
        if self._closed.wait(seconds):
            raise closed()
        return None

    def _send(self, call: Call) -> Outcome:
        http = self._open()
        try:
            return http.send(request(http, call, self.settings.timeout))
        except httpx.RequestError as error:
            return error
        except RuntimeError:
            if self._closed.is_set():  # by another thread, meanwhile
                raise closed() from None
            raise

    def _open(self) -> httpx.Client:
        with self._opening:
            if self._closed.is_set():
                raise closed()
            if self._http is None:
                self._http = httpx.Client(**options(self.settings))
            return self._http


def options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of the httpx client."""
    return {
        "base_url": settings.base_url,
        "headers": settings.headers(),
        "transport": settings.transport,
    }


def request(http: httpx.Client | httpx.AsyncClient, call: Call, timeout: float) -> httpx.Request:
    """Return the request of a call."""
    return http.build_request(
        call.method,
        call.path,
        params=call.params,
        headers=call.headers,
        content=call.content,
        timeout=min(timeout, max(call.seconds, SHORTEST_ATTEMPT)),
    )


def closed() -> Closed:
    """Return the error of those who use a client that was closed."""
    return Closed("the client was closed")
