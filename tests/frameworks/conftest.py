"""Runs on a real server, what an optimizer really used, and scripts that run as two ranks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.frameworks.cells import FOLDER, Framework, section
from tests.ports import free_port
from tests.test_docstrings import let_clients_go, run_text

from rheostat import Client
from rheostat.client import Control, Run

OLDEST = "RHEOSTAT_TEST_OLDEST"
"""Set where a module is run with the oldest version in front."""
RAMP = {"kind": "linear", "start": 0.0, "end": 0.0625, "steps": 64}
"""A rate that is another one at each step, and exact: step / 1024."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Show the warnings of frameworks, which we cannot mend; leave to `test_oldest` its own."""
    others = [item for item in items if _runs_apart(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"), append=False)


def _runs_apart(item: pytest.Item) -> bool:
    """Whether a test is of a framework that is installed in a folder of its own alone."""
    framework = getattr(getattr(item, "module", None), "FRAMEWORK", None)
    return isinstance(framework, Framework) and framework.apart and not _version(framework)


def _version(framework: Framework) -> str | None:
    try:
        return metadata.version(framework.package)
    except metadata.PackageNotFoundError:
        return None


@pytest.fixture(autouse=True, scope="module")
def the_framework(request: pytest.FixtureRequest) -> None:
    """Skip a module whose framework is not installed; demand the version that it declares."""
    framework = getattr(request.module, "FRAMEWORK", None)
    if not isinstance(framework, Framework):
        return
    version = _version(framework)
    if version is None:
        pytest.skip(f"needs {framework.package}: make test-frameworks")
    wanted = framework.oldest if os.environ.get(OLDEST) else framework.newest
    assert version == wanted, f"{framework.package} is {version}, and FRAMEWORK says {wanted}"


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    """Return a client of the shared server, as a training has it."""
    with Client(server, deadline=60) as client:
        yield client


@dataclass(frozen=True)
class Case:
    """A run that nobody has joined yet: how to join it, to change it, and what it has served."""

    url: str
    name: str
    client: Client

    @property
    def address(self) -> str:
        """What an adapter takes in place of a run."""
        return f"{self.url}/{self.name}"

    @property
    def control(self) -> Control:
        """What an operator has: ``change``, ``stop``, ``signal``, ``rewind`` and so on."""
        return self.client.control(self.name)

    def join(self, **options: Any) -> Run:
        """Join it, as a worker."""
        return self.client.run(self.name, **options)

    def ledger(self, generation: int | None = None, parameter: str = "lr") -> dict[int, float]:
        """Return what was served of a parameter, by the step, on the line of a generation."""
        served: dict[int, float] = {}
        for segment in self.control.ledger(generation=generation):
            served |= dict(enumerate(segment["values"][parameter], start=segment["start"]))
        return served

    def require_ledger(
        self, used: list[float], first: int = 0, *, generation: int | None = None, rel: float = 0.0
    ) -> None:
        """
        Require that the updates from ``first`` on used what the ledger has at their steps.

        Bit for bit, or to a relative ``rel``, where a framework holds the rate as a float32.
        """
        ledger = self.ledger(generation)
        assert used, "no update was made"
        missing = [step for step in range(first, first + len(used)) if step not in ledger]
        assert not missing, f"updates of steps that nobody was served: {missing}"
        wanted = [ledger[step] for step in range(first, first + len(used))]
        assert used == (pytest.approx(wanted, rel=rel, abs=0.0) if rel else wanted)


class NewCase(Protocol):
    """Makes a run of a new name."""

    def __call__(
        self, parameters: Mapping[str, Any] | None = None, *, total: int | None = 64, **options: Any
    ) -> Case:
        """
        Return it.

        By default its ``lr`` is `RAMP`, and 4 steps are settled at once, so that an operator can
        change what comes soon.
        """


@pytest.fixture
def new_case(client: Client, server: str, new_name: Callable[[], str]) -> NewCase:
    """Create runs, each under a name of its own."""

    def create(
        parameters: Mapping[str, Any] | None = None, *, total: int | None = 64, **options: Any
    ) -> Case:
        options = {"max_block": 4, **options}
        if total is not None:
            options["total"] = total
        name = new_name()
        client.create_run(name, parameters or {"lr": RAMP}, **options)
        return Case(server, name, client)

    return create


def require_said(
    caplog: pytest.LogCaptureFixture, case: Case, step: int, *, untrained: bool = False
) -> None:
    """Require that one line says where the run was stopped, and why, and forget it."""
    said = [each for each in (r.getMessage() for r in caplog.records) if "is stopped" in each]
    author = case.control.history()[-1]["author"]
    who = f" of {author}" if author else ""
    nothing = " Nothing is trained." if untrained else ""
    where = f"rheostat: run {case.name} is stopped at step {step} by revision 2"
    assert said == [f"{where}{who}: enough.{nothing} To go on: rheostat run resume {case.name}"]
    caplog.clear()


def rates_of(optimizer: Any, key: str = "lr") -> list[float]:
    """Return a list to which each update of a PyTorch optimizer adds the rate that it used."""
    from rheostat.torch.joining import unwrapped

    used: list[float] = []
    optimizer = unwrapped(optimizer)
    optimizer.register_step_post_hook(lambda *_: used.append(float(optimizer.param_groups[0][key])))
    return used


class RunSection(Protocol):
    """Runs the code of a framework's section in docs/frameworks.md."""

    def __call__(self, name: str, **known: Any) -> dict[str, Any]:
        """
        Return the names that it leaves; ``known`` are there before.

        What does not print what the page shows fails. A ``client`` that it leaves is closed.
        """


@pytest.fixture
def run_section(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunSection]:
    """Run sections against the shared server, in an empty folder."""
    left: list[dict[str, Any]] = []
    home = Path.cwd()
    os.chdir(tmp_path)
    monkeypatch.setenv("RHEOSTAT_URL", server)

    def run(name: str, **known: Any) -> dict[str, Any]:
        names, blocks = run_text(section(name), server, known)
        left.append(names)
        assert blocks, f"the section {name!r} has no code"
        return names

    try:
        yield run
    finally:
        os.chdir(home)
        for names in left:
            if isinstance(client := names.get("client"), Client):
                client.close()
        left.clear()
        let_clients_go()


class Ranks(Protocol):
    """Runs a program as several ranks of one process group."""

    def __call__(
        self, program: str | Path, *arguments: object, ranks: int = 2
    ) -> list[dict[str, Any]]:
        """Return the JSON object that each of them printed last, in their order."""


@pytest.fixture
def on_ranks() -> Ranks:
    """
    Run a file of this folder in several processes, with the environment that torchrun makes.

    A file that begins with ``from tests.…`` works: the repository is on its path.
    """

    def run(program: str | Path, *arguments: object, ranks: int = 2) -> list[dict[str, Any]]:
        port = free_port()
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
        shared |= {"LOCAL_WORLD_SIZE": str(ranks), "OMP_NUM_THREADS": "1"}
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(FOLDER.parents[1])]
        shared |= {"PYTHONPATH": os.pathsep.join(paths), "GLOO_SOCKET_IFNAME": "lo"}
        command = [sys.executable, str(FOLDER / program), *map(str, arguments)]
        started = [
            subprocess.Popen(
                command,
                env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(ranks)
        ]
        try:
            told = [process.communicate(timeout=600) for process in started]
        finally:
            for process in started:
                process.kill()
                process.wait()
        for process, (_, errors) in zip(started, told, strict=True):
            assert process.returncode == 0, errors
        return [json.loads(output.strip().splitlines()[-1]) for output, _ in told]

    return run
