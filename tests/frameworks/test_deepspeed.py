"""DeepSpeed's engine, which steps the scheduler that it is given after each update."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import NewCase, Ranks, RunSection, rates_of
from tests.ports import free_port

FRAMEWORK = Framework(
    name="DeepSpeed",
    package="deepspeed",
    adds="""
lr_scheduler=lambda optimizer: RheostatLR(optimizer, run, at_end="flag"),
""",
    newest="0.19.8",
    oldest="0.19.8",
    old_needs=(
        "einops==0.8.1",
        "hjson==3.1.0",
        "msgpack==1.1.2",
        "ninja==1.13.0",
        "py-cpuinfo==9.0.0",
    ),
    apart=True,
)


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """Be the only rank, as DeepSpeed's launcher would say it."""
    import torch

    port = free_port()
    rank = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    os.environ |= {**rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    on_this_machine()
    yield
    torch.distributed.destroy_process_group()


def on_this_machine() -> None:
    """
    Do without what DeepSpeed would compile, or find no hardware for.

    What it compiles makes ranks of one machine faster; float16 is slow without hardware, and right.
    """
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    from deepspeed.accelerator import get_accelerator

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    get_accelerator().is_fp16_supported = lambda: True


class Training:
    """One process that trains, as a script of a user has it."""

    def __init__(self, run: Any, **config: Any) -> None:
        import deepspeed
        import torch

        from rheostat.torch import RheostatLR

        self.dtype = torch.float16 if "fp16" in config else torch.float32
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        self.engine, *_, self.scheduler = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            config={"train_micro_batch_size_per_gpu": 1, **config},
            lr_scheduler=lambda optimizer: RheostatLR(optimizer, run, at_end="flag"),
        )
        self.used = rates_of(optimizer)

    def train(self, batches: int, *, poisoned: tuple[int, ...] = ()) -> Training:
        """Train on some batches, or until the run ends."""
        import torch

        for number in range(batches):
            if self.scheduler.ended:
                break
            batch = torch.ones(1, 2, dtype=self.dtype)
            loss = self.engine(batch * (float("inf") if number in poisoned else 1.0)).mean()
            self.engine.backward(loss)
            self.engine.step()
        return self

    def save(self, folder: Path) -> Path:
        """Save what the engine saves."""
        self.engine.save_checkpoint(str(folder))
        return folder

    def load(self, folder: Path) -> Training:
        """Load it."""
        self.engine.load_checkpoint(str(folder))
        return self


def test_ledger(new_case: NewCase) -> None:
    """Each update uses what the ledger has at its step, with a change on the way."""
    case = new_case()
    case.control.change({"lr": {"edit": "scale", "factor": 0.5}}, effective=16)
    training = Training(case.join()).train(24)
    assert training.used[15:17] == [15 / 1024, 8 / 1024]
    case.require_ledger(training.used)


def test_accumulation(new_case: NewCase) -> None:
    """An update counts, and not a batch."""
    case = new_case()
    training = Training(case.join(), gradient_accumulation_steps=3).train(24)
    assert training.used == [step / 1024 for step in range(8)]
    case.require_ledger(training.used)


def test_amp(new_case: NewCase) -> None:
    """An update that overflows is none: its step comes again."""
    case = new_case()
    scaled = {"enabled": True, "initial_scale_power": 4, "hysteresis": 1}
    training = Training(case.join(), fp16=scaled).train(12, poisoned=(3,))
    assert training.engine.skipped_steps == 1
    assert len(training.used) == training.scheduler.last_epoch == 11
    case.require_ledger(training.used)


def test_resume(new_case: NewCase, tmp_path: Path) -> None:
    """What ``load_checkpoint`` loads goes on at its step, with the values of the first time."""
    case = new_case()
    first = Training(case.join()).train(5)
    first.save(tmp_path)
    first.train(7)
    resumed = Training(case.join()).load(tmp_path).train(7)
    assert resumed.used == first.used[5:]
    case.require_ledger(resumed.used, first=5)


def test_rewind(new_case: NewCase, tmp_path: Path) -> None:
    """A checkpoint from before a rewind goes on with what the new generation has."""
    from rheostat.errors import StaleCheckpoint

    case = new_case()
    first = Training(case.join()).train(5)
    first.save(tmp_path / "5")
    first.train(4).save(tmp_path / "9")
    case.control.rewind(8, changes={"lr": {"edit": "scale", "factor": 0.5}})
    with pytest.raises(StaleCheckpoint):
        Training(case.join()).load(tmp_path / "9")
    resumed = Training(case.join()).load(tmp_path / "5").train(7)
    assert resumed.used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(resumed.used, first=5)


def test_longer(new_case: NewCase, tmp_path: Path) -> None:
    """A run that was extended goes on where it ended, from the last checkpoint."""
    case = new_case({"lr": {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}}, total=12)
    first = Training(case.join()).train(12)
    first.save(tmp_path)
    case.control.extend_total(24)
    resumed = Training(case.join()).load(tmp_path).train(12)
    assert (len(first.used), len(resumed.used)) == (12, 12)
    case.require_ledger(first.used)
    case.require_ledger(resumed.used, first=12)


def test_stop(new_case: NewCase) -> None:
    """At a stop the scheduler says so, and no update is made."""
    case = new_case()
    case.control.stop(effective=8)
    training = Training(case.join()).train(12)
    assert training.scheduler.ended
    assert len(training.used) == 8
    case.require_ledger(training.used)


def test_ranks(new_case: NewCase, on_ranks: Ranks) -> None:
    """Two processes, each with a part of the optimizer's state, use the same values to one step."""
    case = new_case()
    case.control.stop(effective=8)
    told = on_ranks("deepspeed_ranks.py", case.url, case.name)
    assert [rank["ranks"] for rank in told] == [2, 2]
    for rank in told:
        assert len(rank["used"]) == 8
        case.require_ledger(rank["used"])


def test_docs(run_section: RunSection) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    assert names["scheduler"].last_epoch == 20
