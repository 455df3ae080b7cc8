"""What poolers do to PostgreSQL's sessions, as tiny servers between a client and the database."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

ENCRYPTION = {80877103, 80877104}
"""Requests for TLS and GSS, which come before anything else."""

READY, KEY = b"Z", b"K"


class Pooler:
    """
    A pooler in transaction mode in front of PostgreSQL's Unix socket.

    Any free session serves the next transaction of any client. With ``forgetful``, what a client
    asks for in its start-up ``options`` is dropped.
    """

    def __init__(self, path: str, *, forgetful: bool) -> None:
        self._path = path
        self._forgetful = forgetful
        self._free: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self._open):
            each.close()

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._open.append(client)
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            start = self._startup(client)
            session = self._session(start, client)
            self._free.append(session)
            while True:
                request = _request(client)
                session = self._free.pop() if self._free else self._session(start, None)
                while True:
                    session.sendall(request)
                    if _relay(session, client) == b"I":
                        break
                    request = _request(client)
                self._free.append(session)

    def _startup(self, client: socket.socket) -> bytes:
        while True:
            length, code = struct.unpack("!II", _exactly(client, 8))
            if code not in ENCRYPTION:
                break
            client.sendall(b"N")
        words = _exactly(client, length - 8).split(b"\0")
        pairs = list(zip(words[::2], words[1::2], strict=False))
        kept = [
            pair for pair in pairs if pair[0] and not (self._forgetful and pair[0] == b"options")
        ]
        body = b"".join(b"%b\0%b\0" % pair for pair in kept) + b"\0"
        return struct.pack("!II", len(body) + 8, code) + body

    def _session(self, start: bytes, client: socket.socket | None) -> socket.socket:
        """Begin a session; the client, if there is one, is told of it under another number."""
        session = socket.socket(socket.AF_UNIX)
        self._open.append(session)
        session.connect(self._path)
        session.sendall(start)
        _relay(session, client)
        return session


def _exactly(source: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        piece = source.recv(count - len(read))
        if not piece:
            raise EOFError
        read += piece
    return read


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(source, 5)
    return head[:1], head + _exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def _request(client: socket.socket) -> bytes:
    """Return the messages up to one after which an answer is awaited."""
    whole = b""
    while True:
        kind, message = _message(client)
        if kind == b"X":
            raise EOFError
        whole += message
        if kind in {b"Q", b"S"}:
            return whole


def _relay(session: socket.socket, client: socket.socket | None) -> bytes:
    """Pass an answer on, and return the state of the transaction after it."""
    while True:
        kind, message = _message(session)
        if kind == KEY:
            message = message[:5] + struct.pack("!I", 1) + message[9:]
        if client is not None:
            client.sendall(message)
        if kind == READY:
            return message[5:6]
