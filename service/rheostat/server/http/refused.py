"""
What tokens with a limit were refused: counted in memory, and written down within a second.

So whoever sends one request after the other that is refused costs one write a second, however many
runs they try.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from starlette.requests import Request

from rheostat.errors import Forbidden, Invalid, LimitReached, RheostatError
from rheostat.server.http.access import CALLER, Caller, rehearses
from rheostat.server.store import Store
from rheostat.server.store.acting import NOBODY, acting
from rheostat.server.store.operations import limiting
from rheostat.server.store.operations.limiting import Refusal

log = logging.getLogger("rheostat.server")

APART = 1.0
"""Seconds from one write to the next."""

MOST = 1_000
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

    @contextmanager
    def counted(self, request: Request) -> Iterator[None]:
        """Count it if a token with a limit is refused what is done inside, and not only tried."""
        try:
            yield
        except (LimitReached, Forbidden, Invalid) as error:
            caller: Caller | None = request.scope.get(CALLER)
            run = None if rehearses(request) else request.path_params.get("run")
            if caller is not None and caller.limit is not None and caller.name and run:
                self._count(Wanted(run, caller.name), error.detail)
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
        acting.set(NOBODY)
        while self._waiting:
            await self.write()
            await asyncio.sleep(APART)

    async def write(self) -> None:
        """Write down what waits. What the database does not take is forgotten: it is a count."""
        taken, self._waiting = list(self._waiting.values()), {}
        if not taken:
            return
        try:
            await self._store.write(limiting.note_refused, taken)
        except RheostatError as error:
            log.warning("what tokens were refused could not be written down: %s", error)

    async def close(self) -> None:
        """Write down what waits, and end."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self.write()
