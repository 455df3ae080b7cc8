"""The command line: the application in this process, or the real command in its own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import pytest
from tests.cli.running import invoke

NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output, and nothing else is there."""
        return json.loads(self.out)


class Command(Protocol):
    """Runs `rheostat` with the words of a line, as a shell would split it."""

    def __call__(self, line: str, *, stdin: str = "", **variables: str) -> Ran:
        """Return its exit code and what it printed."""


@pytest.fixture
def rheostat(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command without a service, for which it does not wait."""
    monkeypatch.setattr("rheostat.cli.connecting.PAUSE", 0.0)
    return _in_process({"RHEOSTAT_URL": NOWHERE})


@pytest.fixture
def operator(server: str) -> Command:
    """Return the command of somebody called ann, who works with the shared server."""
    return _in_process({"RHEOSTAT_URL": server, "RHEOSTAT_AUTHOR": "ann"})


@pytest.fixture
def process(server: str) -> Command:
    """Return the command in a process of its own, with the shared server."""

    def run(line: str, *, stdin: str = "", **variables: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "rheostat.cli", *shlex.split(line)],
            env={**os.environ, "COLUMNS": "80", "RHEOSTAT_URL": server, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


Settle = Callable[[str, int], dict[str, list[float]]]


@pytest.fixture
def settle(http: httpx.Client) -> Settle:
    """Return a worker that reads a run up to a step, as trainers do, and returns the values."""

    def read(name: str, stop: int) -> dict[str, list[float]]:
        shown = http.get(f"/v1/runs/{name}").json()
        asked = {"generation": shown["generation"], "start": 0, "count": stop}
        answer = http.get(f"/v1/runs/{shown['id']}/values", params=asked).raise_for_status()
        values: dict[str, list[float]] = answer.json()["parameters"]
        return values

    return read


@pytest.fixture
def run(operator: Command, new_name: Callable[[], str], settle: Settle) -> str:
    """Return the name of a run that workers have read up to step 100."""
    name = new_name()
    assert operator(f"run create {name} lr linear start=1 end=0 steps=1000 --total 1000").code == 0
    settle(name, 100)
    return name


def _in_process(settings: dict[str, str]) -> Command:
    def run(line: str, *, stdin: str = "", **variables: str) -> Ran:
        environment = {"COLUMNS": "80", **settings, **variables}
        done = invoke(shlex.split(line), stdin=stdin, env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    return run
