"""
What waits, with threads: sending, sleeping, locks and work in the background.

The only file of this folder that is written by hand: `AsyncNetwork` has the same methods for
asyncio. Each attempt is made by a thread of its own, over a connection that nobody else uses
meanwhile. So whoever waits can leave by the clock, whatever holds the attempt up: a name that is
not resolved, a head or a body that drips. The connection is then shut down, which ends the thread
as well.
"""

from __future__ import annotations

import atexit
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Any, Protocol
from weakref import WeakSet, finalize

import httpx

from rheostat.client import transport
from rheostat.client.answers import Answer
from rheostat.client.calls import Call
from rheostat.client.after_fork import renew_in_children
from rheostat.client.retry import Outcome
from rheostat.client.settings import Settings
from rheostat.client.transport import Body, closed
from rheostat.saying import log

Attempt = Callable[[], Answer]
Work = Callable[[], None]


class Closable(Protocol):
    """What sends what is left when it is closed."""

    def close(self) -> None: ...


_OPEN: WeakSet[Closable] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Close what the program did not: daemon threads end with it, and what they had to send."""
    for each in list(_OPEN):
        each.close()


class Network:
    """What threads send and wait with; it may be used by many, and after a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._renew()
        renew_in_children(self)

    def _renew(self) -> None:
        # What a forked child inherits it keeps, and never uses: to close it could disturb the
        # parent's connections, and wait for locks of threads that the child does not have.
        self._inherited = getattr(self, "_connections", None), getattr(self, "_given", None)
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._given: httpx.Client | None = None
        self._transport: dict[str, Any] | None = None
        self._opening = threading.Lock()
        self._closed = threading.Event()
        if (dropped := getattr(self, "_dropped", None)) is not None:
            dropped.detach()  # it would close what is inherited
        self._dropped = finalize(self, _abandon, self._connections)
        self._dropped.atexit = False

    def send(self, call: Call) -> Outcome:
        """Return the answer, or the error that there was instead."""
        connection, seconds = self.take(), self.seconds(call)
        try:
            return self.attempt(connection, seconds, lambda: connection.exchange(call, seconds))
        finally:
            self.give_back(connection)

    def sleep(self, seconds: float) -> None:
        """Wait; raise `Closed` as soon as the client is closed."""
        if self._closed.wait(seconds):
            raise closed()

    def stream(self) -> Stream:
        """Return what reads answers piece by piece."""
        return Stream(self)

    def lock(self) -> threading.Lock:
        """Return a lock for threads."""
        return threading.Lock()

    def background(self, name: str) -> Background:
        """Return what does work that nobody waits for."""
        return Background(name)

    def at_exit(self, session: Closable) -> None:
        """Have a session closed when the program ends, if that is not done before."""
        _OPEN.add(session)

    def bell(self) -> Bell:
        """Return what somebody waits for until it is rung."""
        return Bell()

    def require_open(self) -> None:
        """Raise `Closed` if the client was closed."""
        if self._closed.is_set():
            raise closed()

    def close(self) -> None:
        """Close the connections; whatever waits ends with `Closed`."""
        self._closed.set()
        with self._opening:
            connections, given = set(self._connections), self._given
            self._connections.clear()
            self._idle.clear()
        _abandon(connections)
        if given is not None:
            given.close()

    def attempt(self, connection: Connection, seconds: float, work: Attempt) -> Outcome:
        """Do the work of an attempt, and leave it when its time is over."""
        done: SimpleQueue[Answer | BaseException] = SimpleQueue()
        arguments = (done, connection, work)
        connection.hold()
        try:
            threading.Thread(
                target=_deliver, args=arguments, name="rheostat request", daemon=True
            ).start()
        except RuntimeError:  # the interpreter ends, or there are too many threads
            _deliver(*arguments)
        try:
            outcome = done.get(timeout=seconds)
        except Empty:
            connection.abandon()
            outcome = transport.late(seconds)
        except BaseException:  # whoever waits is interrupted
            connection.abandon()
            raise
        if isinstance(outcome, Answer):
            return outcome
        if self._closed.is_set():
            raise closed()
        if isinstance(outcome, Exception):
            return transport.failure(outcome)
        raise outcome

    def take(self) -> Connection:
        """Return a connection that nobody uses; it is opened when something is sent."""
        with self._opening:
            if self._closed.is_set():
                raise closed()
            connection = self._idle.pop() if self._idle else self._made()
            self._connections.add(connection)
            connection.hold()
            return connection

    def give_back(self, connection: Connection, *, usable: bool = True) -> None:
        """Keep a connection for whoever needs one next, unless it is of no use any more."""
        with self._opening:
            usable = usable and not connection.left and not self._closed.is_set()
            if usable:
                self._idle.append(connection)
            else:
                self._connections.discard(connection)
        if not usable:
            connection.abandon()
        connection.release()

    def seconds(self, call: Call) -> float:
        """Return how long an attempt may take."""
        return transport.seconds_of(call, self.settings.timeout)

    def _made(self) -> Connection:
        options = transport.client_options(self.settings)
        if self.settings.transport is not None:  # which knows itself how many may use it
            if self._given is None:
                self._given = httpx.Client(**options, transport=self.settings.transport)
            return Connection(self._given, self.settings.timeout, shared=True)
        if self._transport is None:
            self._transport = transport.transport_options(self.settings)
        own = httpx.HTTPTransport(**self._transport, limits=transport.pool_limits(1))
        return Connection(httpx.Client(**options, transport=own), self.settings.timeout)


class Connection:
    """One connection to the service, for one attempt at a time."""

    def __init__(self, http: httpx.Client, timeout: float, *, shared: bool = False) -> None:
        self._http = http
        self._timeout = timeout
        self._shared = shared
        self._stream: Any = None
        self._lock = threading.RLock()  # the collector may abandon it wherever it runs
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
        request = transport.request(self._http, call, self._timeout, trace=self._trace)
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


def _abandon(connections: set[Connection]) -> None:
    """Close what a client has opened, also of one that is let go and was never closed."""
    for connection in connections:
        connection.abandon()


def _deliver(
    done: SimpleQueue[Answer | BaseException], connection: Connection, work: Attempt
) -> None:
    """Put the outcome of an attempt where it is waited for; nothing gets lost in the thread."""
    try:
        done.put(work())
    except BaseException as error:  # noqa: BLE001
        done.put(error)
    connection.release()


def _whole(response: httpx.Response, call: Call, seconds: float) -> Answer:
    body = Body(response, call, seconds)
    if response.is_stream_consumed:  # a transport of tests had all of it
        body.take(response.content)
        return body.answer()
    for piece in response.iter_raw():
        if not body.take(piece):
            break
    return body.answer()


class Stream:
    """The answer that is read piece by piece; each on a connection of its own."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._connection: Connection | None = None
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def open(self, call: Call) -> Outcome:
        """Ask for a stream, in place of the one before; return its head, or a whole refusal."""
        self.close()
        self._connection = connection = self._network.take()
        seconds = self._network.seconds(call)
        opened: list[httpx.Response] = []

        def work() -> Answer:
            response = connection.open(call)
            if not response.is_success:
                with closing(response):
                    return _whole(response, call, seconds)
            opened.append(response)
            return transport.head(response)

        outcome = self._network.attempt(connection, seconds, work)
        if isinstance(outcome, Answer) and opened:
            [self._response] = opened
            self._pieces = self._response.iter_raw()
        return outcome

    def more(self) -> bytes | Exception:
        """Return the next piece; none if there will be no more."""
        try:
            return next(self._pieces, b"")
        except Exception as error:  # noqa: BLE001
            return transport.failure(error)

    def close(self) -> None:
        """Close the connection, since there may be more to read."""
        if self._response is not None:
            self._response.close()
        if self._connection is not None:
            self._network.give_back(self._connection, usable=False)
        self._response, self._connection, self._pieces = None, None, iter(())


class Bell:
    """What somebody waits for until it is rung, or for a while."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake who waits, or who will."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Wait until it is rung, at most for so long."""
        self._rung.wait(seconds)
        self._rung.clear()


class Background:
    """
    One daemon thread that does what it is given, one thing after the other.

    It is started when there is something to do, and ends when this object is no longer used: it
    knows the queue alone. To be given something costs the caller next to nothing, while a thread
    for each piece of work would have to be waited for until it runs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        finalize(self, self._queue.put, None)

    def do(self, work: Work) -> None:
        """Have something done soon; at the end of the interpreter it is left undone."""
        with self._starting:
            try:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = self._started()
            except RuntimeError as error:  # the interpreter ends, or there are too many threads
                log.debug("nothing is done in the background: %s", error)
            else:
                self._queue.put(work)

    def _started(self) -> threading.Thread:
        arguments = (self._queue,)
        thread = threading.Thread(target=_do_all, args=arguments, name=self._name, daemon=True)
        thread.start()
        return thread


def _do_all(queue: SimpleQueue[Work | None]) -> None:
    while (work := queue.get()) is not None:
        try:
            work()
        except Exception:  # noqa: BLE001 - the next piece of work is not to suffer from it
            log.exception("something in the background failed")
        del work  # or what it belongs to would live until there is more to do
