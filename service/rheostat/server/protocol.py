"""HTTP on the socket: uvicorn's parser, with bounded heads and failures of the one shape."""

from __future__ import annotations

import os

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rheostat.errors import Malformed
from rheostat.server.api.problems import MEDIA_TYPE

ON_SHUTDOWN = "rheostat.on_shutdown"
"""Key of the lifespan's state: what ends the answers that would never end by themselves."""

LONGEST_HEAD = 64 * 1024
"""Bytes that a request line and its headers may have."""


class BoundedHttp(HttpToolsProtocol):
    """
    One connection.

    The parser itself takes heads of any length, so they are counted here; and what it cannot
    parse never becomes a request, so the problem document is written here.
    """

    _head = 0
    _in_head = False

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._head, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        """Cease to count."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what came; give up on a head that is too long."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > LONGEST_HEAD:
                self.send_400_response(f"the request's head is over {LONGEST_HEAD} bytes")

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
