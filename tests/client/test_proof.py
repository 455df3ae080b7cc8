"""P12, against a real server: what trainings applied is proven, and a wrong value is named."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rheostat import Client, Run, scale

EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "4"))
COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 5000}
SPEC: dict[str, Any] = {
    "parameters": {"lr": COSINE, "weight_decay": {"kind": "constant", "value": 0.1}},
    "max_jump": 65_536,
}
F32: Any = {"weight_decay": "f32"}


@pytest.fixture
def train(server: str) -> Iterator[Callable[..., Run]]:
    """Return what joins a run as a worker of its own name, whose client is closed afterwards."""
    clients: list[Client] = []

    def join(name: str, worker: str, pace: float | None = 2000.0) -> Run:
        clients.append(Client(server, worker=worker, deadline=60, pace=pace))
        return clients[-1].run(name, create=SPEC)

    yield join
    for client in clients:
        client.close()


def all_said(*runs: Run) -> None:
    """Have each worker say that it has ended, and all that it applied."""
    for run in runs:
        run.client.close()


def rows(server: str, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the workers of a run by name, and its mismatches."""
    with Client(server) as client:
        control = client.control(name)
        workers = {row["worker"]: dict(row) for row in control.workers()["items"]}
        return workers, [dict(each) for each in control.mismatches()]


def float32(value: float) -> float:
    """Return a number as a float32 holds it."""
    [rounded] = struct.unpack("f", struct.pack("f", value))
    return float(rounded)


def test_what_was_applied_is_proven(server: str, train: Any, new_name: Any) -> None:
    """What a worker lists is proven up to its last step, float32 or not, and nothing is wrong."""
    name = new_name()
    run, other = train(name, "0"), train(name, "1")
    for step in range(1000):
        run.applied(step, run.values(step), dtypes=F32)
        other.values(step)
        other.applied(step)
    all_said(run, other)
    workers, mismatches = rows(server, name)
    assert mismatches == []
    for worker in ("0", "1"):
        row = workers[worker]
        assert (row["step"], row["proven_until"], row["state"]) == (1000, 1000, "ended")


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_a_wrong_value_is_named(server: str, train: Any, new_name: Any, dtype: Any) -> None:
    """Of eight workers one has another value at step 5,000: it is named, with step and both."""
    name = new_name()
    runs = [train(name, str(rank)) for rank in range(8)]
    expected = 0.0
    for rank, run in enumerate(runs):
        for step in range(4900, 5200) if rank else range(5200):
            values = run.values(step)
            if rank == 3 and step == 5000:
                expected, values["weight_decay"] = values["weight_decay"], 0.25
            run.applied(step, values, dtypes={"weight_decay": dtype})
    all_said(*runs)
    workers, mismatches = rows(server, name)
    [found] = mismatches
    assert (found["worker"], found["step"], found["parameter"]) == ("3", 5000, "weight_decay")
    right = expected if dtype == "f64" else float32(expected)
    assert (float(found["expected"]), float(found["found"])) == (right, 0.25)
    assert found["dtype"] == dtype
    others = [row for worker, row in workers.items() if worker != "3"]
    assert all(row["proven_until"] == 5200 for row in others)
    assert (workers["3"]["proven_until"] or 0) <= 5000


def test_an_overwritten_value_is_named(server: str, train: Any, new_name: Any) -> None:
    """What an adapter finds in a slot is kept with the value that was to be there."""
    name = new_name()
    run = train(name, "0")
    values = run.values(0)
    run.mismatch(0, "lr", 0.5)
    run.mismatch(0, "weight_decay", float("nan"), "f32")
    run.mismatch(1, "lr", run.value("lr", 1))
    all_said(run)
    _, mismatches = rows(server, name)
    found = {each["parameter"]: each for each in mismatches}
    assert len(mismatches) == 2
    assert float(found["lr"]["expected"]) == values["lr"]
    assert (found["lr"]["found"], found["lr"]["dtype"]) == ("0.5", "f64")
    assert (found["weight_decay"]["found"], found["weight_decay"]["dtype"]) == ("NaN", "f32")


def test_a_cell_with_two_values_names_the_wrong_one(server: str, train: Any, new_name: Any) -> None:
    """Where a cell was updated with two values, that which was not served is a mismatch."""
    name = new_name()
    run = train(name, "0")
    for step in range(100):
        run.applied(step, run.values(step))
    run.applied(99, {**run.values(99), "lr": 0.5})
    all_said(run)
    _, [found] = rows(server, name)
    assert (found["step"], found["parameter"], found["found"]) == (99, "lr", "0.5")


def test_values_of_json_are_the_same_bits(server: str, train: Any, new_name: Any) -> None:
    """A window whose values are all odd numbers is compared as they are, and names the first."""
    name = new_name()
    run = train(name, "0")
    odd = [float("inf"), -0.0, 5e-324, float("nan"), 1.7976931348623157e308]
    for step, value in enumerate(odd):
        run.values(step)
        run.applied(step, {"lr": value})
    all_said(run)
    _, [found] = rows(server, name)
    assert (found["step"], found["found"]) == (0, "Infinity")


def wander(pick: random.Random, run: Run, dtypes: Any) -> None:
    """Train at random: strides, skips, restarts at an earlier step, changes, and rewinds."""
    step, by = 0, pick.choice([1, 1, 2, 5])
    for _ in range(pick.randrange(50, 500)):
        chance = pick.random()
        if chance < 0.005:
            step = max(0, step - pick.randrange(300))
        elif chance < 0.01:
            step += pick.randrange(60)
        elif chance < 0.015:
            run.change({"lr": scale(pick.uniform(0.5, 1.5))}, force=True)
        elif chance < 0.02 and step > 10:
            step = pick.randrange(step)
            run.rewind(step, {"lr": scale(0.9)}, force=True)
            run.rejoin()
        elif chance < 0.03:
            by = pick.choice([1, 2, 5])
        values = run.values(step)
        if chance < 0.9:  # else the update is skipped, as an overflow of AMP is
            if chance < 0.88:
                run.applied(step, values, dtypes=dtypes)
            else:
                run.applied(step)
        step += by


def test_no_false_alarm(server: str, train: Any, new_name: Any) -> None:
    """P12: random trainings with rewinds, restarts, strides, skips and forks are proven."""
    for seed in range(EXAMPLES):
        pick, name = random.Random(seed), new_name()
        dtypes: Any = {"lr": pick.choice(["f64", "f32"]), "weight_decay": "f32"}
        paces = [pick.choice([None, 50.0, 500.0]) for _ in range(2)]
        first = train(name, "0", paces[0])
        wander(pick, first, dtypes)
        settled = first.show()["settled_until"]
        all_said(first)
        fork = f"{name}-b"
        with Client(server) as client:
            client.control(name).fork(fork, {"lr": scale(0.5)}, step=pick.randrange(settled))
        second = train(fork, "1", paces[1])
        wander(pick, second, dtypes)
        all_said(second)
        for run, worker in ((name, "0"), (fork, "1")):
            workers, mismatches = rows(server, run)
            assert mismatches == [], seed
            assert workers[worker]["proven_until"], seed
            assert workers[worker]["state"] == "ended", seed


def test_a_fork_of_the_process_is_another_worker(
    server: str, new_name: Any, tmp_path: Path, run_python: Any
) -> None:
    """A child of a fork that trains proves what it applied itself, beside its parent."""
    name, told = new_name(), tmp_path / "pid"
    run_python(
        f"""
import os
from rheostat import Client
client = Client({server!r})
run = client.run({name!r}, create={SPEC!r})
def train(start, stop):
    for step in range(start, stop):
        run.applied(step, run.values(step))
train(0, 100)
child = os.fork()
if not child:
    train(100, 300)
    client.close()
    os._exit(0)
os.waitpid(child, 0)
train(100, 200)
open({str(told)!r}, "w").write(f"{{os.getpid()}} {{child}}")
"""
    )
    workers, mismatches = rows(server, name)
    parent, child = told.read_text().split()
    found = {worker.rpartition(":")[2]: row["proven_until"] for worker, row in workers.items()}
    assert mismatches == []
    assert found == {parent: 200, child: 300}
