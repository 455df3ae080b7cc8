"""Servers within the test's own process, whose limits a test can make small."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests import waiting
from uvicorn import Config, Server

from rheostat.server.app import create_app
from rheostat.server.settings import Settings

CONNECTION = "rheostat.server.http.protocol:connection"
ENDED = 'rheostat_connections_ended_total{reason="%s"}'
"""Name of the figure that counts the connections ended for a reason."""


until = partial(waiting.until, within=20)


class Answer:
    """What a server sent on a connection until it ended it."""

    def __init__(self, received: bytes) -> None:
        self.received = received
        head, _, self.body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1]) if received else 0
        self.headers = dict(line.lower().split(": ", 1) for line in lines)

    @property
    def problem(self) -> dict[str, Any]:
        """Return the problem document, which has to be one."""
        assert self.headers["content-type"] == "application/problem+json", self.received
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["request_id"] == self.headers["x-request-id"]
        return document


class Inside:
    """A server in a thread of this process."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.settings = Settings(database=f"sqlite:///{folder / 'x.db'}", **given)
        self.app = create_app(self.settings)
        config = Config(
            self.app, http=CONNECTION, ws="none", loop="uvloop", log_config=None, lifespan="on"
        )
        self.server = Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        # so that the system takes little of what nobody reads; connections inherit it
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        self.port: int = self.listener.getsockname()[1]
        arguments = {"sockets": [self.listener]}
        self.thread = threading.Thread(target=self.server.run, kwargs=arguments)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.thread.start()
        assert self.ask("GET", "/livez").status == 200

    def stop(self) -> None:
        """Stop it."""
        self.server.should_exit = True
        self.thread.join(30)
        self.listener.close()
        assert not self.thread.is_alive()

    def connect(self, data: bytes = b"", **options: int) -> socket.socket:
        """Open a connection, and send something on it."""
        connection = socket.socket()
        for name, value in options.items():
            connection.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(data)
        return connection

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request on a connection of its own."""
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}"]
        with self.connect("\r\n".join((*lines, "", "")).encode() + sent) as connection:
            return rest(connection)

    def figure(self, name: str) -> float:
        """Return one of the server's figures, 0 if there is none of this name yet."""
        text = self.ask("GET", "/metrics").body.decode()
        found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


def rest(connection: socket.socket) -> Answer:
    """Read until the server ends the connection."""
    received = bytearray()
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return Answer(bytes(received))


def reads(connection: socket.socket) -> http.client.HTTPResponse:
    """Read one answer of a connection that stays."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response


Start = Callable[..., Inside]


@contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Return what starts servers with settings of their own, and stop them in the end."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Inside:
            server = Inside(folder, **settings)
            stack.callback(server.stop)
            server.start()
            return server

        yield start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers within this process."""
    with starting(tmp_path) as begin:
        yield begin


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the times short for which a server waits for its peers."""
    for name, seconds in {"FIRST": 0.6, "HEAD": 0.6, "GRACE": 0.6, "KEEP_ALIVE": 3.0}.items():
        monkeypatch.setattr(f"rheostat.server.http.connections.{name}", seconds)
    monkeypatch.setattr("rheostat.server.http.connections.LOOK_EVERY", 0.1)
