"""Broken connections, over real sockets: a body that is cut is never taken for values."""

from __future__ import annotations

import gc
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator

import pytest
from tests.client.conftest import block_headers

from rheostat import Client
from rheostat.errors import Unreachable

JOINED = (
    b'{"id": "run-1", "name": "gpt", "axis": "step", "resolution": 1, "generation": 1, '
    b'"revision": 1, "settled_until": 4, "parameters": ["lr"], "max_block": 4096, '
    b'"max_jump": 4096, "total": null, "end": null, "event": 0, "incarnation": "first"}'
)
VALUES = struct.pack("<4d", 0.5, 0.25, 0.125, 0.0625)

Act = Callable[[socket.socket], None]


def answer(kind: str, body: bytes, *, length: int | None = None) -> bytes:
    """Return a whole answer; ``length`` is what its header claims."""
    headers = block_headers(body, ["lr"]) | {"Content-Type": kind}
    if length is not None:
        headers["Content-Length"] = str(length)
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body


GOOD = answer("application/octet-stream", VALUES)


def cut_in_the_body(connection: socket.socket) -> None:
    """Send half of the values, and close."""
    connection.sendall(answer("application/octet-stream", VALUES[:16], length=32))


def whole_but_too_short(connection: socket.socket) -> None:
    """Send half of the values as if they were all, as a cache that keeps a cut body would."""
    connection.sendall(answer("application/octet-stream", VALUES[:16]))


def until_closed(connection: socket.socket) -> None:
    """Send half of the values without saying how many there are."""
    head, _, body = answer("application/octet-stream", VALUES[:16]).partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    connection.sendall(b"\r\n".join([*kept, b"", body]).replace(b"HTTP/1.1", b"HTTP/1.0", 1))


def cut_in_the_head(connection: socket.socket) -> None:
    """Send a part of the headers, and close."""
    connection.sendall(GOOD[:40])


def close_at_once(_: socket.socket) -> None:
    """Close without a word."""


def half_close(connection: socket.socket) -> None:
    """Close our half, and go on listening for a while."""
    connection.shutdown(socket.SHUT_WR)
    time.sleep(0.05)


def reset(connection: socket.socket) -> None:
    """Break the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stay_silent(_: socket.socket) -> None:
    """Say nothing for longer than the client's timeout."""
    time.sleep(0.4)


def proxy_page(connection: socket.socket) -> None:
    """Answer as a proxy does that has a page for everything."""
    connection.sendall(answer("text/html", b"<html>welcome</html>"))


def garbage(connection: socket.socket) -> None:
    """Speak something else than HTTP."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.7\r\n" * 4)


class Server:
    """A server that treats each read of values as the next of its acts says, and then well."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.reads = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._answer, args=(connection,)))
            self._threads[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        """Answer one request; the connection is closed after it."""
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            if b"/join" in request:
                connection.sendall(answer("application/json", JOINED))
                return
            self.reads += 1
            act = self.acts.pop(0) if self.acts else lambda c: c.sendall(GOOD)
            act(connection)


@pytest.fixture
def server() -> Iterator[Server]:
    """Yield a server on a port of its own."""
    server = Server()
    yield server
    server.close()


ACTS = [
    cut_in_the_body,
    whole_but_too_short,
    until_closed,
    cut_in_the_head,
    close_at_once,
    half_close,
    reset,
    stay_silent,
    proxy_page,
    garbage,
]


@pytest.mark.parametrize("act", ACTS)
def test_broken_answer_is_asked_for_again(server: Server, act: Act) -> None:
    """P9: whatever happens to a connection, the values are those that the service sends whole."""
    server.acts = [act, act]

    with Client(server.url, timeout=0.2) as client:
        run = client.run("gpt")
        values = [run.value("lr", step) for step in range(2)]

    assert values == [0.5, 0.25]
    assert server.reads == 3


@pytest.mark.parametrize("act", [cut_in_the_body, proxy_page])
def test_broken_answers_end_at_the_deadline(server: Server, act: Act) -> None:
    """P9: no value is made of an answer that is never whole."""
    server.acts = [act] * 1000

    with Client(server.url, deadline=0.3) as client, pytest.raises(Unreachable, match="/values"):
        client.run("gpt").value("lr", 0)


def test_nobody_listens() -> None:
    """P9: a port without a service is told as such."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    with Client(url, retries=1) as client, pytest.raises(Unreachable, match="refused"):
        client.runs()


def test_closing_ends_the_waiting(server: Server) -> None:
    """A client that is closed while it fetches in the background leaves no thread behind."""
    server.acts = [lambda c: c.sendall(GOOD), *[close_at_once] * 1000]
    others = threading.enumerate()
    with Client(server.url) as client:
        run = client.run("gpt")
        for step in range(4):
            run.value("lr", step)
        named = (thread for thread in threading.enumerate() if thread.name == "rheostat gpt")
        [thread] = [thread for thread in named if thread not in others]

    del run
    thread.join(timeout=10)

    assert not thread.is_alive()


def test_a_client_that_is_let_go_closes_its_connections() -> None:
    """A client that is dropped without being closed leaves no socket open, and warns of none."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}")
        asking = threading.Thread(target=client.runs)
        asking.start()
        connection, _ = listening.accept()
        with connection, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", ResourceWarning)
            connection.recv(65536)
            connection.sendall(answer("application/json", b'{"items": [], "next": null}'))
            asking.join()
            del asking, client
            gc.collect()
            connection.settimeout(10)
            assert connection.recv(1) == b""

    assert [str(each.message) for each in warned if each.category is ResourceWarning] == []
