"""Following a run through broken streams, for both clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from rheostat import AsyncClient, Client
from rheostat.errors import UnknownRun, Unreachable

Answer = Callable[[], httpx.Response]


def event(number: int, kind: str = "settled") -> bytes:
    """Return an event as it is sent."""
    data = json.dumps({"number": number, "kind": kind, "id": "run-1"})
    return f"id: {number}\nevent: {kind}\ndata: {data}\n\n".encode()


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives in pieces, and then breaks if it is told to."""

    def __init__(self, pieces: tuple[bytes, ...], error: httpx.RequestError | None) -> None:
        self.pieces, self.error = pieces, error

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.error:
            raise self.error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def stream(*pieces: bytes, error: httpx.RequestError | None = None) -> Answer:
    """Return what answers with a stream of the run ``run-1``."""
    headers = {"Content-Type": "text/event-stream", "Rheostat-Run": "run-1"}
    return lambda: httpx.Response(200, headers=headers, stream=Pieces(pieces, error))


def problem(status: int, code: str) -> Answer:
    """Return what answers with a problem document."""
    document = {"type": f"urn:rheostat:problem:{code}", "status": status, "detail": code}
    return lambda: httpx.Response(status, json=document)


class Script:
    """Answers in turn, the last one for ever, and notes what was asked after which event."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, as the handler of a transport."""
        known = request.headers.get("Last-Event-ID")
        self.asked.append((request.url.path.split("/")[3], known))
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()


Follow = Callable[..., list[int]]


def follow(script: Script, after: int | None = None, **options: Any) -> list[int]:
    """Follow the run ``gpt`` to its end, and return the numbers of its events."""
    with Client("http://test", transport=httpx.MockTransport(script), **options) as client:
        return [found["number"] for found in client.control("gpt").events(after)]


def follow_asynchronously(script: Script, after: int | None = None, **options: Any) -> list[int]:
    """Do the same with the other client."""

    async def run() -> list[int]:
        transport = httpx.MockTransport(script)
        async with AsyncClient("http://test", transport=transport, **options) as client:
            return [found["number"] async for found in client.control("gpt").events(after)]

    return asyncio.run(run())


both = pytest.mark.parametrize("follow", [follow, follow_asynchronously])


@both
def test_a_stream_is_followed_to_the_end_of_the_run(follow: Follow) -> None:
    """Nothing is read after the last event, and nothing is asked for again."""
    script = Script(stream(b":\n\n", event(3), event(5, "finished"), event(6)))
    assert follow(script, after=2) == [3, 5]
    assert script.asked == [("gpt", "2")]


@both
@pytest.mark.parametrize("error", [None, httpx.ReadTimeout("silence"), httpx.ReadError("reset")])
def test_a_stream_that_breaks_is_resumed(follow: Follow, error: httpx.RequestError | None) -> None:
    """It goes on after the last event that came whole, by the run's id: names are used again."""
    torn = event(3)[:-1]
    script = Script(
        stream(event(1), event(2), torn, error=error), stream(event(3), event(4, "finished"))
    )
    assert follow(script) == [1, 2, 3, 4]
    assert script.asked == [("gpt", None), ("run-1", "2")]


@both
def test_a_run_that_is_over_has_no_more_events(follow: Follow) -> None:
    """204 ends it, at once or when a stream is resumed."""
    assert follow(Script(lambda: httpx.Response(204)), after=4) == []
    assert follow(Script(stream(event(1)), lambda: httpx.Response(204))) == [1]


@both
def test_a_service_that_is_away_is_waited_for(follow: Follow) -> None:
    """P9: other failures than refusals pass; the events are those of a stream that lasts."""

    def refused() -> httpx.Response:
        raise httpx.ConnectError("refused")

    garbage = stream(b"data: <html>\n\n")
    busy = problem(429, "rate-limited")
    script = Script(refused, busy, garbage, stream(event(1, "finished")))
    assert follow(script) == [1]


@both
def test_a_deleted_run_ends_it(follow: Follow) -> None:
    """Who follows a run that is deleted is told that there is none."""
    with pytest.raises(UnknownRun):
        follow(Script(stream(event(1)), problem(404, "unknown-run")))


@both
def test_it_gives_up(follow: Follow) -> None:
    """P9: at once as any call if there never was a stream; else after the deadline."""
    never = Script(problem(503, "unavailable"))
    with pytest.raises(Unreachable, match="/events"):
        follow(never, retries=1)
    assert len(never.asked) == 2
    once = Script(stream(event(1)), problem(503, "unavailable"))
    with pytest.raises(Unreachable, match="/events"):
        follow(once, deadline=0.3, retries=0)
    assert len(once.asked) > 2


@both
def test_streams_that_break_as_they_open_are_no_success(follow: Follow) -> None:
    """P9: a proxy that answers and hangs up does not keep anybody waiting for ever."""
    with pytest.raises(Unreachable, match="the stream ended"):
        follow(Script(stream(b": hello\n\n")), retries=2)


@both
def test_heartbeats_are_a_sign_of_life(follow: Follow) -> None:
    """A silent run is followed past the deadline, for its service is there."""
    beats = [stream(b":\n\n", b":\n\n")] * 20
    assert follow(Script(*beats, stream(event(1, "finished"))), deadline=0.2) == [1]
