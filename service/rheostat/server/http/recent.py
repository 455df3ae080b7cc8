"""
Answers that are the same for everybody who asks within a moment: made once, for all of them.

A page that is kept open asks again and again, and so does everybody else's: what many look at costs
what one does. For the event loop alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from rheostat.server.store.caches import CacheFigures
from rheostat.server.store.store import work_for_all

LASTS = 1.0
"""Seconds for which an answer is given to others, too."""

LIMIT = 32 * 1024 * 1024
"""Bytes of answers that are kept, unless a setting says otherwise."""

MOST = 64
"""Answers that are kept, of what was asked last."""

PARTS = 8
"""The part of them that one answer may take; a larger one is given to those alone who wait."""


class RecentAnswers:
    """Answers by what they depend on, each for a moment; equal questions that wait are one."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._hits, self._misses = 0, 0
        self._made: OrderedDict[Hashable, tuple[bytes, float]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[bytes]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the answer to what a key stands for: a recent one, or that of ``make``."""
        body, until = self._made.get(key, (b"", 0.0))
        if time.monotonic() < until:
            self._hits += 1
            return body
        making = self._making.get(key)
        if making is not None:
            self._hits += 1
        else:
            self._misses += 1
            making = self._making[key] = asyncio.create_task(self._make(key, make))
            making.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(making)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        work_for_all()
        try:
            body = await make()
        finally:
            del self._making[key]
        self._drop(key)
        if len(body) * PARTS <= self._limit:
            self._made[key] = body, time.monotonic() + LASTS
            self._size += len(body)
            while self._size > self._limit or len(self._made) > MOST:
                self._drop(next(iter(self._made)))
        return body

    def _drop(self, key: Hashable) -> None:
        self._size -= len(self._made.pop(key, (b"", 0.0))[0])

    @property
    def figures(self) -> CacheFigures:
        """What it has done, and what it holds."""
        return CacheFigures(self._hits, self._misses, self._size, self._limit)
