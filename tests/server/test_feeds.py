"""Feeds: one question to the database for all who listen, and what each of them is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request

from rheostat.errors import Unavailable
from rheostat.server.app import create_app
from rheostat.server.http import feeds
from rheostat.server.http.feeds import Feed, FeedEvent
from rheostat.server.routes import events as api
from rheostat.server.runs.revision import Note
from rheostat.server.settings import Settings
from rheostat.server.store import Store
from rheostat.server.store.operations import close, create, events, revise

SPEC = {"parameters": {"lr": {"kind": "constant", "value": 1.0}}}
HALVE = revise.RevisionRequest({"lr": {"edit": "scale", "factor": 0.5}})


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "POLL", 0.01)


class Site:
    """An application that runs without a socket, and what it asks its database."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.store: Store = app.state.store
        self.questions: list[set[str]] = []
        self.fails = False
        self._asking = asyncio.Condition()
        self._read = self.store.read
        cast("Any", self.store).read = self.read

    async def read(self, operation: Any, *args: Any) -> Any:
        """Note the question, and ask it, unless the database is away."""
        if operation is events.news:
            async with self._asking:
                self.questions.append(set(args[0]))
                self._asking.notify_all()
            if self.fails:
                raise Unavailable("the database is away")
        return await self._read(operation, *args)

    async def create(self, name: str) -> str:
        """Create a run and return its id."""
        run = await self.store.write(create.create, {"name": name, **SPEC}, Note())
        return str(run["id"])

    def stream(self, run_id: str, after: int = 0) -> AsyncIterator[bytes]:
        """Return what a stream sends."""
        request = Request({"type": "http", "app": self.app, "headers": []})
        stream = api.EventStream(request, run_id, after, {})
        return cast("AsyncIterator[bytes]", stream.body_iterator)

    async def asked(self) -> None:
        """Wait until the database was asked twice more, so that one of them came after this."""
        times = len(self.questions) + 2
        await self.until(lambda: len(self.questions) >= times)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of the questions."""
        async with self._asking:
            await self._asking.wait_for(holds)


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """Run an application on a database of its own."""
    app = create_app(Settings(database=f"sqlite:///{folder / 'rheostat.db'}"))
    async with app.router.lifespan_context(app):
        yield Site(app)


def numbers(bodies: list[bytes]) -> list[int]:
    """Return the numbers of the events in what was sent."""
    lines = b"".join(bodies).splitlines()
    return [int(line[4:]) for line in lines if line.startswith(b"id: ")]


async def collected(stream: AsyncIterator[bytes]) -> list[int]:
    """Return the numbers of all events of a stream, to its end."""
    return numbers([body async for body in stream])


def test_a_feed_knows_what_it_has_not() -> None:
    """A listener before the oldest kept event is told so; any other gets exactly what is newer."""

    async def scenario() -> None:
        feed = Feed(10)
        feed.publish([FeedEvent(number, b"", last=False) for number in range(12, 12 + 70)])
        assert (feed.since, feed.head) == (17, 81)
        assert feed.after(16) is None
        assert [message.number for message in feed.after(17) or ()] == [*range(18, 82)]
        assert [message.number for message in feed.after(79) or ()] == [80, 81]
        assert feed.after(81) == []

    asyncio.run(scenario())


def test_one_question_serves_all_listeners(tmp_path: Path) -> None:
    """However many listen, the database is asked once at a time, for all of their runs."""

    async def scenario() -> None:
        async with site(tmp_path) as here:
            runs = [await here.create(name) for name in ("a", "b")]
            listeners = [
                asyncio.create_task(collected(here.stream(runs[i % 2]))) for i in range(40)
            ]
            await asyncio.sleep(0)
            await here.until(lambda: here.questions[-1:] == [set(runs)])
            before = len(here.questions)
            await here.asked()
            assert len(here.questions) - before < 40
            for run in runs:
                await here.store.write(revise.revise, run, HALVE)
                await here.store.write(close.finish, run, None, Note())
            assert await asyncio.gather(*listeners) == [[1, 2]] * 40

    asyncio.run(scenario())


def test_nobody_listens_and_nothing_is_asked(tmp_path: Path) -> None:
    """Before the first stream and after the last one the database is left alone."""

    async def scenario() -> None:
        async with site(tmp_path) as here:
            run = await here.create("a")
            await asyncio.sleep(0.1)
            assert here.questions == []
            stream = here.stream(run)
            await anext(stream)
            waiting = asyncio.ensure_future(anext(stream))
            await here.asked()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await asyncio.sleep(0.05)
            asked = len(here.questions)
            await asyncio.sleep(0.1)
            assert len(here.questions) == asked

    asyncio.run(scenario())


def test_silence_is_broken_by_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream without news sends a comment now and then, and the news all the same."""
    monkeypatch.setattr(api, "HEARTBEAT", 0.05)

    async def scenario() -> None:
        async with site(tmp_path) as here:
            run = await here.create("a")
            stream = here.stream(run)
            assert (await anext(stream)).startswith(b":")
            assert [await anext(stream) for _ in range(3)] == [b":\n\n"] * 3
            await here.store.write(close.finish, run, None, Note())
            assert await collected(stream) == [1]

    asyncio.run(scenario())


def test_a_database_that_is_away_ends_no_stream(tmp_path: Path) -> None:
    """P9: the streams are silent while it is away, and go on without loss."""

    async def scenario() -> None:
        async with site(tmp_path) as here:
            run = await here.create("a")
            listener = asyncio.create_task(collected(here.stream(run)))
            await here.asked()
            here.fails = True
            await here.store.write(revise.revise, run, HALVE)
            await here.asked()
            here.fails = False
            await here.store.write(close.finish, run, None, Note())
            assert await listener == [1, 2]

    asyncio.run(scenario())


def test_whoever_falls_behind_is_not_buffered_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow reader is kept nothing for beyond the newest events: it reads the others itself."""
    monkeypatch.setattr(feeds, "RECENT", 4)

    async def scenario() -> None:
        async with site(tmp_path) as here, AsyncExitStack() as stack:
            run = await here.create("a")
            slow = here.stream(run)
            await anext(slow)
            waiting = asyncio.ensure_future(anext(slow))
            feed = stack.enter_context(here.app.state.feeds.following(run, 0))
            for _ in range(20):
                await here.store.write(revise.revise, run, HALVE)
                await here.asked()
            first = await waiting
            await here.store.write(close.finish, run, None, Note())
            await here.asked()
            assert len(feed.after(feed.since)) == 4
            assert numbers([first]) + await collected(slow) == [*range(1, 22)]

    asyncio.run(scenario())
