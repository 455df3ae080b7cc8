"""LitGPT: litgpt.pretrain.get_lr, and get_lr_scheduler of its finetuning scripts."""

from __future__ import annotations

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, warmed
from rheostat.converters.parameters import Count, Length
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.union import AnyDefinition

library = Library("litgpt")


@library.scheduler("get_lr")
def pretrain(
    case: Case, *, learning_rate: float, warmup_iters: Count, max_iters: Count, min_lr: float
) -> AnyDefinition:
    """
    `warmup` to a `cosine`; max_iters counts the warm-up.

    A warm-up that is longer than the training goes on past its end, and then drops to min_lr.
    """
    steps = max_iters - warmup_iters
    if steps > 0:
        return warmed(warmup_iters, Cosine(start=learning_rate, end=min_lr, steps=steps))
    rise = Linear(start=0.0, end=learning_rate, steps=max(1, warmup_iters))
    return phases(Phase(rise, until=warmup_iters), Phase(Constant(value=min_lr)))


@library.scheduler("get_lr_scheduler")
def finetune(case: Case, *, warmup_steps: Length, max_steps: Length) -> AnyDefinition:
    """`warmup` to a periodic `cosine` to 0, which rises again past max_steps."""
    if warmup_steps >= max_steps:
        bound = f"> {warmup_steps}"
        raise case.wrong("max_steps", "must be above warmup_steps", max_steps, bound)
    wave = Cosine(start=case.base, end=0.0, steps=max_steps - warmup_steps, periodic=True)
    return warmed(warmup_steps, wave)
