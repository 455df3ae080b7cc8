"""
Waiting for a revision: a request that is answered once it has come to what is asked for.

It listens to the run's events as a stream does, and counts as one. Until one of them matters it
holds no thread, and asks the database for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from rheostat import wire
from rheostat.server.http.access import holder_of
from rheostat.server.http.feeds import FeedEvent, Feeds
from rheostat.server.http.traffic import require_caller
from rheostat.server.runs.revision_state import verdict
from rheostat.server.store.operations.show import Watched

LOOK = 1.0
"""Seconds of silence after which it is looked at whether the caller is still there."""


async def wait_for(
    request: Request,
    read: Callable[[], Awaitable[Watched]],
    goal: wire.RevisionGoal,
    seconds: float,
) -> wire.ShownRevision:
    """
    Return a revision once it has come to a goal or cannot come to it, or some seconds are over.

    Raises:
        RateLimited: The caller, or this process, may have no stream more.

    """
    feeds: Feeds = request.app.state.feeds
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    with feeds.place(holder_of(request)):
        found = await read()
        with feeds.following(found.run_id, found.event) as feed:
            position = found.event
            while _verdict(found, goal) is None and not feed.over and clock() < end:
                fresh = feed.after(position)
                if fresh is None or any(_matters(each, found.revision) for each in fresh):
                    found = await read()
                    position = found.event
                elif fresh:
                    position = fresh[-1].number
                else:
                    require_caller(request.scope)
                    await feed.news(min(LOOK, end - clock()))
    late: wire.Waited = {
        "for": goal,
        "met": False,
        "detail": f"after {seconds:g} seconds the revision is {found.revision['state']}",
    }
    return {**found.revision, "waited": _verdict(found, goal) or late}


def _verdict(found: Watched, goal: wire.RevisionGoal) -> wire.Waited | None:
    return verdict(found.revision, goal, found.settled_until)


def _matters(event: FeedEvent, revision: wire.ShownRevision) -> bool:
    """Whether a revision may have another state after an event."""
    return event.settled_until is None or event.settled_until >= revision["effective"]
