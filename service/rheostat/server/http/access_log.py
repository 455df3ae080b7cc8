"""
The access log: a line for each request, with its id, and who sent it, from where, on which run.

What workers do all the time, and works, is of severity debug: it would be most of the log. If
`logging` writes each line by itself, one takes longer than a settled block does. So lines are kept
and written together, at most `DELAY` later; those of a process that is killed are lost.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import orjson
from starlette.types import Scope
from uvicorn import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from rheostat.limits import MAX_NAME
from rheostat.server.http.access import CALLER, READS
from rheostat.server.logs import timestamp

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

RUN = re.compile(rb"/v1/runs/([^/]+)")

ADDRESS = re.compile(r"[0-9A-Za-z.:%_-]{1,64}")


class Entry(NamedTuple):
    """A request that was answered."""

    at: float
    level: int
    scope: Scope
    status: int
    seconds: float
    request_id: bytes
    proxies: ProxyHeadersMiddleware | None


class AccessLog:
    """
    Keeps the lines of requests; for the event loop alone.

    Of a query, only the parameters that some route takes, ``known``, are written: anything else may
    be a secret that somebody put into the address by mistake. Of what changed nothing, a ``share``
    is written.
    """

    def __init__(
        self, known: Collection[str] = (), *, as_json: bool = False, share: float = 1
    ) -> None:
        self._waiting: list[Entry] = []
        self._known = frozenset(name.encode() for name in known)
        self._shown = lru_cache(QUERIES)(self._show)
        self._write = _as_json if as_json else _as_text
        self._share, self._due = share, 0.0

    def note(
        self,
        scope: Scope,
        status: int,
        seconds: float,
        request_id: bytes,
        proxies: ProxyHeadersMiddleware | None = None,
    ) -> None:
        """
        Note a request that was answered.

        ``proxies`` knows whom to believe for whom a request is, if nobody has asked that yet.
        """
        works = status < 400
        routine = works and _is_routine(scope)
        level = logging.DEBUG if routine else logging.INFO
        if not logger.isEnabledFor(level):
            return
        changes_nothing = routine or (works and scope["method"] in READS)
        if changes_nothing and not self._is_due():
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(DELAY, self.write)
        self._waiting.append(Entry(time.time(), level, scope, status, seconds, request_id, proxies))
        if len(self._waiting) >= MOST:
            self.write()

    def _is_due(self) -> bool:
        """Whether the next line is one of the share that is written: evenly, not by chance."""
        self._due += self._share
        if self._due < 1:
            return False
        self._due -= 1
        return True

    def write(self) -> None:
        """Write the lines that wait."""
        if self._waiting:
            entries, self._waiting = self._waiting, []
            level = max(entry.level for entry in entries)
            logger.log(level, "%s", "\n".join(map(self._line, entries)))

    def _line(self, entry: Entry) -> str:
        path, query = entry.scope.get("raw_path") or b"", entry.scope["query_string"]
        show = self._shown if len(path) + len(query) <= SHORT else self._show
        run = RUN.match(path[:SHORT])
        caller = entry.scope.get(CALLER)
        known = {
            "from": _address(entry),
            "token": None if caller is None else caller.name,
            "run": None
            if run is None
            else SECRET.sub(HIDDEN, run[1][:MAX_NAME].decode(errors="replace")),
        }
        return self._write(entry, show(path, query), known)

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


def _is_routine(scope: Scope) -> bool:
    """Whether a request is what workers send all the time."""
    path: str = scope["path"]
    return path.endswith(("/values", "/beats")) and path.startswith("/v1/runs/")


def _address(entry: Entry) -> str | None:
    """Return whose request it is: the peer's address, or what a trusted proxy says."""
    scope = {"type": "http", "client": entry.scope.get("client"), "headers": entry.scope["headers"]}
    if entry.proxies is not None:
        with suppress(StopIteration):  # it waits for nothing: one step is all
            entry.proxies(scope, _nothing, _nothing).send(None)  # type: ignore[arg-type]
    client = scope["client"]
    return None if client is None else _sane(client[0])


def _sane(address: str) -> str:
    """Return an address as it may stand in a line: a proxy may have passed on what it was sent."""
    return address if ADDRESS.fullmatch(address) else HIDDEN


def trusting(config: Config) -> ProxyHeadersMiddleware | None:
    """Return what knows which proxies a server believes, as it does for other requests."""
    if not config.proxy_headers:
        return None
    return ProxyHeadersMiddleware(_nothing, trusted_hosts=config.forwarded_allow_ips)


async def _nothing(*_: object) -> None:
    """Answer nothing."""


def _as_text(entry: Entry, target: str, known: Mapping[str, str | None]) -> str:
    at, level = entry.at, logging.getLevelName(entry.level)
    more = "".join(f" {name}={value}" for name, value in known.items() if value is not None)
    return (
        f"{_clock(int(at))},{int(at % 1 * 1000):03d} {level} {logger.name}"
        f" {entry.scope['method'][:16]} {target} {entry.status} {entry.seconds * 1000:.1f} ms"
        f" {entry.request_id.decode()}{more}"
    )


def _as_json(entry: Entry, target: str, known: Mapping[str, str | None]) -> str:
    document = {
        "time": timestamp(entry.at),
        "level": logging.getLevelName(entry.level).lower(),
        "logger": logger.name,
        "method": entry.scope["method"][:16],
        "target": target,
        "status": entry.status,
        "seconds": round(entry.seconds, 6),
        "request_id": entry.request_id.decode(),
        **known,
    }
    return orjson.dumps(document).decode()


@lru_cache(2)
def _clock(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
