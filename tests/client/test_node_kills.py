"""Eight ranks of a host that read together, while the one that asks is killed or stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from tests.client.node_ranks import records, train
from tests.forks import FORKS

from rheostat import Client, scale

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from tests.conftest import StartServer

pytestmark = pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs flock")

RANKS = 8
KILLS = int(os.environ.get("RHEOSTAT_FAULTS", "100"))
LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1_000_000}
REQUEST = 10.0
"""Seconds that a request may take: the client's ``timeout``."""


class Host:
    """The ranks, and who of them asks the service."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.ranks: dict[int, tuple[BaseProcess, Path]] = {}
        self.outputs: list[Path] = []
        (folder / "shm").mkdir()

    def begin(self) -> None:
        """Start one more rank."""
        output = self.folder / f"rank-{len(self.outputs)}"
        self.outputs.append(output)
        rank = FORKS.Process(target=train, args=(self.url, "gpt", self.folder / "shm", output))
        rank.start()
        assert rank.pid is not None
        self.ranks[rank.pid] = rank, output

    def asking(self) -> tuple[int, str]:
        """Return the rank that has the lock, or had it last, and the words that stand there."""
        for lock in (self.folder / "shm").glob("rheostat-*/*/reader-0.lock"):
            words = lock.read_text()
            if words and int(words.split()[0]) in self.ranks:
                return int(words.split()[0]), words
        return 0, ""

    def next_asking(self, before: str) -> tuple[int, str]:
        """Return who asks next, once it does."""
        return until(lambda: found if (found := self.asking())[1] not in ("", before) else None)

    def signal(self, pid: int, number: int) -> None:
        """Send a rank a signal; one that was killed is waited for."""
        os.kill(pid, number)
        if number == signal.SIGKILL:
            rank, _ = self.ranks.pop(pid)
            rank.join()

    def steps(self, but: int = 0) -> int:
        """Return how far the slowest rank is, apart from one."""
        reached = [records(output)[-1:] for pid, (_, output) in self.ranks.items() if pid != but]
        return min(last[0][0] if last else 0 for last in reached)


Found = TypeVar("Found")


def until(look: Callable[[], Found | None]) -> Found:
    """Return what is found, as soon as it is."""
    deadline = time.monotonic() + 120
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.001)
    return found


@pytest.fixture
def host(start_server: StartServer, tmp_path: Path) -> Iterator[Host]:
    """Yield eight ranks that train."""
    host = Host(start_server().url, tmp_path)
    with Client(host.url) as client:
        client.create_run("gpt", {"lr": LINE})
    for _ in range(RANKS):
        host.begin()
    yield host
    for pid in list(host.ranks):
        host.signal(pid, signal.SIGKILL)


def require_ledger(host: Host, but: Path | None = None) -> None:
    """Require that ranks were given what stands in the ledger, and within a request, but one."""
    read = [record for output in host.outputs for record in records(output)]
    with Client(host.url) as client:
        served = {
            segment["start"] + at: value
            for segment in client.control("gpt").ledger()
            for at, value in enumerate(segment["values"]["lr"])
        }

    assert [(step, value) for step, value, _ in read if served[step] != value] == []
    waits = [waited for path in host.outputs if path != but for *_, waited in records(path)]
    assert max(waits) < REQUEST


def test_reader_is_killed(host: Host) -> None:
    """P1: the rank that asks is killed 100 times; none gets another value, or waits for long."""
    words = ""
    with Client(host.url) as client:
        for number in range(KILLS):
            pid, words = host.next_asking(words)
            host.signal(pid, signal.SIGKILL)
            host.begin()
            if number % 10 == 0:
                client.control("gpt").change({"lr": scale(0.99)})
        until(lambda: host.steps() or None)
        until(lambda: host.steps() > client.control("gpt").show()["settled_until"] - 200 or None)

    assert len(host.outputs) == RANKS + KILLS
    require_ledger(host)


def test_reader_is_stopped(host: Host) -> None:
    """P1: while the rank that asks is stopped, the others go on; when it goes on, it has theirs."""
    until(lambda: host.steps() or None)
    pid, _ = host.next_asking(host.asking()[1])
    host.signal(pid, signal.SIGSTOP)
    far = host.steps(but=pid) + 200

    until(lambda: host.steps(but=pid) >= far or None)
    host.signal(pid, signal.SIGCONT)
    until(lambda: host.steps() >= far or None)

    require_ledger(host, but=host.ranks[pid][1])
