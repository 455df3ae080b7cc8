"""The proxy before a database falls silent as it says, and delivers late what it kept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from tests.faults.silent_proxy import SilentProxy

LATE = 0.3
"""Seconds after which what has not arrived is taken not to."""


@pytest.fixture
def proxy(echo_port: int) -> Iterator[SilentProxy]:
    """Return a proxy to a server that sends back what it gets."""
    with SilentProxy(lambda: asyncio.open_connection("127.0.0.1", echo_port)) as proxy:
        yield proxy


def connect(proxy: SilentProxy) -> socket.socket:
    """Connect through the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


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


def test_what_is_sent_into_the_silence_arrives_when_it_ends(proxy: SilentProxy) -> None:
    """Bytes are taken, nothing answers, and then all of them are there."""
    with connect(proxy) as connection:
        assert echoes(connection, b"one")
        proxy.silence()
        assert not echoes(connection, b"two")
        with connect(proxy) as new:
            assert not echoes(new, b"three")
            proxy.resume()
            for each, word in ((connection, b"two"), (new, b"three")):
                each.settimeout(30)
                assert each.recv(1024) == word


def test_a_standby_serves_new_connections_alone(proxy: SilentProxy) -> None:
    """Old ones stay silent, until they are cut off."""
    with connect(proxy) as old:
        assert echoes(old, b"one")
        proxy.vanish()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        proxy.replace()
        with connect(proxy) as new:
            assert echoes(new, b"two")
        assert not echoes(old, b"three")
        proxy.reset()
        assert is_cut_off(old)
