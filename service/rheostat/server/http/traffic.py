"""
Large bodies and large answers on their way: in turn, in pieces, and within the process's budgets.

The bytes of bodies are counted where they arrive, by the connection. Here, a large body waits for
its turn before it is handed on, since what it is read into takes many times its bytes; and an
answer that is large is sent piece by piece, as its peer takes it, and counted until it has left.
An answer that is made of parts, and large, counts itself: see `render`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rheostat.errors import Unavailable
from rheostat.server.http import problems
from rheostat.server.http.budgets import SMALL, Budget, Holding
from rheostat.server.http.turns import Turns

CUT_OFF = "rheostat.cut_off"
"""Key of the scope under which a connection leaves what ends it, if others need its bytes."""

WHEN_GONE = "rheostat.when_gone"
"""Key of the scope under which it leaves a function that takes what to call when its peer goes."""

IS_CONNECTED = "rheostat.is_connected"
"""Key of the scope under which it leaves a function that says whether its peer is there."""

Part = bytes | memoryview


def pieces(body: Part) -> Iterator[Part]:
    """Yield a body in pieces of at most `SMALL` bytes, without a copy of it."""
    view = memoryview(body)
    return (view[begin : begin + SMALL] for begin in range(0, len(view), SMALL))


def cut_off(scope: Scope) -> Callable[[], None] | None:
    """Return what ends a request's connection, None where there is none."""
    found: Callable[[], None] | None = scope.get(CUT_OFF)
    return found


def require_caller(scope: Scope) -> None:
    """
    Return if the caller is still there: for one who has hung up nothing has to be computed.

    Raises:
        ClientDisconnect: if it has hung up.

    """
    is_connected: Callable[[], bool] | None = scope.get(IS_CONNECTED)
    if is_connected is not None and not is_connected():
        raise ClientDisconnect


class Traffic:
    """Has large bodies wait for their turn, and large answers leave in pieces."""

    def __init__(self, app: ASGIApp, turns: Turns, sending: Budget) -> None:
        self.app = app
        self.turns = turns
        self.sending = sending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; one for which there is no room is answered 503."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send, self)
        try:
            await self.app(scope, passage.receive, passage.send)
        finally:
            passage.end()


class _Passage:
    """One request on its way in, and its answer on its way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, traffic: Traffic) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._turns, self._sending = traffic.turns, traffic.sending
        self._read = self._turn = 0
        self._start: Message | None = None
        self._holding: Holding | None = None
        self._refused = False

    async def receive(self) -> Message:
        """Return the next piece of the body; the last one of a large body in its turn."""
        message = await self._receive()
        self._read += len(message.get("body", b""))
        last = message["type"] == "http.request" and not message.get("more_body", False)
        if last and self._read > SMALL and not self._turn:
            await self._turns.wait(self._read)
            self._turn = self._read
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; its head waits for the first part of its body."""
        if self._refused:
            return
        if message["type"] == "http.response.start":
            self._end_turn()
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None and not more and len(body) > SMALL:
            try:
                self._holding = self._sending.take(len(body), cut_off(self._scope), body)
            except Unavailable as refusal:
                self._refused = True
                await problems.response(refusal, self._scope)(
                    self._scope, self._receive, self._send
                )
                return
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        if len(body) <= SMALL:
            await self._send(message)
            return
        for piece in pieces(body):
            await self._send({**message, "body": piece, "more_body": True})
        await self._send({**message, "body": b"", "more_body": more})

    def end(self) -> None:
        """Give back what is still held."""
        self._end_turn()
        if self._holding is not None:
            self._holding.release()

    def _end_turn(self) -> None:
        if self._turn:
            self._turns.done(self._turn)
            self._turn = 0
