"""
HTTP on the socket: each request becomes a task in its turn, and who is too slow is cut off.

What comes in is `IncomingHttp`'s. What the parser cannot read never becomes a request, so the
problem document is written here; so is that of a request which does not come in time, or for whose
body there is no room.
"""

from __future__ import annotations

import os
from functools import partial
from math import inf
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from rheostat.errors import Refused, RequestTimeout
from rheostat.server.http import connections, problems
from rheostat.server.http.browsers import protections
from rheostat.server.http.budgets import Holding, busy
from rheostat.server.http.connections import EndReason
from rheostat.server.http.incoming import Flow, IncomingHttp, Pipeline
from rheostat.server.http.rates import PROBES
from rheostat.server.http.traffic import CUT_OFF, IS_CONNECTED, WHEN_GONE

ON_SHUTDOWN = "rheostat.on_shutdown"
"""Key of the lifespan's state: what ends the answers that would never end by themselves."""

CONNECTIONS = "rheostat.connections"
"""Key of the lifespan's state: the `Connections` of the process."""

CONNECTION_CLASS = "rheostat.connection_class"
"""Key of the lifespan's state: what makes connections in the place of `BoundedHttp`, if any."""


def connection(
    config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
) -> BoundedHttp:
    """Return a new connection, as uvicorn asks for one, of the class that the application wants."""
    make = app_state.get(CONNECTION_CLASS, BoundedHttp)
    made: BoundedHttp = make(config, server_state, app_state, _loop)
    return made


class BoundedHttp(IncomingHttp):
    """One connection, within limits."""

    _served: Any = None
    """The request that is being answered, of those that came: ``cycle`` is the newest."""

    @property
    def unsent(self) -> int:
        """Bytes that the peer has yet to take, but for those that the system holds."""
        size: int = self.transport.get_write_buffer_size()
        return size

    @property
    def backlog(self) -> int:
        """Bytes of them that are held for this peer alone."""
        return self.unsent

    # from the socket

    def connection_made(self, transport: Any) -> None:
        """Begin, or prepare to say that there are too many."""
        super().connection_made(transport)
        self._open = self.app_state[CONNECTIONS]
        self.flow = Flow(self)
        self.pipeline = Pipeline(self._open, self._cut_off)
        self.due = self.loop.time() + connections.FIRST
        self._in_head = True
        self._refused = self._open.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back all that was held."""
        self._open.leave(self)
        self._give_back()
        self._disconnect()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the peer to take what it is sent."""
        super().pause_writing()
        self.taken_by = self.loop.time() + connections.GRACE + self.unsent / connections.SLOWEST

    def resume_writing(self) -> None:
        """Go on: the peer has taken it."""
        super().resume_writing()
        self.taken_by = inf

    # to the application

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start the task that answers a request, in its turn."""
        self._prepare(cycle)
        if cycle.scope["path"] in PROBES:
            self._run(cycle, app)
        else:
            self._open.starting.begin(partial(self._run_if_wanted, cycle, app))

    def _prepare(self, cycle: Any) -> None:
        """Tell a request of its connection, and the connection of the request that it serves."""
        self._served = cycle
        if self._long:  # what it was made of is kept until the next request comes
            cycle.keep_alive = False
        cycle.scope[CUT_OFF] = self._cut_off
        cycle.scope[IS_CONNECTED] = lambda: not cycle.disconnected
        cycle.scope[WHEN_GONE] = partial(setattr, cycle, "when_gone")

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

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.due = self.loop.time() + connections.GRACE + self.unsent / connections.SLOWEST
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
            left = connections.KEEP_ALIVE if self._whole is self.scope else connections.GRACE
            self.due = self.loop.time() + left

    # the end

    def expire(self, now: float) -> None:
        """End the connection, since its peer is late, unless it is not the peer who is."""
        cycle = self.cycle
        if self.taken_by < now:
            self._end(EndReason.NOT_TAKEN)
        elif self._refused is not None or self.idle or self.transport.is_closing():
            self.abort()  # what the peer has not taken until now it does not want
        elif self.flow.read_paused or self._has_to_be_asked:
            self.due = now + connections.GRACE
        elif self._in_head and not self._head_size:
            self._end(EndReason.NOTHING_CAME)
        elif self._in_head:
            self._open.count(EndReason.SLOW_HEAD)
            self.refuse(
                RequestTimeout(f"the request's head did not come within {connections.HEAD:.0f} s")
            )
        elif cycle is not None and cycle.response_complete:
            self._end(EndReason.SLOW_BODY)
        else:
            self._open.count(EndReason.SLOW_BODY)
            self.refuse(
                RequestTimeout(f"the body came with less than {connections.SLOWEST} bytes a second")
            )

    @property
    def _has_to_be_asked(self) -> bool:
        """Whether the peer sends no body before it is told to, which it was not yet."""
        return bool(self.cycle is not None and self.cycle.waiting_for_100_continue)

    def refuse(self, error: Refused) -> None:
        """Answer what will not become a request, or not as a whole, and take nothing more."""
        self._refused, self._told, self._raw_size = error, True, 0
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
        self.due = self.loop.time() + connections.LINGER

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
            if (tell := getattr(self._served, "when_gone", None)) is not None:
                tell()

    def _cut_off(self) -> None:
        self._end(EndReason.SHORT_OF_BYTES)

    def _cut_off_body(self) -> None:
        self._open.count(EndReason.SHORT_OF_BYTES)
        self.refuse(busy("the body came too slowly, and others had to wait; try again"))

    def _end(self, reason: EndReason) -> None:
        self._open.count(reason)
        self.abort()

    def _give_back(self) -> None:
        self._forget_head()
        self._unparsed = b""
        if self._kept is not None:
            self._kept.release()
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
    headers = [*answer.raw_headers, *protections(answer.raw_headers)]
    headers += [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((STATUS_LINE[error.status], *lines, b"\r\n", bytes(answer.body)))
