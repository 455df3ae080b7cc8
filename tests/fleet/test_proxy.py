"""What passes through nginx beside settled blocks: streams, bodies, and its own refusals."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.fleet.test_cache import block

if TYPE_CHECKING:
    from tests.fleet.conftest import Fleet, StartNginx

LIMIT = 8 * 1024 * 1024


def test_events_come_when_they_happen(fleet: Fleet, new_name: Any) -> None:
    """P5: nginx keeps no event back, though the stream goes on."""
    name = new_name()
    fleet.create(name)
    path = f"/v1/runs/{name}"
    changes = {"lr": {"edit": "scale", "factor": 0.5}}
    with fleet.client() as http, http.stream("GET", f"{path}/events") as stream:
        lines = stream.iter_lines()
        next(lines)  # the stream has begun
        http.post(f"{path}/revisions", json={"changes": changes}).raise_for_status()
        event = next(line for line in lines if line.startswith("event:"))
    assert event == "event: revised"


@pytest.mark.parametrize(("size", "code"), [(LIMIT, "malformed"), (LIMIT + 1, "too-large")])
def test_bodies_may_be_as_long_as_the_service_takes(
    size: int, code: str, fleet: Fleet, problem: Any
) -> None:
    """P10: the longest body reaches the service, and one byte more is refused in its words."""
    with fleet.client() as http:
        content, headers = b"1" * size, {"Content-Type": "application/json"}
        problem(http.post("/v1/evaluate", content=content, headers=headers), code)


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02",
        b"GET /v1/runs?label=" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost",
        b"GET /v1/runs HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 40_000,
        b"GET /v1/runs HTTP/1.1\r\nNo colon",
        b"GET /v1/runs HTTP/1.1",
        b"GET /v1/runs HTTP/1.1\r\nHost: a\r\nHost: b",
        b"GET /v1/runs HTTP/1.1\r\nHost: a b",
        b"GET /v1/runs HTTP/2.0\r\nHost: a",
        b"GET /v1/runs HTTP/3.7\r\nHost: a",
        b"PRI * HTTP/2.0",
        b"GET  HTTP/1.1\r\nHost: a",
        b"POST /v1/runs HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2",
        b"POST /v1/runs HTTP/1.1\r\nHost: a\r\nContent-Length: -1",
        *(
            b"POST /v1/runs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + coding
            for coding in (b"xchunked", b"identity", b"chunked, identity", b"gzip, chunked")
        ),
        b"POST /v1/runs HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
        b"POST /v1/runs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz",
    ],
)
def test_what_is_no_request_is_refused_as_the_service_would(
    head: bytes, start_nginx: StartNginx, problem: Any
) -> None:
    """P10: what nginx itself cannot read gets a problem document, too."""
    nginx = start_nginx("127.0.0.1:1")
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=60) as there:
        there.sendall(head + b"\r\n\r\n")
        answer = HTTPResponse(there)
        answer.begin()
        content = answer.read()
    problem(
        httpx.Response(answer.status, headers=dict(answer.headers), content=content), "malformed"
    )


@pytest.mark.parametrize("head", [b"TRACE / HTTP/1.1", b"TRACE /v1/runs/run_0/values HTTP/1.1"])
def test_methods_that_it_refuses_itself(head: bytes, start_nginx: StartNginx, problem: Any) -> None:
    """P10: a method that never reaches the service is refused by a problem document, too."""
    nginx = start_nginx("127.0.0.1:1")
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=60) as there:
        there.sendall(head + b"\r\nHost: localhost\r\n\r\n")
        answer = HTTPResponse(there)
        answer.begin()
        content = answer.read()
    refused = httpx.Response(answer.status, headers=dict(answer.headers), content=content)
    problem(refused, "method-not-allowed")


@pytest.mark.parametrize("size", [3_335, 25_000, 60_000])
def test_long_heads_of_answers_pass(size: int, start_nginx: StartNginx) -> None:
    """P9: an answer whose head is longer than nginx's own buffer reaches the worker."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n"
    head += b"".join(b"X-%d: %s\r\n" % (at, b"a" * 1000) for at in range(size // 1000 + 1))

    class Long(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(head + b"\r\nok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Long) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        nginx = start_nginx(f"127.0.0.1:{server.server_address[1]}")
        with nginx.client() as http:
            for path in ("/v1/kinds", "/v1/runs/run_0/events"):
                assert http.get(path).text == "ok"
        server.shutdown()


@pytest.mark.parametrize(
    "condition",
    [
        {"Range": "bytes=4-7"},
        {"Range": "bytes=99999999-"},
        {"If-Match": '"another"'},
        {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ],
)
def test_a_block_is_whole_from_the_cache_as_from_the_service(
    condition: dict[str, str], fleet: Fleet, new_name: Any
) -> None:
    """P1: what is in the cache is answered whole, whatever a request wishes of it."""
    run = fleet.create(new_name())
    with fleet.client("worker") as http:
        whole = [http.get(block(run)).raise_for_status().content for _ in range(2)]
        answer = http.get(block(run), headers=condition)
    assert (answer.status_code, answer.content) == (200, whole[0])


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/run_0/values?generation=1&start=0&count=1"])
def test_without_replicas_it_says_so(path: str, start_nginx: StartNginx, problem: Any) -> None:
    """P9: when no replica answers, clients are told to come again, in the service's own words."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nginx = start_nginx(f"127.0.0.1:{nobody.getsockname()[1]}")
        with nginx.client() as http:
            answer = http.get(path)
            problem(answer, "unavailable")
            assert answer.headers["retry-after"] == "1"
            keyed = http.post(path, json={}, headers={"Idempotency-Key": "a"})
            problem(keyed, "unavailable")


@pytest.mark.parametrize("path", ["/may-settle", "/malformed"])
def test_inner_addresses_are_nobodys(path: str, fleet: Fleet, problem: Any) -> None:
    """P10: what nginx keeps for itself is an unknown address to everybody else."""
    with fleet.client() as http:
        problem(http.get(path), "not-found")


def test_the_service_knows_who_asks(fleet: Fleet) -> None:
    """Host names and tokens pass as they are, and links in answers are those of the caller."""
    with fleet.client("viewer") as http:
        assert json.loads(http.get("/v1/access").content) == {
            "name": "viewer",
            "role": "viewer",
            "runs": None,
            "limit": None,
            "may": [],
        }
        refused = http.get("/v1/runs", headers={"Host": "evil.example"})
    assert refused.status_code == 403


def test_the_log_names_the_caller_and_not_nginx(start_server: Any, start_nginx: StartNginx) -> None:
    """Behind our template a line has the caller's own address, whatever the caller says it is."""
    server = start_server()
    nginx = start_nginx(server.url.removeprefix("http://"))
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "forged"}
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=nginx.url, headers=forged, transport=transport) as http:
        http.get("/v1/runs").raise_for_status()
    server.stop()
    (line,) = (line for line in server.log.splitlines() if " forged " in line)
    assert line.endswith(" forged from=127.0.0.2")
