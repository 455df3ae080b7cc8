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

from rheostat.server.store.store import work_for_all

LASTS = 1.0
"""Seconds for which an answer is given to others, too."""

MOST = 8
"""Answers that are kept, of what was asked last."""

LARGEST = 4 * 1024 * 1024
"""Bytes of an answer that is kept; a larger one is given to those alone who wait for it."""


class RecentAnswers:
    """Answers by what they depend on, each for a moment; equal questions that wait are one."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, tuple[bytes, float]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[bytes]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the answer to what a key stands for: a recent one, or that of ``make``."""
        body, until = self._made.get(key, (b"", 0.0))
        if time.monotonic() < until:
            return body
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._make(key, make))
            making.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(making)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        work_for_all()
        try:
            body = await make()
        finally:
            del self._making[key]
        if len(body) <= LARGEST:
            self._made[key] = body, time.monotonic() + LASTS
            self._made.move_to_end(key)
            if len(self._made) > MOST:
                self._made.popitem(last=False)
        return body
