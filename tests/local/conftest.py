"""Local servers of tests, which all are gone at the end of the test that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rheostat.local_server import files


def kill_server(database: Path) -> int:
    """Kill the server of a database as ``kill -9`` does; return which process it was."""
    there = files.read_endpoint(database)
    assert there is not None
    assert files.is_served(database)
    os.kill(there.pid, signal.SIGKILL)
    until_gone(database)
    return there.pid


def until_gone(database: Path) -> None:
    """Wait until no process serves a database."""
    while files.is_served(database):
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is noted of servers out of this user's own notes, and no service in the way."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("RHEOSTAT_URL", "RHEOSTAT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """Return where a database may be; its server is killed afterwards."""
    database = tmp_path / "rheostat.db"
    yield database
    there = files.read_endpoint(database)
    if there is not None and files.is_served(database):
        with suppress(ProcessLookupError):
            os.kill(there.pid, signal.SIGTERM)  # where coverage is measured, it leaves what it ran
        until_gone(database)


class Script:
    """A program in a process of its own, in the folder of the database."""

    def __init__(self, program: str, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """Return the next line that it prints; fail if there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, said = self.process.communicate()
            pytest.fail(said)
        return line.rstrip("\n")

    def kill(self) -> None:
        """Kill it as ``kill -9`` does, and what is in its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


Start = Callable[..., Script]


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a program in a process of its own, in the folder of the database."""
    started: list[Script] = []

    def start(program: str, *arguments: str) -> Script:
        started.append(Script(program, tmp_path, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.kill()
