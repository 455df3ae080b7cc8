"""Every metric is everywhere where metrics are, and moves with what it tells of."""

from __future__ import annotations

import socket
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
from tests.waiting import until

from rheostat.server.hooks.targets import Networks
from rheostat.server.http import metric_table as metrics
from rheostat.server.http.metric_table import METRICS, MetricInfo
from rheostat.server.settings import Settings
from rheostat.server.store.opening import StoredHooks, open_store

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs/operations.md").read_text()
CODE = "service/rheostat/server/http/metric_table.py"
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
        name = f"run-{uuid.uuid4().hex}"
        run = {"name": name, "parameters": {"lr": {"kind": "constant", "value": 1}}}
        http.post("/v1/runs", json=run).raise_for_status()
        with http.stream("GET", f"/v1/runs/{name}/events") as answer:
            opened = answer.iter_bytes()  # once it is forgotten, httpx hangs up
            next(opened)
            yield


@contextmanager
def waiting(server: RunningServer) -> Iterator[None]:
    """Wait at a run's pause meanwhile."""
    url = httpx.URL(server.url)
    with server.client() as http:
        run = {"name": f"run-{uuid.uuid4().hex}", "parameters": {"lr": 1}, "paused": True}
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


@contextmanager
def refusing(server: RunningServer) -> Iterator[None]:
    """Ask for what is not there."""
    with server.client() as http:
        assert http.get("/v1/runs/nobody").status_code == 404
    yield


@contextmanager
def revising(server: RunningServer) -> Iterator[None]:
    """Change a run that is being read, and read what was changed."""
    name = f"run-{uuid.uuid4().hex}"
    with server.client() as http:
        run = http.post("/v1/runs", json={"name": name, "parameters": {"lr": 1}}).json()["id"]
        block: dict[str, int] = {"generation": 1, "start": 0, "count": 8}
        http.get(f"/v1/runs/{run}/values", params=block).raise_for_status()
        body = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
        http.post(f"/v1/runs/{name}/revisions", json=body).raise_for_status()
        http.get(f"/v1/runs/{run}/values", params=block | {"start": 8}).raise_for_status()
    yield


MOVES: dict[MetricInfo[Any], Callable[[RunningServer], AbstractContextManager[None]]] = {
    metrics.REQUEST_SECONDS: asking,
    metrics.IN_FLIGHT: listening,
    metrics.REFUSALS: refusing,
    metrics.EVENT_STREAMS: listening,
    metrics.HELD_READS: waiting,
    metrics.OPEN_CONNECTIONS: connecting,
    metrics.ENDED_CONNECTIONS: crowding,
    metrics.COMMIT_SECONDS: revising,
    metrics.COMMIT_OPERATIONS: revising,
    metrics.CACHE_HITS: evaluating,
    metrics.CACHE_MISSES: evaluating,
    metrics.CACHE_BYTES: evaluating,
    metrics.REVISIONS: revising,
    metrics.LANDING_SECONDS: revising,
    metrics.LANDING_STEPS: revising,
    metrics.KEPT_REPORTS: reporting,
    metrics.DECISIONS: reporting,
    metrics.MISMATCHES: differing,
    metrics.WENT_BACK: differing,
    metrics.HOOK_ATTEMPTS: telling,
    metrics.HOOK_WAITING: telling,
    metrics.HOOK_OLDEST: telling,
}
"""What a caller can do so that a metric rises, at least meanwhile."""

SAMPLED: dict[MetricInfo[Any], str] = {
    metrics.CONNECTION_LIMIT: "tests/server/test_figures.py",
    metrics.LACKING_FILES: "tests/server/test_figures.py",
    metrics.QUEUED: "tests/server/test_figures.py",
    metrics.OLDEST: "tests/server/test_figures.py",
    metrics.COMMIT_FAILURES: "tests/server/test_figures.py",
    metrics.READY: "tests/server/test_figures.py",
    metrics.OUTAGES: "tests/server/test_figures.py",
    metrics.POOL: "tests/server/test_figures.py",
    metrics.DATABASE_BYTES: "tests/server/test_figures.py",
    metrics.FREE_BYTES: "tests/server/test_figures.py",
    metrics.SAMPLED_AT: "tests/server/test_figures.py",
    metrics.SAMPLE_SECONDS: "tests/server/test_figures.py",
    metrics.CACHE_LIMIT: "tests/server/test_figures.py",
    metrics.BUILD: "tests/server/test_figures.py",
    metrics.PROCESSES: "tests/server/test_process.py",
    metrics.RESTARTS: "tests/server/test_process.py",
    metrics.CPU_SECONDS: "tests/server/test_figures.py",
    metrics.RESIDENT_BYTES: "tests/server/test_figures.py",
    metrics.VIRTUAL_BYTES: "tests/server/test_figures.py",
    metrics.STARTED_AT: "tests/server/test_figures.py",
    metrics.OPEN_FILES: "tests/server/test_figures.py",
    metrics.MAX_FILES: "tests/server/test_figures.py",
    metrics.RUNS: "tests/server/store/test_census.py",
    metrics.WORKERS: "tests/server/store/test_census.py",
    metrics.DUE: "tests/server/store/test_census.py",
    metrics.RUN_SETTLED: "tests/server/store/test_census.py",
    metrics.RUN_AGE: "tests/server/store/test_census.py",
    metrics.RUN_SLOWEST: "tests/server/store/test_census.py",
    metrics.RUN_WORKERS: "tests/server/store/test_census.py",
    metrics.RUN_REVISION: "tests/server/store/test_census.py",
    metrics.RUNS_LEFT_OUT: "tests/server/store/test_census.py",
}
"""Where it is tested what those tell that are looked at now and then, whatever callers do."""


def samples(http: httpx.Client, info: MetricInfo[Any]) -> list[Sample]:
    """Return what a server tells of a metric; of a histogram, how many it has seen."""
    name = f"{info.name}_count" if info.kind is Histogram else info.shown
    families = text_string_to_metric_families(http.get("/metrics").text)
    return [each for family in families for each in family.samples if each.name == name]


def total(found: list[Sample]) -> float:
    """Return the sum over all labels."""
    return sum(sample.value for sample in found)


@pytest.mark.parametrize("info", MOVES, ids=lambda info: info.name)
def test_a_metric_moves_with_what_it_tells_of(info: MetricInfo[Any], small: RunningServer) -> None:
    """A metric rises when that happens which it tells of, and has the labels of its row."""
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
def test_a_metric_is_tested(info: MetricInfo[Any]) -> None:
    """Of each metric a test knows what moves it, here or in the file that is about it."""
    name = next(name for name, each in vars(metrics).items() if each is info)
    if info not in MOVES:
        assert info in SAMPLED, f"add to MOVES of tests/server/test_metrics.py what moves {name}"
        assert info.name in (ROOT / SAMPLED[info]).read_text(), f"{SAMPLED[info]} knows no {name}"


@BY_NAME
def test_a_metric_is_in_the_manual(info: MetricInfo[Any]) -> None:
    """A metric has a line in the manual, in the words that a server tells with it."""
    rows = [line for line in MANUAL.splitlines() if line.startswith(f"| `{info.shown}` |")]
    assert len(rows) == 1, f"docs/operations.md has no line of {info.name}: run `make docs`"
    assert rows[0].endswith(f"| {info.text} |")


def test_what_is_told_is_what_is_listed(small: RunningServer) -> None:
    """A server tells of no metric that is not listed, and of each its words and its type."""
    listed = {each.shown: each for each in METRICS}
    with small.client() as http:
        until(lambda: "rheostat_runs{" in http.get("/metrics").text, "nothing was counted")
        told = http.get("/metrics").text
    found = {line.split()[2] for line in told.splitlines() if line.startswith("# TYPE")}
    assert found <= {*listed}
    assert {*listed} - found <= {metrics.RESTARTS.shown}, "made in Metrics, or put by the Sampler?"
    for name in found:
        info = listed[name]
        assert f"# HELP {name} {info.text}\n# TYPE {name} {info.type}\n" in told


def test_every_metric_is_listed() -> None:
    """Whatever row is written, the list has."""
    written = {each.name for each in vars(metrics).values() if isinstance(each, MetricInfo)}
    assert written == {each.name for each in METRICS}, f"add to METRICS of {CODE}"
