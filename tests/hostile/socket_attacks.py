"""
Attacks by connections: what is sent when, and what is not, and how much at once.

Each lasts `SECONDS`, or as long as the server keeps it up, and leaves nothing open.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from tests.hostile.attacks import Attack

SECONDS = 2.0
"""How long an attack holds on to what it has."""

MIB = 1024 * 1024
CURVE = {"definition": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10_000}}


class Target:
    """A server under attack, and how to write requests for it."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.token = token

    def head(self, method: str, path: str, *lines: str, token: str | None = None) -> bytes:
        """Return the head of a request."""
        lines = (f"Host: {self.address[0]}:{self.address[1]}", *lines)
        if found := token or self.token:
            lines = (*lines, f"Authorization: Bearer {found}")
        return "\r\n".join((f"{method} {path} HTTP/1.1", *lines, "", "")).encode()

    def post(self, path: str, body: bytes, *lines: str, length: int | None = None) -> bytes:
        """Return a request with a body, or with as much of it as there is."""
        size = len(body) if length is None else length
        kind = "Content-Type: application/json"
        return self.head("POST", path, kind, f"Content-Length: {size}", *lines) + body

    def evaluate(self, form: str, stop: int) -> bytes:
        """Return the request for a long curve in a format."""
        body = json.dumps({**CURVE, "start": 0, "stop": stop}).encode()
        return self.post(f"/v1/evaluate?format={form}", body)

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.address, timeout=10)

    @contextmanager
    def connections(self, count: int, data: bytes = b"") -> Iterator[Sequence[socket.socket]]:
        """Open many connections, send the same on each, and close them in the end."""
        with ExitStack() as stack:
            opened = []
            for _ in range(count):
                with suppress(OSError):
                    opened.append(stack.enter_context(self.connect()))
            for each in opened:
                _send(each, data)
            yield opened


def _send(connection: socket.socket, data: bytes) -> None:
    """Send as much as is taken at once."""
    connection.setblocking(False)
    until = time.monotonic() + 0.5
    view = memoryview(data)
    writable = select.poll()
    writable.register(connection, select.POLLOUT)
    with suppress(OSError):
        while view and time.monotonic() < until:
            if writable.poll(50):
                view = view[connection.send(view) :]


def _wait() -> None:
    time.sleep(SECONDS)


def _many(url: str, token: str | None, count: int, data: Callable[[Target], bytes]) -> None:
    """Open many connections, send the same on each, read nothing, and hold them."""
    target = Target(url, token)
    with target.connections(count, data(target)):
        _wait()


def _drip(url: str, token: str | None, begun: Callable[[Target], bytes], byte: bytes) -> None:
    """Send a byte now and then on each of many connections."""
    target = Target(url, token)
    with target.connections(300, begun(target)) as opened:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for each in opened:
                with suppress(OSError):
                    each.send(byte)
            time.sleep(0.3)


def _read_slowly(url: str, token: str | None) -> None:
    """Ask for large answers, and read some bytes of them now and then."""
    target = Target(url, token)
    with target.connections(12, target.evaluate("f64", 10_000_000)) as opened:
        until = time.monotonic() + 2 * SECONDS
        while time.monotonic() < until:
            for each in opened:
                with suppress(OSError):
                    each.recv(64)
            time.sleep(0.5)


def _stream(url: str, token: str | None, count: int, data: Callable[[], bytes]) -> None:
    """Send without an end on some connections, for a while."""

    def send() -> None:
        with suppress(OSError), Target(url, token).connect() as connection:
            connection.settimeout(1)
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                connection.sendall(piece)

    piece = data()
    senders = [threading.Thread(target=send) for _ in range(count)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def _chunked(url: str, token: str | None, piece: bytes) -> None:
    """Send the same piece of a chunked body again and again."""
    target = Target(url, token)
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    head = target.head("POST", "/v1/evaluate", *lines)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with target.connections(8, head + piece):
            time.sleep(0.05)  # it is not the number of connections that is tried here


def _streams(url: str, token: str | None) -> None:
    """Follow a run on many connections, and read nothing."""
    target = Target(url, token)
    with target.connect() as connection:
        connection.sendall(target.head("GET", "/v1/runs?limit=1", "Connection: close"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    run = json.loads(answer.partition(b"\r\n\r\n")[2])["items"][0]["id"]
    with target.connections(1005, target.head("GET", f"/v1/runs/{run}/events")):
        _wait()


def _guess(url: str, token: str | None) -> None:
    """Send tokens that nobody has, a new one each time, on some connections."""
    target = Target(url, token)

    def guess(first: int) -> None:
        with suppress(OSError), target.connect() as connection:
            until, number = time.monotonic() + SECONDS, first
            while time.monotonic() < until:
                number += 1
                guessed = f"rheo_{number:040x}"
                connection.sendall(target.head("GET", "/v1/runs", token=guessed))
                connection.recv(65536)

    guessers = [threading.Thread(target=guess, args=(first << 80,)) for first in range(1, 7)]
    for guesser in guessers:
        guesser.start()
    for guesser in guessers:
        guesser.join()


def _spaces(url: str, token: str | None) -> None:
    """Write one token in many ways."""
    target = Target(url, None)
    with suppress(OSError), target.connect() as connection:
        for spaces in range(50_000, 50_400):
            line = f"Authorization: Bearer{' ' * spaces}{token}"
            connection.sendall(target.head("GET", "/v1/kinds/cosine", line))
            connection.recv(65536)


def _come_and_go(url: str, token: str | None) -> None:
    """Open connections, ask for something, and leave before it is answered."""
    target, until = Target(url, token), time.monotonic() + SECONDS
    request = target.evaluate("json", 100_000)
    while time.monotonic() < until:
        with target.connections(20, request):
            pass


def _same(data: bytes) -> Callable[[Target], bytes]:
    return lambda _target: data


def _half_head(target: Target) -> bytes:
    return target.head("GET", "/livez")[:-2] + b"X-More: "


def _begun_body(target: Target) -> bytes:
    return target.post("/v1/evaluate", b"{", length=100)


def _large_body(target: Target) -> bytes:
    return target.post("/v1/evaluate", b"[" + b"1," * (4 * MIB - 100), length=8 * MIB)


def _patient(target: Target) -> bytes:
    return target.post("/v1/evaluate", b"", "Expect: 100-continue", length=1000)


def _pipeline(target: Target) -> bytes:
    return target.head("GET", "/v1/kinds") * 6000


def _pipeline_of_bodies(target: Target) -> bytes:
    return target.post("/v1/evaluate", json.dumps({**CURVE, "step": 1}).encode()) * 2000


def _long_head(target: Target) -> bytes:
    return target.head("GET", "/livez", "X-Long: " + "a" * 60_000)


def _half_long_head(target: Target) -> bytes:
    return _long_head(target)[:-4]


ONES = b"1\r\n0\r\n" * 20_000
EXTENSIONS = b"1;" + b"a" * 200_000
TRAILERS = b"1\r\n0\r\n0\r\n" + b"a:b\r\n" * 40_000

ATTACKS: Final[list[Attack]] = [
    Attack("1,200 silent connections", partial(_many, count=1200, data=_same(b""))),
    Attack("1,200 halves of a head", partial(_many, count=1200, data=_half_head)),
    Attack("1,200 first bytes of a body", partial(_many, count=1200, data=_begun_body)),
    Attack("heads that drip", partial(_drip, begun=_half_head, byte=b"a")),
    Attack("bodies that drip", partial(_drip, begun=_begun_body, byte=b" ")),
    Attack("300 heads of 60 KB without an end", partial(_many, count=300, data=_half_long_head)),
    Attack("500 long heads, kept alive", partial(_many, count=500, data=_long_head)),
    Attack("60 bodies of 8 MB without their end", partial(_many, count=60, data=_large_body)),
    Attack("300 that wait to be asked", partial(_many, count=300, data=_patient)),
    Attack(
        "12 answers of 80 MB that nobody reads",
        partial(_many, count=12, data=lambda target: target.evaluate("f64", 10_000_000)),
    ),
    Attack("12 answers of 80 MB, read by the byte", _read_slowly),
    Attack(
        "40 answers of 20 MB of text that nobody reads",
        partial(_many, count=40, data=lambda target: target.evaluate("json", 1_000_000)),
    ),
    Attack(
        "30 large pictures at once",
        partial(_many, count=30, data=lambda target: target.evaluate("png", 2_000_000)),
    ),
    Attack("1,005 event streams of one caller", _streams),
    Attack("pipelines of 6,000 requests", partial(_many, count=20, data=_pipeline)),
    Attack("pipelines of 2,000 bodies", partial(_many, count=20, data=_pipeline_of_bodies)),
    Attack("chunks of one byte", partial(_chunked, piece=ONES)),
    Attack("endless extensions of a chunk", partial(_chunked, piece=EXTENSIONS)),
    Attack("endless fields after a body", partial(_chunked, piece=TRAILERS)),
    Attack("what is no HTTP", partial(_stream, count=8, data=lambda: b"\x16\x03\x01" * 20_000)),
    Attack("empty lines without an end", partial(_stream, count=8, data=lambda: b"\r\n" * 30_000)),
    Attack("unknown tokens", _guess),
    Attack("one token, written in 400 ways", _spaces),
    Attack("requests that nobody waits for", _come_and_go),
]
"""Every attack by connections."""


def raise_open_files() -> None:
    """Let the attacker open as many connections as it needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
