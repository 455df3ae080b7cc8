"""The way to a database falls silent as it says, and delivers late what it kept."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from tests.faults.way import Way

LATE = 0.3
"""Seconds after which what has not arrived is taken not to."""


@pytest.fixture
def way() -> Iterator[Way]:
    """Return a way to a server that sends back what it gets."""
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
    port = listener.getsockname()[1]
    with Way(lambda: asyncio.open_connection("127.0.0.1", port)) as way:
        yield way
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in (accepting, *threads):
        thread.join()


def connect(way: Way) -> socket.socket:
    """Connect by the way."""
    return socket.create_connection(("127.0.0.1", way.port), timeout=30)


def echoes(connection: socket.socket, word: bytes) -> bool:
    """Send a word, and say whether it comes back in time."""
    connection.settimeout(LATE)
    connection.sendall(word)
    try:
        return connection.recv(1024) == word
    except TimeoutError:
        return False


def is_cut_off(connection: socket.socket) -> bool:
    """Say whether a connection has ended."""
    connection.settimeout(30)
    try:
        return connection.recv(1024) == b""
    except ConnectionError:
        return True


def test_what_is_sent_into_the_silence_arrives_when_it_ends(way: Way) -> None:
    """Bytes are taken, nothing answers, and then all of them are there."""
    with connect(way) as connection:
        assert echoes(connection, b"one")
        way.silence()
        assert not echoes(connection, b"two")
        with connect(way) as new:
            assert not echoes(new, b"three")
            way.resume()
            for each, word in ((connection, b"two"), (new, b"three")):
                each.settimeout(30)
                assert each.recv(1024) == word


def test_a_standby_serves_new_connections_alone(way: Way) -> None:
    """Old ones stay silent, until they are cut off."""
    with connect(way) as old:
        assert echoes(old, b"one")
        way.vanish()
        with pytest.raises(ConnectionRefusedError):
            connect(way)
        way.replace()
        with connect(way) as new:
            assert echoes(new, b"two")
        assert not echoes(old, b"three")
        way.reset()
        assert is_cut_off(old)
