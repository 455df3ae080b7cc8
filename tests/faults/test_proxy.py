"""The bad network of the fault test does what it says, and leaves nothing behind."""

from __future__ import annotations

import socket
from collections import Counter

from tests.faults.proxy import Network

PIECES = 50


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


def test_faults_befall_connections(echo_port: int) -> None:
    """Some answers are cut off, none is altered, and each fault is counted."""
    counts = Counter[str]()
    with Network("37", lambda fate: counts.update([fate])) as network:
        url, whole, broken = network.to(f"http://127.0.0.1:{echo_port}"), 0, 0
        while not broken or counts.keys() < {"cut", "half-close", "delay"}:
            good, bad = talk(url)
            whole, broken = whole + good, broken + bad
    assert whole > broken


def test_a_calm_network_delivers(echo_port: int) -> None:
    """Once calm, nothing is cut off any more."""
    counts = Counter[str]()
    with Network("37", lambda fate: counts.update([fate])) as network:
        network.calm()
        assert talk(network.to(f"http://127.0.0.1:{echo_port}")) == (PIECES, 0)
    assert counts == {}
