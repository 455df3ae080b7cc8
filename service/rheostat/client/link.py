"""What sends and sleeps as the flows of ``flow.py`` wish, blocking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx

from rheostat.client import flow, watching, wire
from rheostat.client.flow import Flow, Outcome, Result
from rheostat.client.fork import renew_in_children
from rheostat.client.settings import Settings
from rheostat.client.watching import MORE, Piece, Watch, next_wish
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
            outcome = self.send(wish) if isinstance(wish, Call) else self._sleep(wish)

    def watch(self, conversation: Watch) -> Iterator[Document]:
        """Read streams and sleep as the watch wishes, and yield what it finds."""
        outcome: watching.Outcome = None
        with closing(_Stream(self)) as stream:
            while (wish := next_wish(conversation, outcome)) is not None:
                outcome = None
                if isinstance(wish, Call):
                    outcome = stream.open(wish)
                elif wish is MORE:
                    outcome = stream.more()
                elif isinstance(wish, dict):
                    yield wish
                else:
                    self._sleep(wish)

    def close(self) -> None:
        """Close the connections; whatever waits ends with `Closed`."""
        self._closed.set()
        if self._http is not None:
            self._http.close()

    def _sleep(self, seconds: float) -> Outcome:
        if self._closed.wait(seconds):
            raise closed()
        return None

    def send(self, call: Call) -> httpx.Response | httpx.RequestError:
        """Return the answer, of a stream the head alone, or the error that there was instead."""
        http, streams = self._open(), call.silence is not None
        try:
            answer = http.send(request(http, call, self.settings.timeout), stream=streams)
            if streams and not answer.is_success:
                answer.read()
        except httpx.RequestError as error:
            return error
        except RuntimeError:
            if self._closed.is_set():  # by another thread, meanwhile
                raise closed() from None
            raise
        return answer

    def _open(self) -> httpx.Client:
        with self._opening:
            if self._closed.is_set():
                raise closed()
            if self._http is None:
                self._http = httpx.Client(**options(self.settings))
            return self._http


class _Stream:
    """The answer that a watch reads piece by piece; one at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._answer: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def open(self, call: Call) -> httpx.Response | httpx.RequestError:
        """Ask for a stream, in place of the one before."""
        self.close()
        answer = self._link.send(call)
        if isinstance(answer, httpx.Response):
            self._answer, self._pieces = answer, answer.iter_bytes()
        return answer

    def more(self) -> Piece:
        """Return the next piece; none if there will be no more."""
        try:
            return next(self._pieces, b"")
        except httpx.RequestError as error:
            return error

    def close(self) -> None:
        """Give the connection back, or close it if there is more to read."""
        if self._answer is not None:
            self._answer.close()


def options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of the httpx client."""
    return {
        "base_url": settings.base_url,
        "headers": settings.headers(),
        "transport": settings.transport,
    }


def request(http: httpx.Client | httpx.AsyncClient, call: Call, timeout: float) -> httpx.Request:
    """Return the request of a call."""
    seconds = min(timeout, max(call.seconds, SHORTEST_ATTEMPT))
    return http.build_request(
        call.method,
        call.path,
        params=call.params,
        headers=call.headers,
        content=call.content,
        timeout=httpx.Timeout(seconds, read=call.silence or seconds),
    )


def closed() -> Closed:
    """Return the error of those who use a client that was closed."""
    return Closed("the client was closed")
