"""How an optimizer and a run come together: what may be joined, from where, and with whom."""

from __future__ import annotations

import uuid
from itertools import chain
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

from rheostat.adapters import require_run
from rheostat.errors import refusal
from rheostat.torch.fields import group_names
from rheostat.torch.ranks import on_all_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from rheostat.client import Run

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
    require_run(run)
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
