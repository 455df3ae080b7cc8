"""The Trainer of transformers follows a run by one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import NewCase, Ranks, RunSection, require_said
from tests.frameworks.test_accelerate import reset
from tests.frameworks.trainers import (
    BATCHES,
    HALF,
    Build,
    arguments,
    require_alike,
    saves_at,
    test_accumulation,
    test_amp,
    test_ledger,
    test_longer,
    test_resume,
    test_rewind,
    test_stop,
    train,
)

import rheostat.transformers
from rheostat import controls
from rheostat.errors import Invalid, NameTaken, UnknownMetric

__all__ = [
    "test_accumulation",
    "test_amp",
    "test_ledger",
    "test_longer",
    "test_resume",
    "test_rewind",
    "test_stop",
]

FRAMEWORK = Framework(
    name="Transformers Trainer",
    package="transformers",
    adds='rheostat.transformers.attach(trainer, "trained", create={',
    newest="5.24.0",
    oldest="5.24.0",
)


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """Have each training make an accelerator of its own, as a process of its own would."""
    yield
    reset()


def tiny(folder: Path, **others: Any) -> Any:
    """Return a trainer of one weight, whose batches are 12 in an epoch on each process."""
    import os

    import torch
    from transformers import Trainer, TrainingArguments

    class Model(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:  # noqa: ARG002
            return {"loss": (self.weight * x).mean(), "logits": x}

    reset()
    model = Model()
    count = BATCHES * int(os.environ.get("WORLD_SIZE", "1"))
    data = [{"x": torch.ones(1), "labels": torch.ones(1)} for _ in range(count)]
    options = others.pop("options", {})
    options.setdefault("optimizers", (torch.optim.SGD(model.parameters(), lr=1.0), None))
    return Trainer(
        model,
        TrainingArguments(**arguments(folder, **others)),
        train_dataset=data,
        eval_dataset=data[:2],
        **options,
    )


@pytest.fixture
def build() -> Build:
    """Make trainers of one weight."""
    return tiny


def test_ranks(new_case: NewCase, on_ranks: Ranks, tmp_path: Path) -> None:
    """Two processes end at one step, save one checkpoint, and report each metric once."""
    case = new_case()
    case.control.stop(effective=8)
    told = on_ranks("transformers_ranks.py", case.address, tmp_path)
    require_alike(told, case, 8)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-8"]


def test_docs(run_section: RunSection) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    assert names["trainer"].state.global_step == 20


def test_the_run_is_created_with_the_trainers_total(
    build: Build, new_case: NewCase, tmp_path: Path
) -> None:
    """From an address and a name: shares of the training are shares of what the trainer does."""
    case = new_case()
    address = f"{case.url}/{case.name}-new"
    decay = {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}
    body = {"parameters": {"lr": decay}, "total": "trainer"}
    used = train(build(tmp_path), address, create=body)
    assert used == pytest.approx([0.5 * (1 - step / BATCHES) for step in range(BATCHES)])
    longer = build(tmp_path, num_train_epochs=2)
    with pytest.raises(NameTaken, match=f"rheostat run extend {case.name}-new --total 24"):
        train(longer, address, create=body)


def test_another_total_is_said(
    build: Build, new_case: NewCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A decay that would end elsewhere than the training is no secret: one warning names both."""
    case = new_case(total=64)
    train(build(tmp_path), case.join())
    (warning,) = [r.getMessage() for r in caplog.records if "planned for" in r.getMessage()]
    assert f"rheostat: run {case.name} is planned for 64, and the trainer goes to 12" in warning


def test_a_run_of_another_axis_is_refused(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """A trainer counts updates, and a run of tokens would be left at its beginning."""
    case = new_case(axis="tokens", resolution=1)
    trainer = build(tmp_path)
    with pytest.raises(Invalid, match="on the axis tokens, and this trainer counts in step"):
        rheostat.transformers.attach(trainer, case.join())
    rheostat.transformers.attach(trainer, case.address)
    with pytest.raises(Invalid, match="on the axis tokens, and this trainer counts in step"):
        trainer.train()


def test_what_cannot_be_meant_is_refused(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """No trainer, no run, a scheduler of one's own, and a body for a run that is there."""
    import torch

    run = new_case().join()
    trainer = build(tmp_path)
    with pytest.raises(Invalid, match="trainer is a dict, and no Trainer"):
        rheostat.transformers.attach({}, run)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="run must be a run that was joined"):
        rheostat.transformers.attach(trainer, None)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="create is for a run that is given by its name"):
        rheostat.transformers.attach(trainer, run, create={})
    optimizer = trainer.optimizer
    both = (optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer))
    with pytest.raises(Invalid, match=r"has a scheduler already: give it optimizers=\(optimizer"):
        rheostat.transformers.attach(build(tmp_path, options={"optimizers": both}), run)


def test_a_weight_decay_that_nothing_takes_is_refused(
    build: Build, new_case: NewCase, tmp_path: Path
) -> None:
    """The trainer's default of 0 stays 0 in every group: the run's would be used by none."""
    case = new_case({"lr": 0.125, "weight_decay": 0.25})
    trainer = build(tmp_path, options={"optimizers": (None, None)})
    rheostat.transformers.attach(trainer, case.join())
    with pytest.raises(Invalid, match=r"TrainingArguments\(weight_decay=0.01\)"):
        trainer.train()
    trainer = build(tmp_path, weight_decay=0.01, options={"optimizers": (None, None)})
    rheostat.transformers.attach(trainer, case.join())
    trainer.train()
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.25, 0.0]


def test_the_log_has_the_rate_that_was_used(
    build: Build, new_case: NewCase, tmp_path: Path
) -> None:
    """With the loss, as the trainer's own; and the world's first process reports it to the run."""
    case = new_case()
    trainer = build(tmp_path, logging_strategy="steps", logging_steps=4)
    used = train(trainer, case.join())
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["learning_rate"] for entry in logs] == [used[3], used[7], used[11]]


def test_the_log_says_which_revision_was_used(
    build: Build, new_case: NewCase, tmp_path: Path
) -> None:
    """With each loss its number, and once what was said of it: in a text that writers take."""
    case = new_case()
    case.control.change(HALF, effective=5, message="loss spike")
    trainer = build(tmp_path, logging_strategy="steps", logging_steps=2)
    heard: list[int] = []
    train(trainer, case.join(on_change=lambda revision: heard.append(revision.number)))
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["rheostat/revision"] for entry in logs] == [1, 1, 2, 2, 2, 2]
    told = {e["step"]: e["rheostat/message"] for e in logs if "rheostat/message" in e}
    (message,) = told.values()
    assert (list(told), message) == ([6], "revision 2 from step 5: loss spike")
    assert heard == [2]


def test_metrics_are_reported(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """What an evaluation returns, at the step of the model that was evaluated, and no timings."""
    case = new_case()
    trainer = build(tmp_path, eval_strategy="steps", eval_steps=4)
    train(trainer, case.join())
    told = case.control.reports("eval_loss")
    wanted = {e["step"]: e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e}
    assert wanted.keys() == {4, 8, 12}
    assert dict(zip(told["steps"], told["values"], strict=True)) == wanted
    with pytest.raises(UnknownMetric):
        case.control.reports("eval_runtime")


def test_a_signal_saves_a_checkpoint(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """``checkpoint`` is told at one step, where the trainer saves, and says where."""
    case = new_case(signals={"checkpoint": {"text": "save"}, "photo": {"text": "another"}})
    case.control.signal("checkpoint", effective=7)
    case.control.signal("photo", effective=9)
    trainer, others = build(tmp_path), []
    train(trainer, case.join(), on_signal=lambda signal, _: others.append(signal.name))
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-7"]
    assert others == ["photo"]
    (saved,) = case.control.checkpoints()
    assert (saved["step"], saved["uri"]) == (7, str(tmp_path / "checkpoint-7"))


def test_what_it_saves_by_itself_is_told(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """So that a rewind finds it, with the step at which a resume reads first."""
    case = new_case()
    trainer = build(tmp_path)
    trainer.add_callback(saves_at(5))
    train(trainer, case.join())
    (saved,) = case.control.checkpoints()
    assert (saved["step"], saved["uri"]) == (5, str(tmp_path / "checkpoint-5"))


def test_a_gate_waits_for_the_evaluation(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """The model is evaluated at the gate, though the trainer would not have; then it goes on."""
    plateau = controls.plateau(metric="eval_loss", mode="max", patience=0, factor=0.5, gate=4)
    case = new_case({"lr": 0.25}, controllers={"cut": plateau})
    trainer = build(tmp_path, eval_strategy="steps", eval_steps=100)
    used = train(trainer, case.join())
    assert used == [0.25] * 8 + [0.125] * 4
    evaluated = [e["step"] for e in trainer.state.log_history if "eval_loss" in e]
    assert evaluated == [4, 8, 12]


def test_an_end_at_a_gate_makes_no_update_more(
    build: Build, new_case: NewCase, tmp_path: Path
) -> None:
    """Whether the training ends there depends on the evaluation, and it is asked in time."""
    stopping = controls.early_stop(metric="eval_loss", mode="max", patience=1, gate=4)
    case = new_case({"lr": 0.25}, controllers={"stop": stopping})
    trainer = build(
        tmp_path, eval_strategy="steps", eval_steps=4, save_strategy="steps", save_steps=100
    )
    used = train(trainer, case.join())
    assert len(used) == trainer.state.global_step == 8
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-8"]
    case.require_ledger(used)


def test_a_training_that_has_ended_makes_no_update(
    build: Build, new_case: NewCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that is started again after the stop trains nothing, says why, and is no error."""
    case = new_case()
    case.control.stop(effective=8, message="enough")
    used = train(build(tmp_path, save_strategy="steps", save_steps=100), case.join())
    assert len(used) == 8
    require_said(caplog, case, 8)
    again = build(tmp_path)
    assert train(again, case.join(), resume=tmp_path / "checkpoint-8") == []
    assert again.state.global_step == 8
    require_said(caplog, case, 8, untrained=True)


def test_a_resume_is_not_taken_for_a_new_attempt(
    build: Build, new_case: NewCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That values are served again is said where they train, not before a checkpoint is loaded."""
    case = new_case()
    first = build(tmp_path)
    first.add_callback(saves_at(11))
    train(first, case.join())
    train(build(tmp_path), case.join(), resume=tmp_path / "checkpoint-11")
    assert "served again" not in caplog.text
    train(build(tmp_path), case.join())
    assert caplog.text.count("served again, from 0 on") == 1


def test_a_checkpoint_without_the_scheduler_goes_by_the_counter(
    build: Build, new_case: NewCase, tmp_path: Path
) -> None:
    """It is not trained at the rates of the beginning again."""
    case = new_case()
    first = build(tmp_path)
    first.add_callback(saves_at(5))
    train(first, case.join())
    (tmp_path / "checkpoint-5" / "scheduler.pt").unlink()
    used = train(build(tmp_path), case.join(), resume=tmp_path / "checkpoint-5")
    case.require_ledger(used, first=5)
    assert len(used) == BATCHES - 5


def test_a_scheduler_is_returned_for_a_copy(
    build: Build, new_case: NewCase, tmp_path: Path
) -> None:
    """DeepSpeed's integration copies the trainer, and takes what is returned for its optimizer."""
    import copy

    import torch

    trainer = build(tmp_path)
    following = rheostat.transformers.attach(trainer, new_case().join())
    trainer.lr_scheduler = dummy = object()
    engine = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    copied = copy.copy(trainer)
    copied.lr_scheduler = None
    made = copied.create_scheduler(num_training_steps=12, optimizer=engine)
    assert made.optimizer is engine
    assert following.scheduler is made
    assert trainer.create_scheduler(num_training_steps=12) is dummy


def test_a_second_training_begins_anew(build: Build, new_case: NewCase, tmp_path: Path) -> None:
    """As a trainer's own scheduler does; and another run takes the place of the first."""
    first, second = new_case(), new_case({"lr": 0.25})
    trainer = build(tmp_path)
    used = train(trainer, first.join())
    trainer.train()
    assert used == [step / 1024 for step in range(BATCHES)] * 2
    assert train(trainer, second.join()) == [0.25] * BATCHES


def test_it_is_imported_without_the_framework(run_python: Callable[[str], str]) -> None:
    """And the first use says what to install."""
    told = run_python("""
import sys
sys.modules["transformers"] = None
import rheostat.transformers
assert "torch" not in sys.modules
try:
    rheostat.transformers.attach(object(), "http://rheostat:8000/gpt")
except ModuleNotFoundError as error:
    print(error)
""")
    assert "pip install transformers[torch]" in told
