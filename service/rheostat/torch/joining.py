"""How an optimizer and a run come together: what may be joined, from where, and with whom."""

from __future__ import annotations

import operator
import uuid
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

from rheostat.errors import FieldError, Invalid, StaleCheckpoint
from rheostat.torch.fields import group_names
from rheostat.torch.ranks import Position, on_all_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from rheostat.client import Run

STATE = ("run", "id", "generation", "step")
"""What a checkpoint must hold."""
LOADED_HOOKS = "_optimizer_load_state_dict_post_hooks"
"""What only an `Optimizer` has that was initialised as one."""


def meet(run: Run, check: Callable[[], Optimizer], process_group: Any) -> frozenset[str]:
    """
    Return the names of the groups that any rank has, and have all ranks beat as one job.

    A collective call: what ``check`` raises on one rank, all raise.
    """

    def offer() -> tuple[list[str], str]:
        names = group_names(check().param_groups)
        return names, run.job or uuid.uuid4().hex

    told = on_all_ranks(offer, process_group)
    run.job = told[0][1]
    return frozenset(chain.from_iterable(names for names, _ in told))


def checked(optimizer: Any, run: Any) -> Optimizer:
    """Return the optimizer inside of what wraps it; refuse what is none, or no run."""
    optimizer = unwrapped(optimizer)
    if not isinstance(optimizer, Optimizer):
        raise refusal("optimizer", f"is a {type(optimizer).__name__}, and no Optimizer")
    if not hasattr(run, "rejoin"):
        raise refusal("run", "must be a run that was joined: Client(url).run(name)", run)
    return optimizer


def unwrapped(optimizer: Any) -> Any:
    """
    Return the optimizer inside of what wraps it.

    Accelerate's and DeepSpeed's wrappers keep theirs as ``optimizer``. They step it, and share its
    groups, but have not all that an `Optimizer` of PyTorch has.
    """
    while not hasattr(optimizer, LOADED_HOOKS) and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def position(run: Run, step: int) -> Position:
    """Return what must be equal on all ranks."""
    return Position(run.name, run.id, run.generation, step)


def saved(run: Run, step: int) -> dict[str, Any]:
    """Return the run's name and id, the generation and the step: what a resume must match."""
    return {"run": run.name, **run.checkpoint(step)}


def rejoin(run: Run, state: Any, saved_by: str) -> int:
    """
    Join the generation of a checkpoint, and return its step.

    Raises:
        StaleCheckpoint: The run was rewound to before it, or is another one.
        Invalid: It is none.

    """
    if not isinstance(state, Mapping):
        raise refusal("state_dict", f"must be a dictionary, and is {state!r:.100}", state)
    missing = [key for key in STATE if key not in state]
    if missing:
        message = f"has no {', '.join(missing)}: it was not saved by {saved_by}"
        raise refusal("state_dict", message, sorted(state))
    try:
        run.rejoin({key: state[key] for key in ("id", "generation", "step")})
    except StaleCheckpoint as error:
        if state["run"] == run.name:
            raise
        message = f"the state was saved with the run {state['run']!r}: {error.detail}"
        raise StaleCheckpoint(message, **error.members) from error
    return int(state["step"])


def whole(value: Any, field: str) -> int:
    """Return an integer of any type; raise `Invalid` for other numbers, whole ones included."""
    try:
        return operator.index(value)
    except TypeError:
        raise refusal(field, f"must be an integer, and is {value!r}", value) from None


def refusal(field: str, message: str, value: Any = None, bound: str | None = None) -> Invalid:
    """Return the error that names an argument."""
    return Invalid(f"{field} {message}", errors=[FieldError(field, message, value, bound)])
