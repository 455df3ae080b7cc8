"""Ports for servers that come again, and for programs that must be told theirs."""

from __future__ import annotations

import socket
from pathlib import Path
from random import SystemRandom

FIRST, CLIENTS = 15_000, 32_768


def free_port() -> int:
    """
    Return a port of this machine on which nobody listens, out of those that no client is given.

    One that the system chose would be given to some client's connection while its server is away.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    clients = int(given.read_text().split()[0]) if given.exists() else CLIENTS
    while True:
        port = SystemRandom().randrange(FIRST, max(clients, FIRST + 1_000))
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Say whether nobody listens on a port: processes that were killed do until they are gone."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
