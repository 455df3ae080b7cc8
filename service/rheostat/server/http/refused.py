"""
What tokens with a limit were refused: counted in memory, and written down within a second.

So whoever sends one request after the other that is refused costs one write a second for each run
that they try, and of these there are few at once.

What is refused by a limit names the limit; what by the role, is forbidden. A request that is merely
wrong is nobody's doing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from starlette.requests import Request

from rheostat.errors import Forbidden, Invalid, LimitReached, RheostatError
from rheostat.limits import MAX_NAME
from rheostat.server.http.access import CALLER, Caller, rehearses
from rheostat.server.store import Store
from rheostat.server.store.operations import limiting
from rheostat.server.store.operations.limiting import Refusal
from rheostat.server.store.store import work_for_all

log = logging.getLogger("rheostat.server")

APART = 1.0
"""Seconds from one write to the next."""

MOST = 256
"""Runs and tokens that wait to be written down: what comes beyond is not counted."""

LONGEST = 1_024
"""Characters that are kept of what was told."""


class Wanted(NamedTuple):
    """Who was refused, and of which run."""

    run: str
    token: str


class RefusedTokens:
    """Counts what tokens with a limit are refused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[Wanted, Refusal] = {}
        self._writing: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    @contextmanager
    def counted(self, request: Request) -> Iterator[None]:
        """Count it if a token with a limit is refused what is done inside, and not only tried."""
        try:
            yield
        except (LimitReached, Forbidden, Invalid) as error:
            caller: Caller | None = request.scope.get(CALLER)
            token = None if caller is None or caller.limit is None else caller.name
            run = request.path_params.get("run", "")
            counts = isinstance(error, Forbidden) or "limit" in error.members
            counts = counts and not rehearses(request)
            if token is not None and counts and 1 <= len(run) <= MAX_NAME:
                self._count(Wanted(run, token), error.detail)
            raise

    def _count(self, wanted: Wanted, told: str) -> None:
        if wanted not in self._waiting and len(self._waiting) >= MOST:
            return
        before = self._waiting.get(wanted)
        count = 1 if before is None else before.count + 1
        self._waiting[wanted] = Refusal(*wanted, count, told[:LONGEST])
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_down())

    async def _write_down(self) -> None:
        work_for_all()
        while self._waiting:
            await self.write()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), APART)

    async def write(self) -> None:
        """Write down what waits. What the database does not take is forgotten: it is a count."""
        taken, self._waiting = list(self._waiting.values()), {}
        if not taken:
            return
        writing = (self._store.write(limiting.note_refused, each) for each in taken)
        for outcome in await asyncio.gather(*writing, return_exceptions=True):
            if isinstance(outcome, RheostatError):
                log.warning("what a token was refused could not be written down: %s", outcome)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def close(self) -> None:
        """Write down what waits, and end."""
        self._closed.set()
        if self._writing is not None:
            await self._writing
        await self.write()
