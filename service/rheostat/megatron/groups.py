"""What a run sets in the parameter groups of Megatron's optimizer, and in which ratio."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from rheostat.errors import refusal
from rheostat.torch.fields import Binding, Slot
from rheostat.torch.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rheostat.client import Run

FIELDS = ("lr", "weight_decay")
"""What Megatron's scheduler sets, and so the run's parameters that are meant."""
ELSEWHERE = ("beta1", "beta2", "momentum", "eps")
"""What optimizers have besides, and Megatron's scheduler leaves alone."""


class Groups(Slots):
    """
    The rates and decays of an optimizer, each a part of the run's value.

    The parts are those of the training's own arguments: they are taken when the scheduler is made,
    and not from the checkpoint that is loaded later, whose groups have the arguments of that time.

    Raises:
        Invalid: The run has parameters that cannot be set here, or none that can.

    """

    def __init__(self, scheduler: Any, run: Run, uses_lr_mult: bool) -> None:  # noqa: FBT001
        require_parameters(run)
        groups = scheduler.optimizer.param_groups
        self._parts = {
            "lr": [rate_part(scheduler, group, uses_lr_mult=uses_lr_mult) for group in groups],
            "weight_decay": [decay_part(scheduler, group) for group in groups],
        }
        super().__init__(scheduler.optimizer, run, None, frozenset())

    def _bindings(self, groups: Sequence[Any]) -> tuple[Binding, ...]:
        named = [field for field in FIELDS if field in self._run.parameters]
        return tuple(
            Binding(index, field, Slot(field), field, self._parts[field][index])
            for field in named
            for index in range(len(groups))
        )

    def _scale(self, groups: Sequence[Any]) -> None:
        """Leave the parts as they are: an ``lr_scale`` is none of Megatron's."""


def require_parameters(run: Run) -> None:
    """Refuse a run with parameters that would be set nowhere, though an optimizer has them."""
    for name in run.parameters:
        field = name.partition("/")[0]
        if field in FIELDS and name != field:
            message = "names a group, and Megatron's have no names: they keep their ratios to lr"
            raise refusal(f"the parameter {name}", message, name, ", ".join(FIELDS))
        if field in ELSEWHERE:
            message = "is set by no scheduler of Megatron"
            raise refusal(f"the parameter {name}", message, name, ", ".join(FIELDS))
    if not set(FIELDS) & set(run.parameters):
        message = f"has neither lr nor weight_decay, but {', '.join(run.parameters)}"
        raise refusal("run", message, list(run.parameters), ", ".join(FIELDS))


def rate_part(scheduler: Any, group: Mapping[str, Any], *, uses_lr_mult: bool) -> float:
    """Return what part of the run's rate a group gets: what its own ``max_lr`` is of ``--lr``."""
    part = _part(group.get("max_lr"), scheduler.max_lr, "max_lr")
    return part * group.get("lr_mult", 1.0) if uses_lr_mult else part


def decay_part(scheduler: Any, group: Mapping[str, Any]) -> float:
    """Return what part of the run's weight decay a group gets."""
    part = _part(group.get("end_wd"), scheduler.end_wd, "end_wd")
    return float(part * group.get("wd_mult", 1.0))


def _part(own: float | None, whole: float, field: str) -> float:
    if own is None or own == whole:
        return 1.0
    if not whole:
        message = (
            f"is {own!r} in a group and 0 in the arguments, so that it is no part of the run's"
        )
        raise refusal(field, message, own)
    return own / whole


def uses_lr_mult(step: Any) -> bool:
    """Whether a version's own ``step`` multiplies by a group's ``lr_mult``, as up to 0.15."""
    return "lr_mult" in inspect.unwrap(step).__code__.co_consts
