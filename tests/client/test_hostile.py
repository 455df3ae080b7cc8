"""What stands between: answers that are wrong, too long, too slow, or somebody else's."""

from __future__ import annotations

import asyncio
import json
import math
import resource
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.client import hostile as acts
from tests.client.hostile import FACTS, VALUES, Act, Hostile, block, document, page, says

from rheostat import AsyncClient, Client
from rheostat.errors import (
    Finished,
    Redirected,
    RheostatError,
    StaleGeneration,
    Unauthenticated,
    UnknownRun,
    Unreachable,
)

F64, JSON = "application/octet-stream", "application/json"
SPEC = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}


@pytest.fixture
def server() -> Iterator[Hostile]:
    """Yield a server that does what it is told."""
    with acts.hostile() as server:
        yield server


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat soon."""
    monkeypatch.setattr("rheostat.client.retry.BASE", 0.01)


def read(url: str, **options: Any) -> float:
    """Join, and read a value, as a worker."""
    with Client(url, **{"timeout": 0.5, "deadline": 0.8, **options}) as client:
        return client.run("gpt", create=SPEC).value("lr", 0)


def read_asynchronously(url: str, **options: Any) -> float:
    """Do the same with the other client."""

    async def main() -> float:
        async with AsyncClient(url, **{"timeout": 0.5, "deadline": 0.8, **options}) as client:
            return await (await client.run("gpt", create=SPEC)).value("lr", 0)

    return asyncio.run(main())


Read = Callable[..., float]
both = pytest.mark.parametrize("read", [read, read_asynchronously])
everywhere = pytest.mark.parametrize("where", ["/gpt", "/join", "/values"])
"""The three requests of a worker."""

WRONG = {
    "NaN": block(struct.pack("<4d", 0.5, math.nan, 0.5, 0.5)),
    "infinity": block(struct.pack("<4d", 0.5, 0.5, 0.5, -math.inf)),
    "another generation": block(Rheostat_Generation="99"),
    "no generation": block(Rheostat_Generation=""),
    "other parameters": block(Rheostat_Parameters="0" * 64),
    "names": block(Rheostat_Parameters="lr"),
    "another digest": block(ETag='"00000000000000000000000000000000"'),
    "a short digest": block(ETag='""'),
    "changed bytes": block().replace(VALUES, VALUES[::-1]),
    "another place": block(Rheostat_Start="4"),
    "another run": block(Rheostat_Run="run-2"),
    "too short": block(VALUES[:24]),
    "too long": block(VALUES + VALUES),
    "no multiple of eight": block(VALUES[:-1]),
    "JSON": document({"parameters": {"lr": [0.5] * 4}}),
    "packed": block(Content_Encoding="gzip"),
    "HTML": page("200 OK"),
    "part": block().replace(b"200 OK", b"206 Partial Content").replace(VALUES, VALUES[:31]),
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@both
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_block_that_is_not_proven_is_asked_for_again(
    wrong: bytes, read: Read, server: Hostile
) -> None:
    """P9: no value comes from a block of which anything is wrong; the next one is awaited."""
    server.acts["/values"] = [says(wrong), says(wrong), says(block())]

    assert read(server.url, deadline=20) == 0.5
    assert len([request for request in server.asked if b"/values" in request]) == 3


def test_weak_tag_is_as_good(server: Hostile) -> None:
    """A proxy that weakens the tag has not changed the body."""
    tag = block().partition(b'ETag: "')[2][:32].decode()
    server.acts["/values"] = [says(block(ETag=f'W/"{tag}"'))]

    assert read(server.url) == 0.5


def test_blocks_are_asked_for_in_one_way(server: Hostile) -> None:
    """All ranks ask by the same URL, which names the format, and for no compression."""
    assert read(server.url) == 0.5

    [request] = [request for request in server.asked if b"/values" in request]
    assert b"&format=f64" in request.split(b"\r\n")[0]
    assert all(b"\r\naccept-encoding: identity\r\n" in each.lower() for each in server.asked)


FOREIGN = [
    page("404 Not Found", "404 page not found"),
    *map(
        page,
        (
            *("400 Bad Request", "401 Unauthorized", "403 Forbidden", "405 Method Not Allowed"),
            *("408 Request Timeout", "409 Conflict", "410 Gone", "421 Misdirected Request"),
            *("425 Too Early", "426 Upgrade Required", "429 Too Many Requests", "451 No"),
            *("499 Client Closed Request", "500 Internal Server Error", "501 Not Implemented"),
            *("502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "520 Web"),
            *("521 Down", "522 Timed Out", "523 Unreachable", "524 Timeout", "530 Frozen"),
            *("200 OK", "201 Created", "203 Other", "206 Partial Content", "304 Not Modified"),
        ),
    ),
    document({"message": "no Route matched"}, "404 Not Found"),
    document({"type": "about:blank", "status": 404}, "404 Not Found", "application/problem+json"),
    document({"type": "urn:rheostat:problem:unknown-run", "status": 404}, "500 Oh"),
    document([{"type": "urn:rheostat:problem:unknown-run"}], "404 Not Found"),
    acts.written("404 Not Found", {"Content-Type": "application/problem+json"}, b"[" * 100_000),
    acts.written("500 Oh", {}, b""),
]


@both
@everywhere
@pytest.mark.parametrize("answer", FOREIGN, ids=lambda a: a.split(b"\r\n")[0][9:].decode())
def test_what_others_say_is_waited_out(
    answer: bytes, where: str, read: Read, server: Hostile
) -> None:
    """P9: whatever its status, an answer that is not the service's word ends no training."""
    good = says(block() if where == "/values" else document(FACTS))
    server.acts[where] = [says(answer), says(answer), good]

    assert read(server.url, deadline=20) == 0.5


@both
@everywhere
def test_who_answered_is_said_in_the_end(where: str, read: Read, server: Hostile) -> None:
    """P9: after the deadline one reads the status, type, text and name of what answered."""
    server.acts[where] = [says(page("404 Not Found", "404 page not found"))]

    with pytest.raises(Unreachable) as error:
        read(server.url)

    for said in ("404 Not Found", "text/html", "404 page not found", "proxy/1", where):
        assert said in str(error.value)


@both
@everywhere
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_told_at_once(status: int, where: str, read: Read, server: Hostile) -> None:
    """A redirect is not followed, and shows where to, without what may be a secret."""
    to = "https://ann:pw@there.example/v1?token=secret"
    server.acts[where] = [says(page(f"{status} Moved", Location=to))]

    with pytest.raises(Redirected) as error:
        read(server.url, deadline=60)

    assert "https://***@there.example/v1" in str(error.value)
    assert "secret" not in str(error.value)
    assert "pw" not in str(error.value)


@both
@everywhere
@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        ("401 Unauthorized", "unauthenticated", Unauthenticated),
        ("404 Not Found", "unknown-run", UnknownRun),
        ("409 Conflict", "stale-generation", StaleGeneration),
        ("409 Conflict", "finished", Finished),
    ],
)
def test_the_service_s_own_word_is_raised(
    status: str, code: str, cls: type[Exception], where: str, read: Read, server: Hostile
) -> None:
    """P9: what the service itself refuses is final at once."""
    problem = {"type": f"urn:rheostat:problem:{code}", "status": int(status[:3]), "detail": "no"}
    server.acts[where] = [says(document(problem, status, "application/problem+json"))]

    with pytest.raises(cls):
        read(server.url, deadline=60)


@both
@pytest.mark.parametrize("without", ["Rheostat_Generation", "Rheostat_Parameters", "ETag"])
def test_stripped_headers_are_told_soon(without: str, read: Read, server: Hostile) -> None:
    """A proxy that leaves our headers out is told at the first block, not after the deadline."""
    server.acts["/values"] = [says(block(VALUES, **{without: None}))]

    with pytest.raises(Unreachable, match=f"without the headers {without.replace('_', '-')}"):
        read(server.url, deadline=600)


SLOW: dict[str, Callable[[bytes], Act]] = {
    "the head": acts.drips,
    "the headers": lambda answer: acts.drips(answer, 40),
    "the body": lambda answer: acts.drips(answer, answer.index(b"\r\n\r\n") + 4),
    "silence": lambda _: lambda _: time.sleep(30),
    "a long head": lambda _: acts.endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 50 + b"\r\n"),
}


@both
@everywhere
@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW)
def test_answer_that_drips_does_not_outlast_the_deadline(
    slow: Callable[[bytes], Act], where: str, read: Read, server: Hostile
) -> None:
    """P9: attempts end by the clock, wherever in an answer the bytes come one by one."""
    good = block() if where == "/values" else document(FACTS)
    server.acts[where] = [slow(good)]
    began = time.monotonic()

    with pytest.raises(Unreachable):
        read(server.url, timeout=0.5, deadline=1.2)

    assert time.monotonic() - began < 5


@pytest.mark.parametrize("act", [acts.chunked, acts.bomb])
@pytest.mark.parametrize(("where", "kind"), [("/join", JSON), ("/values", F64)])
def test_answer_without_end_costs_nothing(
    act: Callable[[str], Act], where: str, kind: str, server: Hostile
) -> None:
    """No more is read than was asked for, and nothing is unpacked: memory stays what it was."""
    server.acts[where] = [act(kind)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(Unreachable):
        read(server.url, deadline=1.0)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@both
def test_long_lasting_trouble_leaves_no_threads(read: Read, server: Hostile) -> None:
    """An attempt that was left ends soon, however slowly the other side goes on."""
    server.acts["/values"] = [acts.drips(block(), 10)]
    with pytest.raises(Unreachable):
        read(server.url, timeout=0.1, deadline=1.5)
    until = time.monotonic() + 10

    def left() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name == "rheostat request"]

    while left() and time.monotonic() < until:
        time.sleep(0.05)
    assert left() == []


WRONG_FACTS: dict[str, list[Any]] = {
    "resolution": [0, -1, 10**30, 1.5, "1", None, True],
    "generation": ["../x", 0, -1, None, 1.0],
    "settled_until": [-3, "x", None, 10**30, []],
    "parameters": [None, [], [1], "lr", {"lr": 1}, ["lr", "lr"], ["b", "a"]],
    "max_block": [0, -1, 10**30, "4096", None],
    "max_jump": [0, None],
    "event": [-1, "12", None],
    "incarnation": ["", 7, None, "a" * 300],
    "end": ["x", -1, []],
    "total": ["x", 0, {}],
    "id": [None, 7, "", "..", "../x", "a/b", "a" * 1000],
    "name": [None, 7, "\n"],
    "axis": [None],
}
ABSURD = [{name: value} for name, values in WRONG_FACTS.items() for value in values]


@both
@pytest.mark.parametrize("absurd", ABSURD, ids=json.dumps)
def test_absurd_facts_of_a_run_are_not_believed(
    absurd: dict[str, Any], read: Read, server: Hostile
) -> None:
    """P9: what cannot be known of a run is no answer to a join; the next one is awaited."""
    wrong = says(document({**FACTS, **absurd}))
    server.acts["/join"] = [wrong, says(document(FACTS))]

    assert read(server.url, deadline=20) == 0.5


@both
@pytest.mark.parametrize("end", ["x", None, -1, 2.5, 10**40, [], True])
def test_refusal_with_an_absurd_end_is_raised(end: Any, read: Read, server: Hostile) -> None:
    """A refusal whose members mean nothing is raised as it is."""
    problem = {"type": "urn:rheostat:problem:finished", "status": 409, "detail": "x", "end": end}
    answer = document(problem, "409 Conflict", "application/problem+json")
    server.acts["/values"] = [says(answer)]

    with pytest.raises(Finished):
        read(server.url)


@both
@pytest.mark.parametrize(
    "text",
    [
        *("Wed, 21 Oct 99999999999 07:28:00 GMT", "Wed, 21 Oct 9999 07:28:00 GMT", "9" * 5000),
        *("-1", "nan", "1e999", "\x80", "Mon, 99 Foo 2020 99:99:99 GMT", "0" * 200),
    ],
)
def test_absurd_pauses_are_not_obeyed(text: str, read: Read, server: Hostile) -> None:
    """P9: whatever ``Retry-After`` holds, the deadline stands."""
    server.acts["/join"] = [says(page("503 Busy", Retry_After=text))]
    began = time.monotonic()

    with pytest.raises(Unreachable):
        read(server.url)

    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "pages",
    [
        lambda n: {"items": [], "next": f"c{n}"},
        lambda _: {"items": [{}], "next": "again"},
        lambda _: {"items": [{}], "next": 7},
        lambda _: {"items": [{}], "next": {"a": 1}},
        lambda _: {"items": None},
        lambda _: {"items": "abc"},
        lambda _: {"items": [1, 2]},
        lambda _: {},
    ],
)
def test_list_that_cannot_be_one_ends(pages: Callable[[int], Any], server: Hostile) -> None:
    """A list whose next page never ends, or is none, is an error of the tree."""
    number = iter(range(10**9))
    server.acts["/runs"] = [lambda c: c.sendall(document(pages(next(number))))]

    with Client(server.url, retries=1) as client, pytest.raises(RheostatError):
        client.runs()


def test_operators_are_told_at_once(server: Hostile) -> None:
    """Who sits and waits is not kept waiting by a page that is not Rheostat's."""
    server.acts["/runs"] = [says(page("404 Not Found", "nothing here"))]

    with Client(server.url) as client, pytest.raises(Unreachable, match="nothing here"):
        client.runs()

    assert len(server.asked) == 1


BEATEN: dict[str, Act] = {
    "in no time": says(document({"again": 1e-300, "compare": []})),
    "everything to be compared": says(
        document(
            {
                "again": 1e-300,
                "compare": [{"worker": "7", "start": step} for step in range(20_000)],
            }
        )
    ),
    "windows never sent": says(
        document({"again": 1e-300, "compare": [{"worker": "x" * 100, "start": 2**60}] * 5_000})
    ),
    "never": says(document({"again": 1e308, "compare": []})),
    "no number": says(
        acts.written("200 OK", {"Content-Type": JSON}, b'{"again":NaN,"compare":[]}')
    ),
    "at once": says(page("429 Too Many Requests", Retry_After="0")),
    "half": says(document({"again": 5, "compare": []})[:-9]),
    "without end": acts.chunked(JSON),
    "small and large": acts.bomb(JSON),
    "the head, slowly": acts.drips(document({"again": 5, "compare": []})),
    "nothing": lambda _: None,
}
"""What may answer a beat."""


@pytest.mark.parametrize("act", BEATEN.values(), ids=BEATEN)
def test_whatever_answers_beats_costs_a_training_nothing(
    act: Act, server: Hostile, caplog: pytest.LogCaptureFixture
) -> None:
    """P8: no answer to a beat makes a client ask all the time, fill memory or the log, or raise."""
    server.acts["/join"] = [says(document({**FACTS, "again": 1e-300}))]
    server.acts["/beats"] = [act]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with Client(server.url, timeout=0.5, deadline=0.8, worker="7") as client:
        run = client.run("gpt", create=SPEC)
        for step in range(4):
            run.applied(step, {"lr": run.value("lr", step)})
        while time.monotonic() < began + 2.5:
            time.sleep(0.1)
        lasted = time.monotonic() - began
        beats = sum(b"/beats" in request.split(b"\r\n")[0] for request in list(server.asked))
    assert 1 <= beats <= 2 * (lasted + 1)  # each second one, and the values of a window
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    assert sum(record.levelname == "WARNING" for record in caplog.records) <= 2
