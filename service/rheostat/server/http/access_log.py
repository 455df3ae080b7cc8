"""
The access log: a line for each request.

If `logging` writes each line by itself, one takes longer than a settled block does. So lines are
kept and written together, at most `DELAY` later; those of a process that is killed are lost.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Collection
from functools import lru_cache
from itertools import starmap

from starlette.types import Scope

QUERIES = 1024
"""Addresses of which it is remembered how they are written."""

DELAY = 0.1
"""Seconds that a line waits at most."""

MOST = 256
"""Lines that wait at most: writing more at once would hold up the requests that come meanwhile."""

logger = logging.getLogger("rheostat.access")

LONGEST = 1000
"""Characters of a line's address that are written; the rest is left out."""

SHORT = 256
"""Bytes of a query up to which it is remembered how it is written: all ranks send the same one."""

SECRET = re.compile(r"(?i:rheo(?:_|%5f))[0-9A-Za-z%]+")
"""A token, wherever it was put."""

HIDDEN = "…"

Entry = tuple[float, Scope, int, float, bytes]
"""The time, scope, status, seconds and id of a request that was answered."""


class AccessLog:
    """
    Keeps the lines of requests; for the event loop alone.

    Of a query, only the parameters that some route takes, ``known``, are written: anything else may
    be a secret that somebody put into the address by mistake.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._waiting: list[Entry] = []
        self._known = frozenset(name.encode() for name in known)
        self._shown = lru_cache(QUERIES)(self._show)

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
            logger.info("%s", "\n".join(starmap(self._line, lines)))

    def _line(self, at: float, scope: Scope, status: int, seconds: float, request_id: bytes) -> str:
        path, query = scope.get("raw_path") or b"", scope["query_string"]
        show = self._shown if len(path) + len(query) <= SHORT else self._show
        return (
            f"{_clock(int(at))},{int(at % 1 * 1000):03d} INFO {logger.name} {scope['method'][:16]}"
            f" {show(path, query)} {status} {seconds * 1000:.1f} ms {request_id.decode()}"
        )

    def _show(self, path: bytes, query: bytes) -> str:
        """Return an address as it is written: without secrets, and not too long."""
        # Both are still percent-encoded, so nobody writes lines of their own into the log.
        path, rest = path[:LONGEST], query[: LONGEST + 1]
        kept = [
            part if part.partition(b"=")[0] in self._known or not part else HIDDEN.encode()
            for part in rest.split(b"&")
        ]
        target = (path + b"?" + b"&".join(kept) if query else path).decode(errors="replace")
        target = SECRET.sub(HIDDEN, target)
        return target if len(target) <= LONGEST else target[:LONGEST] + HIDDEN


@lru_cache(2)
def _clock(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
