"""A real server process for whoever needs one, killed and started again at will."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from hypothesis import settings
from tests.forks import Program
from tests.ports import free_port, is_free
from tests.waiting import until

if os.environ.get("CI"):  # what fails there must fail here, too
    settings.register_profile("ci", derandomize=True)
    settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers of these tests."""
    config.addinivalue_line("markers", "long: takes tens of seconds, and is begun early")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put some long tests first in the part of each process: none shall run on alone in the end."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    late = [item for item in items if item.get_closest_marker("long") is None]
    long = [item for item in items if item.get_closest_marker("long") is not None]
    part = -(-len(late) // processes)
    items[:] = [
        item
        for number in range(processes)
        for item in (*long[number::processes], *late[number * part : (number + 1) * part])
    ]


def pytest_collection_finish() -> None:
    """Spare the collector the tests themselves, which stay to the end: it looked at them all."""
    gc.collect()
    gc.freeze()


def failed_instead(report: Any) -> Any:
    """Return a report that has failed where it was skipped: in CI, no part may be missing."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing is skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Let no test be skipped in CI."""
    return failed_instead((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """Let no module be skipped in CI, as `importorskip` does."""
    return failed_instead((yield))


READY = re.compile(r"Rheostat \S+ serves (?P<url>http://\S+) from (?P<database>\S+)\n")
PROGRAM = """
from rheostat.server.serve import serve
from rheostat.server.settings import Settings
if __name__ == "__main__":
    serve(Settings())
"""


class RunningServer:
    """A server in a process of its own, with its workers in its process group."""

    def __init__(self, folder: Path, settings: dict[str, object], program: str = PROGRAM) -> None:
        self.folder = folder
        self.program = folder / "program.py"
        self.program.write_text(program)
        self.settings = {
            "database": f"sqlite:///{folder / 'rheostat.db'}",
            "port": free_port(),
            **settings,
        }
        self.process = self._started()

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "log.txt").read_text()

    def kill(self) -> None:
        """Kill it and its workers at once, as ``kill -9`` does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it and its workers where they are, as a machine does that swaps, for a while."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Kill it, and start it again later."""
        self.kill()
        yield
        self.restart()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of its first process, and return its exit code."""
        return self.process.wait(timeout=60)

    def restart(self) -> None:
        """Start it again, on the same port and the same database."""
        until(lambda: is_free(int(str(self.settings["port"]))), "its port is not given back")
        self.process = self._started()

    def client(self) -> httpx.Client:
        """Return an HTTP client for it."""
        return httpx.Client(base_url=self.url, timeout=60)

    def close(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            self.kill()

    def _started(self) -> Program:
        names = {f"RHEOSTAT_{name.upper()}": str(value) for name, value in self.settings.items()}
        process = Program(self.program, os.environ | names, self.folder / "log.txt")
        ready = READY.fullmatch(process.first_line())
        if ready is None:
            process.kill()
        assert ready, f"it did not start:\n{self.log}"
        self.url = ready["url"]
        self.settings["port"] = self.url.rpartition(":")[2]
        return process


class StartServer(Protocol):
    """Starts a server with settings of its own."""

    def __call__(self, **settings: object) -> RunningServer:
        """Return it when it is ready."""


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server with default settings for all tests that leave it as it is."""
    running = RunningServer(tmp_path_factory.mktemp("server"), {})
    yield running
    running.stop()  # not killed: where coverage is measured, it leaves what it ran


@pytest.fixture(scope="session")
def server(shared_server: RunningServer) -> str:
    """Return the address of one server that all tests share."""
    return shared_server.url


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    """Return an HTTP client of the server that all tests share."""
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start servers of the test's own: each with a fresh database, unless told which."""
    with ExitStack() as stack:

        def start(**settings: object) -> RunningServer:
            running = RunningServer(tmp_path_factory.mktemp("server"), settings)
            stack.callback(running.close)
            return running

        yield start


@dataclass(frozen=True)
class Guarded:
    """A server that requires tokens, and the secret of a token of each role, named as it."""

    url: str
    database: str
    secrets: Mapping[str, str]

    def client(self, secret: str | None) -> httpx.Client:
        """Return an HTTP client with this token."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.url, timeout=60, headers=headers)

    def ask(self, role: str | None, method: str, path: str, **request: Any) -> httpx.Response:
        """Send one request with the token of a role, or with none."""
        with self.client(None if role is None else self.secrets[role]) as http:
            return http.request(method, path, **request)


@contextmanager
def open_tokens(database: str) -> Iterator[Any]:
    """Open a database's tokens, as `rheostat token` does."""
    from rheostat.server.settings import Settings
    from rheostat.server.store.opening import StoredTokens, open_store

    store = open_store(Settings(database=database))
    yield StoredTokens(store, "tests")
    store.close()


@contextmanager
def guarding(folder: Path, **settings: str) -> Iterator[Guarded]:
    """Run a server that requires tokens."""
    database = f"sqlite:///{folder / 'rheostat.db'}"
    with open_tokens(database) as tokens:
        roles = ("viewer", "proposer", "worker", "operator", "admin")
        secrets = {role: tokens.create(role, role)["token"] for role in roles}
    running = RunningServer(folder, {"auth": "true", **settings})
    yield Guarded(running.url, database, secrets)
    running.close()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One server that requires tokens, for all tests that leave its own tokens as they are."""
    with guarding(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def own_guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Return a server that requires tokens, for one test alone."""
    with guarding(tmp_path_factory.mktemp("server")) as running:
        yield running


Names = Callable[[], str]


@pytest.fixture
def new_name(request: pytest.FixtureRequest) -> Names:
    """Return names for runs and schedules that no other test uses."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:80]
    return lambda: f"{stem}-{uuid.uuid4().hex[:12]}"


RunPython = Callable[[str], str]


@pytest.fixture
def run_python() -> RunPython:
    """Return what runs a program in a fresh interpreter, and returns its output."""

    def run(program: str) -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run
