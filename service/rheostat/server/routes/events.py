"""``/v1/runs/{run}/events``: what happens to a run, as it happens, by server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, get_args, get_type_hints

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rheostat import wire
from rheostat.errors import RateLimited, Refused, UnknownRun
from rheostat.limits import MAX_STEP
from rheostat.server.http.access import admit, holder_of, needs
from rheostat.server.http.answers import NO_STORE
from rheostat.server.http.feeds import FeedEvent, Feeds, messages
from rheostat.server.http.requests import Run, StoreDep
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import events as operations
from rheostat.server.tokens import Role
from rheostat.server.wire_schemas import reference

events = router("events")

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nobody takes the stream for dead."""

MEDIA_TYPE = "text/event-stream"


def kind_of(event: type) -> str:
    """Return the kind of an event of this type."""
    (kind,) = get_args(get_type_hints(event)["kind"])
    return str(kind)


EVENT = {
    "type": "object",
    "description": "Each event; its `data` is JSON.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "event": {"enum": [kind_of(each) for each in get_args(wire.Event)]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": reference(wire.Event),
        },
    },
}
EXAMPLE = """\
id: 17
event: settled
data: {"number": 17, "kind": "settled", "id": "run_1f0c…", "created_at": "2026-01-01T12:00:00.000000+00:00", "generation": 1, "settled_until": 4096}

id: 18
event: revised
data: {"number": 18, "kind": "revised", "id": "run_1f0c…", "created_at": "2026-01-01T12:00:01.000000+00:00", "generation": 1, "revision": 2, "effective": 4096, "changes": {"lr": [{"edit": "scale", "factor": 0.5}]}, "author": "ann", "message": "loss spike", "forced": false}

"""  # noqa: E501 - an event is one line


@events.get(
    "/v1/runs/{run}/events",
    summary="Follow what happens to a run",
    responses={
        200: {
            "description": "The events, until the run is finished or deleted.",
            "content": {MEDIA_TYPE: {"schema": EVENT, "example": EXAMPLE}},
        },
        204: {"description": "The run is finished, and all its events are known already."},
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun, RateLimited)
async def follow_run(
    request: Request,
    run: Run,
    store: StoreDep,
    after: Annotated[
        int, Query(ge=0, le=MAX_STEP, description="Number of the last event that is known.")
    ] = 0,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=MAX_STEP, description="The same; it goes before `after`."),
    ] = None,
) -> Response:
    """
    Return a run's events from the first one after a number, and then each as it happens.

    The last is `finished`, after which the stream ends. Numbers rise, with gaps: that steps were
    settled is told as far as it is new, so of several such events the last may stand for all.
    `Rheostat-Run` is the run's id.
    """
    position = after if last_event_id is None else last_event_id
    request.app.state.feeds.require_place(holder_of(request))
    page = await store.read(operations.page, run, position)
    headers = {**NO_STORE, "Rheostat-Run": page.run_id}
    if page.over:
        return Response(status_code=204, headers=headers)
    return EventStream(request, page.run_id, position, headers)


class EventStream(StreamingResponse):
    """A stream of a run's events after a number."""

    media_type = MEDIA_TYPE

    def __init__(
        self, request: Request, run_id: str, position: int, headers: dict[str, str]
    ) -> None:
        self._bodies = self._admitted()
        # nginx would keep the events until it has a buffer full of them
        super().__init__(self._bodies, headers={**headers, "X-Accel-Buffering": "no"})
        self._request = request
        self._store = request.app.state.store
        self._feeds: Feeds = request.app.state.feeds
        self._run_id = run_id
        self._position = position

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; raise `RateLimited` if there are too many streams."""
        with self._feeds.place(holder_of(self._request)):
            async with aclosing(self._bodies):
                await super().__call__(scope, receive, send)

    async def _admitted(self) -> AsyncGenerator[bytes]:
        async with aclosing(self._told()) as told:
            try:
                async for body in told:
                    # a token may have been revoked meanwhile
                    await admit(self._request, Role.VIEWER)
                    yield body
            except Refused:
                return  # who comes again is told why

    async def _told(self) -> AsyncGenerator[bytes]:
        yield b": the events of %s\n\n" % self._run_id.encode()
        while found := await self._read():
            yield self._taken(found)
            if found[-1].last:
                return
        with self._feeds.following(self._run_id, self._position) as feed:
            while True:
                fresh = feed.after(self._position)
                if fresh is None:
                    fresh = await self._read()
                if fresh:
                    yield self._taken(fresh)
                    if fresh[-1].last:
                        return
                elif feed.over:
                    return
                elif not await feed.news(HEARTBEAT):
                    yield b":\n\n"

    async def _read(self) -> Sequence[FeedEvent]:
        page = await self._store.read(operations.page, self._run_id, self._position)
        return messages(page.events)

    def _taken(self, found: Sequence[FeedEvent]) -> bytes:
        self._position = found[-1].number
        return b"".join(message.body for message in found)
