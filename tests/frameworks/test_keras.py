"""``model.fit`` with Keras: on JAX, and all of it once more on PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.frameworks.cells import Framework
from tests.frameworks.conftest import RAMP, NewCase, Ranks, RunSection, require_said

from rheostat import Client
from rheostat.converters import config_conversion
from rheostat.errors import Invalid, StaleCheckpoint
from rheostat.schedules import evaluate

FRAMEWORK = Framework(
    name="Keras",
    package="keras",
    adds="callbacks=[callback]",
    newest="3.15.1",
    oldest="3.15.1",
)
BATCHES = 12
"""In an epoch."""
HALF = {"lr": {"edit": "scale", "factor": 0.5}}

ON_JAX_ALONE = ("test_ranks", "test_docs", "test_on_pytorch", "test_nothing_is_compiled_again")
"""What Keras compiles and distributes with JAX; and that the other one is tried, from there."""

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")


class Training:
    """
    One process that trains, as a script of a user has it.

    The gradient of its one weight is 1, so that an update of SGD lowers it by the rate: what was
    used is known from the weights alone, exactly, as the rates are multiples of 1/1024.
    """

    def __init__(
        self, run: Any, optimizer: Any = None, *, ones: Any = None, **options: Any
    ) -> None:
        import keras
        import numpy as np

        from rheostat.keras import RheostatCallback

        self.model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
            ]
        )
        optimizer = optimizer or keras.optimizers.SGD(0.75)
        self.model.compile(optimizer, loss=lambda _, out: keras.ops.mean(out))
        self.ones = np.ones((BATCHES, 1), np.float32) if ones is None else ones
        self.callback = RheostatCallback(run, **options)
        self.spy = _spy(self.weight())

    def weight(self) -> float:
        """Return the weight."""
        return float(self.model.get_weights()[0][0, 0])

    def fit(self, epochs: int = 1, *others: Any, until: int | None = None, **options: Any) -> Any:
        """Train, or be killed after so many batches."""
        self.spy.until = until
        callbacks = [*others, self.callback, self.spy]
        options = {"batch_size": 1, "verbose": 0, "shuffle": False, **options}
        try:
            return self.model.fit(
                self.ones, self.ones, epochs=epochs, callbacks=callbacks, **options
            )
        except Killed:
            return None

    @property
    def used(self) -> list[float]:
        """By how much each batch has lowered the weight."""
        return self.spy.used

    @property
    def rate(self) -> float:
        """What the optimizer has now."""
        return float(self.model.optimizer.learning_rate)


class Killed(Exception):
    """A machine that went away."""


def _spy(weight: float) -> Any:
    import keras

    class Spy(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.used, self.batches = weight, list[float](), 0
            self.until: int | None = None

        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            self.batches = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            if batch == 0:  # a backup may have been loaded since
                self.weight = float(self.model.get_weights()[0][0, 0])

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            now = float(self.model.get_weights()[0][0, 0])
            self.used.append(self.weight - now)
            self.weight = now
            self.batches += 1
            if self.batches == self.until:
                raise Killed

    return Spy()


def backup(folder: Path, every: int) -> Any:
    """Return what Keras has for trainings that are killed."""
    import keras

    return keras.callbacks.BackupAndRestore(folder, save_freq=every, delete_checkpoint=False)


def test_ledger(new_case: NewCase) -> None:
    """Each update uses what the ledger has at its step, with a change on the way."""
    case = new_case()
    case.control.change(HALF, effective=16)
    training = Training(case.join())
    training.fit(2)
    assert training.used[15:17] == [15 / 1024, 8 / 1024]
    case.require_ledger(training.used)
    assert training.callback.step == 24


def test_accumulation(new_case: NewCase) -> None:
    """An update counts, and not a batch, also where an epoch ends between two of them."""
    import keras
    import numpy as np

    case = new_case()
    optimizer = keras.optimizers.SGD(0.75, gradient_accumulation_steps=3)
    training = Training(case.join(), optimizer, ones=np.ones((10, 1), np.float32))
    training.fit(3)
    updates = training.used[2::3]
    assert updates == [step / 1024 for step in range(10)]
    assert sum(training.used) == sum(updates)
    case.require_ledger(updates)


def test_amp(new_case: NewCase) -> None:
    """An update that the loss scale skips is none: its step comes again."""
    import keras
    import numpy as np

    case = new_case()
    ones = np.ones((BATCHES, 1), np.float32)
    ones[3] = np.inf
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.75), 8.0)
    training = Training(case.join(), optimizer, ones=ones)
    training.fit()
    assert training.used.pop(3) == 0.0
    assert training.callback.step == len(training.used) == BATCHES - 1
    case.require_ledger(training.used)


def test_resume(new_case: NewCase, tmp_path: Path) -> None:
    """A backup in the middle of an epoch goes on at its step; Keras begins its epoch again."""
    case = new_case()
    Training(case.join()).fit(2, backup(tmp_path, 5), until=BATCHES + 4)
    resumed = Training(case.join())
    resumed.fit(2, backup(tmp_path, 1000))
    saved = resumed.callback.step - BATCHES
    assert BATCHES < saved < BATCHES + 4
    case.require_ledger(resumed.used, first=saved)


def test_rewind(new_case: NewCase, tmp_path: Path) -> None:
    """A checkpoint from before a rewind goes on in the new generation, a later one is refused."""
    case = new_case()
    training = Training(case.join())
    for step in (5, 9):
        training.fit(1, steps_per_epoch=step - training.model.optimizer.iterations)
        training.model.save_weights(tmp_path / f"{step}.weights.h5")
    case.control.rewind(8, changes=HALF)
    stale = Training(case.join(), resume=tmp_path / "9.weights.h5")
    stale.model.load_weights(tmp_path / "9.weights.h5")
    with pytest.raises(StaleCheckpoint):
        stale.fit()
    resumed = Training(case.join(), resume=tmp_path / "5.weights.h5")
    resumed.model.load_weights(tmp_path / "5.weights.h5")
    resumed.fit()
    assert resumed.used[2:4] == [7 / 1024, 4 / 1024]
    case.require_ledger(resumed.used, first=5)


def test_longer(new_case: NewCase, tmp_path: Path) -> None:
    """A run that was extended goes on where it ended, from the weights that were saved."""
    case = new_case(
        {"lr": {"kind": "linear", "start": 0.5, "end": 0.0, "steps": "100%"}}, total=BATCHES
    )
    first = Training(case.join())
    first.fit()
    first.model.save_weights(tmp_path / "end.weights.h5")
    case.control.extend_total(2 * BATCHES)
    resumed = Training(case.join(), resume=tmp_path / "end.weights.h5")
    resumed.model.load_weights(tmp_path / "end.weights.h5")
    resumed.fit(2, initial_epoch=1)
    assert len(resumed.used) == BATCHES
    # the rates are no short binary fractions, and the weight is a float32
    case.require_ledger(first.used, rel=1e-4)
    case.require_ledger(resumed.used, first=BATCHES, rel=1e-4)


def test_stop(new_case: NewCase) -> None:
    """At a stop no update is made any more; the epoch ends as Keras ends one."""
    case = new_case()
    case.control.stop(effective=8)
    training = Training(case.join())
    history = training.fit(3)
    assert len(training.used) == 8
    case.require_ledger(training.used)
    assert history.epoch == [0]


def test_ranks(new_case: NewCase, on_ranks: Ranks) -> None:
    """Two processes use the same values and end at one step, or both refuse."""
    case, other = new_case(), new_case()
    case.control.stop(effective=8)
    told = on_ranks("keras_ranks.py", case.url, case.name, other.name)
    for rank in told:
        assert rank["ranks"] == 2
        assert len(rank["used"]) == 8
        case.require_ledger(rank["used"])
        assert "do not agree" in rank["apart"]


def test_docs(run_section: RunSection) -> None:
    """The section does what it says."""
    names = run_section(FRAMEWORK.name)
    names["callback"].run.client.close()


def test_on_pytorch() -> None:
    """All of this passes on Keras's other backend too."""
    pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    here = Path(__file__).relative_to(Path.cwd())
    command += [f"--deselect={here}::{name}" for name in ON_JAX_ALONE]
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_weight_decay_is_applied(new_case: NewCase) -> None:
    """Also where the backend compiles an optimizer's number into the update."""
    import keras

    case = new_case(
        {"lr": RAMP, "weight_decay": {"kind": "linear", "start": 0, "end": 64, "steps": 64}}
    )
    training = Training(case.join(), keras.optimizers.AdamW(0.75, weight_decay=0.5, beta_1=0.0))
    # With a constant gradient, Adam's step is the rate; decoupled decay is rate × decay × weight.
    training.fit()
    weight = 1.0
    for step, used in enumerate(training.used):
        lr = step / 1024
        wanted = weight - weight * step * lr - lr
        assert weight - used == pytest.approx(wanted, abs=1e-4)
        weight = weight - used
    assert weight < 0.6  # 0.94 without a decay


def test_weight_decay_leaves_checkpoints_as_they_are(new_case: NewCase, tmp_path: Path) -> None:
    """A model that is saved with a decay that changes loads into one without, and back."""
    import keras

    def adam() -> Any:
        return keras.optimizers.AdamW(0.75, weight_decay=0.5)

    case = new_case({"lr": RAMP, "weight_decay": RAMP})
    training = Training(case.join(), adam())
    training.fit()
    training.model.save_weights(tmp_path / "with.weights.h5")
    plain = Training(case.join(), adam())
    plain.model.optimizer.build(plain.model.trainable_variables)
    plain.model.load_weights(tmp_path / "with.weights.h5")  # a warning would be an error
    assert int(plain.model.optimizer.iterations) == BATCHES
    plain.model.save_weights(tmp_path / "without.weights.h5")
    training.model.load_weights(tmp_path / "without.weights.h5")
    config = training.model.optimizer.get_config()
    assert config["weight_decay"] == pytest.approx(11 / 1024)


def schedule() -> Any:
    """Return an optimizer with a schedule of its own."""
    import keras

    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))


@pytest.mark.parametrize(
    ("parameters", "optimizer", "words"),
    [
        (("lr",), schedule, "was made with a CosineDecay as its learning rate"),
        (("lr", "weight_decay"), None, "weight_decay=0.0"),
        (("lr", "momentum"), None, "compiles into the update"),
        (("lr/head",), None, "has no groups"),
        (("batch_size",), None, "has none of lr"),
    ],
)
def test_refusals(
    new_case: NewCase, parameters: tuple[str, ...], optimizer: Any, words: str
) -> None:
    """What would be without effect is refused, and the sentence says the way out."""
    case = new_case(dict.fromkeys(parameters, RAMP))
    training = Training(case.join(), optimizer and optimizer())
    with pytest.raises(Invalid, match=words):
        training.fit()


def test_several_steps_in_one_execution_are_refused(new_case: NewCase) -> None:
    """A change and an end lie between two steps."""
    training = Training(new_case().join())
    training.model.compile("sgd", loss="mse", steps_per_execution=2)
    with pytest.raises((Invalid, ValueError), match=r"steps_per_execution`? must be 1"):
        training.fit()


def test_other_callbacks_cannot_set_the_rate(new_case: NewCase) -> None:
    """A scheduler that somebody forgot in the list is without effect, wherever it stands in it."""
    import keras

    class Other(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.model.optimizer.learning_rate = 0.25

    case = new_case()
    training = Training(case.join())
    before, after = keras.callbacks.LearningRateScheduler(lambda _: 0.5), Other()
    training.fit(1, before)
    training.spy, spy = after, training.spy  # after ours
    training.fit(1, spy)
    case.require_ledger(spy.used)


def test_logs_are_reported_and_have_the_rate(new_case: NewCase) -> None:
    """Each epoch reports what Keras logs, at the updates done; the history has the rate."""
    case = new_case()
    training = Training(case.join())
    history = training.fit(2, validation_data=(training.ones, training.ones))
    assert history.history["learning_rate"] == [11 / 1024, 23 / 1024]
    reports = case.control.reports("val_loss")
    assert reports["steps"] == [12, 24]
    assert reports["values"] == history.history["val_loss"]


def test_an_ended_run_is_said_and_reports_nothing(
    new_case: NewCase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that is started again after the stop trains nothing, says why, and reports nothing."""
    case = new_case()
    case.control.stop(effective=8, message="enough")
    first = Training(case.join())
    first.fit(2, validation_data=(first.ones, first.ones))
    require_said(caplog, case, 8)
    first.model.save_weights(tmp_path / "it.weights.h5")
    again = Training(case.join(), ones=first.ones * 3, resume=tmp_path / "it.weights.h5")
    again.model.load_weights(tmp_path / "it.weights.h5")
    again.fit(2, validation_data=(again.ones, again.ones))
    assert "was reported before" not in caplog.text
    require_said(caplog, case, 8, untrained=True)
    assert case.control.reports("loss")["steps"] == [8]
    assert again.weight() == first.weight()


def test_an_epoch_that_begins_anew_is_longer(
    new_case: NewCase, caplog: pytest.LogCaptureFixture
) -> None:
    """Keras repeats an epoch that was stopped: it is said where the training ends by that."""
    case = new_case(total=2 * BATCHES)
    case.control.stop(effective=14)
    first = Training(case.join())
    first.fit(2)
    case.control.rewind(14)
    assert "planned for" not in caplog.text
    again = Training(case.join(), resume=first.callback.state())
    again.model.optimizer.build(again.model.trainable_variables)
    again.model.optimizer.set_weights([each.numpy() for each in first.model.optimizer.variables])
    again.fit(2, initial_epoch=1)
    assert f"run {case.name} is planned for 24, and the trainer goes to 26" in caplog.text
    assert again.callback.step == 26
    caplog.clear()
    again.fit(2, initial_epoch=2)  # nothing is left, and that is no error
    assert caplog.text == ""


def test_it_creates_the_run_with_the_total_of_fit(server: str, new_name: Any) -> None:
    """``"total": "trainer"`` is the batches of an epoch, times the epochs."""
    name = new_name()
    body = {"parameters": {"lr": {"kind": "linear", "start": 1, "end": 0, "steps": "100%"}}}
    training = Training(f"{server}/{name}", create={**body, "total": "trainer"})
    training.fit(3)
    assert training.callback.run.total == 3 * BATCHES
    assert training.rate == pytest.approx(1 / (3 * BATCHES))
    training.callback.run.client.close()


def test_a_checkpoint_is_saved_at_its_signal(new_case: NewCase, tmp_path: Path) -> None:
    """Before the update of its step, with the state in it; the service hears where it is."""
    from rheostat.keras.remembered import state_in

    case = new_case(signals={"checkpoint": {"text": "save"}})
    case.control.signal("checkpoint", effective=8)
    training = Training(case.join(), checkpoint=f"{tmp_path}/{{step}}.weights.h5")
    training.fit()
    assert state_in(tmp_path / "8.weights.h5")["step"] == 8
    (found,) = case.control.checkpoints()
    assert found["step"] == 8


def test_the_best_weights_are_restored(new_case: NewCase) -> None:
    """Those of the epoch in which the run's goal was best, and not of the last one."""
    import keras

    case = new_case(goal={"metric": "val_loss", "direction": "max"})
    training = Training(case.join(), restore_best=True)
    training.fit(3, validation_data=(training.ones, training.ones))
    # the weight falls, so that the highest loss is that of the first epoch
    assert training.weight() == 1.0 - sum(range(BATCHES)) / 1024
    assert keras.backend.backend() == os.environ["KERAS_BACKEND"]


def test_an_epoch_waits_at_a_gate_for_its_own_report(new_case: NewCase) -> None:
    """The report is made before the wait, and what it decides is in the next update."""
    from rheostat.controls import plateau

    halves = plateau(metric="val_loss", patience=0, factor=0.5, gate=BATCHES)
    case = new_case({"lr": {"kind": "constant", "value": 0.5}}, controllers={"plateau": halves})
    training = Training(case.join())
    zeros = training.ones * 0  # no improvement, ever
    training.fit(3, validation_data=(zeros, zeros))
    rates = [training.used[at] for at in (0, 12, 24)]
    assert rates == [0.5, 0.5, 0.25]


def test_nothing_is_compiled_again(new_case: NewCase) -> None:
    """The update is traced once, whatever the values do."""
    import keras

    case = new_case({"lr": RAMP, "weight_decay": RAMP})
    training = Training(case.join(), keras.optimizers.AdamW(0.75, weight_decay=0.5))
    traces = []

    def loss(_: Any, out: Any) -> Any:
        traces.append(1)
        return keras.ops.mean(out)

    training.model.compile(training.model.optimizer, loss=loss, jit_compile=True)
    training.fit(2)
    once = len(traces)
    training.fit(2)
    assert len(traces) - once <= 1  # a second fit begins with other arrays
    assert once <= 3  # some of them build the model; there were 24 values


def test_it_is_proven(server: str, new_case: NewCase) -> None:
    """P12: what was put is what the service hears, of the float32 that it was."""
    case = new_case({"lr": {"kind": "linear", "start": 1 / 3, "end": 0.0, "steps": 300}})
    with Client(server, worker="7") as client:
        Training(client.run(case.name)).fit(2)
    (worker,) = case.control.workers()["items"]
    assert (worker["step"], worker["proven_until"]) == (24, 24)
    assert case.control.mismatches() == []


def test_the_state_is_for_other_savers_too(new_case: NewCase) -> None:
    """What saves a model otherwise than Keras keeps this, and hands it back."""
    case = new_case()
    first = Training(case.join())
    first.fit()
    again = Training(case.join(), resume=first.callback.state())
    again.model.optimizer.build(again.model.trainable_variables)
    again.model.optimizer.set_weights([each.numpy() for each in first.model.optimizer.variables])
    again.fit()
    case.require_ledger(again.used, first=BATCHES)


def test_what_keras_writes_is_read() -> None:
    """The library's own text of an optimizer gives the values of its own schedule."""
    import keras

    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.02)
    for config in (optimizer.get_config(), keras.optimizers.serialize(optimizer)):
        found = config_conversion("keras", config).parameters
        expected = [float(schedule(step)) for step in range(30)]
        assert evaluate(found["lr"], np.arange(30)) == pytest.approx(expected, rel=1e-6)
        assert evaluate(found["weight_decay"], 0) == 0.02
