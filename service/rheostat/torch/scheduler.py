"""A learning rate scheduler whose values come from a run of the service."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import ref

from torch.optim.lr_scheduler import LRScheduler

from rheostat.adapters import Position, position, rejoin, saved, whole
from rheostat.client.calls import coordinate
from rheostat.errors import Finished, refusal
from rheostat.torch.fields import copied
from rheostat.torch.hooks import LastHook, is_captured
from rheostat.torch.joining import checked, meet
from rheostat.torch.proof import OnMismatch, Proof
from rheostat.torch.ranks import on_all_ranks, require_one
from rheostat.torch.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.optim import Optimizer

    from rheostat.client import Run, Signal
    from rheostat.torch.fields import Fields

AtEnd = Literal["raise", "flag"]
AT_END = get_args(AtEnd)
COUNTED_ELSEWHERE = ("samples", "tokens")
ACCELERATE = "accelerate.scheduler"
"""What steps a scheduler that it has prepared once for each process, in every update."""
NO_EPOCH = (
    "RheostatLR.step() counts updates, and takes no epoch: call step() after each update, or "
    "step(update=…) with the number of updates done"
)
EARLY = (
    "lr_scheduler.step() was called before optimizer.step(): the first value of the schedule was "
    "never used. Call optimizer.step() first."
)


class RheostatLR(LRScheduler):  # type: ignore[misc]
    """
    Sets the fields of an optimizer's parameter groups to a run's values at the current step.

    As with every `LRScheduler`, the value of step 0 is set at once, and each ``step()`` that
    follows ``optimizer.step()`` moves one step on. That is a look-up, except where the service
    has to be waited for: then it ends with `Unreachable` after the run's deadline. After a rewind
    it ends with `StaleGeneration` at the first step that the old generation did not settle, which
    is the same step on every rank.

    At a pause ``step()`` waits, which is outside of any collective call. At a gate, where a
    controller waits for a metric of the model as it is now, it does not: the next
    ``optimizer.step()`` does, and the values are written then. So evaluate and report between both.

    Args:
        optimizer: Its groups are written to, and must fit the run's parameters (`Invalid`). What
            wraps an optimizer, such as Accelerate's, is taken for the one inside.
        run: A run that was joined: ``rheostat.local().run(name)``, or of any `Client`.
        fields: Which parameter goes into which field, where their names do not say so: one
            mapping for all groups, or one for each, such as ``[{"lr": "lr"}, {"lr": "lr/head"}]``.
        relative: Whether groups that share the learning rate keep the ratios that they began with,
            to the optimizer's default: one that began with a tenth of it has a tenth of the run's.
            Without it such groups are refused.
        last_epoch: The last step that was done elsewhere, -1 for none. The first value is that of
            ``last_epoch + 1``, which the run is told as the beginning of the training.
        process_group: The ranks that train together; the default group if it is initialised.
            Construction and `load_state_dict` are collective calls in it: all ranks go on in one
            generation at one step, or all raise the same error. A parameter group that any of
            them has, ``lr/head`` for example, need not be there on the others.
        at_end: What happens at the end of a run that was stopped or finished: ``"raise"`` raises
            `Stopped` or `Finished`, and ``"flag"`` sets `ended` and leaves the fields as they are,
            for loops that have an end of their own to go through, with a last checkpoint.
        on_mismatch: What happens where ``optimizer.step()`` is about to use another number than was
            written, since something else has set it: ``"warn"`` says so once in the log and tells
            the service, ``"raise"`` raises `Overwritten` too, before the update, and None leaves it
            to the service to find it in what was applied.

    Raises:
        Invalid: An argument cannot be meant, or the groups do not fit the run's parameters.
        StepJump: The run was trained already, and not to ``last_epoch``.
        Conflict: The ranks do not agree on run, generation and step, or one of them failed.
        Unreachable: The service did not answer until the client's deadline.

    """

    def __init__(  # noqa: PLR0913 - options, by their names alone
        self,
        optimizer: Optimizer,
        run: Run,
        *,
        fields: Fields | None = None,
        relative: bool = False,
        last_epoch: int = -1,
        process_group: Any = None,
        at_end: AtEnd = "raise",
        on_mismatch: OnMismatch = "warn",
    ) -> None:
        self.run = run
        self._ended = self._is_open = self._is_counted = self._has_updated = False
        self._asked, self._relative = fields, relative
        self._at_end = at_end
        self._process_group = process_group

        def check() -> Optimizer:
            self.optimizer = checked(optimizer, run)
            self._check(last_epoch)
            self._proof = Proof(run, on_mismatch)
            return self.optimizer

        self._elsewhere = meet(run, check, process_group)
        self._counted_elsewhere = run.axis in COUNTED_ELSEWHERE
        require_one(on_all_ranks(self._begin, process_group))
        super().__init__(self.optimizer)
        run.listen(self._first)
        this = ref(self)
        LastHook(self.optimizer, lambda: _before_update(this()))
        self.optimizer.register_load_state_dict_post_hook(lambda _: _reapply(this()))

    def _check(self, last_epoch: Any) -> None:
        if self._at_end not in AT_END:
            raise refusal("at_end", f"must be one of {', '.join(AT_END)}", self._at_end)
        self._first = whole(last_epoch, "last_epoch") + 1
        if self._first < 0:
            raise refusal("last_epoch", "must be at least -1", last_epoch, "≥ -1")

    def _begin(self) -> Position:
        """Tell the run where the training begins, and see that it has what the optimizer needs."""
        if self._first > 0:
            self.run.begin(self._first)
        self._slots = Slots(
            self.optimizer, self.run, self._asked, self._elsewhere, relative=self._relative
        )
        self._look_up(self._first)
        return position(self.run, self._first)

    def _initial_step(self) -> None:
        self.last_epoch = self._first - 1
        super()._initial_step()

    def step(self, epoch: None = None, *, update: int | None = None) -> None:
        """
        Go on to the next step, or to the step ``update`` of the framework's own counter.

        The update that was done counts whatever comes of the look-up: if this raises, the fields
        are as they were, and a checkpoint that is saved then has the step that follows. To look
        again without counting another update, call it with ``update=scheduler.last_epoch``.

        Args:
            epoch: PyTorch's, whose schedulers may count anything: it is refused.
            update: The number of updates done, an integer; a run that counts samples or tokens
                needs it.

        Raises:
            TypeError: There is an ``epoch``, such as the batch size that some frameworks hand to
                any scheduler.
            Invalid: ``update`` is missing though the run counts samples or tokens, or is no whole
                number from 0 on. Nothing was counted then.
            Stopped, Finished: The run has no value at this step (with ``at_end="raise"``). Where
                the training ends at a gate, the next ``optimizer.step()`` raises it, on all ranks.
            StaleGeneration: The run was rewound.
            Unreachable: The service did not answer until the client's deadline.

        """
        if epoch is not None:
            raise TypeError(NO_EPOCH)
        if self._step_count == 1 and not (self._has_updated or self._was_called):
            self._warn_of_order()
        if update is not None:
            update = coordinate(whole(update, "update"), "update")
        elif self._counted_elsewhere and not self._is_initial:
            axis = self.run.axis
            message = f"is needed, since the run counts {axis}: step(update=<{axis} so far>)"
            raise refusal("update", message)
        elif self._is_counted and sys._getframe(1).f_globals.get("__name__") == ACCELERATE:  # noqa: SLF001
            return  # Accelerate calls it once for each process
        self._is_counted = True
        self._step_count += 1
        self._update_lr(update)

    def _warn_of_order(self) -> None:
        """Say that the first update is still to come, unless `GradScaler` has skipped it."""
        parameters = (each for group in self.optimizer.param_groups for each in group["params"])
        gradients = [each.grad for each in parameters if each.grad is not None]
        if all(_is_finite(each) for each in gradients):
            warnings.warn(EARLY, UserWarning, stacklevel=3)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set_values()

    def _set_values(self, *, waits: bool = False) -> None:
        """Write the values of the current step; at a gate only if it ``waits`` for the report."""
        # All are looked up before any is written: what raises leaves nothing half written.
        values = self._look_up(self.last_epoch, waits=waits)
        if values is not None:
            self._slots.write(self.last_epoch, values)
        self._last_lr: list[Any] = [copied(group["lr"]) for group in self.optimizer.param_groups]

    def _look_up(self, step: int, *, waits: bool = False) -> dict[str, float] | None:
        """Return the values by parameter; None past an end that is only flagged, or at a gate."""
        self._ended = self._is_open = False
        try:
            if not waits and self.run.left_open(step) is not None:
                self._is_open = True
                return None
            return self._slots.look_up(step)
        except Finished:
            if self._at_end == "raise":
                raise
            self._ended = True
            return None

    def _before_update(self) -> None:
        """Wait for what was left open at a gate; list what the update is about to use."""
        self._is_counted, self._has_updated = False, True
        if self._is_open:
            self._set_values(waits=True)
        if is_captured():
            self._slots.warn_of_graph()
        # Past an end, and where another scheduler of a sequence is in force, nothing was written.
        if self._slots.step == self.last_epoch:
            self._proof.take(self._slots)

    @property
    def ended(self) -> bool:
        """
        Whether the run has no value for the current step, since it was stopped or finished.

        At a gate this waits for the report (with ``at_end="flag"``), as whether the training ends
        there may depend on it: ask after the model was evaluated, before the next update.
        """
        if self._is_open and self._at_end == "flag":
            self._set_values(waits=True)
        return self._ended

    @property
    def _was_called(self) -> bool:
        """Whether PyTorch has seen an update, or one that was skipped; Accelerate may hide them."""
        return bool(getattr(self.optimizer, "_opt_called", False))

    @property
    def at_gate(self) -> bool:
        """Whether the values of the current step wait for a report: evaluate, before `ended`."""
        return self._is_open

    @property
    def ends_at(self) -> int | None:
        """The step at which the training ends, if that is known; until then it may change."""
        return self.run.ends_at

    def signals(self) -> tuple[Signal, ...]:
        """
        Return the words that all ranks are told at the current step, each once.

        They are to be acted on before the next update. Where a gate is, this waits for the report:
        ask after the model was evaluated.
        """
        return self.run.signals(self.last_epoch)

    def get_lr(self) -> list[Any]:
        """Return each group's learning rate at the current step."""
        return self._last_lr

    @property
    def fields(self) -> list[dict[str, str]]:
        """Which parameter goes into which field, for each group: as ``fields=`` takes it."""
        return self._slots.fields

    def state_dict(self) -> dict[str, Any]:
        """Return the run's name and id, the generation and the step: what a resume must match."""
        return saved(self.run, self.last_epoch)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """
        Resume at a checkpoint: join its generation, and set the values of its step.

        A collective call in the process group; optimizer and scheduler are loaded in any order.

        Args:
            state_dict: What `state_dict` returned.

        Raises:
            StaleCheckpoint: The run was rewound to before the checkpoint, was deleted and made
                again, or is another one.
            Invalid: The state was not saved by this class.
            Conflict: The ranks loaded different checkpoints, or one of them failed.
            Unreachable: The service did not answer until the client's deadline.

        """
        require_one(on_all_ranks(lambda: self._rejoin(state_dict), self._process_group))
        self.run.listen(state_dict["step"])
        self._update_lr(state_dict["step"])

    def _rejoin(self, state: Mapping[str, Any]) -> Position:
        step = rejoin(self.run, state, type(self).__name__)
        self._look_up(step)
        return position(self.run, step)


def _is_finite(gradient: Any) -> bool:
    """Return whether all of a gradient is finite, also of one that is sparse, or shared out."""
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool(values.isfinite().all())


def _before_update(scheduler: RheostatLR | None) -> None:
    if scheduler is not None:
        scheduler._before_update()  # noqa: SLF001


def _reapply(scheduler: RheostatLR | None) -> None:
    """
    Set the current values again after the optimizer has loaded a checkpoint.

    The checkpoint holds the values of its own generation. After a rewind to its very step those of
    the new one differ, and the next update must use them, in whichever order optimizer and
    scheduler are loaded.
    """
    if scheduler is not None:
        scheduler._update_lr(scheduler.last_epoch)  # noqa: SLF001
