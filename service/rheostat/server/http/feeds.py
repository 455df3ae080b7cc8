"""
Feeds: what happens to runs, for all who listen in this process.

Replicas share the database alone, so each process asks it what is new: once in a while for all runs
that somebody listens to here, and never if nobody does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from rheostat import wire
from rheostat.errors import RateLimited, Unavailable
from rheostat.server.http.curves import write_json
from rheostat.server.http.metrics import Metrics
from rheostat.server.store import Store
from rheostat.server.store.operations import events
from rheostat.server.store.store import work_for_all

POLL = 0.5
"""Seconds between two questions to the database."""

RECENT = 64
"""Events of a run that are kept for its listeners; who falls further behind reads the database."""

COME_BACK = 5
"""Seconds after which who found no place may try again."""

log = logging.getLogger("rheostat.server")


class FeedEvent(NamedTuple):
    """An event as it is sent; nothing comes after the last one."""

    number: int
    body: bytes
    last: bool
    settled_until: int | None = None
    """Where the run is settled to, if that is all that happened."""


def messages(found: Iterable[wire.Event]) -> list[FeedEvent]:
    """Return events as they are sent."""
    return [
        FeedEvent(
            event["number"],
            _body(event),
            event["kind"] == "finished",
            event["settled_until"] if event["kind"] == "settled" else None,
        )
        for event in found
    ]


def _body(event: wire.Event) -> bytes:
    data = write_json(event)  # without line breaks: those in texts are escaped
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event["number"], event["kind"].encode(), data)


class Feed:
    """The newest events of one run: all of those after ``since``, up to ``head``."""

    def __init__(self, head: int) -> None:
        self.since = self.head = head
        self.listeners = 0
        self.over = False
        self._recent: deque[FeedEvent] = deque()
        self._news = asyncio.Event()

    def after(self, number: int) -> Sequence[FeedEvent] | None:
        """Return what came after a number, or None if not all of it is kept here."""
        if number < self.since:
            return None
        return [message for message in self._recent if message.number > number]

    def publish(self, found: Sequence[FeedEvent]) -> None:
        """Add what happened, and wake the listeners."""
        if not found:
            return
        self._recent.extend(found)
        self.head = found[-1].number
        while len(self._recent) > RECENT:
            self.since = self._recent.popleft().number
        self._wake()

    def end(self) -> None:
        """Have the listeners leave once they have what is kept."""
        self.over = True
        self._wake()

    async def news(self, seconds: float) -> bool:
        """Wait until something happens, or some seconds; return whether it did."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._news.wait()
        return False

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Feeds:
    """
    The feeds of one process, and the one who asks for all.

    There are at most ``limit`` streams of them, of which one caller has at most ``share``.
    """

    def __init__(self, store: Store, limit: int, share: int, metrics: Metrics) -> None:
        self._store = store
        self._limit = limit
        self._share = share
        self._callers: Counter[str] = Counter()
        self._metrics = metrics
        self._streams = 0
        self._feeds: dict[str, Feed] = {}
        self._poller: asyncio.Task[None] | None = None
        self._closing = False

    def require_place(self, caller: str) -> None:
        """Raise `RateLimited` if a caller may have no stream more, or nobody."""
        if self._closing:
            raise Unavailable("the service is about to stop", retry_after=1, reason="busy")
        if self._callers[caller] >= self._share:
            message = f"{caller} has {self._share} event streams here, and may have no more"
            raise RateLimited(message, retry_after=COME_BACK, limit=self._share)
        if self._streams >= self._limit:
            message = f"this process has {self._limit} event streams, and may have no more"
            raise RateLimited(message, retry_after=COME_BACK, limit=self._limit)

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """Count one stream of a caller; raise `RateLimited` if there may be no more."""
        self.require_place(caller)
        self._count(caller, +1)
        try:
            yield
        finally:
            self._count(caller, -1)

    @contextmanager
    def following(self, run_id: str, head: int) -> Iterator[Feed]:
        """Return the feed of a run for a listener who has all events up to ``head``."""
        feed = self._feeds.setdefault(run_id, Feed(head))
        feed.over |= self._closing
        feed.listeners += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            yield feed
        finally:
            feed.listeners -= 1
            if not feed.listeners:
                del self._feeds[run_id]

    def close(self) -> None:
        """End all streams at once: they would never end by themselves."""
        self._closing = True
        for feed in self._feeds.values():
            feed.end()
        if self._poller is not None:
            self._poller.cancel()

    def _count(self, caller: str, change: int) -> None:
        self._streams += change
        self._callers[caller] += change
        if not self._callers[caller]:
            del self._callers[caller]
        self._metrics.count_streams(self._streams)

    async def _poll(self) -> None:
        work_for_all()
        while True:
            await asyncio.sleep(POLL)
            if not self._feeds:
                return
            try:
                await self._ask()
            except Unavailable:
                pass  # the streams stay, silent, until the database is back
            except Exception:
                log.exception("could not ask for events")

    async def _ask(self) -> None:
        feeds = dict(self._feeds)
        heads = {run_id: feed.head for run_id, feed in feeds.items()}
        found = await self._store.read(events.news, heads)
        for run_id, feed in feeds.items():
            fresh = found[run_id]
            if fresh is None:
                feed.end()
            else:
                feed.publish(messages(fresh))
