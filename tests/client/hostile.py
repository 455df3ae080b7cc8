"""A server that answers as nobody should, and says what it was asked."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.client.conftest import block_headers

Act = Callable[[socket.socket], None]
FACTS: dict[str, Any] = {
    "id": "run-1",
    "name": "gpt",
    "axis": "step",
    "resolution": 1,
    "generation": 1,
    "revision": 1,
    "settled_until": 4,
    "parameters": ["lr"],
    "max_block": 4096,
    "max_jump": 4096,
    "event": 0,
    "incarnation": "first",
    "total": None,
    "end": None,
}
VALUES = struct.pack("<4d", 0.5, 0.25, 0.125, 0.0625)


def written(status: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return an answer as it goes over the wire."""
    length = {"Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {text}\r\n" for name, text in length.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def block(body: bytes = VALUES, **changed: str | None) -> bytes:
    """Return a block as the service sends it, with other headers or without them."""
    headers = block_headers(body, ["lr"])
    for name, text in changed.items():
        headers.pop(name.replace("_", "-"), None)
        if text is not None:
            headers[name.replace("_", "-")] = text
    return written("200 OK", headers, body)


def document(found: Any, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """Return a JSON answer."""
    return written(status, {"Content-Type": kind}, json.dumps(found).encode())


def page(status: str, text: str = "<html>not here</html>", **headers: str) -> bytes:
    """Return what a proxy says by itself."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return written(
        status, {"Content-Type": "text/html", "Server": "proxy/1", **named}, text.encode()
    )


def says(answer: bytes) -> Act:
    """Return the act of one who sends this."""
    return lambda connection: connection.sendall(answer)


def drips(answer: bytes, whole: int = 0, pause: float = 0.1) -> Act:
    """Return the act of one who sends a byte at a time after the first ones."""

    def act(connection: socket.socket) -> None:
        connection.sendall(answer[:whole])
        for byte in answer[whole:]:
            time.sleep(pause)
            connection.sendall(bytes([byte]))

    return act


def endless(head: bytes, piece: bytes) -> Act:
    """Return the act of one who never stops sending."""

    def act(connection: socket.socket) -> None:
        connection.sendall(head)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            connection.sendall(piece)

    return act


def chunked(kind: str) -> Act:
    """Return the act of one whose body has no end."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return endless(head.encode(), b"10000\r\n" + b"[" * 65536 + b"\r\n")


def bomb(kind: str, mebibytes: int = 256) -> Act:
    """Return the act of one whose small body would be a large one."""
    packed = gzip.compress(b"[" * mebibytes * 2**20, 9)
    return says(written("200 OK", {"Content-Type": kind, "Content-Encoding": "gzip"}, packed))


class Hostile:
    """
    A server that does what it is told.

    Each request is met by the first act of the longest end of its path that is in ``acts``; the
    last one of a list is for ever. Requests are kept in ``asked``, as they came.
    """

    def __init__(self) -> None:
        self.acts: dict[str, list[Act]] = {}
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop; connections that drip end as soon as the other side has gone."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                if not (piece := connection.recv(65536)):
                    return
                request += piece
                if request.startswith(b"\x16"):  # TLS
                    connection.sendall(page("400 Bad Request"))
                    return
            self.asked.append(request)
            path = request.split(b" ", 2)[1].partition(b"?")[0].decode()
            self._act(path)(connection)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def _act(self, path: str) -> Act:
        known = [end for end in self.acts if path.endswith(end)]
        acts = self.acts[max(known, key=len)] if known else []
        default = says(block() if path.endswith("/values") else document(FACTS))
        return (acts.pop(0) if len(acts) > 1 else acts[0]) if acts else default


@contextlib.contextmanager
def hostile() -> Iterator[Hostile]:
    """Yield a server on a port of its own."""
    server = Hostile()
    try:
        yield server
    finally:
        server.close()
