"""
Services that do each update in a call which takes the rate: the page's code, on a stub over HTTP.

The stub keeps what Tinker's client documents: ``forward_backward(data)`` and
``optim_step(AdamParams)`` return futures, and an update uses the rate of its own call alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.frameworks.cells import section
from tests.frameworks.conftest import NewCase
from tests.test_docstrings import let_clients_go, run_text

SECTION = "Services that take the rate"


class Service(ThreadingHTTPServer):
    """A trainer behind HTTP, which keeps the rate of each update; it may refuse one."""

    refuses = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Calls)
        self.used: list[float] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class Calls(BaseHTTPRequestHandler):
    """Its two calls."""

    server: Service

    def do_POST(self) -> None:
        """Take one."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = 200
        if self.path == "/optim_step":
            if self.server.refuses:
                self.server.refuses, status = self.server.refuses - 1, 503
            else:
                self.server.used.append(body["adam_params"]["learning_rate"])
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def adam_params(learning_rate: float) -> SimpleNamespace:
    """Return what an update is told."""
    return SimpleNamespace(learning_rate=learning_rate)


class TrainingClient:
    """The service's own client; a call that was refused for a while is sent again."""

    def __init__(self, service: Service) -> None:
        self._http = httpx.Client(base_url=service.url)

    def forward_backward(self, data: Any) -> Future[None]:
        """Compute gradients."""
        return self._call("/forward_backward", {"data": data})

    def optim_step(self, params: Any) -> Future[None]:
        """Update."""
        return self._call("/optim_step", {"adam_params": vars(params)})

    def close(self) -> None:
        """Close it."""
        self._http.close()

    def _call(self, path: str, body: Any) -> Future[None]:
        while self._http.post(path, json=body).status_code == 503:
            pass
        future: Future[None] = Future()
        future.set_result(None)
        return future


@pytest.fixture
def service() -> Iterator[Service]:
    """Run one."""
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.fixture
def training(service: Service) -> Iterator[TrainingClient]:
    """Return its client."""
    client = TrainingClient(service)
    yield client
    client.close()


def test_docs(server: str, service: Service, training: TrainingClient) -> None:
    """The page's loop hands each update the value of its step, bit for bit."""
    known = {"training": training, "AdamParams": adam_params, "batch": [1, 2]}
    names, blocks = run_text(section(SECTION), server, known)
    assert blocks == 1
    ledger = list(names["run"].block(0, 8)["learning_rate"])
    names["client"].close()
    let_clients_go()
    assert service.used == ledger == pytest.approx([1e-3 * (1 - step / 8) for step in range(8)])


def train(run: Any, training: TrainingClient, *, start: int = 0, until: int = 64) -> int:
    """Train as the page does, and return the step that comes next."""
    for step in run.steps(start, until):
        training.forward_backward([]).result()
        training.optim_step(adam_params(run.value("lr", step))).result()
        start = step + 1
    return start


def test_ledger(new_case: NewCase, service: Service, training: TrainingClient) -> None:
    """Each update uses what the ledger has at its step, with a change on the way."""
    case = new_case()
    case.control.change({"lr": {"edit": "scale", "factor": 0.5}}, effective=16)
    train(case.join(), training, until=24)
    assert service.used[15:17] == [15 / 1024, 8 / 1024]
    case.require_ledger(service.used)


def test_refused_update(new_case: NewCase, service: Service, training: TrainingClient) -> None:
    """An update that was refused is sent again with the same value."""
    case = new_case()
    service.refuses = 2
    train(case.join(), training, until=8)
    assert len(service.used) == 8
    case.require_ledger(service.used)


def test_resume(new_case: NewCase, service: Service, training: TrainingClient) -> None:
    """After a rewind the service's checkpoint goes on with what the new generation has."""
    case = new_case()
    first = case.join()
    checkpoint = first.checkpoint(train(first, training, until=5))
    train(first, training, start=5, until=9)
    case.control.rewind(8, changes={"lr": {"edit": "scale", "factor": 0.5}})
    service.used.clear()
    train(case.join(checkpoint=checkpoint), training, start=5, until=12)
    assert service.used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(service.used, first=5)


def test_stop(new_case: NewCase, service: Service, training: TrainingClient) -> None:
    """At a stop the loop ends, and no update is asked for."""
    case = new_case()
    case.control.stop(effective=8)
    assert train(case.join(), training) == len(service.used) == 8
    case.require_ledger(service.used)
