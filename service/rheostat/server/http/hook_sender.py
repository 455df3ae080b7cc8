"""
Who sends to hooks: in one process of all that share a database, and each hook apart.

Every process looks now and then whether there are hooks, and whether another one sends; if none
does, it does. A hook has one message on its way at a time, so one that never answers holds up
itself alone; all together send no more than `PACE`, so that nobody else feels it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

from rheostat.errors import RheostatError, Unavailable
from rheostat.server.hooks.hook import Hook
from rheostat.server.hooks.messages import linked
from rheostat.server.hooks.posting import Posted, Poster
from rheostat.server.http.metrics import Metrics
from rheostat.server.store import Store
from rheostat.server.store.operations import deliveries, silences, telling
from rheostat.server.store.operations.deliveries import Taken
from rheostat.server.store.store import work_for_all

log = logging.getLogger("rheostat.hooks")

TICK = 1.0
"""Seconds between two looks of the one who sends."""

IDLE = 5.0
"""Seconds between two looks where there are no hooks, or another process sends."""

LISTEN, COUNT, TIDY = 5.0, 5.0, 60.0
"""Seconds between two looks for the silent, at what waits, and for what need not be kept."""

SHARE, LONGEST_LISTEN = 50, 30.0
"""Times as long as a look for the silent takes until the next one, up to so many seconds: of two
hundred thousand workers it takes a while."""

LEAVING = 2.0
"""Seconds for which whoever stops tries to say so."""

PACE = 50.0
"""Messages in a second, of all hooks together."""


class HookSender:
    """Sends what happens to runs to hooks; ``address`` is where people reach the page."""

    def __init__(self, store: Store, poster: Poster, metrics: Metrics, address: str) -> None:
        self._store = store
        self._poster = poster
        self._metrics = metrics
        self._address = address
        self._holder = secrets.token_hex(8)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._well = time.monotonic()
        self._next = 0.0
        self._done: dict[str, float] = {}
        self._unread: set[str] = set()
        self._listening = LISTEN

    def wake(self) -> None:
        """Look at once: a hook was set, or is to be sent something."""
        self._news.set()

    async def keep_sending(self) -> None:
        """Send for ever; what cannot be done while the database is away is done later."""
        work_for_all()
        while True:
            self._news.clear()
            pause = IDLE
            try:
                pause = await self._turn()
            except Unavailable:
                self._well = time.monotonic()
            except Exception:
                log.exception("could not look after hooks")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()

    async def close(self) -> None:
        """Stop; what is on its way is sent again by whoever sends next."""
        busy = [*self._busy.values()]
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        with suppress(RheostatError, TimeoutError):
            if self._done:  # it has sent
                async with asyncio.timeout(LEAVING):
                    await self._store.write(telling.leave, self._holder)
        await self._poster.close()

    async def _turn(self) -> float:
        """Do what there is to do, and return after how many seconds to look again."""
        outlook = await self._store.read(telling.look, self._holder)
        if not outlook.hooks or outlook.taken:
            self._metrics.count_hooks(0, 0.0)
            return IDLE
        if outlook.lease < telling.LEASE / 2 and not await self._store.write(
            telling.take, self._holder
        ):
            return IDLE
        for run_id in {*outlook.unread} - self._unread:
            log.warning("hooks are not told of %s: a newer release has written its news", run_id)
        self._unread = {*outlook.unread}
        if outlook.news:
            await self._store.write(telling.tell, self._holder, outlook.news)
        await self._listen(outlook.hooks)
        await self._send()
        await self._tidy()
        return 0.0 if outlook.more else TICK

    async def _listen(self, hooks: Sequence[Hook]) -> None:
        """Tell of who has fallen silent."""
        wanted = any("silent" in hook.events for hook in hooks)
        if not wanted or not self._is_due("listen", self._listening):
            return
        began = time.monotonic()
        found = await self._store.read(silences.look, began - self._well)
        took = time.monotonic() - began
        self._listening = min(max(LISTEN, SHARE * took), LONGEST_LISTEN)
        if found:
            await self._store.write(silences.tell, self._holder, found)

    async def _send(self) -> None:
        """Begin to send to the hooks for which something is due."""
        due = await self._store.read(deliveries.due)
        if free := [name for name in due if name not in self._busy]:
            for taken in await self._store.write(deliveries.take, self._holder, free):
                self._busy[taken.hook.name] = asyncio.create_task(self._lane(taken))

    async def _tidy(self) -> None:
        if self._is_due("count", COUNT):
            backlog = await self._store.read(deliveries.backlog)
            self._metrics.count_hooks(backlog.waiting, backlog.oldest)
        if self._is_due("tidy", TIDY):
            old = await self._store.read(deliveries.old)
            if old:
                await self._store.write(deliveries.forget, self._holder, old)

    def _is_due(self, what: str, period: float) -> bool:
        now = time.monotonic()
        if now < self._done.get(what, float("-inf")) + period:
            return False
        self._done[what] = now
        return True

    async def _lane(self, taken: Taken) -> None:
        """Send to one hook as long as it takes what it is sent."""
        name = taken.hook.name
        work_for_all()
        try:
            following: Taken | None = taken
            while following is not None:
                await self._wait_for_turn()
                following = await self._deliver(following)
        except Unavailable:
            pass  # what was sent is sent again: that it arrived could not be written down
        except Exception:
            log.exception("could not send to the hook %s", name)
        finally:
            del self._busy[name]

    async def _deliver(self, taken: Taken) -> Taken | None:
        content = linked(taken.content, self._address)
        posted = await self._poster.post(taken.hook, taken.id, content)
        self._metrics.count_hook_attempt("delivered" if posted.delivered else "failed")
        if not posted.delivered:
            _complain(taken, posted)
        return await self._store.write(deliveries.settle, self._holder, taken, posted)

    async def _wait_for_turn(self) -> None:
        now = time.monotonic()
        self._next = max(self._next + 1 / PACE, now)
        if self._next > now:
            await asyncio.sleep(self._next - now)


def _complain(taken: Taken, posted: Posted) -> None:
    """Say in the log what failed: without the URL, which may be a secret."""
    host = taken.hook.target.host
    message = "the hook %s (%s) did not take %s at attempt %d: %s"
    log.warning(message, taken.hook.name, host, taken.id, taken.attempts, posted.error)
