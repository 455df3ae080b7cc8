"""Lightning's Trainer with the callback: its counter, checkpoints, stops, reports and refusals."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import NewCase, Ranks, RunSection, rates_of, require_said

from rheostat.errors import Invalid, StaleCheckpoint

FRAMEWORK = Framework(
    name="Lightning",
    package="lightning",
    adds="""
callbacks=[RheostatCallback("digits", create=create)]
""",
    newest="2.6.6",
    oldest="2.6.6",
)
BATCHES = 12
"""In an epoch."""
MATTERLESS = "ignore:.*(does not have many workers|num_workers|LeafSpec|sharing|not resumable)"


def module(**parts: Any) -> Any:
    """
    Return a module whose optimizer lists the rates that it used, in ``used``.

    Args:
        **parts: Methods that it has besides, or in place of its own.

    """
    import lightning.pytorch as pl
    import torch

    class Small(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            del batch_idx
            return self.layer(batch[0]).mean()

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            del batch_idx
            self.log("val_loss", self.layer(batch[0]).sum() * 0 + self.global_step)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
            self.used = rates_of(optimizer)
            return optimizer

    return type("Small", (Small,), parts)()


def loader(batches: int = BATCHES) -> Any:
    """Return the batches of an epoch, the same for each."""
    import torch

    data = torch.utils.data.TensorDataset(torch.ones(batches, 2))
    return torch.utils.data.DataLoader(data, batch_size=1)


def trainer(folder: Path, *callbacks: Any, **options: Any) -> Any:
    """Return a trainer that says nothing, and keeps what it saves in a folder."""
    import lightning.pytorch as pl

    quiet = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": folder,
        "max_epochs": 2,
    }
    return pl.Trainer(callbacks=list(callbacks), **{**quiet, **options})


def saver(folder: Path, every: int) -> Any:
    """Return Lightning's own checkpointing, after every so many updates."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    return ModelCheckpoint(folder, "{step}", every_n_train_steps=every, save_top_k=-1)


def follow(run: Any, **options: Any) -> Any:
    """Return the callback."""
    from rheostat.lightning import RheostatCallback

    return RheostatCallback(run, **options)


pytestmark = [pytest.mark.filterwarnings(MATTERLESS)]


def test_ledger(new_case: NewCase, tmp_path: Path) -> None:
    """Each update uses what the ledger has at its step, with a change on the way."""
    case = new_case()
    case.control.change({"lr": {"edit": "scale", "factor": 0.5}}, effective=16)
    model = module()
    trainer(tmp_path, follow(case.join())).fit(model, loader())
    assert len(model.used) == 24
    assert model.used[15:17] == [15 / 1024, 8 / 1024]
    case.require_ledger(model.used)


def test_accumulation(new_case: NewCase, tmp_path: Path) -> None:
    """An update counts, and not a batch; the last batches of an epoch make one too."""
    case = new_case()
    model = module()
    callback = follow(case.join())
    trainer(tmp_path, callback, accumulate_grad_batches=3).fit(model, loader(11))
    assert model.used == [step / 1024 for step in range(8)]
    assert callback.scheduler.last_epoch == 8
    case.require_ledger(model.used)


def test_amp(new_case: NewCase, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """An update that the scaler skips is counted as Lightning counts it, and none uses its step."""
    import torch
    from lightning.pytorch.plugins import MixedPrecision

    case = new_case()
    skipped = (0, 5)

    def training_step(self: Any, batch: Any, batch_idx: int) -> Any:
        loss = self.layer(batch[0]).mean()
        return loss * float("inf") if batch_idx in skipped else loss

    model = module(training_step=training_step)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    callback = follow(case.join())
    trainer(tmp_path, callback, plugins=[plugin], max_epochs=1).fit(model, loader())
    ledger = case.ledger()
    assert model.used == [ledger[step] for step in range(BATCHES) if step not in skipped]
    assert callback.scheduler.last_epoch == BATCHES
    assert not [each for each in recwarn if "before optimizer.step()" in str(each.message)]


def test_resume(new_case: NewCase, tmp_path: Path) -> None:
    """``ckpt_path`` in the middle of an epoch goes on there, with the values of the first time."""
    case = new_case()
    first, resumed = module(), module()
    trainer(tmp_path, follow(case.join()), saver(tmp_path, 5)).fit(first, loader())
    path = tmp_path / "step=5.ckpt"
    known = {each["step"]: each["uri"] for each in case.control.checkpoints()}
    assert sorted(known) == [5, 10, 15, 20]
    assert known[5] == str(path)
    callback = follow(case.join())
    trainer(tmp_path, callback, max_steps=20, max_epochs=-1).fit(resumed, loader(), ckpt_path=path)
    assert resumed.used == first.used[5:20]
    case.require_ledger(resumed.used, first=5)
    assert callback.scheduler.last_epoch == 20


def test_rewind(new_case: NewCase, tmp_path: Path) -> None:
    """A checkpoint of before a rewind goes on in the new generation; a later one is refused."""
    case = new_case()
    first = trainer(tmp_path, follow(case.join()), saver(tmp_path, 5), max_epochs=1)
    first.fit(module(), loader())
    case.control.rewind(8, changes={"lr": {"edit": "scale", "factor": 0.5}})
    settled = case.control.show()["settled_until"]
    model = module()
    again = trainer(tmp_path, follow(case.join()))
    with pytest.raises(StaleCheckpoint):
        again.fit(model, loader(), ckpt_path=tmp_path / "step=10.ckpt")
    assert case.control.show()["settled_until"] == settled
    again = trainer(tmp_path, follow(case.join()))
    again.fit(model, loader(), ckpt_path=tmp_path / "step=5.ckpt")
    assert model.used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(model.used, first=5)


def test_longer(new_case: NewCase, tmp_path: Path) -> None:
    """A run that was extended goes on where it ended, with more epochs and the last checkpoint."""
    ramp = {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}
    case = new_case({"lr": ramp}, total=12)
    first, longer = module(), module()
    trainer(tmp_path, follow(case.join()), saver(tmp_path, 12), max_epochs=1).fit(first, loader())
    case.control.extend_total(24)
    path = tmp_path / "step=12.ckpt"
    trainer(tmp_path, follow(case.join())).fit(longer, loader(), ckpt_path=path)
    assert len(longer.used) == 12
    case.require_ledger(first.used)
    case.require_ledger(longer.used, first=12)


def test_stop(new_case: NewCase, tmp_path: Path) -> None:
    """At a stop no further update is made, and Lightning validates and saves as at its own end."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    case = new_case()
    case.control.stop(effective=8)
    validated: list[int] = []
    model = module(on_validation_end=lambda self: validated.append(self.global_step))
    saves = ModelCheckpoint(tmp_path, "{step}", save_last=True)
    fit = trainer(tmp_path, follow(case.join()), saves, min_epochs=2, num_sanity_val_steps=0)
    fit.fit(model, loader(), loader(1))
    assert len(model.used) == fit.global_step == 8
    assert validated == [8]
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"step=8.ckpt", "last.ckpt"}
    case.require_ledger(model.used)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_stop_in_mid_epoch_goes_on_there(
    new_case: NewCase, tmp_path: Path, accumulated: int
) -> None:
    """No batch is left out: a checkpoint of the stop, or after it, trains the rest of the epoch."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    total = 3 * BATCHES // accumulated
    case = new_case(total=total)
    case.control.stop(effective=20 // accumulated)
    first = module()
    options: dict[str, Any] = {"max_epochs": 3, "accumulate_grad_batches": accumulated}
    stopped = trainer(tmp_path, follow(case.join()), ModelCheckpoint(tmp_path, "it"), **options)
    stopped.fit(first, loader(), loader(1))
    stopped.save_checkpoint(tmp_path / "after.ckpt")
    case.control.rewind(20 // accumulated)
    for name in ("it", "after"):
        seen: list[int] = []

        def training_step(self: Any, batch: Any, batch_idx: int, seen: Any = seen) -> Any:
            seen.append(batch_idx)
            return self.layer(batch[0]).mean()

        model = module(training_step=training_step)
        again = trainer(tmp_path, follow(case.join()), **options)
        again.fit(model, loader(), loader(1), ckpt_path=tmp_path / f"{name}.ckpt")
        assert seen == [*range(8, BATCHES), *range(BATCHES)]
        assert again.global_step == total
        case.require_ledger(model.used, first=20 // accumulated)


def test_ranks(new_case: NewCase, on_ranks: Ranks, tmp_path: Path) -> None:
    """Two processes use the same values and end at one step; rank 0 alone reports."""
    case = new_case(signals={"checkpoint": {}})
    case.control.signal("checkpoint", effective=5)
    case.control.stop(effective=8)
    told = on_ranks("lightning_ranks.py", case.address, tmp_path)
    assert [rank["ranks"] for rank in told] == [2, 2]
    for rank in told:
        assert len(rank["used"]) == rank["global_step"] == 8
        case.require_ledger(rank["used"])
    assert (tmp_path / "checkpoints" / "rheostat-step=5.ckpt").exists()


def test_docs(run_section: RunSection) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    assert names["trainer"].global_step == 32


def test_the_total_is_that_of_the_trainer(new_case: NewCase, tmp_path: Path) -> None:
    """A run that is created by the training is as long as the training is going to be."""
    case = new_case()
    ramp = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": "100%"}
    body = {"parameters": {"lr": ramp}, "total": "trainer"}
    model, callback = module(), follow(f"{case.address}-own", create=body)
    fit = trainer(tmp_path, callback, accumulate_grad_batches=3)
    fit.fit(model, loader(11))
    assert callback.session.run.total == fit.global_step == len(model.used) == 8
    assert model.used == [1 - step / 8 for step in range(8)]


def test_more_epochs_extend_a_run_that_may_be(new_case: NewCase, tmp_path: Path) -> None:
    """With ``other_total="extend"`` the same script with more epochs is all that it takes."""
    case = new_case()
    ramp = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": "100%"}
    body = {"parameters": {"lr": ramp}, "total": "trainer"}
    first, longer = module(), module()
    run = f"{case.address}-own"
    fit = trainer(tmp_path, follow(run, create=body), saver(tmp_path, 12), max_epochs=1)
    fit.fit(first, loader())
    callback = follow(run, create=body, other_total="extend")
    trainer(tmp_path, callback).fit(longer, loader(), ckpt_path=tmp_path / "step=12.ckpt")
    assert callback.session.run.total == 24
    assert first.used == pytest.approx([1 - step / 12 for step in range(12)])
    assert len(longer.used) == 12


def test_another_total_is_said(
    new_case: NewCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the run is longer than the training, a warning names both."""
    case = new_case(total=64)
    trainer(tmp_path, follow(case.join()), max_steps=2, max_epochs=-1).fit(module(), loader())
    assert f"rheostat: run {case.name} is planned for 64, and the trainer goes to 2" in caplog.text


def test_a_checkpoint_without_rheostat_begins_there(new_case: NewCase, tmp_path: Path) -> None:
    """A training that had a scheduler of its own until now begins at the checkpoint's step."""
    import torch

    def configure_optimizers(self: Any) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
        self.used = rates_of(optimizer)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]

    case = new_case()
    before, after = (module(configure_optimizers=configure_optimizers) for _ in range(2))
    trainer(tmp_path, saver(tmp_path, 20)).fit(before, loader())
    fit = trainer(tmp_path, follow(case.join()))
    fit.fit(after, loader(), ckpt_path=tmp_path / "step=20.ckpt")
    assert before.used[-1] == 0.25
    assert after.used == [step / 1024 for step in range(20, 24)]
    case.require_ledger(after.used, first=20)
    assert len(fit.lr_scheduler_configs) == 1


def test_another_scheduler_stays_where_the_run_has_no_rate(
    new_case: NewCase, tmp_path: Path
) -> None:
    """A run of the weight decay alone leaves the rate to the module, also when it is resumed."""
    import torch

    def configure_optimizers(self: Any) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.5, weight_decay=0.1)
        self.used, self.decays = rates_of(optimizer), rates_of(optimizer, "weight_decay")
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]

    ramp = {"kind": "linear", "start": 0.0, "end": 1.0, "steps": 64}
    case = new_case({"weight_decay": ramp})
    first, resumed = (module(configure_optimizers=configure_optimizers) for _ in range(2))
    trainer(tmp_path, follow(case.join()), saver(tmp_path, 20)).fit(first, loader())
    path = tmp_path / "step=20.ckpt"
    trainer(tmp_path, follow(case.join())).fit(resumed, loader(), ckpt_path=path)
    assert first.used == [0.5] * 12 + [0.25] * 12
    assert resumed.used == [0.25] * 4
    assert resumed.decays == first.decays[20:] == [step / 64 for step in range(20, 24)]


def test_it_reports_from_validation_and_of_the_loss(new_case: NewCase, tmp_path: Path) -> None:
    """What was measured is the service's, at the number of updates; not from the sanity check."""
    case = new_case()

    def training_step(self: Any, batch: Any, batch_idx: int) -> Any:
        del batch_idx
        return self.layer(batch[0]).sum() * 0 + 0.75

    fit = trainer(tmp_path, follow(case.join()), log_every_n_steps=4, accumulate_grad_batches=3)
    fit.fit(module(training_step=training_step), loader(), loader(1))
    measured = {}
    for metric in ("val_loss", "loss"):
        told = case.control.reports(metric)
        measured[metric] = list(zip(told["steps"], told["values"], strict=True))
    assert measured == {"val_loss": [(4, 4.0), (8, 8.0)], "loss": [(4, 0.75), (8, 0.75)]}


def test_at_a_gate_it_waits_after_the_validation(new_case: NewCase, tmp_path: Path) -> None:
    """What is decided on a validation is used by the very next update, and ends it there."""
    from rheostat import early_stop, plateau

    case = new_case({"lr": {"kind": "constant", "value": 0.5}})
    cuts = plateau(metric="val_loss", mode="min", factor=0.5, patience=0, gate=4)
    case.control.arm("cut", cuts, force=True)
    ends = early_stop(metric="val_loss", patience=3, gate=4)
    case.control.arm("end", ends, force=True)
    model = module()
    fit = trainer(
        tmp_path, follow(case.join()), val_check_interval=4, num_sanity_val_steps=0, max_epochs=3
    )
    fit.fit(model, loader(), loader(1))
    assert model.used == [0.5] * 8 + [0.25] * 4 + [0.125] * 4
    assert fit.global_step == 16
    case.require_ledger(model.used)


def test_a_gate_that_ends_it_without_a_validation(new_case: NewCase, tmp_path: Path) -> None:
    """Where somebody else reports, the training waits before the update, and does not make it."""
    from rheostat import rule

    case = new_case()
    case.control.arm(
        "end", rule(metric="judged", op=">", value=1, changes="stop", gate=4), force=True
    )
    judge = case.join()
    telling = threading.Thread(target=judged, args=(judge, case))
    model = module()
    telling.start()
    fit = trainer(tmp_path, follow(case.join()), saver(tmp_path, 4))
    fit.fit(model, loader())
    telling.join()
    assert len(model.used) == fit.global_step == 8
    case.require_ledger(model.used)


def judged(run: Any, case: Any) -> None:
    """Report of steps 4 and 8, as a job of its own does that evaluates checkpoints."""
    for step, value in ((4, 0.5), (8, 2.0)):
        while case.control.show()["settled_until"] < step:
            time.sleep(0.02)
        run.report(step, {"judged": value}, wait=True)


def test_a_pause_holds_it_between_two_updates(new_case: NewCase, tmp_path: Path) -> None:
    """It waits until it may go on, and trains as if nothing had been."""
    case = new_case()
    case.control.pause(effective=8)
    waited: list[int] = []

    def resume(refusal: Any) -> None:
        waited.append(len(model.used))
        case.control.resume()
        del refusal

    model = module()
    trainer(tmp_path, follow(case.join(on_wait=resume))).fit(model, loader())
    assert waited == [8]
    assert len(model.used) == 24
    case.require_ledger(model.used)


def test_the_checkpoint_signal_saves(new_case: NewCase, tmp_path: Path) -> None:
    """At the signal it saves, says where, and the checkpoint resumes; other words are handed on."""
    case = new_case(signals={"checkpoint": {}, "dance": {}})
    checkpoint = case.control.signal("checkpoint", effective=5)
    case.control.signal("dance", effective=7)
    heard: list[tuple[str, int]] = []
    first, resumed = module(), module()
    callback = follow(
        case.join(), on_signal=lambda word, fit: heard.append((word.name, fit.global_step))
    )
    trainer(tmp_path, callback, saver(tmp_path, 50)).fit(first, loader())
    path = tmp_path / "rheostat-step=5.ckpt"
    (saved,) = case.control.outcomes(checkpoint["revision"])
    assert (saved["outcome"], saved["step"], saved["data"]) == ("done", 5, {"uri": str(path)})
    assert heard == [("dance", 7)]
    trainer(tmp_path, follow(case.join())).fit(resumed, loader(), ckpt_path=path)
    assert resumed.used == first.used[5:]


def test_an_ended_run_trains_nothing(
    new_case: NewCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said why, and how to go on; a job that is started again trains nothing, and says so."""
    case = new_case()
    case.control.stop(effective=12, message="enough")
    trainer(tmp_path, follow(case.join()), saver(tmp_path, 12)).fit(module(), loader())
    require_said(caplog, case, 12)
    model = module()
    fit = trainer(tmp_path, follow(case.join()))
    fit.fit(model, loader(), ckpt_path=tmp_path / "step=12.ckpt")
    assert model.used == []
    assert fit.global_step == 12
    require_said(caplog, case, 12, untrained=True)


def test_what_it_cannot_follow_is_refused(new_case: NewCase, tmp_path: Path) -> None:
    """By hand, with any number of optimizers, or another axis: the sentence says what to do."""
    import torch

    def two(self: Any) -> Any:
        return [torch.optim.SGD(self.parameters(), lr=1.0) for _ in range(2)]

    case = new_case()
    for parts in ({}, {"configure_optimizers": two}):
        model = module(**parts)
        model.automatic_optimization = False
        fit = trainer(tmp_path, follow(case.join()))
        with pytest.raises(Invalid, match=r"fields=.*self\.lr_schedulers"):
            fit.fit(model, loader())
    tokens = new_case(axis="tokens")
    fit = trainer(tmp_path, follow(tokens.join()))
    with pytest.raises(Invalid, match="is on the axis tokens, and this trainer counts in step"):
        fit.fit(module(), loader())


def test_what_it_leans_on_is_there(new_case: NewCase, tmp_path: Path) -> None:
    """What Lightning does not document, and the callback uses: an upgrade is seen here first."""
    from dataclasses import fields

    import lightning.pytorch as pl
    from lightning.pytorch.utilities.types import LRSchedulerConfig

    assert {"scheduler", "interval"} <= {field.name for field in fields(LRSchedulerConfig)}
    case = new_case()
    seen: dict[str, Any] = {}

    class Looks(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            loop = trainer.fit_loop
            seen["configs"] = trainer.strategy.lr_scheduler_configs
            seen["loader"] = loop._combined_loader
            seen["limits"] = (loop.min_epochs, loop.epoch_loop.min_steps)
            seen["fn"] = trainer.state.fn

    callback = follow(case.join())
    trainer(tmp_path, Looks(), callback).fit(module(), loader())
    assert [config.scheduler for config in seen["configs"]] == [callback.scheduler]
    assert seen["loader"] is not None
    assert seen["limits"] == (0, None)
    assert seen["fn"] == "fit"
    saves = saver(tmp_path, 1)
    assert (saves._last_checkpoint_saved, saves._last_global_step_saved) == ("", 0)


def test_a_loader_that_has_a_state_resumes_in_its_place(new_case: NewCase, tmp_path: Path) -> None:
    """Asking the trainer for its total does not keep it from restoring the loader."""
    seen: list[int] = []

    class Stateful:
        def __init__(self) -> None:
            self.at = 0

        def __len__(self) -> int:
            return BATCHES

        def __iter__(self) -> Any:
            import torch

            while self.at < BATCHES:
                self.at += 1
                yield [torch.ones(1, 2) * self.at]
            self.at = 0

        def state_dict(self) -> dict[str, int]:
            return {"at": self.at}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.at = state["at"]

    def training_step(self: Any, batch: Any, batch_idx: int) -> Any:
        del batch_idx
        seen.append(int(batch[0][0, 0]))
        return self.layer(batch[0]).mean()

    case = new_case()
    parts = {"training_step": training_step}
    first = trainer(tmp_path, follow(case.join()), saver(tmp_path, 5), max_epochs=1)
    first.fit(module(**parts), Stateful())
    assert seen == list(range(1, BATCHES + 1))
    seen.clear()
    resumed = trainer(tmp_path, follow(case.join()), max_epochs=1)
    resumed.fit(module(**parts), Stateful(), ckpt_path=tmp_path / "step=5.ckpt")
    with_callback = list(seen)
    seen.clear()
    plain = trainer(tmp_path, max_epochs=1)
    plain.fit(module(**parts), Stateful(), ckpt_path=tmp_path / "step=5.ckpt")
    assert with_callback == seen


def test_the_older_package_too(new_case: NewCase, tmp_path: Path, on_ranks: Ranks) -> None:
    """A training that imports ``pytorch_lightning`` has a callback of that package."""
    pytest.importorskip("pytorch_lightning", reason="needs pytorch-lightning")
    case = new_case()
    (told,) = on_ranks("lightning_older.py", case.address, tmp_path, ranks=1)
    assert told["modules"] == ["pytorch_lightning"]
    assert len(told["used"]) == 12
    case.require_ledger(told["used"])
