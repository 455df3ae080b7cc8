"""
What surrounds every request, as plain ASGI: cheap, and usable around any application.

From the outside in: `Observer` (request id, failures, figures, log), `RateLimit`, `OriginFilter`
(who may ask from where), `BodyLimit`. A route of its own outside FastAPI goes inside all of them;
it names its template by setting ``scope["route"]`` to something that has a ``path``. What is
answered before them all, in the fast lane, is asked the same.
"""

from __future__ import annotations

import random
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rheostat.errors import Malformed, TooLarge
from rheostat.server.http import problems
from rheostat.server.http.access_log import AccessLog
from rheostat.server.http.browsers import protections
from rheostat.server.http.metrics import Metrics
from rheostat.server.http.traffic import IS_CONNECTED
from rheostat.server.store.store import is_wanted
from rheostat.server.store.waiting import always

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
CLIENT_GONE = 499


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return a request header's first value; ``name`` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


class Observer:
    """
    Gives each request an id, turns its failures into answers, counts it and logs it.

    A sane ``X-Request-Id`` of the caller is kept, so that one id follows a request through proxies.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, access_log: AccessLog) -> None:
        self.app = app
        self.metrics = metrics
        self.access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; what is not HTTP passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        self.metrics.in_flight += 1
        request_id = identify(header(scope, b"x-request-id"))
        scope[problems.REQUEST_ID] = request_id.decode()
        is_wanted.set(scope.get(IS_CONNECTED, always))

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id),
                    *protections(message["headers"]),
                ]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except ClientDisconnect:
            status = status or CLIENT_GONE
        except Exception as error:
            if status:
                raise
            await problems.response(error, scope)(scope, receive, observed)
        finally:
            self.metrics.in_flight -= 1
            route = getattr(scope.get("route"), "path", "unmatched")
            status, seconds = status or CLIENT_GONE, time.perf_counter() - began
            self.metrics.observe(route, scope["method"], status, seconds)
            if (refused := scope.get(problems.REFUSED)) is not None:
                self.metrics.count_refusal(refused.code, problems.reason_of(refused))
            self.access_log.note(scope, status, seconds, request_id)


def identify(sent: bytes | None) -> bytes:
    """Return the id of a request: what its caller sent, if it is sane, and else a new one."""
    if sent is not None and SANE_ID.fullmatch(sent):
        return sent
    return b"%016x" % random.getrandbits(64)


class BodyLimit:
    """Refuses a body of more than ``limit`` bytes, announced or counted while it arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Pass the request on.

        Raises:
            Malformed: if the length that is announced is no number.
            TooLarge: if the body is over the limit, at the latest while it is read.

        """
        if scope["type"] != "http" or scope["method"] == "GET":
            await self.app(scope, receive, send)
            return
        if (announced := header(scope, b"content-length")) is not None:
            if not announced.isdigit():
                raise Malformed("Content-Length is not a number")
            self._check(int(announced[:20]))
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            self._check(read)
            return message

        await self.app(scope, counted, send)

    def _check(self, size: int) -> None:
        if size > self.limit:
            raise TooLarge(f"the body is over the limit of {self.limit} bytes", limit=self.limit)
