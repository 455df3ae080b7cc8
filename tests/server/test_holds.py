"""Reads at a pause: held until it opens, and refused from memory meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from tests.conftest import RunningServer, StartServer
from tests.server.conftest import AssertProblem
from tests.waiting import until

from rheostat.errors import Unavailable
from rheostat.server.app import create_app
from rheostat.server.http import holds
from rheostat.server.http.holds import LONGEST, wait_of
from rheostat.server.runs.revision import Note
from rheostat.server.settings import Settings
from rheostat.server.store.operations import close, create
from rheostat.server.store.operations.stop import ResumeRequest, StopRequest, resume, stop
from rheostat.server.store.operations.values import settle
from rheostat.server.store.records import Records

RUN = {"name": "gpt", "parameters": {"lr": 1}}
WAIT = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server for these tests alone, which count what it holds."""
    server = RunningServer(tmp_path_factory.mktemp("holds"), {})
    yield server
    server.stop()


@pytest.fixture
def server(running: RunningServer) -> Iterator[RunningServer]:
    """Return it without the run ``gpt`` of another test."""
    yield running
    with running.client() as http:
        http.delete("/v1/runs/gpt")


def start(server: RunningServer, *, refused: bool = True) -> str:
    """Create the run, paused, have a worker come to it, and return the path of its blocks."""
    with server.client() as http:
        run = http.post("/v1/runs", json={**RUN, "paused": True})
    path = f"/v1/runs/{run.raise_for_status().json()['id']}/values"
    if refused:
        assert read(server, path).status_code == 409
    return path


def read(server: RunningServer, path: str, step: int = 0, **more: Any) -> httpx.Response:
    """Read one cell of the first generation."""
    with server.client() as http:
        return http.get(path, params={"generation": 1, "start": step, "count": 1}, **more)


def held(server: RunningServer) -> float:
    """Return how many reads a server holds."""
    with server.client() as http:
        lines = http.get("/metrics").text.splitlines()
    (found,) = (line for line in lines if line.startswith("rheostat_held_reads "))
    return float(found.split()[1])


@contextmanager
def holding(server: RunningServer, path: str, number: int = 1) -> Iterator[list[Future[Any]]]:
    """Have reads held, and yield what comes of them."""
    with ThreadPoolExecutor(number) as threads:
        found = [threads.submit(read, server, path, headers=WAIT) for _ in range(number)]
        until(lambda: held(server) == number)
        yield found


def tell(server: RunningServer, what: str, **body: Any) -> None:
    """Tell the run something."""
    with server.client() as http:
        http.post(f"/v1/runs/gpt/{what}", json=body).raise_for_status()


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("wait=30", 30),
        ("Wait = 5", 5),
        ('respond-async, wait="7"; x=1', 7),
        ("wait=10, wait=20", 10),
        ("wait=999999", 30),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait", 0),
        ("await=3", 0),
        ("wait=" + 20 * "9", 0),
    ],
)
def test_a_preference_is_read_as_it_is_written(prefer: str | None, seconds: int) -> None:
    """RFC 7240: the first one counts, in any case of letters, and what is not understood does not.

    Nobody is held for longer than half a minute.
    """
    assert wait_of(prefer) == seconds


@pytest.mark.parametrize("refused", [False, True])
def test_a_held_read_is_answered_when_the_run_goes_on(
    server: RunningServer, *, refused: bool
) -> None:
    """P5: it gets its values, whether the pause was known or not, and anybody may keep them."""
    path = start(server, refused=refused)
    with holding(server, path, 8) as found:
        tell(server, "resume")
    for answer in (each.result() for each in found):
        assert answer.status_code == 200, answer.text
        assert answer.json()["parameters"] == {"lr": [1.0]}
        assert answer.headers["preference-applied"] == "wait=30"
        assert "immutable" in answer.headers["cache-control"]
    assert "preference-applied" not in read(server, path, headers=WAIT).headers
    assert held(server) == 0


def test_who_may_have_a_part_of_a_block_is_not_held(server: RunningServer) -> None:
    """P5: where a pause lies within what is asked for, what lies before it is there to be read."""
    path = start(server)
    block = {"generation": 1, "start": 0, "count": 2}

    def ask() -> httpx.Response:
        with server.client() as http:
            return http.get(path, params=block, headers=WAIT)

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask)
        until(lambda: held(server) == 1)
        tell(server, "resume", until=1)
        for found in (first, threads.submit(ask), threads.submit(ask)):
            answer = found.result(LONGEST / 2)  # a read that is held comes later
            assert (answer.status_code, answer.json()["end"]) == (409, 1)
    assert read(server, path, headers=WAIT).status_code == 200


@pytest.mark.parametrize(
    ("what", "body", "code"),
    [
        ("stop", {}, "stopped"),
        ("rewind", {"to": 0}, "stale-generation"),
        ("finish", {}, "finished"),
    ],
)
def test_whatever_ends_a_pause_is_told(
    server: RunningServer, problem: AssertProblem, what: str, body: Any, code: str
) -> None:
    """P6: who is held learns at once that the training ends, or that it was rewound."""
    path = start(server)
    with holding(server, path, 2) as found:
        tell(server, what, **body)
    for answer in (each.result() for each in found):
        problem(answer, code)
    if what == "stop":
        with server.client() as http:
            (there,) = (s for s in http.get("/v1/runs/gpt").json()["stops"] if not s["hold"])
        assert there["told"]


def test_a_signal_is_heard_at_a_pause(server: RunningServer, problem: AssertProblem) -> None:
    """P5: who waits there is told at once, once, and waits on; a change alone lets nobody go."""
    path = start(server)
    with holding(server, path, 3) as found:
        tell(server, "revisions", changes={"lr": 2})
        tell(server, "signals", signal="checkpoint")
        for answer in (each.result(LONGEST / 2) for each in found):  # not when their time is over
            (signal,) = problem(answer, "paused")["signals"]
            assert (signal["at"], signal["signal"], signal["revision"]) == (0, "checkpoint", 4)
    with holding(server, path) as found:
        tell(server, "resume")
    assert found[0].result().status_code == 200


def test_a_gate_opens_by_a_report(server: RunningServer, problem: AssertProblem) -> None:
    """P5: who waits there goes on at once, by what the controller made of the report."""
    plateau = {"kind": "plateau", "metric": "loss", "factor": 0.5, "patience": 0}
    gated = {"plateau": {**plateau, "gate": {"every": 4}}}
    with server.client() as http:
        body = {**RUN, "controllers": gated}
        run = http.post("/v1/runs", json=body).raise_for_status().json()["id"]
        path = f"/v1/runs/{run}/values"
        first = {"generation": 1, "start": 0, "count": 4}
        http.get(path, params=first).raise_for_status()
        for step, value in ((4, 1.0), (8, 1.0)):
            refused = problem(read(server, path, step), "awaiting-report")
            assert (refused["gate"], refused["metric"]) == (step, "loss")
            with ThreadPoolExecutor(2) as threads:
                waiting = [threads.submit(read, server, path, step, headers=WAIT) for _ in range(2)]
                until(lambda: held(server) == 2)
                reports = [{"step": step, "metrics": {"loss": value}}]
                sent = {"generation": 1, "reports": reports}
                http.post(f"/v1/runs/{run}/reports", json=sent).raise_for_status()
                lr = {each.result().json()["parameters"]["lr"][0] for each in waiting}
            assert lr == {1.0 if step == 4 else 0.5}
            block = {"generation": 1, "start": step, "count": 4}
            http.get(path, params=block).raise_for_status()


def test_a_deleted_run_is_told(server: RunningServer, problem: AssertProblem) -> None:
    """Nobody waits for what is no more."""
    path = start(server)
    with holding(server, path) as found, server.client() as http:
        http.delete("/v1/runs/gpt").raise_for_status()
    problem(found[0].result(), "unknown-run")


def test_who_is_held_is_refused_in_the_end(server: RunningServer, problem: AssertProblem) -> None:
    """The refusal is that of who is not held, with the preference that was applied."""
    path = start(server)
    refused = read(server, path)
    answer = read(server, path, headers={"Prefer": "wait=1"})
    assert answer.headers["preference-applied"] == "wait=1"
    one, other = (problem(each, "paused") for each in (refused, answer))
    assert {**one, "request_id": ""} == {**other, "request_id": ""}
    assert one["end"] == 0
    assert "preference-applied" not in refused.headers
    assert "retry-after" not in refused.headers


def test_only_so_many_are_held(start_server: StartServer, problem: AssertProblem) -> None:
    """P13: whoever comes then is told at once, and when to come again."""
    server = start_server(max_held_reads=2)
    path = start(server)
    with holding(server, path, 2):
        answer = read(server, path, headers=WAIT)
        problem(answer, "paused")
        assert answer.headers["retry-after"] == "5"
        assert "preference-applied" not in answer.headers
        tell(server, "resume")


def test_who_hangs_up_is_let_go(server: RunningServer) -> None:
    """P13: a worker that died holds no place."""
    path = start(server)
    url = httpx.URL(server.url)
    head = f"GET {path}?generation=1&start=0&count=1 HTTP/1.1\r\nHost: {url.host}\r\n"
    connections = []
    for _ in range(3):
        there = socket.create_connection((url.host, url.port or 80))
        there.sendall(f"{head}Prefer: wait=30\r\n\r\n".encode())
        connections.append(there)
    until(lambda: held(server) == 3)
    for there in connections:
        there.close()
    until(lambda: held(server) == 0)


def test_a_server_that_stops_lets_all_go(start_server: StartServer) -> None:
    """They are refused as ever, and told to come again: to another replica."""
    server = start_server()
    path = start(server)
    with holding(server, path, 2) as found:
        assert server.stop() == 0
    for answer in (each.result() for each in found):
        assert (answer.status_code, answer.headers["retry-after"]) == (409, "5")


def test_who_does_not_prefer_it_is_not_held_by_others(server: RunningServer) -> None:
    """A read of the same address, without the header, is refused at once."""
    path = start(server)
    with holding(server, path):
        assert read(server, path).status_code == 409
        tell(server, "resume")


def test_a_read_that_cannot_be_is_refused_as_ever(
    server: RunningServer, problem: AssertProblem
) -> None:
    """P10: memory does not hide what is wrong with a request."""
    path = start(server)
    assert read(server, path).status_code == 409
    with server.client() as http:
        wrong = {"generation": 1, "start": 0, "count": 5000}
        problem(http.get(path, params=wrong), "invalid")


class Site:
    """An application that runs without a socket, and how often its database is asked for what."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.store = app.state.store
        self.holds = app.state.holds
        self.settles = self.looks = 0
        self.away = False
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=60
        )
        self._write, self._read = self.store.write, self.store.read
        self.store.write, self.store.read = self.write, self.read

    async def write(self, operation: Any, *args: Any) -> Any:
        """Count what settles, and do it, unless the database is away."""
        if operation is settle:
            self.settles += 1
            if self.away:
                raise Unavailable("the database is away")
        return await self._write(operation, *args)

    async def read(self, operation: Any, *args: Any) -> Any:
        """Count how often it is asked for barriers."""
        if operation is Records.standings:
            self.looks += 1
            if self.away:
                raise Unavailable("the database is away")
        return await self._read(operation, *args)

    async def create(self, name: str = "gpt") -> str:
        """Create a run that is paused, and return the path of its blocks."""
        body = {**RUN, "name": name, "paused": True}
        run = await self.store.write(create.create, body, Note())
        return f"/v1/runs/{run['id']}/values"

    async def ask(self, path: str, step: int = 0, **headers: str) -> httpx.Response:
        """Read one cell."""
        where = {"generation": 1, "start": step, "count": 1}
        return await self.http.get(path, params=where, headers=headers)

    async def ask_barely(self, path: str) -> tuple[int, bytes]:
        """Read the first cell, without what a client costs, and return status and body."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"generation=1&start=0&count=1",
            "headers": [(b"host", b"localhost"), (b"prefer", b"wait=600")],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }
        await self.app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(300):
            while not what():  # noqa: ASYNC110 - nothing tells of a gauge
                await asyncio.sleep(0.01)

    @property
    def held(self) -> int:
        """How many reads are held."""
        return cast("int", self.holds._held)


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """Run an application on a database of its own."""
    app = create_app(Settings(database=f"sqlite:///{folder / 'rheostat.db'}", log_level="error"))
    async with app.router.lifespan_context(app):
        here = Site(app)
        async with here.http:
            yield here


def test_refusals_come_from_memory(tmp_path: Path) -> None:
    """P13: a thousand polls at a pause cost the database nothing; a barrier is asked for alone."""

    async def scenario() -> None:
        async with site(tmp_path) as here:
            path = await here.create()
            first = await here.ask(path)
            for step in range(1000):
                answer = await here.ask(path, step % 3)
                assert (answer.status_code, answer.headers["cache-control"]) == (409, "no-store")
            assert {**answer.json(), "request_id": ""} == {**first.json(), "request_id": ""}
            assert here.settles == 1

    asyncio.run(scenario())


def test_ends_are_told_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: ten thousand ranks that end at one step do not each ask the database."""
    monkeypatch.setattr(holds, "POLL", 600)

    async def scenario() -> None:
        async with site(tmp_path) as here:
            path = await here.create()
            await here.store.write(stop, "gpt", StopRequest())
            for _ in range(100):
                told = await here.ask(path, prefer="wait=30")
                assert told.json()["type"].endswith("stopped")
            assert here.settles == 2  # the first one is recorded, the second one is remembered
            await here.store.write(close.finish, "gpt", 0, Note())
            path = await here.create("other")
            await here.store.write(close.finish, "other", 0, Note())
            for _ in range(100):
                assert (await here.ask(path)).json()["type"].endswith("finished")
            assert here.settles == 3

    asyncio.run(scenario())


def test_ten_thousand_are_held_at_little_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: they cost the database one settle to begin with, and one or two to go on."""
    monkeypatch.setattr(holds, "LONGEST", 600)  # until all have come, on a busy machine

    async def scenario() -> None:
        async with site(tmp_path) as here:
            path = await here.create()
            assert (await here.ask(path)).status_code == 409
            reads = [asyncio.create_task(here.ask_barely(path)) for _ in range(10_000)]
            await here.until(lambda: here.held == 10_000)
            assert here.settles == 1
            await here.store.write(resume, "gpt", ResumeRequest())
            answers = await asyncio.gather(*reads)
            assert {status for status, _ in answers} == {200}
            assert len({body for _, body in answers}) == 1
            assert here.settles <= 3
            assert here.held == 0

    asyncio.run(scenario())


def test_a_pause_is_forgotten_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9: nobody is told from memory what nobody can know; who is held stays so, and goes on."""
    monkeypatch.setattr(holds, "POLL", 0.01)

    async def scenario() -> None:
        async with site(tmp_path) as here:
            path = await here.create()
            waiting = asyncio.create_task(here.ask(path, prefer="wait=30"))
            await here.until(lambda: here.held == 1)
            here.away, looks = True, here.looks
            await here.until(lambda: here.looks > looks + 1)
            assert (await here.ask(path)).status_code == 503
            here.away = False
            assert (await here.ask(path)).status_code == 409
            await here.store.write(resume, "gpt", ResumeRequest())
            assert (await waiting).status_code == 200

    asyncio.run(scenario())


def test_what_a_refusal_tells_is_told_as_it_is(tmp_path: Path) -> None:
    """A change at a pause opens nothing, and a further pause there is what is told then."""

    async def scenario() -> None:
        async with site(tmp_path) as here:
            path = await here.create()
            assert (await here.ask(path)).json()["revision"] == 2
            waiting = asyncio.create_task(here.ask(path, prefer="wait=30"))
            await here.until(lambda: here.held == 1)
            await here.store.write(resume, "gpt", ResumeRequest(until=1))
            assert (await waiting).status_code == 200
            again = asyncio.create_task(here.ask(path, 1, prefer="wait=1"))
            await here.until(lambda: here.held == 1)
            body = {"changes": {"lr": 2}, "message": "meanwhile"}
            assert (await here.http.post("/v1/runs/gpt/revisions", json=body)).status_code == 201
            assert (await again).json()["revision"] == 4
            await here.store.write(stop, "gpt", StopRequest())
            assert (await here.ask(path, 1)).json()["type"].endswith("stopped")

    asyncio.run(scenario())


def test_few_pauses_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: the oldest at which nobody is held makes room; where all are waited at, none more is."""
    monkeypatch.setattr(holds, "CLOSED", 2)

    async def scenario() -> None:
        async with site(tmp_path) as here:
            paths = [await here.create(name) for name in ("a", "b", "c")]
            for path in paths:
                assert (await here.ask(path)).status_code == 409
            assert here.settles == 3
            waiting = [asyncio.create_task(here.ask(path, prefer="wait=1")) for path in paths[:2]]
            await here.until(lambda: here.held == 2)
            crowded = await here.ask(paths[2], prefer="wait=30")
            assert (crowded.status_code, crowded.headers["retry-after"]) == (409, "5")
            await asyncio.gather(*waiting)

    asyncio.run(scenario())


def test_a_pause_that_nobody_comes_to_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is not asked for ever about runs whose workers are gone."""
    monkeypatch.setattr(holds, "POLL", 0.01)
    monkeypatch.setattr(holds, "KEPT", 0.05)

    async def scenario() -> None:
        async with site(tmp_path) as here:
            assert (await here.ask(await here.create())).status_code == 409
            await here.until(here.holds._watcher.done)
            looks = here.looks
            await asyncio.sleep(0.1)
            assert here.looks == looks > 0

    asyncio.run(scenario())
