"""A loop with Accelerate, which wraps the optimizer, accumulates, scales and saves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import NewCase, Ranks, RunSection, rates_of

FRAMEWORK = Framework(
    name="Accelerate",
    package="accelerate",
    adds="""
handle = rheostat.torch.attach(optimizer, run)
accelerator.register_for_checkpointing(handle)
""",
    newest="1.15.0",
    oldest="1.0.1",
)
BATCHES = 12
"""In an epoch."""


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """Have each training make an accelerator of its own, as a process of its own would."""
    yield
    reset()


def reset() -> None:
    """Forget the accelerator of this process."""
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@dataclass
class Training:
    """One process that trains, as a script of a user has it."""

    accelerator: Any
    model: Any
    optimizer: Any
    batches: Any
    handle: Any
    used: list[float]

    def epoch(self, *, skip: int = 0, until: int = BATCHES) -> None:
        """Train on the batches of an epoch, but for those that were done before."""
        batches = self.accelerator.skip_first_batches(self.batches, skip)
        for (batch,), _ in zip(batches, range(until - skip), strict=False):
            if self.handle.ended:
                return
            with self.accelerator.accumulate(self.model):
                self.accelerator.backward(self.model(batch).mean())
                self.optimizer.step()
                self.optimizer.zero_grad()


def begin(run: Any, *, accumulation: int = 1, scaler: Any = None) -> Training:
    """Return a training that has done nothing yet."""
    import torch
    from accelerate import Accelerator

    import rheostat.torch

    reset()
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulation)
    accelerator.scaler = scaler
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    data = torch.utils.data.TensorDataset(torch.ones(BATCHES * accelerator.num_processes, 2))
    batches = torch.utils.data.DataLoader(data, batch_size=1)
    model, optimizer, batches = accelerator.prepare(model, optimizer, batches)
    handle = rheostat.torch.attach(optimizer, run)
    accelerator.register_for_checkpointing(handle)
    used = rates_of(optimizer.optimizer)
    return Training(accelerator, model, optimizer, batches, handle, used)


def test_ledger(new_case: NewCase) -> None:
    """Each update uses what the ledger has at its step, with a change on the way."""
    case = new_case()
    case.control.change({"lr": {"edit": "scale", "factor": 0.5}}, effective=16)
    training = begin(case.join())
    training.epoch()
    training.epoch()
    assert training.used[15:17] == [15 / 1024, 8 / 1024]
    case.require_ledger(training.used)


def test_accumulation(new_case: NewCase) -> None:
    """An update counts, and not a batch."""
    case = new_case()
    training = begin(case.join(), accumulation=3)
    training.epoch()
    training.epoch()
    assert training.used == [step / 1024 for step in range(8)]
    case.require_ledger(training.used)


def test_amp(new_case: NewCase) -> None:
    """An update that the scaler skips is none: its step comes again."""
    import torch

    case = new_case()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    training = begin(case.join(), scaler=scaler)
    training.epoch(until=3)
    weight = next(training.model.parameters())
    poison = weight.register_hook(lambda gradient: gradient * float("inf"))
    training.epoch(skip=3, until=4)
    poison.remove()
    assert training.optimizer.step_was_skipped
    training.epoch(skip=4)
    assert scaler.get_scale() < 8.0
    assert len(training.used) == training.handle.step == BATCHES - 1
    case.require_ledger(training.used)


def test_resume(new_case: NewCase, tmp_path: Path) -> None:
    """``load_state`` goes on at the step of the checkpoint, with the values of the first time."""
    case = new_case()
    first = begin(case.join())
    first.epoch(until=5)
    first.accelerator.save_state(tmp_path)
    first.epoch(skip=5)
    resumed = begin(case.join())
    resumed.accelerator.load_state(tmp_path)
    resumed.epoch(skip=5)
    assert resumed.used == first.used[5:]
    case.require_ledger(resumed.used, first=5)


def test_rewind(new_case: NewCase, tmp_path: Path) -> None:
    """A checkpoint from before a rewind goes on with what the new generation has."""
    from rheostat.errors import StaleCheckpoint

    case = new_case()
    first = begin(case.join())
    first.epoch(until=5)
    first.accelerator.save_state(tmp_path / "5")
    first.epoch(skip=5, until=9)
    first.accelerator.save_state(tmp_path / "9")
    case.control.rewind(8, changes={"lr": {"edit": "scale", "factor": 0.5}})
    resumed = begin(case.join())
    with pytest.raises(StaleCheckpoint):
        resumed.accelerator.load_state(tmp_path / "9")
    resumed.accelerator.load_state(tmp_path / "5")
    resumed.epoch(skip=5)
    assert resumed.used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(resumed.used, first=5)


def test_longer(new_case: NewCase, tmp_path: Path) -> None:
    """A run that was extended goes on where it ended, from the last checkpoint."""
    case = new_case({"lr": {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}}, total=12)
    first = begin(case.join())
    first.epoch()
    first.accelerator.save_state(tmp_path)
    case.control.extend_total(24)
    resumed = begin(case.join())
    resumed.accelerator.load_state(tmp_path)
    resumed.epoch()
    assert len(resumed.used) == 12
    case.require_ledger(first.used)
    case.require_ledger(resumed.used, first=12)


def test_stop(new_case: NewCase) -> None:
    """At a stop the handle says so, and no update is made."""
    case = new_case()
    case.control.stop(effective=8)
    training = begin(case.join())
    training.epoch()
    assert training.handle.ended
    assert len(training.used) == 8
    case.require_ledger(training.used)


def test_ranks(new_case: NewCase, on_ranks: Ranks) -> None:
    """Two processes use the same values, and end at one step; a prepared scheduler counts right."""
    case = new_case()
    case.control.stop(effective=8)
    told = on_ranks("accelerate_ranks.py", case.url, case.name)
    assert [rank["ranks"] for rank in told] == [2, 2]
    for rank in told:
        assert len(rank["used"]) == 8
        case.require_ledger(rank["used"])
        case.require_ledger(rank["prepared"])
        assert rank["counted"] == len(rank["prepared"])


def test_docs(run_section: RunSection) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    assert names["handle"].step == 8
