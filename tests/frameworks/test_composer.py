"""Composer's Trainer, which steps a scheduler of PyTorch in every batch if it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import NewCase, Ranks, RunSection, rates_of
from tests.frameworks.stand_ins import stand_in_for

FRAMEWORK = Framework(
    name="Composer",
    package="mosaicml",
    adds="""
schedulers=scheduler, step_schedulers_every_batch=True, callbacks=[EndWithRun(scheduler)],
""",
    newest="0.32.1",
    oldest="0.32.1",
    old_needs=(
        "torch-optimizer==0.3.0",
        "pytorch-ranger==0.1.1",
        "coolname==2.2.0",
        "tabulate==0.9.0",
        "py-cpuinfo==9.0.0",
        "importlib-metadata==8.7.0",
        "zipp==3.23.0",
    ),
    apart=True,
    missing={"amp": "it makes a scaler of losses for GPUs alone, which the tests do not have."},
)
BATCHES = 12
"""In an epoch."""


@pytest.fixture(scope="module", autouse=True)
def without_others() -> None:
    """Let it import torchvision and its maker's cloud client, which its Trainer does without."""
    stand_in_for("torchvision", "mcli")


class Training:
    """One training, as a script of a user has it."""

    def __init__(self, run: Any, *, microbatch: int | None = None, **options: Any) -> None:
        import torch
        from composer import Callback, Trainer
        from composer.models import ComposerModel
        from composer.utils import dist

        from rheostat.torch import RheostatLR

        class Model(ComposerModel):
            def __init__(self) -> None:
                super().__init__()
                self.head = torch.nn.Linear(2, 1)

            def forward(self, batch: Any) -> Any:
                return self.head(batch)

            def loss(self, outputs: Any, batch: Any) -> Any:
                return (outputs - batch.sum()).mean()

        class EndWithRun(Callback):
            def __init__(self, scheduler: RheostatLR) -> None:
                self.scheduler = scheduler

            def batch_end(self, state: Any, logger: Any) -> None:  # noqa: ARG002
                if self.scheduler.ended:
                    state.stop_training()

        model = Model()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.5)
        self.scheduler = RheostatLR(optimizer, run, at_end="flag")
        size = (microbatch or 1) ** 2  # as many parts as each is large
        data = torch.ones(BATCHES * size * dist.get_world_size(), 2)
        batches = torch.utils.data.DataLoader(data, size, sampler=dist.get_sampler(data))
        self.trainer = Trainer(
            model=model,
            optimizers=optimizer,
            schedulers=self.scheduler,
            step_schedulers_every_batch=True,
            callbacks=[EndWithRun(self.scheduler)],
            train_dataloader=batches,
            device_train_microbatch_size=microbatch,
            device="cpu",
            progress_bar=False,
            **{"max_duration": "2ep", **options},
        )
        self.used = rates_of(optimizer)  # not of the step by which what is loaded finds its place

    def fit(self) -> Training:
        """Train."""
        self.trainer.fit()
        return self

    def close(self) -> Training:
        """Let the next trainer be made."""
        self.trainer.close()
        return self


def test_ledger(new_case: NewCase) -> None:
    """Each update uses what the ledger has at its step, with a change on the way."""
    case = new_case()
    case.control.change({"lr": {"edit": "scale", "factor": 0.5}}, effective=16)
    training = Training(case.join()).fit()
    assert training.used[15:17] == [15 / 1024, 8 / 1024]
    assert len(training.used) == 2 * BATCHES
    case.require_ledger(training.used)


def test_accumulation(new_case: NewCase) -> None:
    """A batch that is trained in three parts is one update."""
    case = new_case()
    training = Training(case.join(), microbatch=3).fit()
    assert len(training.used) == 2 * BATCHES
    case.require_ledger(training.used)


def test_resume(new_case: NewCase, tmp_path: Path) -> None:
    """``load_path`` goes on at the step of the checkpoint, with the values of the first time."""
    case = new_case()
    first = Training(case.join(), max_duration="5ba").fit()
    saved = first.trainer.save_checkpoint(str(tmp_path / "5.pt"))
    first.close()
    resumed = Training(case.join(), load_path=str(saved)).fit()
    assert len(resumed.used) == 2 * BATCHES - 5
    case.require_ledger(first.used)
    case.require_ledger(resumed.used, first=5)


def test_rewind(new_case: NewCase, tmp_path: Path) -> None:
    """A checkpoint from before a rewind goes on with what the new generation has."""
    from rheostat.errors import StaleCheckpoint

    case = new_case()
    first = Training(case.join(), max_duration="5ba").fit()
    early = first.trainer.save_checkpoint(str(tmp_path / "5.pt"))
    first.trainer.fit(duration="4ba")
    late = first.trainer.save_checkpoint(str(tmp_path / "9.pt"))
    first.close()
    case.control.rewind(8, changes={"lr": {"edit": "scale", "factor": 0.5}})
    with pytest.raises(StaleCheckpoint):
        Training(case.join(), load_path=str(late))
    resumed = Training(case.join(), load_path=str(early)).fit()
    assert resumed.used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(resumed.used, first=5)


def test_longer(new_case: NewCase, tmp_path: Path) -> None:
    """A run that was extended goes on where it ended, from the last checkpoint."""
    case = new_case({"lr": {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}}, total=12)
    first = Training(case.join(), max_duration="1ep").fit()
    saved = first.trainer.save_checkpoint(str(tmp_path / "12.pt"))
    first.close()
    case.control.extend_total(24)
    resumed = Training(case.join(), load_path=str(saved)).fit()
    assert len(resumed.used) == 12
    case.require_ledger(first.used)
    case.require_ledger(resumed.used, first=12)


def test_stop(new_case: NewCase) -> None:
    """At a stop the training ends as at its own maximum, and no update is made past it."""
    case = new_case()
    case.control.stop(effective=8)
    training = Training(case.join()).fit()
    assert training.scheduler.ended
    assert len(training.used) == 8
    case.require_ledger(training.used)


def test_ranks(new_case: NewCase, on_ranks: Ranks) -> None:
    """Two processes use the same values, and end at one step."""
    case = new_case()
    case.control.stop(effective=8)
    told = on_ranks("composer_ranks.py", case.url, case.name)
    assert [rank["ranks"] for rank in told] == [2, 2]
    for rank in told:
        assert len(rank["used"]) == 8
        case.require_ledger(rank["used"])


def test_docs(run_section: RunSection) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    assert names["scheduler"].last_epoch == 20
