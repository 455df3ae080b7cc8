"""A learning rate scheduler whose values come from a run of the service."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import ref

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rheostat.client.calls import coordinate
from rheostat.errors import FieldError, Finished, Invalid, StaleCheckpoint
from rheostat.torch.fields import Binding, Fields, Group, bind, group_names
from rheostat.torch.ranks import Position, on_all_ranks, require_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from rheostat.client import Run, Signal

AtEnd = Literal["raise", "flag"]
AT_END = get_args(AtEnd)
STATE = ("run", "id", "generation", "step")
COUNTED_ELSEWHERE = ("samples", "tokens")
EARLY = (
    "lr_scheduler.step() was called before optimizer.step(): the first value of the schedule was "
    "never used. Call optimizer.step() first."
)


LOADED_HOOKS = "_optimizer_load_state_dict_post_hooks"
"""What only an `Optimizer` has that was initialised as one."""


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
        run: A run that was joined: ``Client(url).run(name)``.
        fields: Which parameter goes into which field, where their names do not say so: one
            mapping for all groups, or one for each, such as ``[{"lr": "lr"}, {"lr": "lr/head"}]``.
        last_epoch: The last step that was done elsewhere, -1 for none. The first value is that of
            ``last_epoch + 1``, which the run is told as the beginning of the training.
        process_group: The ranks that train together; the default group if it is initialised.
            Construction and `load_state_dict` are collective calls in it: all ranks go on in one
            generation at one step, or all raise the same error. A parameter group that any of
            them has, ``lr/head`` for example, need not be there on the others.
        at_end: What happens at the end of a run that was stopped or finished: ``"raise"`` raises
            `Stopped` or `Finished`, and ``"flag"`` sets `ended` and leaves the fields as they are,
            for loops that have an end of their own to go through, with a last checkpoint.

    Raises:
        Invalid: An argument cannot be meant, or the groups do not fit the run's parameters.
        StepJump: The run was trained already, and not to ``last_epoch``.
        Conflict: The ranks do not agree on run, generation and step, or one of them failed.
        Unreachable: The service did not answer until the client's deadline.

    """

    def __init__(
        self,
        optimizer: Optimizer,
        run: Run,
        *,
        fields: Fields | None = None,
        last_epoch: int = -1,
        process_group: Any = None,
        at_end: AtEnd = "raise",
    ) -> None:
        self.run = run
        self._ended = self._is_open = self._catches_up = False
        self._asked = fields
        self._at_end = at_end
        self._process_group = process_group
        names = on_all_ranks(lambda: self._check(optimizer, last_epoch), process_group)
        self._elsewhere = frozenset(chain.from_iterable(names))
        self._counted_elsewhere = run.axis in COUNTED_ELSEWHERE
        require_one(on_all_ranks(self._begin, process_group))
        super().__init__(self.optimizer)
        run.listen(self._first)
        self.optimizer.register_load_state_dict_post_hook(_reapply(ref(self)))

    def _check(self, optimizer: Any, last_epoch: Any) -> list[str]:
        """Return the names of the optimizer's groups; refuse what is no argument for any run."""
        optimizer = unwrapped(optimizer)
        if not isinstance(optimizer, Optimizer):
            raise refusal("optimizer", f"is a {type(optimizer).__name__}, and no Optimizer")
        if not hasattr(self.run, "rejoin"):
            raise refusal("run", "must be a run that was joined: Client(url).run(name)", self.run)
        if self._at_end not in AT_END:
            raise refusal("at_end", f"must be one of {', '.join(AT_END)}", self._at_end)
        if whole(last_epoch, "last_epoch") < -1:
            raise refusal("last_epoch", "must be at least -1", last_epoch, "≥ -1")
        self._first = operator.index(last_epoch) + 1
        self.optimizer = optimizer
        return group_names(optimizer.param_groups)

    def _begin(self) -> Position:
        """Tell the run where the training begins, and see that it has what the optimizer needs."""
        if self._first > 0:
            self.run.begin(self._first)
        self._bind()
        self._look_up(self._first)
        return self._position(self._first)

    def _initial_step(self) -> None:
        self.last_epoch = self._first - 1
        super()._initial_step()

    def step(self, *, update: int | None = None) -> None:
        """
        Go on to the next step, or to the step ``update`` of the framework's own counter.

        The update that was done counts whatever comes of the look-up: if this raises, the fields
        are as they were, and a checkpoint that is saved then has the step that follows. To look
        again without counting another update, call it with ``update=scheduler.last_epoch``.

        Args:
            update: The number of updates done, an integer; a run that counts samples or tokens
                needs it.

        Raises:
            Invalid: ``update`` is missing though the run counts samples or tokens, or is no whole
                number from 0 on. Nothing was counted then.
            Stopped, Finished: The run has no value at this step (with ``at_end="raise"``). Where
                the training ends at a gate, the next ``optimizer.step()`` raises it, on all ranks.
            StaleGeneration: The run was rewound.
            Unreachable: The service did not answer until the client's deadline.

        """
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(EARLY, UserWarning, stacklevel=2)
        if update is not None:
            update = coordinate(whole(update, "update"), "update")
        elif self._counted_elsewhere and not self._is_initial:
            axis = self.run.axis
            message = f"is needed, since the run counts {axis}: step(update=<{axis} so far>)"
            raise refusal("update", message)
        self._step_count += 1
        self._update_lr(update)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set_values()

    def _set_values(self, *, waits: bool = False) -> None:
        """Write the values of the current step; at a gate only if it ``waits`` for the report."""
        groups = self.optimizer.param_groups
        if len(groups) != self._bound:
            self._bind()
        # All are looked up before any is written: what raises leaves nothing half written.
        values = self._look_up(self.last_epoch, waits=waits)
        for (group, _, (key, place), _), value in zip(self._bindings, values, strict=False):
            _write(groups[group], key, place, value)
        self._last_lr: list[Any] = [_copy(group["lr"]) for group in groups]

    def _look_up(self, step: int, *, waits: bool = False) -> list[float]:
        """Return the value of each binding; none past an end that is only flagged, or at a gate."""
        self._ended = self._is_open = False
        value = self.run.value
        try:
            if not waits and self.run.left_open(step) is not None:
                self._leave_open()
                return []
            return [value(binding.parameter, step) for binding in self._bindings]
        except Finished:
            if self._at_end == "raise":
                raise
            self._ended = True
            return []

    def _leave_open(self) -> None:
        """Leave the values to the next ``optimizer.step()``."""
        self._is_open = True
        if not self._catches_up:
            self._catches_up = True
            self.optimizer.register_step_pre_hook(_catch_up(ref(self)))

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
        chosen: list[dict[str, str]] = [{} for _ in self.optimizer.param_groups]
        for binding in self._bindings:
            chosen[binding.group][binding.field] = binding.parameter
        return chosen

    def state_dict(self) -> dict[str, Any]:
        """Return the run's name and id, the generation and the step: what a resume must match."""
        return {"run": self.run.name, **self.run.checkpoint(self.last_epoch)}

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
        if not isinstance(state, Mapping):
            raise refusal("state_dict", f"must be a dictionary, and is {state!r:.100}", state)
        missing = [key for key in STATE if key not in state]
        if missing:
            message = f"has no {', '.join(missing)}: it was not saved by RheostatLR"
            raise refusal("state_dict", message, sorted(state))
        try:
            self.run.rejoin({key: state[key] for key in ("id", "generation", "step")})
        except StaleCheckpoint as error:
            if state["run"] == self.run.name:
                raise
            message = f"the state was saved with the run {state['run']!r}: {error.detail}"
            raise StaleCheckpoint(message, **error.members) from error
        self._look_up(state["step"])
        return self._position(state["step"])

    def _position(self, step: int) -> Position:
        return Position(self.run.name, self.run.id, self.run.generation, step)

    def _bind(self) -> None:
        groups = self.optimizer.param_groups
        known = self.run.parameters
        self._bindings: tuple[Binding, ...] = bind(groups, known, self._asked, self._elsewhere)
        self._bound = len(groups)


def unwrapped(optimizer: Any) -> Any:
    """
    Return the optimizer inside of what wraps it.

    Accelerate's and DeepSpeed's wrappers keep theirs as ``optimizer``. They step it, and share its
    groups, but have not all that an `Optimizer` of PyTorch has.
    """
    while not hasattr(optimizer, LOADED_HOOKS) and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def whole(value: Any, field: str) -> int:
    """Return an integer of any type; raise `Invalid` for other numbers, whole ones included."""
    try:
        return operator.index(value)
    except TypeError:
        raise refusal(field, f"must be an integer, and is {value!r}", value) from None


def refusal(field: str, message: str, value: Any = None, bound: str | None = None) -> Invalid:
    """Return the error that names an argument."""
    return Invalid(f"{field} {message}", errors=[FieldError(field, message, value, bound)])


def _reapply(scheduler: ref[RheostatLR]) -> Callable[[Optimizer], None]:
    """
    Return a hook that sets the current values again after the optimizer has loaded a checkpoint.

    The checkpoint holds the values of its own generation. After a rewind to its very step those
    of the new one differ, and the next update must use them, in whichever order optimizer and
    scheduler are loaded.
    """

    def hook(_: Optimizer) -> None:
        alive = scheduler()
        if alive is not None:
            alive._update_lr(alive.last_epoch)  # noqa: SLF001

    return hook


def _catch_up(scheduler: ref[RheostatLR]) -> Callable[..., None]:
    """Return a hook that waits, before an update, for values that were left open at a gate."""

    def hook(*_: Any) -> None:
        alive = scheduler()
        if alive is not None and alive._is_open:  # noqa: SLF001
            alive._set_values(waits=True)  # noqa: SLF001

    return hook


def _write(group: Group, key: str, place: int | None, value: float) -> None:
    held = group[key]
    if place is not None:
        if isinstance(held[place], Tensor):
            held[place].fill_(value)
        else:
            group[key] = (*held[:place], value, *held[place + 1 :])
    elif isinstance(held, Tensor):
        held.fill_(value)
    else:
        group[key] = value


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
