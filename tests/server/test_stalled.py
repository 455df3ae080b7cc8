"""Peers that stop reading: what they are sent is not kept for ever."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from rheostat.server import serve
from rheostat.server.settings import Settings

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Return a peer, and the server's end of its connection, with a patience of one second."""
    monkeypatch.setattr(serve, "STALLED", 1)
    with serve._bound(Settings(port=0)) as (listener, *_):
        listener.listen()
        peer = socket.create_connection(listener.getsockname())
        return peer, listener.accept()[0]


def test_a_peer_that_takes_nothing_is_cut_off(pair: Pair) -> None:
    """P10: an answer that nobody reads ends, and gives its memory back."""
    peer, accepted = pair
    with peer, accepted, pytest.raises(TimeoutError):
        accepted.sendall(b"x" * 50_000_000)


def test_a_peer_that_reads_slowly_is_served(pair: Pair) -> None:
    """However long it takes in all."""
    peer, accepted = pair
    received = 0

    def read() -> None:
        nonlocal received
        while piece := peer.recv(300_000):
            received += len(piece)
            time.sleep(0.1)

    reader = threading.Thread(target=read)
    reader.start()
    with peer, accepted:
        accepted.sendall(b"x" * 8_000_000)
        accepted.shutdown(socket.SHUT_WR)
        reader.join(60)
    assert received == 8_000_000
