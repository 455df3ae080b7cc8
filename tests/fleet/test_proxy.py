"""What passes through nginx beside settled blocks: streams, bodies, and its own refusals."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

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


def test_the_service_knows_who_asks(fleet: Fleet) -> None:
    """Host names and tokens pass as they are, and links in answers are those of the caller."""
    with fleet.client("viewer") as http:
        assert json.loads(http.get("/v1/access").content) == {"name": "viewer", "role": "viewer"}
        refused = http.get("/v1/runs", headers={"Host": "evil.example"})
    assert refused.status_code == 403
