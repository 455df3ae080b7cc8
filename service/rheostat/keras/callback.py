"""A run in ``model.fit``: one callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from rheostat.adapters import CHECKPOINT, Session
from rheostat.errors import refusal
from rheostat.keras.best import Best
from rheostat.keras.remembered import Remembered, remembered, state_in
from rheostat.keras.slots import Fields, Slots, chain
from rheostat.keras.together import is_first, join
from rheostat.keras.updates import Updates
from rheostat.saying import log

if TYPE_CHECKING:
    from rheostat.client import Run, Signal
    from rheostat.client.calls import OtherTotal


class RheostatCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """
    Has each update of ``model.fit`` use the run's values of its step, and end where the run ends.

    The values are written after all other callbacks, just before the update: what else sets the
    learning rate is without effect. The step is the number of updates that the optimizer has made
    (``optimizer.iterations``). The logs of each epoch are reported, and have the learning rate in
    them. In a list of callbacks it is best the last one, since it may wait: at a pause before a
    batch, at a gate also after an epoch's report.

    Whatever saves the optimizer while this is at work saves where the run stands, in the same file;
    what `BackupAndRestore` loads is resumed. A file that was loaded before ``fit`` is told by
    ``resume``.

    Args:
        run: A run's name, of the service at ``RHEOSTAT_URL`` or else of this machine's own server
            (`rheostat.local`); its address and name, ``"http://rheostat:8000/gpt"``; or a run that
            was joined.
        create: The body to create the run with, where ``run`` is no run that was joined. Its
            ``"total"`` may be ``"trainer"``: the batches of an epoch times ``epochs``, or as many
            updates as are made of them.
        other_total: What to do where the run is there and has another total than ``create``, as
            when one trains longer: ``"refuse"``, ``"keep"``, or ``"extend"``, which takes an
            operator's token: see `Client.run`.
        restore_best: Whether the model has, in the end, the weights of the epoch that reported the
            best value, as `EarlyStopping` does it: of the run's goal, or else of ``val_loss``. A
            name says which metric.
        fields: Which parameter goes into which field of the optimizer, where it is not ``lr`` into
            ``learning_rate`` and ``weight_decay`` into ``weight_decay``.
        checkpoint: Where the signal ``checkpoint`` saves the model, such as
            ``"saved/{step}.keras"``, or ``.weights.h5``; or what is called to save it, with model
            and step, and returns where.
        resume: The file from which the model was loaded before ``fit``, or the state in it.

    Raises:
        Invalid: In ``fit``: the optimizer has a schedule of its own, decays nothing though the run
            has ``weight_decay``, or the model makes several steps in one execution.
        StaleCheckpoint: In ``fit``: the run was rewound to before what was loaded.
        RheostatError: In ``fit``: as `Client.run` and `Run.value` raise.

    """

    def __init__(
        self,
        run: Run | str,
        *,
        create: Mapping[str, Any] | None = None,
        other_total: OtherTotal = "refuse",
        restore_best: bool | str = False,
        fields: Fields | None = None,
        checkpoint: str | Callable[[Any, int], Any] | None = None,
        resume: str | Path | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._asked, self._fields = run, fields
        self._joining: dict[str, Any] = {"create": create, "other_total": other_total}
        self._checkpoint, self._resume = checkpoint, resume
        self._best = Best(restore_best) if restore_best else None
        self._session: Session | None = None
        self._updates: Updates | None = None
        self._is_last = False
        self._told_at = 0
        """The step that was reported last, or from which the training goes on."""

    @property
    def run(self) -> Run:
        """The run, once ``fit`` has joined it."""
        return self._joined.run

    @property
    def step(self) -> int:
        """How many updates were made."""
        if self._updates is None:
            raise refusal("step", "is known once the training has begun")
        return self._updates.step

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, for what saves models otherwise than Keras."""
        return self._joined.state(self.step)

    def set_model(self, model: Any) -> None:
        """Have the optimizer save and load where the run stands, before anybody loads it."""
        super().set_model(model)
        remembered(model.optimizer)

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
        """Begin anew; others may load the model still."""
        self._updates = None
        if self._model.steps_per_execution != 1:
            message = "must be 1: values change, and a run ends, between two steps"
            raise refusal("steps_per_execution", message, self._model.steps_per_execution)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Join the run at the first epoch, where the model is what it will be trained from."""
        self._is_last = epoch + 1 == (self.params or {}).get("epochs")
        if self._updates is None:
            self._begin(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Wait for the values, and hear what all ranks are told."""
        updates, session = self._begun, self._joined
        updates.install()
        if updates.accumulates:
            return
        updates.values = session.at(updates.step)
        if session.is_past_end:
            self._model.stop_training = True
            return
        for signal in session.signals(updates.step):
            self._hear(signal, updates.step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Look whether the run ends here, if the training goes on."""
        if self._is_last and batch + 1 == (self.params or {}).get("steps"):
            return
        if self._joined.ended(self.step):
            self._model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report the epoch, and wait at a gate for what is decided on it."""
        logs = {} if logs is None else logs
        if is_first() and self.step != self._told_at:
            self._told_at = self.step
            self._joined.report(self.step, logs)
        if self._best is not None:
            self._best.on_epoch_end(epoch, logs)
        if self._begun.values:
            logs["learning_rate"] = self._begun.values[self._slots.fields["learning_rate"]]
        if not self._is_last and self._joined.ended(self.step, waits=True):
            self._model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Leave the model with its best weights, if that was asked for; send what is left."""
        if self._updates is None:  # there was no epoch left to train
            return
        self._updates.remove()
        if self._best is not None:
            self._best.restore()
        self._joined.run.flush()

    def _begin(self, epoch: int) -> None:
        model = self._model
        held = remembered(model.optimizer)
        total, ends = self._planned(model.optimizer, epoch)

        def attempt() -> tuple[Session, int]:
            session = self._session or Session(self._asked, total=total, ends=ends, **self._joining)
            self._slots = Slots(model, session.run, self._fields)
            self._session = session
            if isinstance(model.train_function, Updates):  # of a training that raised
                model.train_function.remove()
            self._updates = Updates(model, session, self._slots)
            self._go_on(session, held, self._updates.step)
            return session, self._updates.step

        try:
            join(attempt)
        except BaseException:
            if self._updates is not None:
                self._updates.remove()
            raise
        held.tells, held.loaded = self.state, None
        self._told_at = self.step
        if self._best is not None:
            self._best.begin(model, self._joined.run)

    def _go_on(self, session: Session, held: Remembered, step: int) -> None:
        """Join the generation of what was loaded, at the step that the optimizer has."""
        told = self._resume
        state = held.loaded or (state_in(told) if isinstance(told, str | Path) else told)
        before = held.tells()  # of another training of this optimizer, in this program
        if state is None and before is not None and before["id"] == session.run.id:
            state = before
        if state is None:
            session.begin(step)
        else:
            session.resume({**state, "step": step}, "rheostat.keras.RheostatCallback")
        self._resume = None

    def _planned(self, optimizer: Any, epoch: int) -> tuple[int | None, int | None]:
        """
        Return how many updates ``fit`` makes in all epochs, and at which it ends, if it knows.

        They differ where it begins an epoch anew that had a part of its updates already.
        """
        params = self.params or {}
        steps, epochs = params.get("steps"), params.get("epochs")
        if not steps or not epochs:
            return None, None
        *_, inner = chain(optimizer)
        every = getattr(inner, "gradient_accumulation_steps", None) or 1
        done = int(keras.ops.convert_to_numpy(inner.iterations))
        total, left = int(steps) * int(epochs), int(steps) * (int(epochs) - epoch)
        return total // every, done + left // every

    def _hear(self, signal: Signal, step: int) -> None:
        if signal.name != CHECKPOINT:
            log.info("run %s: signal %s at step %s", self.run.name, signal.name, step)
        elif is_first():
            try:
                self.run.outcome(signal, "done", step=step, data={"uri": str(self._save(step))})
            except Exception as error:  # noqa: BLE001 - a callable of the user's
                self.run.outcome(signal, "failed", step=step, error=error)
                log.exception("run %s: no checkpoint was saved at step %s", self.run.name, step)

    def _save(self, step: int) -> Any:
        where = self._checkpoint
        if where is None:
            raise refusal("checkpoint", 'is needed for that: checkpoint="saved/{step}.keras"')
        if callable(where):
            return where(self.model, step)
        path = Path(where.format(step=step))
        path.parent.mkdir(parents=True, exist_ok=True)
        save = self.model.save if path.suffix == ".keras" else self.model.save_weights
        save(path)
        return path

    @property
    def _joined(self) -> Session:
        if self._session is None:
            raise refusal("run", "is joined in fit")
        return self._session

    @property
    def _begun(self) -> Updates:
        if self._updates is None:
            raise refusal("step", "is known once the training has begun")
        return self._updates
