"""
A server that `rheostat.local` started: where it is, who may use it, and how long it stays.

It holds the lock that it inherited until its process ends, so there is nothing to do for that. It
takes the port and the token of the one before it, where that did not end by itself: who was
attached to it goes on where it was.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rheostat.local_server import files
from rheostat.local_server.files import Endpoint
from rheostat.server.tokens import new_secret


class LocalService:
    """How long a local server stays: as long as clients say that they are there, and ``linger``."""

    def __init__(self, database: Path, host: str, ready: int, linger: float) -> None:
        self.database = database
        before = files.read_endpoint(database)
        self.token = new_secret() if before is None else before.token
        self.port = 0 if before is None else _free(host, before.url)
        self._ready = ready
        self._linger = linger
        self._until = float("inf")

    @property
    def left(self) -> float:
        """Seconds until it ends, unless somebody says that they are there."""
        return max(0.0, self._until - time.monotonic())

    def hear(self, linger: float) -> float:
        """Stay for one who is there, and so many seconds after they have gone; return how long."""
        stays = time.monotonic() + files.GONE + linger
        self._until = stays if self._until == float("inf") else max(self._until, stays)
        return self.left

    def announce(self, url: str) -> None:
        """Write down where it is, and tell who started it."""
        self.hear(self._linger)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        endpoint = Endpoint(url, self.token, os.getpid(), started, socket.gethostname())
        files.write_endpoint(self.database, endpoint)
        files.remember_server(self.database)
        with suppress(OSError):  # nobody need wait for it
            os.write(self._ready, b"ready\n")
            os.close(self._ready)

    def end(self) -> None:
        """Say that it is gone: with another token, and perhaps another port, comes the next."""
        with suppress(OSError):
            files.remove_endpoint(self.database)


def _free(host: str, url: str) -> int:
    """Return the port of an address of this host, if it is to be had, and else 0 for any."""
    name, _, number = url.removeprefix("http://").rpartition(":")
    if name.strip("[]") != host or not number.isdecimal():
        return 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, int(number)))
            # bound is not yet free: another one may listen, with the same option
            tried.listen(1)
        except (OSError, OverflowError):
            return 0
    return int(number)
