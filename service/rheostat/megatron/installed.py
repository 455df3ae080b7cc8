"""Megatron-core's scheduler, whose methods a run has taken over, and what it tells of it."""

from __future__ import annotations

import atexit
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any

from torch import distributed

from rheostat.adapters import CHECKPOINT, Session, require_axis
from rheostat.errors import refusal
from rheostat.megatron.following import Following
from rheostat.megatron.loop import Loop, of_bridge, of_megatron_lm
from rheostat.saying import log
from rheostat.torch.joining import meet
from rheostat.torch.ranks import is_first, on_all_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rheostat.client import Run, Signal
    from rheostat.torch.proof import OnMismatch

AXIS = "samples"
KNOWN = {
    "step": ["self", "increment"],
    "state_dict": ["self"],
    "load_state_dict": ["self", "state_dict"],
}
"""The methods that are taken over, with their arguments."""
NEEDED = {"optimizer", "max_lr", "start_wd", "end_wd", "wd_incr_steps"}
"""What a scheduler has to be made of."""
FOLLOWING = "_rheostat"
"""The attribute of a scheduler that has what it follows."""


class Installed:
    """
    What `rheostat.megatron.install` returns; a callback of Bridge, too.

    Attributes:
        session: The run and what is told to it, once a scheduler was made.

    """

    session: Session

    def __init__(
        self,
        run: Run | str,
        joining: Mapping[str, Any],
        on_signal: Callable[[Signal], object] | None,
        on_mismatch: OnMismatch,
        process_group: Any,
    ) -> None:
        if not isinstance(run, str):
            require_axis(run, AXIS)
        self.on_mismatch, self.process_group = on_mismatch, process_group
        self._asked, self._joining, self._on_signal = run, joining, on_signal
        self._class: Any = None
        self._own: dict[str, Any] = {}
        self._following: list[Following] = []
        self._loop: Loop | None = None
        self._saving: list[tuple[Signal, int]] = []
        self._was_told = False

    # What it takes over

    def install(self, scheduler: Any) -> None:
        """Take the methods over of a class."""
        require_known(scheduler)
        self._class = scheduler
        self._own = {name: vars(scheduler)[name] for name in KNOWN}
        for name, method in methods_of(self).items():
            setattr(scheduler, name, method)
        atexit.register(self._at_exit)

    def uninstall(self) -> None:
        """Give Megatron its own methods back; schedulers go on with its own rates."""
        for name, method in self._own.items():
            if getattr(vars(self._class).get(name), FOLLOWING, None) is self:
                setattr(self._class, name, method)
        for following in self._following:
            following.release()
        self.close()

    def own(self, name: str) -> Any:
        """Return a method of Megatron's own."""
        return self._own[name]

    def following(self, scheduler: Any) -> Following:
        """Return what a scheduler follows; it joins the run when it is made."""
        found = vars(scheduler).get(FOLLOWING)
        if found is None or found not in self._following:
            self._join(scheduler)
            found = Following(scheduler, self)
            setattr(scheduler, FOLLOWING, found)
            self._following.append(found)
        return found  # type: ignore[no-any-return]

    def _join(self, scheduler: Any) -> None:
        """Join the run, with the total that the scheduler was told."""

        def join() -> None:
            total = int(scheduler.wd_incr_steps)
            self.session = Session(self._asked, counts=AXIS, total=total, **self._joining)

        if not self._following:
            on_all_ranks(join, self.process_group)
        meet(self.session.run, lambda: scheduler.optimizer, self.process_group)

    # What a loop of one's own asks, and tells

    @property
    def ended(self) -> bool:
        """
        Whether the run has no value for the next update, since it was stopped or finished.

        No update is done then: the optimizer's ``step()`` says that it did none.
        """
        return any(following.ended for following in self._following)

    @property
    def step(self) -> int:
        """The samples that were trained on, of the scheduler that was made first."""
        return self._following[0].step if self._following else 0

    def report(self, metrics: Mapping[str, Any]) -> None:
        """Report metrics of the model as it is now, from one rank; spaces in names become ``_``."""
        self.session.report(self.step, named(metrics))

    def close(self) -> None:
        """Answer what is left to be answered, and send it."""
        atexit.unregister(self._at_exit)
        self.go_on()
        if self._following:
            self.session.close()

    def _at_exit(self) -> None:
        if hasattr(sys, "last_value"):  # by an error: nobody knows what it has left
            self._saving.clear()
        self.close()

    # What the run says

    def end(self) -> None:
        """End the loop as it ends at its own last iteration."""
        loop = self._loop or of_megatron_lm()
        if loop is not None:
            loop.end()
        if self._was_told:
            return
        self._was_told = True
        run = self.session.run
        if loop is None:
            log.warning(
                "run %s ended, and no update is done any more: this is neither Megatron-LM nor"
                " Bridge with callbacks=[installed], so that the loop must ask installed.ended",
                run.name,
            )

    def told(self, signal: Signal, step: int) -> None:
        """Act on a word that all ranks are told before the same update."""
        if signal.name == CHECKPOINT:
            self._save(signal, step)
        elif self._on_signal is not None:
            self._on_signal(signal)
        else:
            self._answer(signal, step, error="install(on_signal=…) was not given")

    def _save(self, signal: Signal, step: int) -> None:
        loop = self._loop or of_megatron_lm()
        if loop is None or not loop.saves_to:
            self._answer(signal, step, error="the loop saves nowhere: it has no --save")
            return
        self._loop = loop
        loop.save()
        self._saving.append((signal, step))

    def go_on(self) -> None:
        """Say that what was to be saved is saved: the loop has gone on."""
        if self._loop is not None:
            self._loop.go_on()
            saving, self._saving = self._saving, []
            for signal, step in saving:
                self._answer(signal, step, data={"uri": str(self._loop.saves_to)})

    def _answer(self, signal: Signal, step: int, **said: Any) -> None:
        if is_first():
            outcome = "failed" if "error" in said else "done"
            self.session.run.outcome(signal, outcome, step=step, **said)  # type: ignore[arg-type]

    # A callback of Bridge

    def on_train_start(self, context: Any) -> None:
        """Take hold of Bridge's loop; end it before it begins, if the run has ended."""
        self._loop = of_bridge(context.state)
        if self.ended:
            self._loop.end(before=True)

    def on_train_step_end(self, context: Any) -> None:
        """Report the loss as often as Bridge logs it."""
        interval = context.state.cfg.logger.log_interval
        done = context.state.train_state.step + 1
        if context.loss_dict and not context.skipped_iter and done % interval == 0:
            metrics = {**context.loss_dict, "grad_norm": context.grad_norm}
            self._report_from_last_stage(metrics)

    def on_eval_end(self, context: Any) -> None:
        """Report what was evaluated, as ``eval_`` and its name."""
        metrics = context.total_loss_dict or {}
        self._report_from_last_stage({f"eval_{name}": each for name, each in metrics.items()})

    def on_checkpoint_save(self, context: Any) -> None:
        """Say that a checkpoint was saved, so that a rewind finds it."""
        uri = context.state.cfg.checkpoint.save
        if is_first():
            self.session.run.saved(self.step, uri=uri)

    def on_train_end(self, context: Any) -> None:
        """Send what is left to be told."""
        del context
        self.go_on()
        self.session.run.flush()

    def _report_from_last_stage(self, metrics: Mapping[str, Any]) -> None:
        if metrics and is_first_of_last_stage():
            self.report(metrics)


def methods_of(installed: Installed) -> dict[str, Any]:
    """Return the methods that take the place of Megatron's own."""

    def step(self: Any, increment: int) -> None:
        if FOLLOWING in vars(self):
            installed.following(self).count(increment)
        else:
            self.num_steps += increment
            installed.following(self)

    def state_dict(self: Any) -> dict[str, Any]:
        return installed.following(self).state_dict()

    def load_state_dict(self: Any, state_dict: Mapping[str, Any]) -> None:
        installed.following(self).load_state_dict(state_dict)

    methods = {m.__name__: m for m in (step, state_dict, load_state_dict)}
    for name, method in methods.items():
        method.__doc__ = installed.own(name).__doc__
        setattr(method, FOLLOWING, installed)
    return methods


def require_known(scheduler: Any) -> None:
    """Refuse a class that is another one than Megatron-core's of the versions that are known."""
    for name, wanted in KNOWN.items():
        method = vars(scheduler).get(name)
        if hasattr(method, FOLLOWING):
            raise refusal("run", "is the second one: uninstall() what was installed before")
        found = list(inspect.signature(method).parameters) if callable(method) else None
        if found != wanted:
            bound = f"{name}({', '.join(wanted)})"
            said = f"no {name}" if found is None else f"{name}({', '.join(found)})"
            raise refusal(
                "megatron-core",
                f"is of an unknown version: its scheduler has {said} in place of {bound}",
                said,
                bound,
            )
    missing = NEEDED - set(inspect.signature(scheduler.__init__).parameters)
    if missing:
        message = f"is of an unknown version: its scheduler takes no {', '.join(sorted(missing))}"
        raise refusal("megatron-core", message, sorted(missing))


def named(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics under names that they may have, ``lm_loss`` for ``lm loss``."""
    return {re.sub(r"[^A-Za-z0-9_./-]+", "_", str(name)): each for name, each in metrics.items()}


def is_first_of_last_stage() -> bool:
    """Whether this is the one rank that tells the loss, which the last stage alone has."""
    from megatron.core import parallel_state as mpu  # noqa: PLC0415 - it was installed by now

    if not mpu.model_parallel_is_initialized():
        size = distributed.get_world_size() if distributed.is_initialized() else 1
        return size == 1 or distributed.get_rank() == size - 1
    ranks = (
        mpu.get_data_parallel_rank(with_context_parallel=True),
        mpu.get_tensor_model_parallel_rank(),
    )
    return bool(mpu.is_pipeline_last_stage(ignore_virtual=True)) and ranks == (0, 0)
