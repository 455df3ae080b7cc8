"""Checkpoints that know their run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rheostat import Client, Run, scale
from rheostat.errors import Invalid, StaleCheckpoint, StaleGeneration

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

NewRun = Callable[..., Run]
COSINE = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 40}
RESUME = """
import sys, torch
from rheostat import Client
from rheostat.torch import RheostatLR

url, run, path = sys.argv[1:]
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1)
scheduler = RheostatLR(optimizer, Client(url).run(run))
state = torch.load(path, weights_only=True)
scheduler.load_state_dict(state["scheduler"])
optimizer.load_state_dict(state["optimizer"])
for _ in range(10):
    print(optimizer.param_groups[0]["lr"])
    optimizer.step()
    scheduler.step()
"""


def training(run: Run, steps: int = 0) -> tuple[Any, Any]:
    """Return optimizer and scheduler after some steps."""
    from rheostat.torch import RheostatLR

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    scheduler = RheostatLR(optimizer, run)
    train(optimizer, scheduler, steps)
    return optimizer, scheduler


def train(optimizer: Any, scheduler: Any, steps: int) -> None:
    for _ in range(steps):
        optimizer.step()
        scheduler.step()


def test_the_state_says_where_the_training_is(new_run: NewRun) -> None:
    """Plain strings and numbers: the run, its id, the generation, and the next step."""
    run = new_run(lr=COSINE)
    _, scheduler = training(run, 7)
    expected = {"run": run.name, "id": run.id, "generation": 1, "step": 7}
    assert scheduler.state_dict() == expected


def test_a_new_process_goes_on_with_the_same_values(
    new_run: NewRun, server: str, tmp_path: Path
) -> None:
    """P1: after a restart at a checkpoint the steps that were done before get the same values."""
    run = new_run(lr=COSINE)
    optimizer, scheduler = training(run, 10)
    saved = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save(saved, tmp_path / "checkpoint.pt")
    expected = [run.value("lr", step) for step in range(10, 20)]
    run.change({"lr": scale(0.5)}, message="too late for the steps that were done")
    command = [sys.executable, "-c", RESUME, server, run.name, str(tmp_path / "checkpoint.pt")]
    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [float(line) for line in resumed.stdout.split()] == expected


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_the_first_update_after_a_rewind_uses_the_new_value(
    new_run: NewRun, http: httpx.Client, *, optimizer_first: bool
) -> None:
    """P6: the optimizer's checkpoint holds the old value, and has not the last word."""
    run = new_run(lr=COSINE)
    optimizer, scheduler = training(run, 3)
    saved, state = optimizer.state_dict(), scheduler.state_dict()
    rewind(http, run, 3, changes={"lr": scale(0.5)})
    optimizer, scheduler = training(run)
    steps = [lambda: optimizer.load_state_dict(saved), lambda: scheduler.load_state_dict(state)]
    for load in steps if optimizer_first else reversed(steps):
        load()
    assert scheduler.state_dict() == {**state, "generation": 2}
    assert optimizer.param_groups[0]["lr"] == 0.5 * saved["param_groups"][0]["lr"]


def test_a_checkpoint_beyond_a_rewind_is_refused(new_run: NewRun, http: httpx.Client) -> None:
    """P6: what it learnt at the steps that were taken back is not in the new generation's past."""
    run = new_run(lr=COSINE)
    _, scheduler = training(run, 5)
    state = scheduler.state_dict()
    rewind(http, run, 4)
    with pytest.raises(StaleCheckpoint, match="step 5 of generation 1"):
        scheduler.load_state_dict(state)


def test_a_rewind_stops_a_training_that_goes_on(new_run: NewRun, http: httpx.Client) -> None:
    """P6: after the last value that was settled comes an error, and that update counts."""
    run = new_run(lr=COSINE)
    optimizer, scheduler = training(run, 5)
    ended = rewind(http, run, 4)["ended"]
    with pytest.raises(StaleGeneration):
        train(optimizer, scheduler, 40)
    assert scheduler.state_dict()["step"] == ended
    assert scheduler.get_last_lr() == [run.value("lr", ended - 1)]


def rewind(http: httpx.Client, run: Run, to: int, **options: Any) -> dict[str, Any]:
    """Take a run back to a step, as an operator does."""
    answer = http.post(f"/v1/runs/{run.id}/rewind", json={"to": to, **options})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_checkpoint_of_a_deleted_run_is_refused(new_run: NewRun, client: Client) -> None:
    """P6: a run of the same name is not the same run; the scheduler stays where it was."""
    run = new_run(lr=COSINE)
    state = training(run, 3)[1].state_dict()
    client.control(run.id).delete()
    _, scheduler = training(client.run(run.name, create={"parameters": {"lr": COSINE}}), 1)
    before = scheduler.state_dict()
    with pytest.raises(StaleCheckpoint, match=run.id):
        scheduler.load_state_dict(state)
    assert scheduler.state_dict() == before


def test_a_checkpoint_of_another_run_is_refused(new_run: NewRun) -> None:
    """The error names the run that it was saved with."""
    other = new_run(lr=COSINE)
    _, scheduler = training(new_run(lr=COSINE))
    with pytest.raises(StaleCheckpoint, match=f"saved with the run '{other.name}'"):
        scheduler.load_state_dict(training(other, 3)[1].state_dict())


def test_the_state_of_another_scheduler_is_refused(new_run: NewRun) -> None:
    """A state of PyTorch's own schedulers does not know its run."""
    optimizer, scheduler = training(new_run(lr=COSINE))
    step = torch.optim.lr_scheduler.StepLR(optimizer, 10)
    with pytest.raises(Invalid, match="has no run, id, generation, step"):
        scheduler.load_state_dict(step.state_dict())
    for state in (None, 5):
        with pytest.raises(Invalid, match="state_dict must be a dictionary"):
            scheduler.load_state_dict(state)
