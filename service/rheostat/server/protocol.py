"""HTTP on the socket: uvicorn's parser, with bounded heads and failures of the one shape."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from rheostat.errors import Malformed
from rheostat.server.api.middleware import PRESENT
from rheostat.server.api.problems import MEDIA_TYPE

ON_SHUTDOWN = "rheostat.on_shutdown"
"""Key of the lifespan's state: what ends the answers that would never end by themselves."""

DOOR = "rheostat.door"
"""Key of the lifespan's state: the `Door` to which requests come before they become tasks."""

LONGEST_HEAD = 64 * 1024
"""Bytes that a request line and its headers may have."""


class BoundedHttp(HttpToolsProtocol):
    """
    One connection.

    A request that is answered at the door costs no task, and its headers are not written anew. The
    parser itself takes heads of any length, so they are counted here; and what it cannot
    parse never becomes a request, so the problem document is written here.
    """

    _head = 0

    def data_received(self, data: bytes) -> None:
        """Take what came; give up on a head that is too long."""
        super().data_received(data)
        scope: Any = self.scope  # filled as the head is read, the method last
        if scope is None or "method" in scope:
            self._head = 0
            return
        self._head += len(data.rpartition(b"\r\n\r\n")[2])  # the rest is other requests'
        if self._head > LONGEST_HEAD:
            self.send_400_response(f"the request's head is over {LONGEST_HEAD} bytes")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer a request at the door, or have it wait there, or start the task that does."""
        scope: dict[str, Any] = cycle.scope  # type: ignore[assignment]
        scope[PRESENT] = lambda: not cycle.disconnected
        if self._reply(cycle):
            return
        if self._is_plain(cycle):
            app = self.app_state[DOOR].fly(cycle.scope, app, partial(self._again, cycle, app))
        if app is not None:
            super()._start_asgi_task(cycle, app)

    def _again(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer a request that has waited."""
        if not cycle.disconnected and not self._reply(cycle):
            super()._start_asgi_task(cycle, app)

    def _is_plain(self, cycle: RequestResponseCycle) -> bool:
        # A peer that takes nothing of what it is sent has to wait, as the long way makes it; and
        # what is in the pipeline must not be answered each within the answer to the one before.
        return cycle.keep_alive and not self.pipeline and not self.flow.write_paused

    def _reply(self, cycle: RequestResponseCycle) -> bool:
        reply = self.app_state[DOOR].reply(cycle.scope) if self._is_plain(cycle) else None
        if reply is None:
            return False
        form, request_id = reply
        parts = [STATUS_LINE[form.status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (form.lines, b"x-request-id: ", request_id, b"\r\n\r\n", form.body)
        self.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()
        return True

    def send_400_response(self, msg: str) -> None:
        """Answer what is not a request, and close."""
        request_id = os.urandom(8).hex()
        problem = {**Malformed(msg).to_problem(), "request_id": request_id}
        body = orjson.dumps(problem)
        headers = (
            f"content-type: {MEDIA_TYPE}",
            "cache-control: no-store",
            f"content-length: {len(body)}",
            f"x-request-id: {request_id}",
            "connection: close",
        )
        head = "\r\n".join(("HTTP/1.1 400 Bad Request", *headers, "", ""))
        self.transport.write(head.encode() + body)
        self.transport.close()

    def shutdown(self) -> None:
        """Begin to stop."""
        super().shutdown()
        self.app_state[ON_SHUTDOWN]()
