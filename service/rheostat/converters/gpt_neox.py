"""GPT-NeoX: megatron.learning_rates, AnnealingLR."""

from __future__ import annotations

from math import exp, floor
from typing import Annotated, Literal

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, over, phases, polynomial
from rheostat.converters.parameters import Ignored, Length, NotNegative
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.union import AnyDefinition

library = Library("gpt_neox")

Resuming = Annotated[bool, Ignored("says which values hold when a checkpoint is loaded")]
_HALVING = exp(-0.693)
"""What the exponential decay leaves at its end: nearly a half."""


@library.scheduler("AnnealingLR")
def annealing(
    case: Case,
    *,
    start_lr: NotNegative,
    warmup_iter: NotNegative,
    total_iters: Length,
    decay_style: Literal["constant", "linear", "cosine", "exponential"],
    min_lr: NotNegative = 0.0,
    use_checkpoint_lr_scheduler: Resuming = True,
    override_lr_scheduler: Resuming = False,
) -> AnyDefinition:
    """
    `sequence` of a first step and of a `warmup` to a decay, which total_iters counts both.

    Step 0 has the value of step 1. A linear decay goes to 0 and an exponential one to a half: there
    min_lr only clips. A cosine goes to min_lr, and rises again past total_iters. The warm-up need
    not take a whole number of steps; one of less than a step begins above start_lr.
    """
    if min_lr > start_lr:
        raise case.wrong("min_lr", "must not be above start_lr", min_lr, f"≤ {start_lr}")
    steps = total_iters - warmup_iter
    if steps <= 0 and decay_style != "constant":
        bound = f"< {total_iters}"
        raise case.wrong("warmup_iter", "leaves nothing of total_iters", warmup_iter, bound)
    fall = _decay(decay_style, (start_lr, min_lr), steps)
    if warmup_iter == 0:
        return fall
    return phases(
        Phase(Constant(value=start_lr / warmup_iter), until=1),
        Phase(polynomial(0.0, start_lr, warmup_iter), until=floor(warmup_iter) + 1),
        Phase(fall, origin=warmup_iter),
    )


def _decay(style: str, ends: tuple[float, float], steps: float) -> AnyDefinition:
    start, end = ends
    if style == "linear":
        line = polynomial(start, 0.0, steps)
        return Clip(of=line, min=end) if end > 0 else line
    if style == "cosine":
        return over(steps, lambda n: Cosine(start=start, end=end, steps=n, periodic=True))
    if style == "exponential":
        lowest = end if end > 0 else None
        return Exponential(start=start, factor=_HALVING, every=steps, floor=lowest)
    return Constant(value=start)
