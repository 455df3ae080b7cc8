"""Clients and runs in other processes: forked, or unpickled."""

from __future__ import annotations

import os
import pickle
import pickletools
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from rheostat import AsyncClient, Client, Run
from rheostat.errors import StepJump

if TYPE_CHECKING:
    from tests.client.conftest import FakeService


@pytest.fixture
def url(service: FakeService) -> Iterator[str]:
    """Serve the service in memory over real sockets; connections are kept alive."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = dict(self.headers.items())
            request = httpx.Request(
                self.command, f"http://test{self.path}", headers=headers, content=body
            )
            answer = service(request)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def in_child(work: object) -> bytes:
    """Run a function in a forked child, and return what it returned."""
    assert callable(work)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # rather killed than waiting for a lock for ever
        try:
            os.write(write, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return answer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_reads_on(url: str, service: FakeService) -> None:
    """A forked child uses neither its parent's sockets nor its locks, and both read on."""
    with Client(url) as client:
        run = client.run("gpt")
        run.value("lr", 10)

        with run._fetching, run._lock, client.session.network._opening:
            answer = in_child(lambda: [run.value("lr", step) for step in range(100)])

        assert pickle.loads(answer) == [1 / (step + 1) for step in range(100)]  # noqa: S301
        assert [run.value("lr", step) for step in range(200)] == [1 / (n + 1) for n in range(200)]
    joins = [request for request in service.requests if request.url.path.endswith("/join")]
    assert len(joins) == 1


def test_pickled_run_reads_on_without_joining(url: str, service: FakeService) -> None:
    """A copy has the run's id and generation, and reads the same values over its own sockets."""
    with Client(url, lookahead=3.0, author="ann") as client:
        run = client.run("gpt")
        run.value("lr", 10)
        copy: Run = pickle.loads(pickle.dumps(run))  # noqa: S301
        service.generation = 2

        with copy.client:
            assert (copy.id, copy.generation, copy.name) == (run.id, 1, "gpt")
            assert copy.client.settings == client.settings
            assert copy.value("lr", 3) == 1 / 4

    assert sum(request.url.path.endswith("/join") for request in service.requests) == 1


def test_pickle_holds_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy takes its token from its own environment: a checkpoint must not hold one."""
    data = pickle.dumps(Client("http://test", token="top-secret"))  # noqa: S106

    monkeypatch.setenv("RHEOSTAT_TOKEN", "of the copy")
    copy: Client = pickle.loads(data)  # noqa: S301

    assert b"top-secret" not in data
    assert copy.settings.all_headers()["Authorization"] == "Bearer of the copy"


@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_pickle_names_no_private_module(cls: type[Client | AsyncClient]) -> None:
    """What is in a checkpoint is found where users find it, wherever its code moves to."""
    data = pickle.dumps(cls("http://test"))

    told = pickletools.genops(data)
    named = {str(text) for code, text, _ in told if code.name.endswith("UNICODE")}
    assert {"rheostat.client", cls.__name__} <= named
    assert not [name for name in named if name.startswith("rheostat.") and "._" in name]
    assert type(pickle.loads(data)) is cls  # noqa: S301


def test_pickled_after_it_read_it_may_not_jump(url: str, service: FakeService) -> None:
    """P6: a copy is no way around the guard against slips of the step."""
    with Client(url) as client:
        run = client.run("gpt")
        run.value("lr", 10)
        copy: Run = pickle.loads(pickle.dumps(run))  # noqa: S301

        with copy.client, pytest.raises(StepJump):
            copy.value("lr", 50_000)


def test_pickled_before_it_read_it_begins_where_it_was_said(url: str, service: FakeService) -> None:
    """A copy that is made right after joining reads where its training begins."""
    with Client(url) as client:
        copy: Run = pickle.loads(pickle.dumps(client.run("gpt", start=50_000)))  # noqa: S301

        with copy.client:
            assert copy.value("lr", 50_000) == 1 / 50_001
