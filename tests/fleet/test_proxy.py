"""What passes through nginx beside settled blocks: streams, bodies, and its own refusals."""

from __future__ import annotations

import json
import socket
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import httpx
import pytest

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
        content, headers = b"[" * size, {"Content-Type": "application/json"}
        problem(http.post("/v1/evaluate", content=content, headers=headers), code)


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02",
        b"GET /v1/runs?label=" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost",
        b"GET /v1/runs HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 40_000,
        b"GET /v1/runs HTTP/1.1\r\nNo colon",
        b"GET /v1/runs HTTP/1.1",
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
        assert json.loads(http.get("/v1/access").content) == {"name": "viewer", "role": "viewer"}
        refused = http.get("/v1/runs", headers={"Host": "evil.example"})
    assert refused.status_code == 403
