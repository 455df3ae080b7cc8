"""A learning rate scheduler whose values come from a run of the service."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any
from weakref import ref

from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from rheostat.errors import FieldError, Invalid, StaleCheckpoint
from rheostat.torch.fields import Binding, Fields, Group, bind
from rheostat.torch.ranks import Position, agree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch.optim import Optimizer

    from rheostat.client import Run

STATE = ("run", "id", "generation", "step")
COUNTED_ELSEWHERE = ("samples", "tokens")
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

    Args:
        optimizer: Its groups are written to, and must fit the run's parameters (`Invalid`).
        run: A run that was joined: ``Client(url).run(name)``.
        fields: Which parameter goes into which field, where their names do not say so: one
            mapping for all groups, or one for each, such as ``[{"lr": "lr"}, {"lr": "lr/head"}]``.
        last_epoch: The last step that was done elsewhere, -1 for none. The first value is that of
            ``last_epoch + 1``.
        process_group: The ranks that train together; the default group if it is initialised.
            Construction and `load_state_dict` are collective calls in it: all ranks go on in one
            generation at one step, or all raise the same error.

    """

    def __init__(
        self,
        optimizer: Optimizer,
        run: Run,
        *,
        fields: Fields | None = None,
        last_epoch: int = -1,
        process_group: Any = None,
    ) -> None:
        self.run = run
        self._asked = fields
        self._first = last_epoch + 1
        self._process_group = process_group
        self._counted_elsewhere = run.axis in COUNTED_ELSEWHERE
        super().__init__(optimizer)
        optimizer.register_load_state_dict_post_hook(_reapply(ref(self)))

    def _initial_step(self) -> None:
        self.last_epoch = self._first - 1
        self._bind()
        agree(lambda: self._position(self._first), self._process_group)
        super()._initial_step()

    def step(self, update: int | None = None) -> None:
        """
        Go on to the next step, or to the step ``update`` of the framework's own counter.

        A run that counts samples or tokens needs ``update``.
        """
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(EARLY, UserWarning, stacklevel=2)
        if update is None and self._counted_elsewhere and not self._is_initial:
            message = f"the run counts {self.run.axis}: call step(update=<{self.run.axis} so far>)"
            raise Invalid("the step is not known", errors=[FieldError("update", message)])
        self._update_lr(update)
        self._step_count += 1

    def _update_lr(self, epoch: int | None = None) -> None:
        step = self.last_epoch + 1 if epoch is None else epoch
        groups = self.optimizer.param_groups
        if len(groups) != self._bound:
            self._bind()
        value = self.run.value
        for group, _, (key, place), parameter in self._bindings:
            _write(groups[group], key, place, value(parameter, step))
        self.last_epoch = step
        self._last_lr: list[Any] = [_copy(group["lr"]) for group in groups]

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

        Raises `StaleCheckpoint` if the run was rewound to before the checkpoint, was deleted and
        made again, or is another one; `Invalid` if the state was not saved by this class.
        """
        agree(lambda: self._rejoin(state_dict), self._process_group)
        self._update_lr(state_dict["step"])

    def _rejoin(self, state: Mapping[str, Any]) -> Position:
        missing = [key for key in STATE if key not in state]
        if missing:
            message = f"the state has no {', '.join(missing)}: it was not saved by RheostatLR"
            raise Invalid(message, errors=[FieldError("state_dict", message, sorted(state))])
        try:
            self.run.rejoin({key: state[key] for key in ("id", "generation", "step")})
        except StaleCheckpoint as error:
            if state["run"] == self.run.name:
                raise
            message = f"the state was saved with the run {state['run']!r}: {error.detail}"
            raise StaleCheckpoint(message, **error.members) from error
        return self._position(state["step"])

    def _position(self, step: int) -> Position:
        return Position(self.run.name, self.run.id, self.run.generation, step)

    def _bind(self) -> None:
        groups = self.optimizer.param_groups
        self._bindings: tuple[Binding, ...] = bind(groups, self.run.parameters, self._asked)
        self._bound = len(groups)


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
