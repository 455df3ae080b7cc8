"""What the tests of the server share: the one shape that every failure has."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rheostat.errors import PROBLEM_TYPE, refusals

AssertProblem = Callable[[httpx.Response, str], dict[str, Any]]


@pytest.fixture
def problem() -> AssertProblem:
    """Return the check of a failure's shape; it returns the problem for a closer look."""
    statuses = {cls.code: cls.status for cls in refusals()}

    def check(response: httpx.Response, code: str) -> dict[str, Any]:
        document: dict[str, Any] = response.json()
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["cache-control"] == "no-store"
        assert document["type"] == PROBLEM_TYPE + code, document
        assert document["status"] == response.status_code == statuses[code]
        assert document["title"]
        assert document["detail"]
        assert document["request_id"] == response.headers["x-request-id"]
        for error in document.get("errors", []):
            assert {"field", "message", "value"} <= error.keys() <= {*error, "bound"}
        return document

    return check


def refused_in_the_end(http: httpx.Client) -> httpx.Response:
    """Ask until the answer is a refusal, for half a minute at most."""
    for _ in range(300):
        answer = http.get("/v1/runs")
        if answer.status_code != 200:
            return answer
        time.sleep(0.1)
    raise TimeoutError("it was never refused")


Send = Callable[[bytes], httpx.Response]


@pytest.fixture
def send_raw(server: str) -> Send:
    """Return what sends bytes on a connection of their own, and reads until it is closed."""
    url = httpx.URL(server)

    def send(data: bytes) -> httpx.Response:
        with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
            connection.sendall(data)
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return httpx.Response(int(status.split()[1]), headers=headers, content=body)

    return send
