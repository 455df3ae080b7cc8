"""What a trainer that follows a run does otherwise than one that does not."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transformers import TrainerCallback
from transformers.trainer_callback import DefaultFlowCallback

from rheostat.adapters import CHECKPOINT, Session, warn_of_total
from rheostat.errors import refusal
from rheostat.saying import log, sentence
from rheostat.torch import RheostatLR
from rheostat.torch.joining import unwrapped

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

    from rheostat.client import Revision, Run, Signal

MEASURED = ("loss", "grad_norm")
"""What is reported of a log."""
EVALUATED = "eval_"
"""How the names of an evaluation's metrics begin."""
PACE = ("epoch", "runtime", "per_second", "preparation_time")
"""How the names of those end that are no metric of the model."""


class Following(TrainerCallback):  # type: ignore[misc]
    """
    A trainer's scheduler, reports, checkpoints and end, as its run says. `attach` makes one.

    Attributes:
        scheduler: The `RheostatLR` of the training, None before it begins.

    """

    scheduler: RheostatLR | None = None

    def __init__(
        self,
        trainer: Trainer,
        run: Run | str,
        joining: Mapping[str, Any],
        on_signal: Callable[[Signal, TrainerControl], object] | None,
        options: dict[str, Any],
    ) -> None:
        self._trainer, self._given, self._joining = trainer, run, joining
        self._on_signal, self._options = on_signal, options
        self._session: Session | None = None
        self._asked: list[Signal] = []
        """Signals that ask for a checkpoint which is not saved yet."""
        self._revision: int | None = None
        """That of the last update."""
        self._coming: list[Revision] = []
        """Those in force, or about to be, that no log has told yet."""
        self._theirs: Callable[[Revision], object] | None = None
        """Who else hears of revisions."""
        self._evaluations = 0
        """How many calls of ``evaluate`` are under way, one within the other."""
        self._is_open = False
        """Whether it is not asked yet whether the training goes on at a gate."""

    @property
    def run(self) -> Run | None:
        """The run; None before the training begins, if its name was given."""
        if self._session is not None:
            return self._session.run
        return None if isinstance(self._given, str) else self._given

    def take_over(self) -> None:
        """Put this in the place of the trainer's own scheduler."""
        trainer = self._trainer
        if trainer.lr_scheduler is not None and not trainer._created_lr_scheduler:  # noqa: SLF001
            message = "has a scheduler already: give it optimizers=(optimizer, None)"
            raise refusal("trainer", message, type(trainer.lr_scheduler).__name__)
        for other in [c for c in trainer.callback_handler.callbacks if isinstance(c, Following)]:
            other.let_go()
        self._own_evaluate, self._own_log = trainer.evaluate, trainer.log
        trainer.create_scheduler = self._create_scheduler
        trainer.evaluate, trainer.log = self._evaluate, self._log
        trainer.add_callback(self)

    def let_go(self) -> None:
        """Follow the run no more: the next ``train()`` is the trainer's own."""
        for name in ("create_scheduler", "evaluate", "log"):
            vars(self._trainer).pop(name, None)
        self._trainer.remove_callback(self)
        if self.run is not None and self.run.on_change == self._came:
            self.run.on_change = self._theirs

    # The scheduler

    def _create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """
        Stand in the place of the trainer's own ``create_scheduler``.

        DeepSpeed's integration calls it of a copy of the trainer, for an optimizer of its own, and
        takes what is returned; the trainer then has a scheduler that wraps this one.
        """
        trainer = self._trainer
        present = trainer.lr_scheduler
        if present is not None and (optimizer is None or self._is_made_for(optimizer)):
            return present
        run = self._begin(num_training_steps)
        made = trainer.optimizer if optimizer is None else optimizer
        scheduler = RheostatLR(made, run, at_end="flag", **self._options)
        require_used(scheduler)
        self.scheduler = scheduler
        if present is None:
            trainer.lr_scheduler, trainer._created_lr_scheduler = scheduler, True  # noqa: SLF001
        return scheduler

    def _is_made_for(self, optimizer: Any) -> bool:
        return self.scheduler is not None and self.scheduler.optimizer is unwrapped(optimizer)

    def _begin(self, total: int) -> Run:
        """Return the run, joined once for each training; be the last of the callbacks."""
        if self._session is None:
            self._session = Session(self._given, total=total, **self._joining)
        else:
            warn_of_total(self._session.run, total)
        self._hear(self._session.run)
        self._asked, self._coming, self._is_open = [], [], False
        handler = self._trainer.callback_handler
        handler.remove_callback(self)  # others may have come since, who report something too
        handler.add_callback(self)
        return self._session.run

    # What the trainer calls

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Take the trainer's counter, if its checkpoint has no other; train nothing past an end."""
        scheduler = self._following
        if scheduler.last_epoch == 0 and state.global_step > 0:
            scheduler.run.begin(state.global_step)
            scheduler.step(update=state.global_step)
        if scheduler.at_gate:
            self._measure(control)
            if control.should_evaluate:
                self._trainer.evaluate()
        if scheduler.ended:
            control.should_training_stop = True
            _give_no_batches(self._trainer)
        else:
            self._revision = scheduler.run.at(scheduler.last_epoch).revision

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask at last what an evaluation, or a log, that did not come has left open."""
        if self._is_open:
            self._settle(control)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Go on, or end; at a gate not before what it waits for was measured."""
        self._is_open = self._following.at_gate
        if self._is_open:
            self._measure(control)
        if not self._is_open or not (control.should_log or control.should_evaluate):
            self._settle(control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Report what the training measures."""
        self._report(state, {name: logs[name] for name in MEASURED if logs and name in logs})

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Report what an evaluation measures."""
        self._report(state, {k: v for k, v in (metrics or {}).items() if not k.endswith(PACE)})

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Say that a checkpoint is there, and what asked for it."""
        asked, self._asked = self._asked, []
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        run, step = self._following.run, self._following.last_epoch
        for signal in asked:
            run.outcome(signal, "done", step=step, data={"uri": str(folder)})
        if not asked and not getattr(args, "save_only_model", False):
            run.saved(step, uri=folder)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Send what is left to be told; a run that was joined here is joined again next time."""
        vars(self._trainer).pop("get_batch_samples", None)
        if self._session is not None:
            self._session.run.on_change = self._theirs
            self._session.close()
        if isinstance(self._given, str):
            self._session = None

    def _evaluate(self, *args: Any, **options: Any) -> Any:
        """Stand in the place of the trainer's ``evaluate``: at a gate, go on after it."""
        self._evaluations += 1
        try:
            metrics = self._own_evaluate(*args, **options)
        finally:
            self._evaluations -= 1
        if self._is_open and not self._evaluations:
            self._settle(self._trainer.control, evaluates=False)
        return metrics

    def _log(self, logs: dict[str, Any], *args: Any, **options: Any) -> None:
        """Stand in the place of the trainer's ``log``: say more; at a gate, go on after it."""
        logs.update(self._marks(logs))
        self._own_log(logs, *args, **options)
        control = self._trainer.control
        if self._is_open and not (control.should_evaluate or self._evaluations):
            self._settle(control)

    # Ends, signals and gates

    def _measure(self, control: TrainerControl) -> None:
        """Have the trainer measure what a gate waits for, if it is one of its metrics."""
        held = self._following.run.left_open(self._following.last_epoch)
        metric = getattr(held, "members", {}).get("metric")
        if metric in MEASURED:
            control.should_log = True
        elif isinstance(metric, str) and metric.startswith(EVALUATED):
            control.should_evaluate |= self._trainer.eval_dataset is not None

    def _settle(self, control: TrainerControl, *, evaluates: bool = True) -> None:
        """Act on the signals of the step, and end if the run does, waiting for what decides it."""
        self._is_open = False
        for signal in self._following.signals():
            if signal.name == CHECKPOINT:
                self._asked.append(signal)
                control.should_save = True
            elif self._on_signal is not None:
                self._on_signal(signal, control)
            else:
                message = "run %s: nobody listens to the signal %s: attach(on_signal=…)"
                log.warning(message, self._following.run.name, signal.name)
        if self._following.ended:
            self._end(control, evaluates=evaluates)

    def _end(self, control: TrainerControl, *, evaluates: bool) -> None:
        """End as the trainer does at its own maximum, whatever that is in its version."""
        state = copy.copy(self._trainer.state)
        state.max_steps = state.global_step
        DefaultFlowCallback().on_step_end(self._trainer.args, state, control)
        control.should_training_stop = True
        control.should_evaluate &= evaluates  # the model was evaluated just now

    # Reports and logs

    def _report(self, state: TrainerState, metrics: Mapping[str, Any]) -> None:
        if self._session is not None and self.scheduler and state.is_world_process_zero:
            self._session.report(self.scheduler.last_epoch, metrics)

    def _hear(self, run: Run) -> None:
        """Hear of each revision that comes into force, beside whoever else does."""
        theirs = run.on_change
        if theirs == self._came:
            return
        self._theirs = theirs
        run.on_change = self._came

    def _came(self, revision: Revision) -> None:
        self._coming.append(revision)
        if self._theirs is not None:
            self._theirs(revision)

    def _marks(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a log of the training says of the run: of the update that was made last."""
        if "loss" not in logs or self.scheduler is None:
            return {}
        done = self.scheduler.last_epoch
        used = [revision for revision in self._coming if revision.effective < done]
        self._coming = [revision for revision in self._coming if revision.effective >= done]
        marks: dict[str, Any] = {}
        if used:
            self._revision = used[-1].number
            marks["rheostat/message"] = "; ".join(map(sentence, used))
        if self._revision is not None:
            marks["rheostat/revision"] = self._revision
        return marks

    @property
    def _following(self) -> RheostatLR:
        return cast(RheostatLR, self.scheduler)  # it is there before the trainer calls anything


def require_used(scheduler: RheostatLR) -> None:
    """
    Refuse a run whose weight decay would be used by no group, in silence.

    The trainer's own default is 0, which stays 0: so biases have none.
    """
    used = {parameter for group in scheduler.fields for parameter in group.values()}
    name = "weight_decay"
    has_one = any(name in group for group in scheduler.optimizer.param_groups)
    if name in scheduler.run.parameters and name not in used and has_one:
        message = (
            "is 0 in all of the optimizer's groups, and stays 0: say which have one by any other"
            " number, TrainingArguments(weight_decay=0.01); the run's is used"
        )
        raise refusal(name, message, 0)


def _give_no_batches(trainer: Trainer) -> None:
    """
    Have a trainer find no batch in its next epoch.

    It looks at whether to stop only after an update; resumed at its own maximum it makes none.
    """
    trainer.get_batch_samples = lambda *_: ([], None)
