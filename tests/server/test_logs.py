"""What the log says, in both of its formats, of whom, and what it never says."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from tests.conftest import RunningServer, open_tokens

from rheostat.server.http.access import CALLER, Caller
from rheostat.server.http.access_log import AccessLog
from rheostat.server.logs import JsonFormatter
from rheostat.server.tokens import Role

BLOCK = {"generation": 1, "start": 0, "count": 8}


class Talkative:
    """A server that writes all that it can, as JSON, and a token for it."""

    def __init__(self, folder: Path) -> None:
        with open_tokens(f"sqlite:///{folder / 'rheostat.db'}") as tokens:
            self.secret = tokens.create("ann", "operator")["token"]
        settings: dict[str, object] = {"auth": "true", "log_format": "json", "log_level": "debug"}
        self.server = RunningServer(folder, settings)

    def client(self, local: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """Return a client that comes from an address."""
        return httpx.Client(
            base_url=self.server.url,
            transport=httpx.HTTPTransport(local_address=local),
            headers={"Authorization": f"Bearer {self.secret}", **headers},
        )

    def lines(self) -> dict[str, Any]:
        """Stop it, and return the lines of its log by the ids of requests: all are JSON."""
        self.server.stop()
        lines = [orjson.loads(line) for line in self.server.log.splitlines()]
        return {line.get("request_id", line.get("message")): line for line in lines}


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[Talkative]:
    """Return a server of the test's own."""
    running = Talkative(tmp_path)
    yield running
    running.server.close()


def test_a_line_says_who_did_what_to_which_run_from_where(talkative: Talkative) -> None:
    """Each request is one object: changes and refusals are info, what workers read is debug."""
    with talkative.client() as http:
        made = http.post("/v1/runs", json={"name": "gpt", "parameters": {"lr": 1}}).json()
        values, about = f"/v1/runs/{made['id']}/values", {"X-Request-Id": "read"}
        http.get("/v1/runs/gpt?secret=swordfish", headers={"X-Request-Id": "show"})
        http.get(values, params=BLOCK)
        http.get(values, params=BLOCK, headers=about).raise_for_status()
        http.get(values, params=BLOCK | {"start": -1}, headers={"X-Request-Id": "refused"})
    lines = talkative.lines()
    read = lines["read"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read.pop("time"))
    assert 0 < read.pop("seconds") < 60
    assert read == {
        "level": "debug",
        "logger": "rheostat.access",
        "method": "GET",
        "target": f"{values}?generation=1&start=0&count=8",
        "status": 200,
        "request_id": "read",
        "from": "127.0.0.1",
        "token": "ann",
        "run": made["id"],
    }
    shown = lines["show"]
    assert (shown["level"], shown["run"], shown["token"]) == ("info", "gpt", "ann")
    assert shown["target"] == "/v1/runs/gpt?…"
    assert (lines["refused"]["level"], lines["refused"]["status"]) == ("info", 422)
    assert talkative.secret not in talkative.server.log


def test_a_caller_cannot_say_to_be_another_one(talkative: Talkative) -> None:
    """`X-Forwarded-For` counts from a trusted proxy alone, in the fast lane as elsewhere."""
    with talkative.client() as http:
        made = http.post("/v1/runs", json={"name": "gpt", "parameters": {"lr": 1}}).json()
        http.get(f"/v1/runs/{made['id']}/values", params=BLOCK)
    for local, said in {"127.0.0.1": "127.0.0.9", "127.0.0.2": "127.0.0.1"}.items():
        for way in ("application", "lane"):
            headers = {"X-Forwarded-For": f"203.0.113.5, {said}", "X-Request-Id": f"{way}-{local}"}
            path = "/v1/runs" if way == "application" else f"/v1/runs/{made['id']}/values"
            with talkative.client(local, **headers) as http:
                http.get(path, params=BLOCK if way == "lane" else {}).raise_for_status()
    lines = talkative.lines()
    assert {name: line["from"] for name, line in lines.items() if "-127" in name} == {
        "application-127.0.0.1": "127.0.0.9",  # a proxy on this machine is trusted by default
        "lane-127.0.0.1": "127.0.0.9",
        "application-127.0.0.2": "127.0.0.2",
        "lane-127.0.0.2": "127.0.0.2",
    }


def written(caplog: pytest.LogCaptureFixture, level: int, share: float = 1) -> dict[str, int]:
    """Have a log hear of many requests, and return how many lines there are of each."""
    requests = {
        "read": ("GET", "/v1/runs/gpt/values", 200),
        "beat": ("POST", "/v1/runs/gpt/beats", 200),
        "refused-read": ("GET", "/v1/runs/gpt/values", 409),
        "list": ("GET", "/v1/runs", 200),
        "change": ("POST", "/v1/runs/gpt/revisions", 201),
        "schedule": ("PUT", "/v1/schedules/values", 201),
    }
    caller = Caller("ann", Role.WORKER)

    async def tell() -> None:
        log = AccessLog(share=share)
        for _ in range(50):
            for name, (method, path, status) in requests.items():
                scope = {"method": method, "path": path, "raw_path": path.encode()}
                scope |= {"query_string": b"", "headers": [], "client": ("10.0.0.7", 1)}
                log.note({**scope, CALLER: caller}, status, 0.001, name.encode())
        log.write()

    with caplog.at_level(level, "rheostat.access"):
        asyncio.run(tell())
    lines = "\n".join(caplog.messages).splitlines()
    caplog.clear()
    assert all(line.endswith(" from=10.0.0.7 token=ann run=gpt") for line in lines if "gpt" in line)
    counts = {name: sum(f" ms {name} from" in line for line in lines) for name in requests}
    return {name: count for name, count in counts.items() if count}


def test_what_workers_do_all_the_time_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """By default reads that work and beats are left out; refusals and all else are written."""
    others = {"refused-read": 50, "list": 50, "change": 50, "schedule": 50}
    assert written(caplog, logging.INFO) == others
    assert written(caplog, logging.DEBUG) == others | {"read": 50, "beat": 50}
    assert written(caplog, logging.WARNING) == {}


def test_a_share_is_written_of_what_changed_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Of a fifth, a fifth of reads, lists and beats is written, and of all else everything."""
    found = written(caplog, logging.DEBUG, 0.2)
    sampled = {name: found.pop(name, 0) for name in ("read", "beat", "list")}
    assert found == {"refused-read": 50, "change": 50, "schedule": 50}
    assert sum(sampled.values()) == 30
    assert written(caplog, logging.DEBUG, 0) == found


def test_a_failure_is_one_line_of_json() -> None:
    """A traceback does not break a line, and stands in it whole."""
    error = ValueError("a\nb")
    failed = (type(error), error, None)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s\n", ("é",), failed)
    (line,) = JsonFormatter().format(record).splitlines()
    found = orjson.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("error", "x", "é\n")
    assert found["exception"].endswith("ValueError: a\nb")
