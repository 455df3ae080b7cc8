"""The fast lane before the application: what it answers is what the application answers."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest
from tests.conftest import open_tokens
from uvicorn import Config
from uvicorn.server import ServerState

from rheostat.server.app import create_app
from rheostat.server.http import access, rates
from rheostat.server.http.protocol import CONNECTION_CLASS, BoundedHttp
from rheostat.server.runs.lineage import GenerationKey
from rheostat.server.settings import Settings

SPEC = {
    "name": "a",
    "parameters": {
        "lr": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 1000},
        "wd": {"kind": "constant", "value": 0.1},
    },
}
F64 = "application/octet-stream"
Headers = list[tuple[str, str]]


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def lasting(self) -> tuple[int, list[tuple[str, str]], object]:
        """Return all of it but for the time, and the request's own id."""
        headers = [(k, v) for k, v in self.headers if k not in {"date", "x-request-id"}]
        if ("content-type", "application/problem+json") not in headers:
            return self.status, sorted(headers), self.body
        document = json.loads(self.body or b"{}")
        document.pop("request_id", None)
        return self.status, sorted(headers), document


def ask(port: int, method: str, target: str, headers: Headers) -> Reply:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    if not any(name == "host" for name, _ in headers):
        headers = [("host", "127.0.0.1"), *headers]
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    reply = Reply(answer.status, [(k.lower(), v) for k, v in answer.getheaders()], answer.read())
    connection.close()
    return reply


class House:
    """One application behind two ports: with the fast lane before it, and without."""

    def __init__(self, folder: Any, settings: dict[str, Any]) -> None:
        database = f"sqlite:///{folder / 'house.db'}"
        with open_tokens(database) as tokens:
            roles = ("viewer", "worker", "admin")
            self.secrets = {role: tokens.create(role, role)["token"] for role in roles}
        self.settings = Settings(database=database, **settings)
        self.app = create_app(self.settings)
        self.answered = 0

    async def open(self, ready: threading.Event, closing: asyncio.Event) -> None:
        """Serve until told to close."""
        self.loop, self.closing = asyncio.get_running_loop(), closing
        config = Config(self.app, ws="none", access_log=False, log_config=None)
        config.load()
        async with self.app.router.lifespan_context(self.app) as state:
            assert state is not None
            lane = self.app.state.fast_lane
            lane.reply = self._counting(lane.reply)
            shared = ServerState()
            ways = (state[CONNECTION_CLASS], BoundedHttp)
            protocols = [partial(way, config, shared, dict(state)) for way in ways]
            servers = [await self.loop.create_server(each, "127.0.0.1", 0) for each in protocols]
            self.fast, self.slow = (each.sockets[0].getsockname()[1] for each in servers)
            ready.set()
            await closing.wait()
            for each in servers:
                each.close()
            while shared.connections:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0)

    def _counting(self, reply: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*asked: Any) -> Any:
            found = reply(*asked)
            self.answered += found is not None
            return found

        return counted

    def ask(self, port: int, method: str, target: str, headers: Headers) -> Reply:
        """Send one request on a connection of its own."""
        return ask(port, method, target, headers)

    def token(self, role: str) -> Headers:
        """Return the header that a role sends."""
        return [("authorization", f"Bearer {self.secrets[role]}")]

    def new_run(self) -> str:
        """Return the id of the run, made if there is none."""
        body = json.dumps(SPEC)
        connection = http.client.HTTPConnection("127.0.0.1", self.slow, timeout=60)
        headers = {"content-type": "application/json", **dict(self.token("admin"))}
        connection.request("PUT", "/v1/runs/a", body, headers)
        document = json.loads(connection.getresponse().read())
        connection.close()
        return str(document["id"])

    def requests(self, status: int) -> float:
        """Return how many reads of values were counted with a status."""
        text = self.ask(self.slow, "GET", "/metrics", self.token("admin")).body.decode()
        series = f'_count{{method="GET",route="/v1/runs/{{run}}/values",status="{status}"}} '
        return sum(float(line.split()[-1]) for line in text.splitlines() if series in line)


@contextmanager
def opened(folder: Any, **settings: Any) -> Iterator[House]:
    """Open a house, in a thread of its own."""
    house, ready, closing = House(folder, settings), threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(house.open(ready, closing)))
    thread.start()
    assert ready.wait(60)
    try:
        yield house
    finally:
        house.loop.call_soon_threadsafe(closing.set)
        thread.join(60)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a house that asks for tokens."""
    with opened(tmp_path_factory.mktemp("house"), auth=True) as house:
        yield house


@pytest.fixture(scope="module")
def path(house: House) -> str:
    """Return the path of a block that is settled."""
    path = f"/v1/runs/{house.new_run()}/values"
    first = house.ask(house.slow, "GET", f"{path}?{BLOCK}", house.token("worker"))
    assert first.status == 200
    return path


BLOCK = "generation=1&start=0&count=64"
HITS = {
    "JSON": ("GET", BLOCK, []),
    "f64 by Accept": ("GET", BLOCK, [("accept", F64)]),
    "f64 by the query": ("GET", f"{BLOCK}&format=f64", [("accept", "text/html")]),
    "Accept with qualities": ("GET", BLOCK, [("accept", f"text/html, {F64};q=0.5")]),
    "another order": ("GET", "count=64&start=0&generation=1", []),
    "percent-encoding": ("GET", "generation=1&st%61rt=0&count=64", []),
    "leading zeros": ("GET", "generation=01&start=000&count=64", []),
    "an empty part": ("GET", f"{BLOCK}&", []),
    "what is ignored": ("GET", f"{BLOCK}&resume=true", []),
    "an id of its own": ("GET", BLOCK, [("x-request-id", "night-7")]),
    "a foul id": ("GET", BLOCK, [("x-request-id", "x" * 65)]),
    "another tag": ("GET", BLOCK, [("if-none-match", '"other"')]),
    "any tag": ("GET", BLOCK, [("if-none-match", "*")]),
    "a host with a port": ("GET", BLOCK, [("host", "LOCALHOST:8000")]),
    "a body": ("GET", BLOCK, [("content-length", "0")]),
    "patience": ("GET", BLOCK, [("expect", "100-continue")]),
    "a proxy": ("GET", BLOCK, [("x-forwarded-for", "10.0.0.1")]),
}
MISSES = {
    "HEAD": ("HEAD", BLOCK, []),
    "POST": ("POST", BLOCK, [("content-length", "0")]),
    "OPTIONS": ("OPTIONS", BLOCK, []),
    "another method": ("BREW", BLOCK, []),
    "no query": ("GET", "", []),
    "an unknown parameter": ("GET", f"{BLOCK}&pace=1", []),
    "a parameter twice": ("GET", f"{BLOCK}&start=0", []),
    "no generation": ("GET", "start=0&count=64", []),
    "an unknown generation": ("GET", "generation=9&start=0&count=64", []),
    "too large": ("GET", "generation=1&start=0&count=65537", []),
    "beyond the jump": ("GET", "generation=1&start=90000&count=64", []),
    "a wrong format": ("GET", f"{BLOCK}&format=png", []),
    "nothing acceptable": ("GET", BLOCK, [("accept", "text/html")]),
    "two Accepts": ("GET", BLOCK, [("accept", "text/html"), ("accept", F64)]),
    "two tags": ("GET", BLOCK, [("if-none-match", '"a"'), ("if-none-match", '"b"')]),
    "a foreign host": ("GET", BLOCK, [("host", "evil.example")]),
    "an empty host": ("GET", BLOCK, [("host", "")]),
    "another site": ("GET", BLOCK, [("origin", "http://evil.example")]),
    "another site's picture": ("GET", BLOCK, [("sec-fetch-site", "cross-site")]),
    "the address bar": ("GET", BLOCK, [("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]),
    "the last request": ("GET", BLOCK, [("connection", "close")]),
    "another token": ("GET", BLOCK, [("authorization", "Bearer rheo_" + "0" * 40)]),
    "no token": ("GET", BLOCK, [("authorization", "")]),
}


def both(house: House, method: str, target: str, headers: Headers) -> tuple[Reply, Reply]:
    """Ask the application, which may note its answer, and then the fast lane."""
    return tuple(house.ask(port, method, target, headers) for port in (house.slow, house.fast))  # type: ignore[return-value]


@pytest.mark.parametrize("name", [*HITS, *MISSES])
def test_the_fast_lane_answers_as_the_application_does(house: House, path: str, name: str) -> None:
    """P1: status, headers and body are the same, and only what is plain takes the fast lane."""
    method, query, headers = {**HITS, **MISSES}[name]
    if not any(key == "authorization" for key, _ in headers):
        headers = [*headers, *house.token("worker")]
    before = house.answered
    slow, fast = both(house, method, f"{path}?{query}", headers)
    assert fast.lasting == slow.lasting
    assert house.answered - before == (name in HITS)


@pytest.mark.parametrize("accept", [F64, "application/json"])
def test_what_a_reader_has_is_not_sent_again(house: House, path: str, accept: str) -> None:
    """A block whose tag the reader sends is answered by 304, without a body."""
    headers = [*house.token("worker"), ("accept", accept)]
    whole, _ = both(house, "GET", f"{path}?{BLOCK}", headers)
    headers.append(("if-none-match", dict(whole.headers)["etag"]))
    before = house.answered
    slow, fast = both(house, "GET", f"{path}?{BLOCK}", headers)
    assert (fast.status, fast.body, house.answered) == (304, b"", before + 1)
    assert fast.lasting == slow.lasting


def test_both_ways_see_where_workers_read(house: House, path: str) -> None:
    """P14: a block from the fast lane is one that a worker reads; a preview is not."""
    key = GenerationKey(path.split("/")[3], 1)

    def asked(port: int, role: str) -> float:
        house.ask(port, "GET", f"{path}?{BLOCK}", house.token(role))
        return max((seen.at for seen in house.app.state.store.sightings.of(key)), default=0.0)

    times = [asked(port, "worker") for port in (house.slow, house.fast, house.fast)]
    assert times == sorted(set(times))
    assert asked(house.fast, "viewer") == times[-1]


def test_a_path_by_another_name(house: House, path: str) -> None:
    """A percent-encoded path leads to the same block; a run's name, to a preview."""
    for other in (path.replace("run_", "run%5F"), "/v1/runs/a/values", path + "/"):
        slow, fast = both(house, "GET", f"{other}?{BLOCK}", house.token("worker"))
        assert fast.lasting == slow.lasting


def test_each_role_gets_its_own_answer(house: House, path: str) -> None:
    """P10: what a worker gets in the fast lane, a viewer gets as a preview, others do not get."""
    before = house.answered
    for role, status in (("worker", 200), ("viewer", 200), ("admin", 200), (None, 401)):
        headers = house.token(role) if role else []
        slow, fast = both(house, "GET", f"{path}?{BLOCK}", headers)
        assert fast.lasting == slow.lasting
        assert fast.status == status
        assert (b'"final"' in fast.body) == (role == "viewer")
    assert house.answered == before + 2


def test_both_ways_are_counted(house: House, path: str) -> None:
    """Answers of the fast lane are in the figures of the route, by status."""
    headers = house.token("worker")
    whole, _ = both(house, "GET", f"{path}?{BLOCK}", headers)
    known = [*headers, ("if-none-match", dict(whole.headers)["etag"])]
    before = house.requests(200), house.requests(304)
    for _ in range(3):
        both(house, "GET", f"{path}?{BLOCK}", headers)
        house.ask(house.fast, "GET", f"{path}?{BLOCK}", known)
    assert (house.requests(200) - before[0], house.requests(304) - before[1]) == (6, 3)


def test_both_ways_are_logged(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Each way writes the same line, with the request's id."""
    with caplog.at_level(logging.DEBUG, "rheostat.access"), opened(tmp_path) as house:
        path = f"/v1/runs/{house.new_run()}/values?{BLOCK}"
        both(house, "GET", path, [("x-request-id", "night-7")])
    text = "\n".join(record.getMessage() for record in caplog.records)
    lines = [line.partition("DEBUG ")[2] for line in text.splitlines() if "night-7" in line]
    assert len(lines) == 2
    assert len({re.sub(r"\S+ ms", "", line) for line in lines}) == 1
    assert lines[0].startswith(f"rheostat.access GET {path} 200 ")


def test_a_revoked_token_is_refused_in_the_fast_lane(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: what was found of a token is believed for a while, and no longer."""
    monkeypatch.setattr(access, "TRUSTED", 0.5)
    with opened(tmp_path, auth=True) as house:
        path = f"/v1/runs/{house.new_run()}/values?{BLOCK}"
        both(house, "GET", path, house.token("worker"))
        with open_tokens(house.settings.database) as tokens:
            tokens.revoke("worker")
        while house.ask(house.fast, "GET", path, house.token("worker")).status != 401:
            pass
        slow, fast = both(house, "GET", path, house.token("worker"))
        assert fast.lasting == slow.lasting


def test_the_fast_lane_counts_what_each_address_asks(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: the limit of requests is one for both ways, and the refusal is the same."""
    monkeypatch.setattr(rates, "BURST", 500.0)
    with opened(tmp_path, rate_limit=0.01) as house:  # the sixth in 100 seconds is one too many
        path = f"/v1/runs/{house.new_run()}/values?{BLOCK}"  # the first of five at once
        replies = [*both(house, "GET", path, []), *both(house, "GET", path, [])]
        assert ([reply.status for reply in replies], house.answered) == ([200] * 4, 2)
        slow, fast = both(house, "GET", path, [])
        assert (fast.status, house.answered) == (429, 2)
        assert fast.lasting[2] == slow.lasting[2]
        forwarded = house.ask(house.fast, "GET", path, [("x-forwarded-for", "10.0.0.1")])
        assert (forwarded.status, house.answered) == (200, 2)


def test_a_deleted_run_is_gone_at_once(tmp_path: Any) -> None:
    """The process that deletes a run answers 404 for its blocks, in the fast lane and beyond."""
    with opened(tmp_path) as house:
        run = house.new_run()
        path = f"/v1/runs/{run}/values?{BLOCK}"
        assert [reply.status for reply in both(house, "GET", path, [])] == [200, 200]
        assert house.ask(house.fast, "DELETE", "/v1/runs/a", []).status == 204
        assert [reply.status for reply in both(house, "GET", path, [])] == [404, 404]


def test_requests_in_a_pipeline_are_answered_in_turn(house: House, path: str) -> None:
    """However many requests arrive at once, by either way, each is answered in its turn."""
    count = 3000
    token = f"Authorization: Bearer {house.secrets['worker']}"
    sent = b"".join(
        f"GET {path if number % 7 else '/livez'}?{BLOCK if number % 7 else ''} HTTP/1.1\r\n"
        f"Host: 127.0.0.1\r\nX-Request-Id: {number}\r\n{token}\r\n\r\n".encode()
        for number in range(1, count + 1)
    )
    with socket.create_connection(("127.0.0.1", house.fast), timeout=60) as connection:
        sender = threading.Thread(target=connection.sendall, args=(sent,))
        sender.start()
        with connection.makefile("rb") as stream:
            ids = [_request_id(stream) for _ in range(count)]
        sender.join()
    assert ids == [*range(1, count + 1)]


def _request_id(stream: Any) -> int:
    assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
    headers = http.client.parse_headers(stream)
    stream.read(int(headers["content-length"]))
    return int(headers["x-request-id"])


def test_ranks_that_ask_together_are_one(tmp_path: Any) -> None:
    """P5: of those who ask for a block while it is settled, one goes to the store; all get it."""
    with opened(tmp_path) as house:
        path = f"/v1/runs/{house.new_run()}/values?{BLOCK}"
        store = house.app.state.store
        held, go = threading.Event(), threading.Event()

        def hold(_records: Any) -> None:
            held.set()
            go.wait(60)

        holding = asyncio.run_coroutine_threadsafe(store.write(hold), house.loop)
        assert held.wait(60)
        writes = _counted(store)
        connections = [_asked(house.fast, path) for _ in range(20)]
        gone = connections.pop(10)
        gone.close()
        while not writes:
            time.sleep(0.01)
        go.set()
        holding.result(60)
        bodies = {connection.getresponse().read() for connection in connections}
        assert (len(bodies), len(writes)) == (1, 1)
        assert json.loads(bodies.pop())["parameters"]["lr"][0] == 1e-3
        for connection in connections:  # they go on as ever
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
            connection.close()


def test_those_who_wait_for_a_refusal_are_refused(tmp_path: Any) -> None:
    """P10: each for itself, as if nobody else had asked."""
    with opened(tmp_path) as house:
        path = f"/v1/runs/{house.new_run()}/values?generation=1&start=90000&count=64"
        connections = [_asked(house.fast, path) for _ in range(5)]
        codes = {json.loads(each.getresponse().read())["type"] for each in connections}
        for connection in connections:
            connection.close()
        assert codes == {"urn:rheostat:problem:step-jump"}


def _asked(port: int, path: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    return connection


def _counted(store: Any) -> list[Any]:
    writes: list[Any] = []
    write = store.write

    def counted(operation: Any, *rest: Any) -> Any:
        writes.append(operation)
        return write(operation, *rest)

    store.write = counted
    return writes
