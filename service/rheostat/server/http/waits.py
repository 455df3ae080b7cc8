"""
Waiting for a revision, or for a run: a request that is answered once what it asks for has come.

It listens to the run's events as a stream does, and counts as one. Until one of them matters it
holds no thread, and asks the database for nothing. What workers say of themselves is no event: who
waits for that looks at it once a second, which all who wait for a run share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from rheostat import wire
from rheostat.server.http.access import holder_of
from rheostat.server.http.feeds import FeedEvent, Feeds
from rheostat.server.http.traffic import require_caller
from rheostat.server.runs.arrival import UNSEEN, WAITS_FOR_WORKERS, Seen, late, verdict
from rheostat.server.runs.revision_state import NOBODY, Front
from rheostat.server.store.operations.look import Looked
from rheostat.server.store.operations.show import Watched

Read = Callable[[Front], Awaitable[Watched]]
"""Returns the revision, whose workers are so far."""
Look = Callable[[str, float], Awaitable[Seen]]
"""Returns what the workers of a run say, or said within so many seconds."""
Glance = Callable[[int | None], Awaitable[Looked]]
"""Returns whether something of a run has come, past a number."""

LOOK = 1.0
"""Seconds of silence after which it is looked at whether the caller, and how the workers, are."""

APART = 0.5
"""Seconds from one look at a run to the next: many may wait for one that settles all the time."""


class Watch:
    """A revision that somebody waits for, as it was last read, with what its workers say."""

    def __init__(self, goal: wire.RevisionGoal, read: Read, look: Look) -> None:
        self._goal, self._read, self._look = goal, read, look
        self.seen: Seen | None = UNSEEN

    async def again(self) -> Watched:
        """Read the revision, and look at the workers."""
        self.found = await self._read(NOBODY)
        await self.look()
        return self.found

    async def look(self, within: float = 0.0) -> None:
        """Look at the workers, or at how they were within some seconds, if it is about them."""
        if self._goal in WAITS_FOR_WORKERS:
            seen = await self._look(self.found.run_id, within)
            self.seen = seen if seen.front.generation == self.found.generation else None

    def verdict(self) -> wire.Waited | None:
        """Return whether the revision has come to it, None as long as it still may."""
        found = self.found
        settled, resolution = found.settled_until, found.resolution
        return verdict(found.revision, self._goal, settled, self.seen, resolution)

    async def answer(self) -> wire.ShownRevision:
        """Return the revision, with what became of waiting for it."""
        if self.seen is not None and self.seen is not UNSEEN:
            self.found = await self._read(self.seen.front)
        revision = self.found.revision
        waited = self.verdict() or late(revision, self._goal, self.seen)
        return {**revision, "waited": waited}


async def wait_for(request: Request, watch: Watch, seconds: float) -> wire.ShownRevision:
    """
    Return a revision once it has come to a goal or cannot come to it, or some seconds are over.

    Raises:
        RateLimited: The caller, or this process, may have no stream more.

    """
    feeds: Feeds = request.app.state.feeds
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    with feeds.place(holder_of(request)):
        found = await watch.again()
        with feeds.following(found.run_id, found.event) as feed:
            position = found.event
            while watch.verdict() is None and not feed.over and clock() < end:
                fresh = feed.after(position)
                if fresh is None or any(_matters(each, found.revision) for each in fresh):
                    found = await watch.again()
                    position = found.event
                elif fresh:
                    position = fresh[-1].number
                else:
                    require_caller(request.scope)
                    await feed.news(min(LOOK, end - clock()))
                    await watch.look(LOOK)
    return await watch.answer()


def _matters(event: FeedEvent, revision: wire.ShownRevision) -> bool:
    """Whether a revision may have another state after an event."""
    if event.settled_until is None:
        return True
    return revision["state"] == "pending" and event.settled_until >= revision["effective"]


async def wait_until(
    request: Request, look: Glance, number: int | None, seconds: float
) -> wire.WaitedFor:
    """
    Return what was waited for once it has come, or cannot come, or some seconds are over.

    ``look`` is asked after an event, and each second, but no sooner than `APART` after it was
    asked last; with ``number``, without which it is about what comes after now.

    Raises:
        RateLimited: The caller, or this process, may have no stream more.

    """
    feeds: Feeds = request.app.state.feeds
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    with feeds.place(holder_of(request)):
        looked = await look(number)
        if number is None:
            number = looked.found["reports"]
        with feeds.following(looked.found["id"], looked.event) as feed:
            while not (looked.found["over"] or feed.over) and clock() < end:
                require_caller(request.scope)
                soonest = clock() + APART
                await feed.news(min(LOOK, end - clock()))
                await asyncio.sleep(max(min(soonest, end) - clock(), 0.0))
                looked = await look(number)
            if feed.over:  # the run is gone, which the last look may not have seen
                looked = await look(number)
    return looked.found
