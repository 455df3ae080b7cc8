"""The bad network of the fault test does what it says, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.faults.proxy import Network

PIECES = 50


@pytest.fixture
def echo() -> Iterator[str]:
    """Return the address of a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while piece := connection.recv(1024):
                    connection.sendall(piece)
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=serve)
    accepting.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in (accepting, *threads):
        thread.join()


def talk(url: str) -> tuple[int, int]:
    """Send pieces on one connection after the other; return how many came back, and did not."""
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    whole = 0
    for _ in range(PIECES):
        with socket.create_connection(address, timeout=60) as connection:
            try:
                connection.sendall(b"0123456789")
                received = b""
                while len(received) < 10 and (piece := connection.recv(10)):
                    received += piece
            except ConnectionError:
                continue
            assert b"0123456789".startswith(received)
            whole += received == b"0123456789"
    return whole, PIECES - whole


def test_faults_befall_connections(echo: str) -> None:
    """Some answers are cut off, none is altered, and each fault is counted."""
    counts = Counter[str]()
    with Network("37", lambda fate: counts.update([fate])) as network:
        url, whole, broken = network.to(echo), 0, 0
        while not broken or counts.keys() < {"cut", "half-close", "delay"}:
            good, bad = talk(url)
            whole, broken = whole + good, broken + bad
    assert whole > broken


def test_a_calm_network_delivers(echo: str) -> None:
    """Once calm, nothing is cut off any more."""
    counts = Counter[str]()
    with Network("37", lambda fate: counts.update([fate])) as network:
        network.calm()
        assert talk(network.to(echo)) == (PIECES, 0)
    assert counts == {}
