"""
Requests as they come in on one connection: parsed within limits, and due by a deadline.

uvicorn's parser takes heads of any length and reads on without an end, so what comes is counted
here: a head has so many bytes and so many seconds, a body comes at a least rate and takes its room
from the process's budgets, and of many requests at once few are parsed and the rest is kept as the
bytes that it came as. What breaks a limit is refused, by `refuse`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rheostat.errors import Malformed, Refused, Unavailable
from rheostat.server.http import connections
from rheostat.server.http.budgets import SMALL, Holding, busy
from rheostat.server.http.connections import Connections, EndReason

LONGEST_HEAD = 64 * 1024
"""Bytes that a request line and its headers may have."""

TOO_LONG = f"the request's head is over {LONGEST_HEAD} bytes"

LONG_HEAD = 8 * 1024
"""
Bytes of a head that are too many to keep: uvicorn keeps a head until the next one comes, so that
the connection of a longer one ends with its answer.
"""

LIGHT = 1024
"""Bytes that are parsed as they come; of more, only one connection's in a turn of the loop."""

AT_ONCE = 4 * 1024
"""Bytes that are parsed at a time of what may be many requests."""

MOST_WAITING = 256
"""Requests that may wait on one connection for the answer to an earlier one."""

WAITING = 4 * 1024
"""Bytes of memory that are counted for each of them."""

ENOUGH = 4 * SMALL
"""Bytes that a peer may go on to send after it was refused."""

EXCESS = 1024
"""Bytes that a body may come with, besides twice its own: the sizes of chunks, and the like."""

MOST_TRAILERS = 64
"""Fields that may come after a chunked body; nobody reads them."""


class Flow(FlowControl):
    """Reads no more from a peer while requests of it wait for the answer to an earlier one."""

    def __init__(self, connection: IncomingHttp) -> None:
        super().__init__(connection.transport)
        self._connection = connection

    def resume_reading(self) -> None:
        """Read on, unless there is more than enough."""
        if not self._connection.is_ahead:
            super().resume_reading()


class Pipeline(deque[tuple[Any, Any]]):
    """The requests of a connection that wait for the answer to an earlier one, newest first."""

    def __init__(self, connections: Connections, cut_off: Callable[[], None]) -> None:
        super().__init__()
        self._connections, self._cut_off = connections, cut_off

    def appendleft(self, waiting: tuple[Any, Any]) -> None:
        """
        Add a request, as uvicorn does.

        Raises:
            Unavailable: if too many wait already, or no room is left for one more.

        """
        if len(self) >= MOST_WAITING:
            raise busy(f"{MOST_WAITING} requests wait on this connection already")
        waiting[0].place = self._connections.small.take(WAITING, self._cut_off)
        super().appendleft(waiting)

    def pop(self) -> tuple[Any, Any]:  # type: ignore[override]
        """Return the request whose turn it is."""
        waiting = super().pop()
        waiting[0].place.release()
        return waiting


class IncomingHttp(HttpToolsProtocol, ABC):
    """What comes in on one connection; what is sent, and how it ends, is `BoundedHttp`'s."""

    scope: Any  # None until the first request, and filled as its head is read
    cycle: Any
    pipeline: Any
    due = taken_by = inf
    """When the peer must have sent what it began, and taken what it is sent."""
    _refused: Refused | None = None
    """Why nothing more is taken from the peer."""
    _told = False
    """Whether it has been told so; one who was too many is told when it asks for something."""
    _in_head = False
    """Whether the peer owes a head: none of it has come, or not all."""
    _head_size = 0
    """Bytes of it."""
    _long = False
    """Whether a head is so long that the connection ends with its answer."""
    _partial: Any = None
    """Scope of the newest request of which a part has come."""
    _whole: Any = None
    """Scope of the newest request that has come as a whole."""
    _began = 0.0
    _raw_size = _body_size = 0
    """Bytes that came after its head, and those of them that are its body."""
    _body_room = 0
    """Bytes that are held for it."""
    _unparsed = b""
    """What came after more requests than can be answered at once."""
    _kept: Holding | None = None
    """What is held for these bytes."""
    _open: Connections

    @property
    def idle(self) -> bool:
        """Whether the peer has been answered, and has sent nothing since."""
        cycle = self.cycle
        return cycle is not None and cycle.response_complete and self._whole is self.scope

    @property
    def is_ahead(self) -> bool:
        """Whether requests wait for the answer to an earlier one."""
        return bool(self.pipeline or self._unparsed)

    @property
    @abstractmethod
    def backlog(self) -> int:
        """Bytes that are held because the peer has yet to take them."""

    @abstractmethod
    def expire(self, now: float) -> None:
        """End the connection, since its peer is late, unless it is not the peer who is."""

    @abstractmethod
    def refuse(self, error: Refused) -> None:
        """Answer what will not become a request, or not as a whole, and take nothing more."""

    @abstractmethod
    def abort(self) -> None:
        """End the connection at once, whatever is under way."""

    @abstractmethod
    def _cut_off(self) -> None:
        """End the connection, since others need the bytes that are held for it."""

    @abstractmethod
    def _cut_off_body(self) -> None:
        """Refuse the request whose body is coming, since others need the bytes held for it."""

    # from the socket

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._refused is not None:
            self._raw_size += len(data)
            if not self._told:
                self.refuse(self._refused)
            elif self._raw_size > ENOUGH:
                self.abort()
        elif self.is_ahead:
            self._keep(data)
        elif len(data) > LIGHT and self._open.parsing.busy:
            self._keep(data)
            self._open.parsing.begin(self._go_on)
        else:
            self._parse(data)
            if len(data) > LIGHT:
                self._open.parsing.rest()

    # to the parser

    def _parse(self, data: bytes) -> None:
        try:
            if len(data) <= AT_ONCE:
                self.parser.feed_data(data)
            else:
                data = self._feed(data)
        except httptools.HttpParserUpgrade:
            self._unsupported_upgrade_warning()
        except httptools.HttpParserError as error:
            cause = error.__context__
            unreadable = Malformed("this is not an HTTP request that can be read")
            self.refuse(cause if isinstance(cause, Refused) else unreadable)
            return
        if self._refused is None and (self._whole is not self.scope or self._whole is None):
            self._await_rest(data)

    def _feed(self, data: bytes) -> bytes:
        """Parse much piece by piece, so that many requests wait as bytes; return what was."""
        view = memoryview(data)
        head, raw, in_body = self._head_size, self._raw_size, self._in_body
        while view and self._refused is None:
            size = SMALL if in_body and self._body_size >= SMALL else AT_ONCE
            piece, view, whole = view[:size], view[size:], self._whole
            self.parser.feed_data(piece)
            begun, in_body = in_body, self._in_body
            raw = raw + len(piece) if begun and in_body and self._whole is whole else 0
            head = 0 if in_body or self._whole is self.scope else head + len(piece)
            self._long |= head > LONG_HEAD
            if head > LONGEST_HEAD:
                self.refuse(Malformed(TOO_LONG))
            elif in_body:
                self._require_contents(raw)
            if self.pipeline and view:
                self._keep(bytes(view))
                break
        return data[: len(data) - len(view)]

    @property
    def _in_body(self) -> bool:
        # the method is the last thing of a scope that is filled, when the head is whole
        return self._whole is not self.scope and self.scope is not None and "method" in self.scope

    def _keep(self, data: bytes) -> None:
        """Keep bytes until the requests that came before them are answered."""
        self.flow.pause_reading()
        try:
            if self._kept is None:
                self._kept = self._open.small.take(0, self._cut_off)
            self._kept.grow(len(data))
        except Unavailable:
            self._cut_off()
        else:
            self._unparsed += data

    def _go_on(self) -> None:
        """Parse what was kept."""
        data, self._unparsed = self._unparsed, b""
        if self._kept is not None:
            self._kept.release()
            self._kept = None
        if data and self._refused is None and not self.transport.is_closing():
            self.flow.resume_reading()
            self._parse(data)

    def _await_rest(self, data: bytes) -> None:
        """Note by when the rest of a request must have come."""
        now = self.loop.time()
        if not self._began or self._partial is not self.scope:  # these are its first bytes
            self._forget_head()
            self._partial, self._began = self.scope, now
            data = data.rpartition(b"\r\n\r\n")[2]  # what comes before belongs to others
        if not self._in_body:
            self._await_head(len(data))
            return
        if self._in_head:
            self._forget_head()
            self._began = now
        self._raw_size += len(data)
        # The body of a request that is answered has had its time set already.
        if self.cycle is None or not self.cycle.response_complete:
            self.due = self._began + connections.GRACE + self._raw_size / connections.SLOWEST
        self._require_contents(self._raw_size)

    def _await_head(self, size: int) -> None:
        self._in_head = True
        self._head_size += size
        self._long |= self._head_size > LONG_HEAD
        self.due = self._began + connections.HEAD
        self._open.begin_head(self, size)
        if self._head_size > LONGEST_HEAD:
            self.refuse(Malformed(TOO_LONG))

    def _require_contents(self, raw: int) -> None:
        # Chunks of one byte, endless extensions of chunks, and fields after them cost much, and
        # bring nothing. What is in excess of a body that nobody reads has its time, and no more.
        trailers = 0 if self.headers is self.scope["headers"] else len(self.headers)
        answered = self.cycle is not None and self.cycle.response_complete
        if trailers > MOST_TRAILERS or (raw > 2 * self._body_size + EXCESS and not answered):
            self.refuse(Malformed("the body has too little content in too many bytes"))

    # from the parser

    def on_chunk_header(self) -> None:
        """Keep the fields after a chunked body from the headers, which they would be added to."""
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, if there is room for it."""
        cycle = self.cycle
        if cycle.response_complete or self._refused is not None:
            return
        self._body_size += len(body)
        if self._body_size > self._body_room and not self._hold(cycle):
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _hold(self, cycle: Any) -> bool:
        """Hold room for a body, in steps, a small one's among the small; say whether there is."""
        held: Holding | None = getattr(cycle, "held", None)
        step = AT_ONCE if self._body_size <= SMALL else SMALL
        room = -(-self._body_size // step) * step
        try:
            if held is None:
                cycle.held = self._open.small.take(room, self._cut_off_body)
            elif self._body_size <= SMALL or self._body_room > SMALL:
                held.grow(room - self._body_room)
            else:
                held.release()
                cycle.held = self._open.receiving.take(room, self._cut_off_body)
        except Unavailable as refusal:
            self._open.count(EndReason.NO_ROOM)
            self.refuse(refusal)
            return False
        self._body_room = room
        return True

    def on_message_complete(self) -> None:
        """Note that the request has come as a whole."""
        self._whole, self._began = self.scope, 0.0
        self._raw_size = self._body_size = self._body_room = 0
        if self._in_head:
            self._forget_head()
        cycle = self.cycle
        if cycle.response_complete:
            self.due = self.loop.time() + connections.KEEP_ALIVE
            return
        self.due = inf
        if (held := getattr(cycle, "held", None)) is not None:
            held.keep()
        cycle.more_body = False
        cycle.message_event.set()

    def _forget_head(self) -> None:
        self._open.end_head(self, self._head_size)
        self._in_head, self._head_size = False, 0
