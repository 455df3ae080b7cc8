"""The callback that has a Lightning training follow a run."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from rheostat.adapters import CHECKPOINT, STATE, Position, Session, position, rejoin
from rheostat.errors import Finished, refusal
from rheostat.lightning.counted import CountedLR
from rheostat.lightning.midway import leave_midway
from rheostat.lightning.package import callback_classes, scheduler_config
from rheostat.loggers import Log
from rheostat.saying import log
from rheostat.torch.ranks import on_all_ranks, require_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rheostat.client import Run, Signal
    from rheostat.client.calls import OtherTotal
    from rheostat.torch.fields import Fields
    from rheostat.torch.proof import OnMismatch

BY_HAND = (
    "make RheostatLR(optimizer, run, fields=…) of each optimizer in configure_optimizers, and step"
    " it by self.lr_schedulers() where the module updates"
)


class RheostatCallback(*callback_classes()):  # type: ignore[misc]
    """
    Has every rank of a training use a run's values at Lightning's own step, and tells of it.

    The step is ``trainer.global_step``, the number of updates. The position is kept in Lightning's
    checkpoints with the other schedulers, so that ``ckpt_path=`` resumes it. Where the run ends,
    all ranks stop after one update, with the last validation and checkpoint. After a validation
    rank 0 reports ``trainer.callback_metrics``; each ``log_every_n_steps`` updates the loss.

    At the signal ``checkpoint`` all ranks save beside the other checkpoints; each that is saved is
    told to the run. The loggers have
    ``rheostat/lr`` and the other parameters, ``rheostat/revision``, and a sentence where a revision
    came into force. ``L.Trainer(callbacks=[RheostatCallback("gpt")])`` is all that a training
    needs.

    Args:
        run: A run's name, of the service at ``RHEOSTAT_URL`` or else of this machine's own server
            (`rheostat.local`); its address and name, ``"http://rheostat:8000/gpt"``; or a run that
            was joined.
        create: The body to create the run with, where ``run`` is no run that was joined. A
            ``"total"`` of ``"trainer"`` is that of the trainer, which is known when it begins.
        other_total: What to do where the run is there and has another total than ``create``, as
            when one trains longer: ``"refuse"``, ``"keep"``, or ``"extend"``, which takes an
            operator's token: see `Client.run`.
        fields: Which parameter goes into which field, as `rheostat.torch.RheostatLR` takes it.
        relative: Whether groups keep the ratios of their learning rates, as
            `rheostat.torch.RheostatLR` takes it.
        on_signal: What is called with every signal but ``checkpoint``, and with the trainer, on all
            ranks before the same update.
        on_mismatch: What happens where an update is about to use another number than the run's, as
            `rheostat.torch.RheostatLR` takes it.

    Attributes:
        session: The run and what is told to it, once ``trainer.fit`` has begun.
        scheduler: What sets the values, likewise.

    """

    session: Session
    scheduler: CountedLR

    def __init__(
        self,
        run: Run | str,
        *,
        create: Mapping[str, Any] | None = None,
        other_total: OtherTotal = "refuse",
        fields: Fields | None = None,
        relative: bool = False,
        on_signal: Callable[[Signal, Any], object] | None = None,
        on_mismatch: OnMismatch = "warn",
    ) -> None:
        super().__init__()
        self._on_signal = on_signal
        self._asked = run
        self._joining: dict[str, Any] = {"create": create, "other_total": other_total}
        self._options: dict[str, Any] = {
            "fields": fields,
            "relative": relative,
            "on_mismatch": on_mismatch,
        }

    # Beginning

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Forget what an earlier training loaded."""
        del trainer, pl_module, stage
        self._resumed: int | None = None
        self._states: list[Any] = []
        self._keeps_others = True
        self._stopped = False
        self._arrived = self._logged = self._told_at = -1
        self._told: set[str] = set()
        self._saved: set[tuple[int, str]] = set()
        self._logs: Log | None = None

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Note where the training resumes, and what its schedulers were."""
        del trainer, pl_module
        self._resumed = checkpoint["global_step"]
        self._states = checkpoint.setdefault("lr_schedulers", [])
        self._sort_states()

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Have a stop in the middle of an epoch go on there."""
        del pl_module
        if self._stopped:
            leave_midway(checkpoint, trainer.num_training_batches)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """
        Join the run at the step where the training begins, and have Lightning step its scheduler.

        Raises:
            Invalid: The module optimizes by hand, has several optimizers, or one that does not fit
                the run.
            RheostatError: As `rheostat.torch.RheostatLR` raises.

        """
        optimizer = only_optimizer(trainer, pl_module)
        total = total_of(trainer, resumes=self._resumed is not None)
        on_all_ranks(lambda: self._join(total))
        self._resume()
        step = trainer.global_step if self._resumed is None else self._resumed
        self.scheduler = CountedLR(
            optimizer,
            self.session.run,
            lambda: trainer.global_step,
            last_epoch=step - 1,
            **self._options,
        )
        self._take_over(trainer)
        if trainer.is_global_zero and trainer.loggers:
            every = trainer.log_every_n_steps
            self._logs = Log(self.session.run, trainer.loggers, every=every)
        if self.scheduler.ended:
            self._stop(trainer)

    def _join(self, total: int | None) -> None:
        self.session = Session(self._asked, total=total, **self._joining)

    def _resume(self) -> None:
        """Join the generation of the checkpoint before any of its values are read."""
        state = next(filter(_is_ours, self._states), None)
        if state is None:
            return
        run = self.session.run

        def again() -> Position:
            return position(run, rejoin(run, state, "RheostatCallback"))

        require_one(on_all_ranks(again))

    def _take_over(self, trainer: Any) -> None:
        """Leave out the module's own schedulers, if the learning rate is the run's."""
        configs = trainer.strategy.lr_scheduler_configs
        others = [type(config.scheduler).__name__ for config in configs]
        self._keeps_others = not any("lr" in fields for fields in self.scheduler.fields)
        if others and not self._keeps_others:
            configs.clear()
            if trainer.is_global_zero:
                log.warning(
                    "run %s has the learning rate: the module's own %s is not used",
                    self.session.run.name,
                    ", ".join(others),
                )
        configs.append(scheduler_config(trainer)(self.scheduler, interval="step"))
        self._sort_states()

    def _sort_states(self) -> None:
        """Hand each scheduler its own state: Lightning goes by their order alone."""
        others = [state for state in self._states if not _is_ours(state)]
        ours = [state for state in self._states if _is_ours(state)]
        self._states[:] = (others if self._keeps_others else []) + ours

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Go where a checkpoint led that was loaded late, and was not of this run."""
        del pl_module
        self._states = []
        step = trainer.global_step
        if self.scheduler.last_epoch != step:
            self.session.run.begin(step)
            self.scheduler.step()
        if self.scheduler.ended:
            self._stop(trainer)

    # Training

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Wait at a gate; end there if it was decided so."""
        del pl_module, batch, batch_idx
        self._arrive(trainer, waits=True)
        if self.scheduler.ended:
            raise StopIteration  # as a module's hook does by returning -1
        self._tell_of_saved(trainer)
        self._log()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Do what the run says of the next step, unless a validation may have to come first."""
        del pl_module, batch, batch_idx
        step = trainer.global_step
        if step != self.scheduler.last_epoch or step == self._arrived:
            return
        if (
            step % trainer.log_every_n_steps == 0
            and isinstance(outputs, dict)
            and "loss" in outputs
        ):
            loss = outputs["loss"] * trainer.accumulate_grad_batches  # Lightning divides it
            self._report(trainer, {"loss": loss})
        self._arrive(trainer, waits=False)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report what was measured; at a gate, hear what was decided on it."""
        del pl_module
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._report(trainer, trainer.callback_metrics)
        self._arrive(trainer, waits=True)

    def _arrive(self, trainer: Any, *, waits: bool) -> None:
        """Act once on what the run says of the step that comes next: its signals, or an end."""
        step = self.scheduler.last_epoch
        if step == self._arrived or not (waits or self._is_known(step)):
            return
        self._arrived = step
        for signal in self.scheduler.signals():
            self._obey(trainer, signal)
        if self.scheduler.ended:
            self._stop(trainer)

    def _is_known(self, step: int) -> bool:
        """Whether it is known what comes next, which at a gate depends on a report."""
        try:
            return self.session.run.left_open(step) is None
        except Finished:
            return True

    def _stop(self, trainer: Any) -> None:
        """End the training as Lightning ends early; a run has the last word over a minimum."""
        self._stopped = trainer.should_stop = True
        trainer.fit_loop.min_epochs = 0
        trainer.fit_loop.epoch_loop.min_steps = None

    def _log(self) -> None:
        """Tell the loggers what the next update uses, now and then."""
        step = self.scheduler.last_epoch
        if self._logs is not None and step != self._logged:
            self._logged = step
            self._logs.write(step)

    def _report(self, trainer: Any, metrics: Mapping[str, Any]) -> None:
        """Report from rank 0 what was not reported of this step."""
        step = trainer.global_step
        if self._told_at != step:
            self._told_at, self._told = step, set()
        new = {name: value for name, value in metrics.items() if name not in self._told}
        self._told |= new.keys()
        if trainer.is_global_zero:
            self.session.report(step, new)

    def _obey(self, trainer: Any, signal: Signal) -> None:
        """Act on a word that all ranks are told before the same update."""
        if signal.name == CHECKPOINT:
            self._save(trainer, signal)
        elif self._on_signal is not None:
            self._on_signal(signal, trainer)
        else:
            message = "run %s: nobody listens to the signal %s: RheostatCallback(on_signal=…)"
            log.warning(message, self.session.run.name, signal.name)

    def _save(self, trainer: Any, signal: Signal) -> None:
        path, step = checkpoint_path(trainer, self.scheduler.last_epoch), self.scheduler.last_epoch
        run = self.session.run
        try:
            trainer.save_checkpoint(path)
        except Exception as error:
            run.outcome(signal, "failed", step=step, error=error)
            raise
        if trainer.is_global_zero:
            run.outcome(signal, "done", step=step, data={"uri": path})

    def _tell_of_saved(self, trainer: Any) -> None:
        """Say which checkpoints Lightning saves by itself, so that a rewind finds them."""
        if not trainer.is_global_zero:
            return
        for callback in trainer.checkpoint_callbacks:
            path = getattr(callback, "_last_checkpoint_saved", "")
            saved = getattr(callback, "_last_global_step_saved", 0), path
            if path and saved not in self._saved and not callback.save_weights_only:
                self._saved.add(saved)
                self.session.run.saved(saved[0], uri=path)

    # Ending

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Send what is left to be told."""
        del pl_module
        self._tell_of_saved(trainer)
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Send what is left to be told."""
        del trainer, pl_module, exception
        self._close()

    def _close(self) -> None:
        if self._logs is not None:
            self._logs.close()
        if hasattr(self, "session"):
            self.session.close()


def only_optimizer(trainer: Any, pl_module: Any) -> Any:
    """Return the one optimizer, which Lightning updates by itself; refuse whatever else is."""
    if not pl_module.automatic_optimization:
        raise refusal("trainer", f"leaves the updates to the module: {BY_HAND}")
    optimizers = trainer.optimizers
    if len(optimizers) != 1:
        raise refusal("trainer", f"has {len(optimizers)} optimizers, and needs one: {BY_HAND}")
    return optimizers[0]


def total_of(trainer: Any, *, resumes: bool = False) -> int | None:
    """Return the number of updates that the trainer is going to do, if it knows."""
    was_loaded = trainer.train_dataloader is not None
    total = trainer.estimated_stepping_batches
    if resumes and not was_loaded:
        # It has made the loader to count the batches. A loader that has a state of its own is given
        # that of the checkpoint when it is made, which is still to come.
        trainer.fit_loop._combined_loader = None  # noqa: SLF001
    return int(total) if 0 < total < math.inf else None


def checkpoint_path(trainer: Any, step: int) -> str:
    """Return where a checkpoint goes that an operator asked for: beside the others."""
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    folder = folder or os.path.join(trainer.default_root_dir, "checkpoints")  # noqa: PTH118 - may be a URL
    return os.path.join(folder, f"rheostat-step={step}.ckpt")  # noqa: PTH118


def _is_ours(state: Any) -> bool:
    return isinstance(state, dict) and all(key in state for key in STATE)
