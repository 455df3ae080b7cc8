"""A loop as timm's ``train.py`` has it: layer decay, accumulation, a counter of updates."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import NewCase, Ranks, RunSection, rates_of
from tests.frameworks.stand_ins import stand_in_for

FRAMEWORK = Framework(
    name="timm",
    package="timm",
    adds="""
scheduler = RheostatLR(optimizer, run, at_end="flag")
scheduler.step(update=num_updates)
""",
    newest="1.0.31",
    oldest="1.0.31",
    apart=True,
)
BATCHES = 12
"""In an epoch."""
SHARE = 0.5
"""What the layers below the head have of the rate: timm takes these few for one."""


@pytest.fixture(scope="module", autouse=True)
def without_torchvision() -> None:
    """Timm's models import it; its groups and schedulers do without."""
    stand_in_for("torchvision")


def model_of() -> Any:
    """Return a model of three layers, of which the last is its classifier, as timm's models say."""
    import torch

    model = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(3)))
    model.pretrained_cfg = {"classifier": "2"}
    return model


@dataclass
class Training:
    """The part of ``train.py`` that updates, line by line."""

    run: Any
    accumulation: int = 1
    scaler: Any = None
    saved: Any = None
    """What a checkpoint had of the scheduler."""
    num_updates: int = 0
    model: Any = field(default_factory=model_of)
    counted: list[int] = field(default_factory=list)
    """The counter at each update that was made."""

    def __post_init__(self) -> None:
        import torch
        from timm.optim import param_groups_layer_decay

        from rheostat.torch import RheostatLR

        groups = param_groups_layer_decay(self.model, weight_decay=0.05, layer_decay=SHARE)
        self.optimizer = torch.optim.SGD(groups, lr=1.0)
        self.scheduler = RheostatLR(self.optimizer, self.run, at_end="flag")
        if self.saved is not None:
            self.scheduler.load_state_dict(self.saved)
            self.num_updates = self.scheduler.last_epoch
        self.used = rates_of(self.optimizer)
        self.optimizer.register_step_post_hook(lambda *_: self.counted.append(self.num_updates))

    def epoch(self, *, skip: int = 0, until: int = BATCHES, poisoned: tuple[int, ...] = ()) -> None:
        """Train on the batches of an epoch, but for those that were done before."""
        import torch

        for batch in range(skip, until):
            if self.scheduler.ended:
                return
            need_update = (batch + 1) % self.accumulation == 0
            output = self.model(torch.ones(1, 2)).mean() / self.accumulation
            loss = output * (float("inf") if batch in poisoned else 1.0)
            if self.scaler is None:
                loss.backward()
            else:
                self.scaler.scale(loss).backward()
            if not need_update:
                continue
            if self.scaler is None:
                self.optimizer.step()
            else:
                self.scaler.step(self.optimizer)
                self.scaler.update()
            self.num_updates += 1
            self.optimizer.zero_grad()
            self.scheduler.step(update=self.num_updates)

    def require_ledger(self, case: Any, first: int = 0) -> None:
        """Require that each group used its share of what the ledger has, bit for bit."""
        scale = self.optimizer.param_groups[0]["lr_scale"]
        assert scale == SHARE
        case.require_ledger([rate / scale for rate in self.used], first)


def test_ledger(new_case: NewCase) -> None:
    """Each update uses the group's part of the ledger's value, as timm's own schedulers do it."""
    from timm.scheduler.scheduler import Scheduler

    class Own(Scheduler):
        def _get_lr(self, t: int) -> list[float]:
            return [t / 1024 for _ in self.optimizer.param_groups]

    case = new_case()
    case.control.change({"lr": {"edit": "scale", "factor": 0.5}}, effective=16)
    training = Training(case.join())
    training.epoch()
    mine = [group["lr"] for group in training.optimizer.param_groups]
    Own(training.optimizer, "lr", t_in_epochs=False).step_update(num_updates=BATCHES)
    assert mine == [group["lr"] for group in training.optimizer.param_groups]
    training.scheduler.step(update=BATCHES)
    training.epoch()
    assert training.used[16] == 8 / 1024 * SHARE
    training.require_ledger(case)


def test_accumulation(new_case: NewCase) -> None:
    """An update counts, and not a batch."""
    case = new_case()
    training = Training(case.join(), accumulation=3)
    training.epoch()
    training.epoch()
    assert len(training.used) == 8
    training.require_ledger(case)


def test_amp(new_case: NewCase) -> None:
    """Timm's counter counts an update that was skipped, and the next one uses its own step's."""
    import torch

    case = new_case()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    training = Training(case.join(), scaler=scaler)
    training.epoch(poisoned=(3,))
    assert scaler.get_scale() < 8.0
    assert training.counted == [0, 1, 2, *range(4, BATCHES)]
    ledger = case.ledger()
    assert training.used == [ledger[step] * SHARE for step in training.counted]


def test_resume(new_case: NewCase) -> None:
    """The state that was kept goes on at its step, with the values of the first time."""
    case = new_case()
    first = Training(case.join())
    first.epoch(until=5)
    saved = first.scheduler.state_dict()
    first.epoch(skip=5)
    resumed = Training(case.join(), saved=saved)
    resumed.epoch(skip=5)
    assert resumed.num_updates == BATCHES
    assert resumed.used == first.used[5:]
    resumed.require_ledger(case, first=5)


def test_rewind(new_case: NewCase) -> None:
    """A checkpoint from before a rewind goes on with what the new generation has."""
    from rheostat.errors import StaleCheckpoint

    case = new_case()
    first = Training(case.join())
    first.epoch(until=5)
    early = first.scheduler.state_dict()
    first.epoch(skip=5, until=9)
    late = first.scheduler.state_dict()
    case.control.rewind(8, changes={"lr": {"edit": "scale", "factor": 0.5}})
    with pytest.raises(StaleCheckpoint):
        Training(case.join(), saved=late)
    resumed = Training(case.join(), saved=early)
    resumed.epoch(skip=5)
    assert resumed.used[2:4] == [7 / 1024 * SHARE, 4 / 1024 * SHARE]
    resumed.require_ledger(case, first=5)


def test_longer(new_case: NewCase) -> None:
    """A run that was extended goes on where it ended."""
    case = new_case({"lr": {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}}, total=12)
    first = Training(case.join())
    first.epoch()
    saved = first.scheduler.state_dict()
    case.control.extend_total(24)
    resumed = Training(case.join(), saved=saved)
    resumed.epoch()
    assert len(resumed.used) == 12
    first.require_ledger(case)
    resumed.require_ledger(case, first=12)


def test_stop(new_case: NewCase) -> None:
    """At a stop the scheduler says so, and no update is made."""
    case = new_case()
    case.control.stop(effective=8)
    training = Training(case.join())
    training.epoch()
    assert training.scheduler.ended
    assert len(training.used) == 8
    training.require_ledger(case)


def test_ranks(new_case: NewCase, on_ranks: Ranks) -> None:
    """Two processes use the same values, and end at one step."""
    case = new_case()
    case.control.stop(effective=8)
    told = on_ranks("timm_ranks.py", case.url, case.name)
    assert [len(rank["used"]) for rank in told] == [8, 8]
    for rank in told:
        case.require_ledger(rank["used"])


def test_docs(run_section: RunSection, tmp_path: Path) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    assert names["num_updates"] == 20
