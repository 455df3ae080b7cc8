"""What holds, changes and stops a run, for the processes of a host that read together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Names
from tests.waiting import until

from rheostat import Client, Revision, Run, scale
from rheostat.client import node_files
from rheostat.errors import AwaitingReport, Paused, Stopped

pytestmark = pytest.mark.skipif(not node_files.HAS_LOCKS, reason="needs flock")

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 64}
RANKS = 4


@pytest.fixture(autouse=True)
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have them share a folder of the test's own."""
    monkeypatch.setattr(node_files, "BASE", tmp_path)


class Rank:
    """A process of the host, as far as its client and its files go; it runs in a thread."""

    def __init__(self, address: str, name: str) -> None:
        self.waited: list[Paused | AwaitingReport] = []
        self.heard: list[tuple[int, int]] = []
        self.values: list[float] = []
        self._address, self._name = address, name

    def train(self, step: Callable[[Run, int], object] = lambda *_: None) -> list[float]:
        """Train to the end, and return what was applied."""
        with Client(self._address, read="node", lookahead=0.1, deadline=60) as client:
            run = client.run(self._name, on_wait=self.waited.append, on_change=self._hear)
            for number in run.steps(0, 64):
                self.values.append(run.value("lr", number))
                step(run, number)
        return self.values

    def _hear(self, revision: Revision) -> None:
        self.heard.append((revision.number, revision.effective))


def ranks_of(server: str, name: str, **more: Any) -> list[Rank]:
    """Make a run, and return the ranks that will train it."""
    with Client(server) as client:
        client.create_run(name, {"lr": LINE}, total=64, **more)
    return [Rank(server, name) for _ in range(RANKS)]


def test_all_hold_at_a_pause_and_hear_of_the_change(server: str, new_name: Names) -> None:
    """P3, P5: whoever reads for the others, each holds, goes on and is told of what was changed."""
    ranks = ranks_of(server, name := new_name())
    with Client(server) as client, ThreadPoolExecutor(RANKS) as threads:
        run = client.control(name)
        run.pause(effective=32)
        trained = [threads.submit(rank.train) for rank in ranks]
        until(lambda: all(rank.waited for rank in ranks))
        assert {len(rank.values) for rank in ranks} == {32}
        number = run.change({"lr": scale(0.5)})["revision"]
        run.resume()
        found = [each.result() for each in trained]
    line = [1 - step / 64 for step in range(64)]
    assert found == RANKS * [[*line[:32], *(value / 2 for value in line[32:])]]
    assert {rank.heard[-1] for rank in ranks} == {(number, 32)}


def test_all_go_on_at_a_gate(server: str, new_name: Names) -> None:
    """P11: a report of one rank opens the gate for all, and the decision lands on all at once."""
    rule = {"kind": "rule", "metric": "loss", "when": {"op": ">", "value": 0}}
    rule |= {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "gate": {"every": 16}}
    ranks = ranks_of(server, new_name(), controllers={"own": rule})

    def report(run: Run, step: int) -> None:
        if (step + 1) % 16 == 0:
            run.report(step + 1, {"loss": 1.0})

    with ThreadPoolExecutor(RANKS) as threads:
        first, *others = ranks
        trained = [threads.submit(functools.partial(first.train, report))]
        trained += [threads.submit(rank.train) for rank in others]
        found = [each.result() for each in trained]
    assert found[1:] == (RANKS - 1) * found[:1]
    assert found[0][16:18] == [(1 - step / 64) / 2 for step in (16, 17)]
    assert all(isinstance(each, AwaitingReport) for rank in others for each in rank.waited)


def test_all_end_at_a_stop(server: str, new_name: Names) -> None:
    """P3: a stop is one step for all of them, whoever is told of it first."""
    ranks = ranks_of(server, name := new_name())
    with Client(server) as client:
        client.control(name).stop(effective=40, message="enough")
    with ThreadPoolExecutor(RANKS) as threads:
        found = [each.result() for each in [threads.submit(rank.train) for rank in ranks]]
    assert found == RANKS * [[1 - step / 64 for step in range(40)]]


def test_one_that_reads_on_is_told_that_it_was_stopped(server: str, new_name: Names) -> None:
    """Past the stop there is no value, for those whom another one's file tells it, neither."""
    ranks_of(server, name := new_name())
    with Client(server) as client:
        client.control(name).stop(effective=40)
    for _ in range(2):
        with Client(server, read="node") as client:
            run = client.run(name)
            run.value("lr", 39)
            with pytest.raises(Stopped):
                run.value("lr", 40)
