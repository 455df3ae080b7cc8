"""GPT-NeoX: megatron.learning_rates, AnnealingLR."""

from __future__ import annotations

from math import exp, floor
from typing import Annotated, Literal

import numpy as np

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, over, phases, polynomial
from rheostat.converters.parameters import Ignored, Length, NotNegative, Shared
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.union import AnyDefinition

library = Library("gpt_neox")

Resuming = Annotated[bool, Ignored("says which values hold when a checkpoint is loaded")]
_HALVING = exp(-0.693)
"""What the exponential decay leaves at its end: nearly a half."""


class Annealing(Shared):
    """What AnnealingLR is given."""

    start_lr: NotNegative
    warmup_iter: NotNegative
    total_iters: Length
    decay_style: Literal["constant", "linear", "cosine", "exponential"]
    min_lr: NotNegative = 0.0
    use_checkpoint_lr_scheduler: Resuming = True
    override_lr_scheduler: Resuming = False

    def check(self, case: Case) -> None:
        """Refuse a least value that NeoX refuses."""
        if self.min_lr > self.start_lr:
            bound = f"≤ {self.start_lr}"
            raise case.wrong("min_lr", "must not be above start_lr", self.min_lr, bound)

    def floored(self, curve: AnyDefinition) -> AnyDefinition:
        """Return a curve that does not fall below min_lr."""
        return Clip(of=curve, min=self.min_lr) if self.min_lr > 0 else curve


@library.scheduler("AnnealingLR")
def annealing(case: Case, given: Annealing) -> AnyDefinition:
    """
    `sequence` of a first step and of a warm-up to a decay, which total_iters counts both.

    Step 0 has the value of step 1; before May 2026 it had 0. A linear decay goes to 0 and an
    exponential one to a half: there min_lr only clips. A cosine goes to min_lr, and rises again
    past total_iters. The warm-up need not take a whole number of steps; one of less than a step
    begins above start_lr.
    """
    given.check(case)
    start, warmup = given.start_lr, given.warmup_iter
    steps = given.total_iters - warmup
    if steps <= 0 and given.decay_style != "constant":
        bound = f"< {given.total_iters}"
        raise case.wrong("warmup_iter", "leaves nothing of total_iters", warmup, bound)
    fall = _decay(given, steps)
    if warmup == 0:
        return fall
    return phases(
        Phase(Constant(value=start / warmup), until=1),
        Phase(polynomial(0.0, start, warmup), until=floor(warmup) + 1),
        Phase(fall, origin=warmup),
    )


@library.scheduler("AnnealingLR-v2.0")
def annealing_of_2(case: Case, given: Annealing) -> AnyDefinition:
    """
    `sequence` of a warm-up, a decay and a constant, as in releases 1.0 and 2.0.

    The decay is as long as total_iters, but is stopped when two warm-ups are left of it. min_lr
    only clips, whatever the decay.
    """
    given.check(case)
    start, warmup, total = given.start_lr, given.warmup_iter, given.total_iters
    last = total - 2 * warmup
    if last < 0:
        bound = f"≤ {total / 2}"
        raise case.wrong("warmup_iter", "takes more than half of total_iters", warmup, bound)
    curve: AnyDefinition = Constant(value=start)
    if given.decay_style == "linear":
        curve = given.floored(Linear(start=start, end=0.0, steps=total))
    elif given.decay_style == "cosine":
        curve = given.floored(Cosine(start=start, end=0.0, steps=total))
    elif given.decay_style == "exponential":
        lowest = given.min_lr or None
        curve = Exponential(start=start, factor=_HALVING, every=total, floor=lowest)
    level = float(curve.at(np.array([last]))[0])
    return phases(
        Phase(polynomial(0.0, start, warmup or 1.0), until=floor(warmup) + 1 if warmup else 0),
        Phase(curve, until=total - warmup, origin=warmup),
        Phase(Constant(value=level)),
    )


def _decay(given: Annealing, steps: float) -> AnyDefinition:
    start, end = given.start_lr, given.min_lr
    if given.decay_style == "linear":
        return given.floored(polynomial(start, 0.0, steps))
    if given.decay_style == "cosine":
        return over(steps, lambda n: Cosine(start=start, end=end, steps=n, periodic=True))
    if given.decay_style == "exponential":
        return Exponential(start=start, factor=_HALVING, every=steps, floor=end or None)
    return Constant(value=start)
