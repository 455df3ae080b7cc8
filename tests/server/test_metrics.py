"""Every metric is everywhere where metrics are, and moves with what it tells of."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from random import random
from typing import Any

import httpx
import pytest
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from tests.conftest import RunningServer

from rheostat.schedules.evaluation import Figures
from rheostat.server.hooks.targets import Networks
from rheostat.server.http import metrics
from rheostat.server.http.metrics import METRICS, MetricInfo, Metrics
from rheostat.server.settings import Settings
from rheostat.server.store.opening import StoredHooks, open_store

MANUAL = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
CODE = "service/rheostat/server/http/metrics.py"
CONNECTIONS = 8
"""Most connections that the server of these tests has."""

BY_NAME = pytest.mark.parametrize("info", METRICS, ids=lambda info: info.name)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server that soon has all the connections that it takes."""
    folder = tmp_path_factory.mktemp("server")
    running = RunningServer(folder, {"max_connections": CONNECTIONS})
    yield running
    running.stop()


@contextmanager
def asking(server: RunningServer) -> Iterator[None]:
    """Ask something, and have the answer."""
    with server.client() as http:
        http.get("/livez").raise_for_status()
    yield


@contextmanager
def evaluating(server: RunningServer) -> Iterator[None]:
    """Have a curve that nobody has asked for computed, and ask for it again."""
    definition = {"kind": "linear", "start": random(), "end": 0, "steps": 77_777}
    with server.client() as http:
        for _ in range(2):
            body = {"definition": definition, "stop": 60_000}
            http.post("/v1/evaluate", json=body).raise_for_status()
    yield


@contextmanager
def listening(server: RunningServer) -> Iterator[None]:
    """Follow a run's events meanwhile."""
    with server.client() as http:
        run = {"name": "followed", "parameters": {"lr": {"kind": "constant", "value": 1}}}
        http.post("/v1/runs", json=run).raise_for_status()
        with http.stream("GET", "/v1/runs/followed/events") as answer:
            opened = answer.iter_bytes()  # once it is forgotten, httpx hangs up
            next(opened)
            yield


@contextmanager
def waiting(server: RunningServer) -> Iterator[None]:
    """Wait at a run's pause meanwhile."""
    url = httpx.URL(server.url)
    with server.client() as http:
        run = {"name": "paused", "parameters": {"lr": 1}, "paused": True}
        made = http.post("/v1/runs", json=run).raise_for_status().json()["id"]
    with socket.create_connection((url.host, url.port or 80)) as there:
        path = f"/v1/runs/{made}/values?generation=1&start=0&count=1"
        head = f"GET {path} HTTP/1.1\r\nHost: {url.host}\r\nPrefer: wait=30\r\n\r\n"
        there.sendall(head.encode())
        yield


@contextmanager
def connecting(server: RunningServer, number: int = 1) -> Iterator[None]:
    """Hold connections open meanwhile, and send nothing."""
    url = httpx.URL(server.url)
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(socket.create_connection((url.host, url.port or 80)))
        yield


@contextmanager
def crowding(server: RunningServer) -> Iterator[None]:
    """Open more connections than there may be."""
    with connecting(server, CONNECTIONS + 1):
        yield


@contextmanager
def reporting(server: RunningServer) -> Iterator[None]:
    """Report a metric on which a controller decides at once."""
    name = f"run-{uuid.uuid4().hex}"
    with server.client() as http:
        run = http.post("/v1/runs", json={"name": name, "parameters": {"lr": 1}}).json()["id"]
        rule = {"kind": "rule", "metric": "loss", "when": {"op": "<", "value": 1}}
        rule["changes"] = {"lr": 0.5}
        http.put(f"/v1/runs/{name}/controllers/rule", json=rule).raise_for_status()
        body = {"generation": 1, "reports": [{"step": 0, "metrics": {"loss": 0.5}}]}
        http.post(f"/v1/runs/{run}/reports", json=body).raise_for_status()
        yield


@contextmanager
def beating(server: RunningServer) -> Iterator[None]:
    """Say that a worker trains."""
    name = f"run-{uuid.uuid4().hex}"
    with server.client() as http:
        run = http.post("/v1/runs", json={"name": name, "parameters": {"lr": 1}}).json()["id"]
        body = {"generation": 1, "workers": [{"worker": "0", "session": "a", "step": 0}]}
        http.post(f"/v1/runs/{run}/beats", json=body).raise_for_status()
        yield


@contextmanager
def differing(server: RunningServer) -> Iterator[None]:
    """Say that a worker applied what it was not given, and went on past all that is settled."""
    name = f"run-{uuid.uuid4().hex}"
    with server.client() as http:
        run = http.post("/v1/runs", json={"name": name, "parameters": {"lr": 1}}).json()["id"]
        block: dict[str, int] = {"generation": 1, "start": 0, "count": 8}
        http.get(f"/v1/runs/{run}/values", params=block).raise_for_status()
        for step in (4, 8):
            wrong = [{"step": step, "parameter": "lr", "found": 2}]
            said = {"worker": "0", "session": "x", "step": 9, "wrong": wrong}
            http.post(f"/v1/runs/{run}/beats", json={"generation": 1, "workers": [said]})
        yield


@contextmanager
def telling(server: RunningServer) -> Iterator[None]:
    """Have a hook told that a run was created, though nobody is there to be told."""
    store = open_store(Settings(database=str(server.settings["database"])))
    hooks, name = StoredHooks(store, Networks(), "ann"), f"hook-{uuid.uuid4().hex}"
    hooks.set(name, "https://nobody.invalid/x", ["created"])
    with server.client() as http:
        body = {"name": f"run-{uuid.uuid4().hex}", "parameters": {"lr": 1}}
        http.post("/v1/runs", json=body).raise_for_status()
        yield
        hooks.remove(name)
        store.close()
        until(
            lambda: not total(samples(http, metrics.HOOK_WAITING)),
            "it waits for a hook that is gone",
        )


MOVES: dict[MetricInfo[Any], Callable[[RunningServer], AbstractContextManager[None]]] = {
    metrics.REQUEST_SECONDS: asking,
    metrics.CACHE_HITS: evaluating,
    metrics.CACHE_MISSES: evaluating,
    metrics.CACHE_BYTES: evaluating,
    metrics.EVENT_STREAMS: listening,
    metrics.HELD_READS: waiting,
    metrics.OPEN_CONNECTIONS: connecting,
    metrics.ENDED_CONNECTIONS: crowding,
    metrics.WORKERS: beating,
    metrics.KEPT_REPORTS: reporting,
    metrics.DECISIONS: reporting,
    metrics.MISMATCHES: differing,
    metrics.WENT_BACK: differing,
    metrics.HOOK_ATTEMPTS: telling,
    metrics.HOOK_WAITING: telling,
    metrics.HOOK_OLDEST: telling,
}
"""What a caller can do so that a metric rises, at least meanwhile."""


def samples(http: httpx.Client, info: MetricInfo[Any]) -> list[Sample]:
    """Return what a server tells of a metric; of a histogram, how many it has seen."""
    name = f"{info.name}_count" if info.kind is Histogram else info.shown
    families = text_string_to_metric_families(http.get("/metrics").text)
    return [each for family in families for each in family.samples if each.name == name]


def total(found: list[Sample]) -> float:
    """Return the sum over all labels."""
    return sum(sample.value for sample in found)


def until(what: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds, or fail with what is said otherwise."""
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)


@BY_NAME
def test_a_metric_moves_with_what_it_tells_of(info: MetricInfo[Any], small: RunningServer) -> None:
    """A metric rises when that happens which it tells of, and has the labels of its row."""
    assert info in MOVES, f"add to MOVES of tests/server/test_metrics.py what moves {info.name}"
    where = f"count it where it happens, by a method of Metrics in {CODE}"
    with small.client() as http:
        until(lambda: total(samples(http, metrics.OPEN_CONNECTIONS)) <= 1, "others stay connected")
        before = total(samples(http, info))
        with MOVES[info](small):
            until(
                lambda: total(samples(http, info)) > before, f"{info.name} does not rise: {where}"
            )
            found = samples(http, info)
    assert {label for sample in found for label in sample.labels} == {*info.labels}


@BY_NAME
def test_a_metric_is_in_the_manual_and_told(info: MetricInfo[Any], http: httpx.Client) -> None:
    """A metric has a line in the manual, and a server tells what it is, in the same words."""
    rows = [line for line in MANUAL.splitlines() if line.startswith(f"| `{info.shown}` |")]
    assert len(rows) == 1, f"docs/metrics.md has no line of {info.name}: run `make docs`"
    assert rows[0].endswith(f"| {info.text} |")
    told = f"# HELP {info.shown} {info.text}\n# TYPE {info.shown} {info.type}\n"
    assert told in http.get("/metrics").text, f"make {info.name} in Metrics of {CODE}"


def test_every_metric_is_listed() -> None:
    """What a registry has, and whatever row is written, the list has."""
    made = {each.name for each in Metrics(lambda: Figures(0, 0, 0, 0, 0)).registry.collect()}
    written = {each.name for each in vars(metrics).values() if isinstance(each, MetricInfo)}
    assert (made | written) - {each.name for each in METRICS} == set(), f"add to METRICS of {CODE}"
