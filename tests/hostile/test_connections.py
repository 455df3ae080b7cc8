"""Connections that say nothing, or too little, or too much: they end, and others are served."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import StartServer
from tests.hostile.conftest import ENDED, Inside, Start, reads, rest

from rheostat.server.http import connections, incoming

GET = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /v1/evaluate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
LENGTH, CHUNKED = b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"
EVALUATION = b'{"definition":{"kind":"constant","value":1},"step":1}'

UNFINISHED = {
    "nothing": (b"", 0),
    "an empty line": (b"\r\n", 408),
    "a method": (b"GE", 408),
    "half a head": (GET, 408),
    "a header without its end": (GET + b"X-A: " + b"a" * 1000, 408),
    "half a head after a request": (GET + b"\r\n" + GET, 200),
    "a head without its body": (POST + LENGTH + b"\r\n", 408),
    "half a body": (POST + LENGTH + b"\r\n{", 408),
    "half a large body": (POST + b"Content-Length: 200000\r\n\r\n" + b" " * 100_000, 408),
    "a chunk without its end": (POST + CHUNKED + b"\r\n5\r\nab", 408),
    "a body without its last chunk": (POST + CHUNKED + b"\r\n1\r\n{\r\n", 408),
    "patience": (POST + LENGTH + b"Expect: 100-continue\r\n\r\n", 100),
    "a body that nobody asked for": (GET + LENGTH + b"\r\n{", 200),
    "a body of which too much is announced": (POST + b"Content-Length: 9999999999\r\n\r\n{", 413),
}
MADE_WRONG = ("a method", "a chunk without its end", "a body without its last chunk")
"""Those that become what cannot be read, if bytes are added."""


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("drip", ["", "a"])
def test_what_does_not_come_to_its_end_is_ended(start: Start, drip: str) -> None:
    """P13: whatever of a request is missing, and though bytes of it drip, its connection ends."""
    server = start()
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(server.connect(data))
            for name, (data, _) in UNFINISHED.items()
        }
        for _ in range(30 if drip else 0):
            for name, connection in opened.items():
                if name not in {"nothing", "an empty line"}:
                    _try_to_send(connection, drip.encode())
            time.sleep(0.05)
        answers = {name: rest(connection) for name, connection in opened.items()}
    statuses = {name: answer.status for name, answer in answers.items()}
    expected = {name: status for name, (_, status) in UNFINISHED.items()}
    for name in MADE_WRONG if drip else ():
        del statuses[name], expected[name]
    assert statuses == expected
    slow = [answer.problem["type"] for answer in answers.values() if answer.status == 408]
    assert set(slow) == {"urn:rheostat:problem:request-timeout"}
    assert server.ask("GET", "/livez").status == 200


def _try_to_send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.send(data)


@pytest.mark.usefixtures("hasty")
def test_a_connection_between_requests_stays_for_its_time(start: Start) -> None:
    """One that has been answered is kept for the next request, and then let go."""
    server = start()
    with server.connect(GET + b"\r\n") as connection:
        assert reads(connection).read()
        time.sleep(1.5)  # longer than a new one may be silent
        connection.sendall(GET + b"\r\n")
        assert reads(connection).read()
        began = time.monotonic()
        assert rest(connection).status == 0
        assert 2.5 < time.monotonic() - began < 20


@pytest.mark.usefixtures("hasty")
def test_a_slow_body_that_is_fast_enough_is_taken(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes at the least rate or faster is taken, however long it takes in all."""
    monkeypatch.setattr(connections, "SLOWEST", 10)
    server = start()
    length = f"Content-Length: {len(EVALUATION)}\r\n\r\n".encode()
    with server.connect(POST + b"Connection: close\r\n" + length) as connection:
        for byte in EVALUATION:
            connection.sendall(bytes([byte]))
            time.sleep(0.04)
        assert json.loads(rest(connection).body) == {"value": 1.0}


def filled(server: Inside, stack: ExitStack, count: int, data: bytes) -> list[socket.socket]:
    """Open connections, each with the same on it."""
    return [stack.enter_context(server.connect(data)) for _ in range(count)]


@pytest.mark.parametrize("data", [b"", GET], ids=["silent", "half a head"])
def test_those_without_a_request_make_room(start: Start, data: bytes) -> None:
    """P13: at the limit, who has not asked for anything goes, the oldest first, and nobody else."""
    server = start(max_connections=20)
    with ExitStack() as stack:
        asked = stack.enter_context(server.connect(GET + b"\r\n"))
        assert reads(asked).read()
        waiting = filled(server, stack, 19, data)
        assert server.ask("GET", "/livez").status == 200
        assert rest(waiting[0]).status == 0  # it has gone
        asked.sendall(GET + b"\r\n")
        assert reads(asked).read()
        assert server.figure(ENDED % "made room without a request") >= 1


def test_those_that_were_silent_for_longest_make_room(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P13: at the limit, among those that asked before, the one goes that was silent longest."""
    monkeypatch.setattr(connections, "IDLE", 0.0)
    server = start(max_connections=5)
    with ExitStack() as stack:
        idle = []
        for _ in range(5):
            idle += filled(server, stack, 1, GET + b"\r\n")
            assert reads(idle[-1]).read()
            time.sleep(0.05)
        idle[0].sendall(GET + b"\r\n")
        assert reads(idle[0]).read()
        assert server.ask("GET", "/livez").status == 200
        assert rest(idle[1]).status == 0
        idle[0].sendall(GET + b"\r\n")
        assert reads(idle[0]).read()


def test_who_finds_no_room_is_told(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """P10: where all are at work, one more is answered 503 with the limit, and may come again."""
    server = start(max_connections=4)
    run = server.ask("PUT", "/v1/runs/a", {"parameters": {"lr": {"kind": "constant", "value": 1}}})
    assert run.status == 201
    with caplog.at_level(logging.WARNING, "rheostat.connections"), ExitStack() as stack:
        events = b"GET /v1/runs/a/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for each in filled(server, stack, 4, events):
            assert each.recv(100)
        refused = server.ask("GET", "/livez")
        assert refused.problem["type"] == "urn:rheostat:problem:unavailable"
        assert (refused.status, refused.problem["reason"]) == (503, "busy")
        assert "4 connections" in refused.problem["detail"]
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["connection"] == "close"
    assert server.ask("GET", "/livez").status == 200
    assert server.figure(ENDED % "too many connections") == 1


def test_open_files_are_raised_and_bound_the_connections(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of connections leaves files for all else, and the log says where they are few."""
    for files, allowed in ((64, 16), (1024, 256), (4096, 3776), (1_000_000, 16_384)):
        monkeypatch.setattr(resource, "getrlimit", lambda _which, files=files: (files, files))
        caplog.clear()
        assert connections.connections_for(16_384) == allowed
        assert bool(caplog.records) == (allowed < 16_384)
        assert all(f"open {files} files" in record.message for record in caplog.records)


def test_a_server_takes_as_many_files_as_it_may(start_server: StartServer) -> None:
    """P13: the soft limit of open files, 1,024 in most shells, is not what bounds a server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    running = start_server()
    limits = Path(f"/proc/{running.process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert line.split()[3:5] == [str(hard), str(hard)]


def test_few_open_files_are_never_the_end(tmp_path: Any) -> None:
    """P13: with few files, and more connections than those, requests are answered all the same."""
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))\n"
        "from rheostat.server import serve, settings; serve.serve(settings.Settings())"
    )
    settings = {"RHEOSTAT_DATABASE": f"sqlite:///{tmp_path}/x.db", "RHEOSTAT_PORT": "0"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    port = int(process.stdout.readline().split()[3].rpartition(":")[2])
    try:
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(GET + b"Connection: close\r\n\r\n")
                    assert rest(connection).status == 200
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
    assert "may open 128 files" in (tmp_path / "log").read_text()


@pytest.mark.usefixtures("hasty")
def test_an_answer_that_is_not_taken_is_given_up(start: Start) -> None:
    """P13: a peer that reads a byte now and then holds no megabytes: it is cut off."""
    server = start()
    body = b'{"definition":{"kind":"constant","value":1},"stop":3000000}'
    head = POST.replace(b"evaluate", b"evaluate?format=f64")
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with server.connect(request, SO_RCVBUF=4096) as connection:
        received = 0
        try:
            for _ in range(300):
                received += len(connection.recv(1))
                time.sleep(0.05)
                if server.figure(ENDED % "an answer was not taken"):
                    break
        except ConnectionError:
            pass
        assert server.figure(ENDED % "an answer was not taken") == 1
        assert received < 400


SENSELESS = {
    "chunks of one byte": CHUNKED + b"\r\n" + b"1\r\n \r\n" * 100_000,
    "long extensions": CHUNKED + b"\r\n1;" + b"a" * 400_000,
    "endless fields after it": CHUNKED + b"\r\n1\r\n \r\n0\r\n" + b"a: b\r\n" * 50_000,
}


@pytest.mark.parametrize("name", SENSELESS)
def test_a_body_of_little_in_much_is_refused(start: Start, name: str) -> None:
    """P10: what costs much to read and holds nothing is refused, and not read to its end."""
    server = start()
    with server.connect() as connection:
        with suppress(OSError):
            connection.sendall(POST + SENSELESS[name])
        answer = rest(connection)
    assert answer.problem["type"] == "urn:rheostat:problem:malformed"


def test_small_chunks_that_make_sense_are_read(start: Start) -> None:
    """A client that writes a body piece by piece is understood, fields after it are left out."""
    server = start()
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(EVALUATION[i : i + 7]), EVALUATION[i : i + 7])
        for i in range(0, len(EVALUATION), 7)
    )
    body = chunks + b"0\r\nIdempotency-Key: 7\r\nHost: evil.example\r\n\r\n"
    with server.connect(POST + CHUNKED + b"Connection: close\r\n\r\n" + body) as connection:
        assert json.loads(rest(connection).body) == {"value": 1.0}


def test_a_long_pipeline_waits_as_bytes(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: of thousands of requests on a connection few are read ahead, and all are answered."""
    most = 0

    class Watched(incoming.Pipeline):
        def appendleft(self, waiting: Any) -> None:
            nonlocal most
            super().appendleft(waiting)
            most = max(most, len(self))

    monkeypatch.setattr("rheostat.server.http.protocol.Pipeline", Watched)
    server = start()
    one = POST + b"Content-Length: %d\r\n\r\n" % len(EVALUATION) + EVALUATION
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with server.connect() as connection:
        connection.sendall(one * 999 + last)
        answer = rest(connection)
    assert answer.received.count(b"HTTP/1.1 200 OK") == 1000
    assert most <= 2 * incoming.AT_ONCE // len(one)
    assert server.app.state.receiving.used == 0


def test_a_body_larger_than_its_piece_follows_another_request(start: Start) -> None:
    """What waits as bytes may be the rest of a body, and is read when its turn comes."""
    server = start()
    body = EVALUATION[:-1] + b" " * 300_000 + b"}"
    one = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with server.connect() as connection:
        connection.sendall(one * 3 + last)
        answer = rest(connection)
    assert answer.received.count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    "lines",
    [
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nhost: localhost\r\n",
        b"GET /livez HTTP/1.1\r\n",
        b"GET /livez HTTP/2.0\r\nHost: 127.0.0.1\r\n",
        b"GET /livez HTTP/0.9\r\nHost: 127.0.0.1\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:\xb2\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:\xc2\xb2\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:80:80\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1, 127.0.0.1\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a@127.0.0.1\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1/\r\n",
    ],
)
def test_a_request_has_one_host_and_a_known_version(start: Start, lines: bytes) -> None:
    """P10: two hosts, none, what is no host, and other versions of HTTP are refused with 400."""
    server = start()
    with server.connect(lines + b"Connection: close\r\n\r\n") as connection:
        answer = rest(connection)
    assert answer.problem["type"] == "urn:rheostat:problem:malformed"


def test_the_log_has_no_secrets_and_no_long_lines(start_server: StartServer) -> None:
    """What somebody puts into an address by mistake, a token above all, is not written down."""
    running = start_server()
    secret = "rheo_" + "5" * 40
    with running.client() as http:
        for target in (
            f"/v1/runs?token={secret}",
            "/v1/runs?api_key=hunter2&limit=7",
            "/v1/runs?hunter2",
            f"/v1/runs?cursor={secret}",
            f"/v1/runs/{secret}",
            "/v1/runs?limit=1&" + "a" * 50_000,
            "/v1/runs/" + "b" * 50_000,
        ):
            http.get(target)
    running.stop()
    assert "/v1/runs?…&limit=7 422" in running.log
    for hidden in (secret, "5" * 40, "hunter2"):
        assert hidden not in running.log
    assert max(map(len, running.log.splitlines())) < 1300
