"""
The cells, for a Trainer and whatever is built on it: each such module has a fixture ``build``.

A trainer here makes an epoch of 12 batches, one update each, saves when it is told to, and is as
small as it can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.frameworks.conftest import NewCase, rates_of

import rheostat.transformers

BATCHES = 12
HALF = {"lr": {"edit": "scale", "factor": 0.5}}


class Build(Protocol):
    """Makes a trainer with an SGD, which has trained nothing yet and follows nothing."""

    def __call__(self, folder: Path, **arguments: Any) -> Any:
        """Return it; the arguments are those of `TrainingArguments`."""


def arguments(folder: Path, **others: Any) -> dict[str, Any]:
    """Return the arguments of a small and quiet training."""
    return {
        "output_dir": str(folder),
        "use_cpu": True,
        "per_device_train_batch_size": 1,
        "num_train_epochs": 1,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        **others,
    }


def saves_at(*steps: int) -> Any:
    """Return a callback that has the trainer save at these updates."""
    return at(steps, lambda control: setattr(control, "should_save", True))


def stops_at(*steps: int) -> Any:
    """Return a callback that ends the training at these updates, as if it was killed."""
    return at(steps, lambda control: setattr(control, "should_training_stop", True))


def at(steps: tuple[int, ...], act: Callable[[Any], object]) -> Any:
    """Return a callback that does something at the end of these updates."""
    from transformers import TrainerCallback

    class At(TrainerCallback):
        def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
            if state.global_step in steps:
                act(control)

    return At()


def train(trainer: Any, run: Any, *, resume: Path | None = None, **options: Any) -> list[float]:
    """Attach a run and train; return the rate that each update used."""
    rheostat.transformers.attach(trainer, run, **options)
    used = rates_of(trainer.optimizer)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    return used


def test_ledger(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """Each update uses what the ledger has at its step, with a change on the way."""
    case = new_case()
    case.control.change(HALF, effective=8)
    used = train(build(tmp_path, num_train_epochs=2), case.join())
    assert len(used) == 2 * BATCHES
    assert used[7:9] == [7 / 1024, 4 / 1024]
    case.require_ledger(used)


def test_accumulation(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """An update counts, and not a batch."""
    case = new_case()
    trainer = build(tmp_path, gradient_accumulation_steps=3, num_train_epochs=2)
    assert train(trainer, case.join()) == [step / 1024 for step in range(8)]


def test_amp(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """An update that the scaler skips is none: its step comes again."""
    import torch

    case = new_case()
    trainer = build(tmp_path)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    trainer.accelerator.scaler = scaler
    poisoned = iter(range(100))
    weight = next(trainer.model.parameters())
    weight.register_hook(lambda g: g * float("inf") if next(poisoned) == 5 else g)
    used = train(trainer, case.join())
    assert scaler.get_scale() < 8.0
    assert len(used) == BATCHES - 1
    case.require_ledger(used)


def test_resume(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """A checkpoint goes on at its step, with the values of the first time."""
    case = new_case()
    first = build(tmp_path)
    first.add_callback(saves_at(5))
    used = train(first, case.join())
    again = train(build(tmp_path), case.join(), resume=tmp_path / "checkpoint-5")
    assert again == used[5:]
    case.require_ledger(again, first=5)


def test_rewind(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """A checkpoint from before a rewind goes on with what the new generation has."""
    from rheostat.errors import StaleCheckpoint

    case = new_case()
    first = build(tmp_path)
    first.add_callback(saves_at(5, 9))
    train(first, case.join())
    case.control.rewind(8, changes=HALF)
    with pytest.raises(StaleCheckpoint):
        train(build(tmp_path), case.join(), resume=tmp_path / "checkpoint-9")
    used = train(build(tmp_path), case.join(), resume=tmp_path / "checkpoint-5")
    assert used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(used, first=5)


def test_longer(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """A training that gets more epochs goes on where it ended, once the run is extended."""
    decay = {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}
    case = new_case({"lr": decay}, total=BATCHES)
    first = train(build(tmp_path, save_strategy="epoch"), case.join())
    case.control.extend_total(2 * BATCHES)
    longer = build(tmp_path, num_train_epochs=2)
    used = train(longer, case.join(), resume=tmp_path / f"checkpoint-{BATCHES}")
    assert len(used) == BATCHES
    case.require_ledger(first)
    case.require_ledger(used, first=BATCHES)


def test_stop(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """At a stop it ends as at its own maximum: with a last checkpoint, and no update more."""
    case = new_case()
    case.control.stop(effective=8)
    trainer = build(tmp_path, save_strategy="steps", save_steps=5)
    used = train(trainer, case.join())
    assert len(used) == trainer.state.global_step == 8
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == [
        "checkpoint-5",
        "checkpoint-8",
    ]
    case.require_ledger(used)


def require_alike(told: Sequence[Mapping[str, Any]], case: Any, updates: int) -> None:
    """Require that all ranks made the same updates, with the ledger's values."""
    for rank in told:
        assert rank["ranks"] == len(told)
        assert len(rank["used"]) == updates
        case.require_ledger(rank["used"])
