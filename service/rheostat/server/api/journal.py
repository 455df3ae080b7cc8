"""
The log of requests, a line for each.

A line costs more than a settled block does if `logging` writes each by itself. So lines are put
aside and written together, at most `DELAY` later; those of a process that is killed are lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import lru_cache
from itertools import starmap

from starlette.types import Scope

DELAY = 0.1
"""Seconds that a line waits at most."""

MOST = 256
"""Lines that wait at most: writing them holds up the requests that come meanwhile."""

logger = logging.getLogger("rheostat.access")


Entry = tuple[float, Scope, int, float, bytes]
"""The time, scope, status, seconds and id of a request that was answered."""


class Journal:
    """Keeps the lines of requests; for the event loop alone."""

    def __init__(self) -> None:
        self._waiting: list[Entry] = []

    def note(self, scope: Scope, status: int, seconds: float, request_id: bytes) -> None:
        """Note a request that was answered."""
        if not logger.isEnabledFor(logging.INFO):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(DELAY, self.write)
        self._waiting.append((time.time(), scope, status, seconds, request_id))
        if len(self._waiting) >= MOST:
            self.write()

    def write(self) -> None:
        """Write the lines that wait."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            logger.info("%s", "\n".join(starmap(_line, lines)))


def _line(at: float, scope: Scope, status: int, seconds: float, request_id: bytes) -> str:
    # The raw path is still percent-encoded, so nobody writes lines of their own into the log.
    path, query = scope.get("raw_path") or b"", scope["query_string"]
    target = (path + b"?" + query if query else path).decode("latin-1")
    return (
        f"{_clock(int(at))},{int(at % 1 * 1000):03d} INFO {logger.name} {scope['method']}"
        f" {target} {status} {seconds * 1000:.1f} ms {request_id.decode()}"
    )


@lru_cache(2)
def _clock(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
