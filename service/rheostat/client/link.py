"""
What sends and sleeps as the flows of ``flow.py`` wish, blocking.

Each attempt is made by a thread of its own, over a connection that nobody else uses meanwhile. So
whoever waits can leave by the clock, whatever holds the attempt up: a name that is not resolved, a
head or a body that drips. The connection is then shut down, which ends the thread as well.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import Empty, SimpleQueue
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

Attempt = Callable[[], Answer]


class Link:
    """A connection that blocks. It may be used by many threads, and after a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._renew()
        renew_in_children(self)

    def _renew(self) -> None:
        # What a forked child inherits it keeps, and never uses: to close it could disturb the
        # parent's connections, and wait for locks of threads that the child does not have.
        self._inherited = getattr(self, "_lines", None), getattr(self, "_given", None)
        self._lines: set[Line] = set()
        self._idle: list[Line] = []
        self._given: httpx.Client | None = None
        self._transport: dict[str, Any] | None = None
        self._opening = threading.Lock()
        self._closed = threading.Event()

    def one(self, call: Call) -> Document:
        """Return the JSON object that answers the call."""
        return self.run(flow.exchange(call, self.settings.operator(call), answers.document))

    def many(self, call: Call, key: str = "items") -> list[Document]:
        """Return all items of a list that comes in pages."""
        return self.run(flow.pages(call, key, lambda: self.settings.operator(call)))

    def nothing(self, call: Call) -> None:
        """Make a call that has no answer."""
        self.run(flow.exchange(call, self.settings.operator(call), answers.nothing))

    def run(self, conversation: Flow[Result]) -> Result:
        """Send and sleep as the flow wishes, and return its result."""
        outcome: Outcome = None
        while True:
            try:
                wish = conversation.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome = self.send(wish) if isinstance(wish, Call) else self._sleep(wish)

    def number(self, conversation: Flow[float]) -> float:
        """Return the number that is the result of several calls."""
        return self.run(conversation)

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
        with self._opening:
            lines, given = list(self._lines), self._given
            self._lines.clear()
            self._idle.clear()
        for line in lines:
            line.abandon()
        if given is not None:
            given.close()

    def _sleep(self, seconds: float) -> Outcome:
        if self._closed.wait(seconds):
            raise closed()
        return None

    def send(self, call: Call) -> Answer | Exception:
        """Return the answer, or the error that there was instead."""
        line, seconds = self.take(), self.seconds(call)
        try:
            return self.attempt(line, seconds, lambda: line.exchange(call, seconds))
        finally:
            self.give_back(line)

    def attempt(self, line: Line, seconds: float, work: Attempt) -> Answer | Exception:
        """Do the work of an attempt, and leave it when its time is over."""
        done: SimpleQueue[Answer | BaseException] = SimpleQueue()
        arguments = (done, line, work)
        line.hold()
        try:
            threading.Thread(
                target=_deliver, args=arguments, name="rheostat request", daemon=True
            ).start()
        except RuntimeError:  # the interpreter ends, or there are too many threads
            _deliver(*arguments)
        try:
            outcome = done.get(timeout=seconds)
        except Empty:
            line.abandon()
            outcome = connection.late(seconds)
        except BaseException:  # whoever waits is interrupted
            line.abandon()
            raise
        if isinstance(outcome, Answer):
            return outcome
        if self._closed.is_set():
            raise closed()
        if isinstance(outcome, Exception):
            return connection.failure(outcome)
        raise outcome

    def take(self) -> Line:
        """Return a connection that nobody uses; it is opened when something is sent."""
        with self._opening:
            if self._closed.is_set():
                raise closed()
            line = self._idle.pop() if self._idle else self._made()
            self._lines.add(line)
            line.hold()
            return line

    def give_back(self, line: Line, *, usable: bool = True) -> None:
        """Keep a connection for whoever needs one next, unless it is of no use any more."""
        with self._opening:
            usable = usable and not line.left and not self._closed.is_set()
            if usable:
                self._idle.append(line)
            else:
                self._lines.discard(line)
        if not usable:
            line.abandon()
        line.release()

    def seconds(self, call: Call) -> float:
        """Return how long an attempt may take."""
        return connection.seconds_of(call, self.settings.timeout)

    def _made(self) -> Line:
        options = connection.client_options(self.settings)
        if self.settings.transport is not None:  # which knows itself how many may use it
            if self._given is None:
                self._given = httpx.Client(**options, transport=self.settings.transport)
            return Line(self._given, self.settings.timeout, shared=True)
        if self._transport is None:
            self._transport = connection.transport_options(self.settings)
        transport = httpx.HTTPTransport(**self._transport, limits=connection.pool_limits(1))
        return Line(httpx.Client(**options, transport=transport), self.settings.timeout)


class Line:
    """One connection to the service, for one attempt at a time."""

    def __init__(self, http: httpx.Client, timeout: float, *, shared: bool = False) -> None:
        self._http = http
        self._timeout = timeout
        self._shared = shared
        self._stream: Any = None
        self._lock = threading.Lock()
        self._held = 0
        self.left = False
        """Whether it is of no use any more: then the last who holds it closes it."""

    def hold(self) -> None:
        """Use the connection: it is not closed before `release`."""
        with self._lock:
            self._held += 1

    def release(self) -> None:
        """Use it no more."""
        with self._lock:
            self._held -= 1
            last = self.left and not self._held
        if last:
            self._close()

    def abandon(self) -> None:
        """Give it up: whoever still waits for something wakes up, and whoever is last closes it."""
        with self._lock:
            self.left = True
            free = not self._held
        self._shut_down()
        if free:
            self._close()

    def exchange(self, call: Call, seconds: float) -> Answer:
        """Send a call, and return its answer with the whole body."""
        response = self.open(call)
        with closing(response):
            return _whole(response, call, seconds)

    def open(self, call: Call) -> httpx.Response:
        """Send a call, and return its answer when the head is there."""
        if self._shared:
            self._stream = None  # that of the last one may be somebody else's now
        request = connection.request(self._http, call, self._timeout, trace=self._trace)
        response = self._http.send(request, stream=True)
        self._stream = response.extensions.get("network_stream") or self._stream
        return response

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._stream = info.get("return_value")
            if self.left:
                self._shut_down()

    def _shut_down(self) -> None:
        with contextlib.suppress(Exception):  # there may be none, or of another kind
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        if not self._shared:
            self._http.close()


def _deliver(done: SimpleQueue[Answer | BaseException], line: Line, work: Attempt) -> None:
    """Put the outcome of an attempt where it is waited for; nothing gets lost in the thread."""
    try:
        done.put(work())
    except BaseException as error:  # noqa: BLE001
        done.put(error)
    line.release()


def _whole(response: httpx.Response, call: Call, seconds: float) -> Answer:
    body = Body(response, call, seconds)
    if response.is_stream_consumed:  # a transport of tests had all of it
        body.take(response.content)
        return body.answer()
    for piece in response.iter_raw():
        if not body.take(piece):
            break
    return body.answer()


class _Stream:
    """The answer that a watch reads piece by piece; each on a connection of its own."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._line: Line | None = None
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def open(self, call: Call) -> Answer | Exception:
        """Ask for a stream, in place of the one before; return its head, or a whole refusal."""
        self.close()
        self._line = line = self._link.take()
        seconds = self._link.seconds(call)
        opened: list[httpx.Response] = []

        def work() -> Answer:
            response = line.open(call)
            if not response.is_success:
                with closing(response):
                    return _whole(response, call, seconds)
            opened.append(response)
            return connection.head(response)

        outcome = self._link.attempt(line, seconds, work)
        if isinstance(outcome, Answer) and opened:
            [self._response] = opened
            self._pieces = self._response.iter_raw()
        return outcome

    def more(self) -> Piece:
        """Return the next piece; none if there will be no more."""
        try:
            return next(self._pieces, b"")
        except Exception as error:  # noqa: BLE001
            return connection.failure(error)

    def close(self) -> None:
        """Close the connection, since there may be more to read."""
        if self._response is not None:
            self._response.close()
        if self._line is not None:
            self._link.give_back(self._line, usable=False)
        self._response, self._line, self._pieces = None, None, iter(())
