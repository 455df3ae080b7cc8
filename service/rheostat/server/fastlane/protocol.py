"""HTTP on the socket: uvicorn's parser, within limits, and with failures of the one shape."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from rheostat.errors import Malformed, Refused, RequestTimeout, Unavailable
from rheostat.server.http import problems
from rheostat.server.http.browsers import protections
from rheostat.server.http.budgets import SMALL, Holding, busy
from rheostat.server.http.connections import (
    FIRST,
    GRACE,
    HEAD,
    KEEP_ALIVE,
    LINGER,
    SLOWEST,
    Connections,
)
from rheostat.server.http.rates import PROBES
from rheostat.server.http.traffic import CUT_OFF, PRESENT

ON_SHUTDOWN = "rheostat.on_shutdown"
"""Key of the lifespan's state: what ends the answers that would never end by themselves."""

DOOR = "rheostat.door"
"""Key of the lifespan's state: the `Door` to which requests come before they become tasks."""

CONNECTIONS = "rheostat.connections"
"""Key of the lifespan's state: the `Connections` of the process."""

LONGEST_HEAD = 64 * 1024
"""Bytes that a request line and its headers may have."""

TOO_LONG = f"the request's head is over {LONGEST_HEAD} bytes"

LONG_HEAD = 8 * 1024
"""Bytes of a head after whose answer the connection ends: uvicorn keeps it until the next one."""

LIGHT = 1024
"""Bytes that are parsed as they come; of more, those of one connection in a turn of the loop."""

AT_ONCE = 4 * 1024
"""Bytes that are parsed at a time of what may be many requests."""

MOST_WAITING = 256
"""Requests that may wait on one connection for the answer to an earlier one."""

WAITING = 4 * 1024
"""Bytes of memory that are counted for each of them."""

ENOUGH = 4 * SMALL
"""Bytes that a peer may go on to send after it was refused."""

EXCESS = 1024
"""Bytes that may come with a body besides as many as it has: the sizes of chunks, and the like."""

MOST_TRAILERS = 64
"""Fields that may come after a chunked body; nobody reads them."""


class Flow(FlowControl):
    """Reads nothing more from a peer of whose requests some wait for their turn already."""

    def __init__(self, connection: BoundedHttp) -> None:
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
        """Add a request, as uvicorn does; raise `Unavailable` if there are too many."""
        if len(self) >= MOST_WAITING:
            raise busy(f"{MOST_WAITING} requests wait on this connection already")
        waiting[0].place = self._connections.small.take(WAITING, self._cut_off)
        super().appendleft(waiting)

    def pop(self) -> tuple[Any, Any]:  # type: ignore[override]
        """Return the request whose turn it is."""
        waiting = super().pop()
        waiting[0].place.release()
        return waiting


class BoundedHttp(HttpToolsProtocol):
    """
    One connection.

    A request that is answered at the door costs no task, and its headers are not written anew. The
    parser itself takes heads of any length, so they are counted here; and what it cannot
    parse never becomes a request, so the problem document is written here. So is that of a request
    which does not come in time, or for whose body there is no room.
    """

    scope: Any  # None until the first request, and filled as its head is read
    cycle: Any
    pipeline: Any
    due = inf
    taken_by = inf
    _refused: Refused | None = None
    """Why nothing more is taken from the peer; it has been told, or is as soon as it asks."""
    _told = False
    _unasked = False
    """Whether there is a head of which not all has come, be it that nothing has."""
    _head = 0
    """Bytes of it."""
    _long = False
    """Whether a head is so long that the connection ends with its answer."""
    _part: Any = None
    """Scope of the newest request that came in part, and of the newest that came as a whole."""
    _whole: Any = None
    _began = 0.0
    _raw = _body = 0
    """Bytes that came after its head, and those of them that are its body."""
    _room = 0
    """Bytes that are held for it."""
    _unparsed = b""
    """What came after more requests than can be answered at once."""
    _served: Any = None
    """The request that is being answered, of those that came: ``cycle`` is the newest."""
    _ahead: Holding | None = None
    _lent: Holding | None = None
    _open: Connections

    @property
    def idle(self) -> bool:
        """Whether the peer has been answered, and has sent nothing since."""
        cycle = self.cycle
        return cycle is not None and cycle.response_complete and self._whole is self.scope

    @property
    def unsent(self) -> int:
        """Bytes that the peer has yet to take, but for those that the system holds."""
        size: int = self.transport.get_write_buffer_size()
        return size

    @property
    def piled(self) -> int:
        """Bytes of them that are held for this peer alone."""
        return 0 if self._lent is not None and self._lent.shared is not None else self.unsent

    @property
    def is_ahead(self) -> bool:
        """Whether requests wait for the answer to an earlier one."""
        return bool(self.pipeline or self._unparsed)

    # from the socket

    def connection_made(self, transport: Any) -> None:
        """Begin, or prepare to say that there are too many."""
        super().connection_made(transport)
        self._open = self.app_state[CONNECTIONS]
        self.flow = Flow(self)
        self.pipeline = Pipeline(self._open, self._cut_off)
        self.due = self.loop.time() + FIRST
        self._unasked = True
        self._refused = self._open.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back all that was held."""
        self._open.leave(self)
        self._give_back()
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._refused is not None:
            self._raw += len(data)
            if not self._told:
                self.refuse(self._refused)
            elif self._raw > ENOUGH:
                self.abort()
        elif self.is_ahead:
            self._keep(data)
        elif len(data) > LIGHT and self._open.parses.busy:
            self._keep(data)
            self._open.parses.begin(self._go_on)
        else:
            self._parse(data)
            if len(data) > LIGHT:
                self._open.parses.rest()

    def pause_writing(self) -> None:
        """Begin to wait for the peer to take what it is sent."""
        super().pause_writing()
        self.taken_by = self.loop.time() + GRACE + self.unsent / SLOWEST

    def resume_writing(self) -> None:
        """Go on: the peer has taken it."""
        super().resume_writing()
        self.taken_by = inf
        if self._lent is not None:
            self._lent.release()

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
        head, raw, in_body = self._head, self._raw, self._in_body
        while view and self._refused is None:
            size = SMALL if in_body and self._body >= SMALL else AT_ONCE
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
            if self._ahead is None:
                self._ahead = self._open.small.take(0, self._cut_off)
            self._ahead.grow(len(data))
        except Unavailable:
            self._cut_off()
        else:
            self._unparsed += data

    def _go_on(self) -> None:
        """Parse what was kept."""
        data, self._unparsed = self._unparsed, b""
        if self._ahead is not None:
            self._ahead.release()
            self._ahead = None
        if data and self._refused is None and not self.transport.is_closing():
            self.flow.resume_reading()
            self._parse(data)

    def _await_rest(self, data: bytes) -> None:
        """Note by when the rest of a request must have come."""
        now = self.loop.time()
        if not self._began or self._part is not self.scope:  # these are its first bytes
            self._forget_head()
            self._part, self._began = self.scope, now
            data = data.rpartition(b"\r\n\r\n")[2]  # what comes before belongs to others
        if not self._in_body:
            self._await_head(len(data))
            return
        if self._unasked:
            self._forget_head()
            self._began = now
        self._raw += len(data)
        # Nobody waits for the body of a request that is answered: it has got its time then.
        if self.cycle is None or not self.cycle.response_complete:
            self.due = self._began + GRACE + self._raw / SLOWEST
        self._require_contents(self._raw)

    def _await_head(self, size: int) -> None:
        self._unasked = True
        self._head += size
        self._long |= self._head > LONG_HEAD
        self.due = self._began + HEAD
        self._open.begin_head(self, size)
        if self._head > LONGEST_HEAD:
            self.refuse(Malformed(TOO_LONG))

    def _require_contents(self, raw: int) -> None:
        # Chunks of one byte, endless extensions of chunks, and fields after them cost much, and
        # bring nothing. What is in excess of a body that nobody reads has its time, and no more.
        trailers = 0 if self.headers is self.scope["headers"] else len(self.headers)
        answered = self.cycle is not None and self.cycle.response_complete
        if trailers > MOST_TRAILERS or (raw > 2 * self._body + EXCESS and not answered):
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
        self._body += len(body)
        if self._body > self._room and not self._hold(cycle):
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _hold(self, cycle: Any) -> bool:
        """Hold room for a body, in steps, a small one's among the small; say whether there is."""
        held: Holding | None = getattr(cycle, "held", None)
        step = AT_ONCE if self._body <= SMALL else SMALL
        room = -(-self._body // step) * step
        try:
            if held is None:
                cycle.held = self._open.small.take(room, self._cut_off_body)
            elif self._body <= SMALL or self._room > SMALL:
                held.grow(room - self._room)
            else:
                held.release()
                cycle.held = self._open.receiving.take(room, self._cut_off_body)
        except Unavailable as refusal:
            self._open.count("no room for a body")
            self.refuse(refusal)
            return False
        self._room = room
        return True

    def on_message_complete(self) -> None:
        """Note that the request has come as a whole."""
        self._whole, self._began = self.scope, 0.0
        self._raw = self._body = self._room = 0
        if self._unasked:
            self._forget_head()
        cycle = self.cycle
        if cycle.response_complete:
            self.due = self.loop.time() + KEEP_ALIVE
            return
        self.due = inf
        if (held := getattr(cycle, "held", None)) is not None:
            held.keep()
        cycle.more_body = False
        cycle.message_event.set()

    # to the application

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer a request at the door, or have it wait there, or start the task that does."""
        if self._reply(cycle):
            return
        if self._is_plain(cycle):
            app = self.app_state[DOOR].fly(cycle.scope, app, partial(self._again, cycle, app))
        if app is not None:
            self._start(cycle, app)

    def _again(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer a request that has waited."""
        if not cycle.disconnected and not self._reply(cycle):
            self._start(cycle, app)

    def _start(self, cycle: Any, app: Any) -> None:
        """Start the task that answers a request, in its turn; reads that others wait for go on."""
        self._served = cycle
        if self._long:  # what it was made of is kept until the next request comes
            cycle.keep_alive = False
        cycle.scope[CUT_OFF] = self._cut_off
        cycle.scope[PRESENT] = lambda: not cycle.disconnected
        if cycle.scope["path"] in PROBES:
            self._run(cycle, app)
        elif app is not self.app:
            self._open.reads.begin(partial(self._run, cycle, app))
        else:
            self._open.others.begin(partial(self._run_if_wanted, cycle, app))

    def _run_if_wanted(self, cycle: Any, app: Any) -> None:
        if not cycle.disconnected:
            self._run(cycle, app)

    def _run(self, cycle: Any, app: Any) -> None:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                _release(cycle)

        super()._start_asgi_task(cycle, counted)  # type: ignore[arg-type]

    def _is_plain(self, cycle: RequestResponseCycle) -> bool:
        # A peer that takes nothing of what it is sent has to wait, as the long way makes it; and
        # what is in the pipeline must not be answered each within the answer to the one before.
        return (
            cycle.keep_alive
            and not self.pipeline
            and not self.flow.write_paused
            and not self._long
            and cycle.scope["http_version"] == "1.1"
        )

    def _reply(self, cycle: RequestResponseCycle) -> bool:
        reply = self.app_state[DOOR].reply(cycle.scope) if self._is_plain(cycle) else None
        if reply is None:
            return False
        form, request_id = reply
        parts = [STATUS_LINE[form.status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (form.lines, b"x-request-id: ", request_id, b"\r\n\r\n")
        if len(form.body) <= SMALL:
            parts.append(form.body)
            self.transport.write(b"".join(parts))
        elif not self._lend(b"".join(parts), form.body):
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

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.due = self.loop.time() + GRACE + self.unsent / SLOWEST
        elif self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            if self._unparsed and not self.pipeline:  # its body may be among it
                self.loop.call_soon(self._go_on)
        elif self._unparsed:
            self.loop.call_soon(self._go_on)
        else:
            self.flow.resume_reading()
            # who has not sent all of a request that is answered has some time for the rest
            left = KEEP_ALIVE if self._whole is self.scope else GRACE
            self.due = self.loop.time() + left

    # the end

    def expire(self, now: float) -> None:
        """End the connection, since its peer is late, unless it is not the peer who is."""
        cycle = self.cycle
        if self.taken_by < now:
            self._end("an answer was not taken")
        elif self._refused is not None or self.idle or self.transport.is_closing():
            self.abort()  # what the peer has not taken until now it does not want
        elif self.flow.read_paused or self._has_to_be_asked:
            self.due = now + GRACE
        elif self._unasked and not self._head:
            self._end("nothing came")
        elif self._unasked:
            self._open.count("a head came too slowly")
            self.refuse(RequestTimeout(f"the request's head did not come within {HEAD:.0f} s"))
        elif cycle is not None and cycle.response_complete:
            self._end("a body came too slowly")
        else:
            self._open.count("a body came too slowly")
            self.refuse(RequestTimeout(f"the body came with less than {SLOWEST} bytes a second"))

    @property
    def _has_to_be_asked(self) -> bool:
        """Whether the peer sends no body before it is told to, which it was not yet."""
        return bool(self.cycle is not None and self.cycle.waiting_for_100_continue)

    def refuse(self, error: Refused) -> None:
        """Answer what will not become a request, or not as a whole, and take nothing more."""
        self._refused, self._told, self._raw = error, True, 0
        cycle = self.cycle
        waits = cycle is not None and not cycle.response_complete
        another = waits and (cycle.scope is not self.scope or self._whole is self.scope)
        self._give_back()
        if waits and (another or cycle.response_started or self.pipeline):
            self.abort()  # it would come within the answer to another request
            return
        self._disconnect()
        self.flow.resume_reading()
        self.transport.write(_as_answer(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.due = self.loop.time() + LINGER

    def abort(self) -> None:
        """End it at once, whatever is under way."""
        self._give_back()
        self._disconnect()
        self.transport.abort()

    def _disconnect(self) -> None:
        """Let the request that is being answered know that nobody waits for it any more."""
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
            self.flow.resume_writing()

    def _cut_off(self) -> None:
        self._end("cut off while bytes were short")

    def _cut_off_body(self) -> None:
        self._open.count("cut off while bytes were short")
        self.refuse(busy("the body came too slowly, and others had to wait; try again"))

    def _end(self, reason: str) -> None:
        self._open.count(reason)
        self.abort()

    def _forget_head(self) -> None:
        self._open.end_head(self, self._head)
        self._unasked, self._head = False, 0

    def _give_back(self) -> None:
        self._forget_head()
        self._unparsed = b""
        for held in (self._ahead, self._lent):
            if held is not None:
                held.release()
        for cycle, _ in self.pipeline:
            cycle.place.release()
            _release(cycle)
        if self.cycle is not None:
            _release(self.cycle)

    def shutdown(self) -> None:
        """Begin to stop."""
        super().shutdown()
        self.app_state[ON_SHUTDOWN]()


def _release(cycle: Any) -> None:
    held: Holding | None = getattr(cycle, "held", None)
    if held is not None:
        held.release()


def _as_answer(error: Refused) -> bytes:
    request_id = os.urandom(8).hex()
    answer = problems.response(error, {problems.REQUEST_ID: request_id})
    headers = [*answer.raw_headers, *protections("", answer.raw_headers)]
    headers += [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((STATUS_LINE[error.status], *lines, b"\r\n", bytes(answer.body)))
