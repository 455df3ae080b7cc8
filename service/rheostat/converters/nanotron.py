"""nanotron: nanotron.helpers.lr_scheduler_builder, with the fields of LRSchedulerArgs."""

from __future__ import annotations

from typing import Literal

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, warmed
from rheostat.converters.parameters import Count, Positive
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Ramp
from rheostat.schedules.union import AnyDefinition

library = Library("nanotron")


@library.scheduler("lr_scheduler_builder")
def builder(
    case: Case,
    *,
    learning_rate: Positive,
    lr_warmup_steps: Count = 0,
    lr_warmup_style: Literal["linear", "constant"] | None = "linear",
    lr_decay_style: Literal["linear", "cosine", "1-sqrt"] | None = None,
    lr_decay_steps: Count | None = None,
    lr_decay_starting_step: Count | None = None,
    min_decay_lr: float | None = None,
    total_training_steps: Count | None = None,
) -> AnyDefinition:
    """
    `warmup` to a constant and a decay, `linear`, `cosine` or one minus a square root.

    An implicit decay takes total − warm-up − start steps: the warm-up counts twice if the start is
    given too. With neither warm-up nor decay nanotron returns the learning rate as a factor, so
    that its square is in force; so does the definition. Without a warm-up, of style linear, the
    first step has 0.
    """
    steps = lr_decay_steps
    if steps is None:
        total = case.context.total if total_training_steps is None else total_training_steps
        if total is None:
            raise case.wrong("total_training_steps", "is required", None, "≥ 0")
        steps = total - lr_warmup_steps - (lr_decay_starting_step or 0)
    start = lr_warmup_steps if lr_decay_starting_step is None else lr_decay_starting_step
    factor = case.base / learning_rate
    floor = case.base if min_decay_lr is None else factor * min_decay_lr
    if lr_warmup_steps == 0 and steps == 0:
        return Constant(value=case.base * learning_rate)
    fall = _fall(lr_decay_style or "linear", case.base, floor, steps)
    held = Constant(value=case.base)
    stable = start - lr_warmup_steps
    meets = stable > 0 or (stable == 0 and steps > 0)
    if lr_warmup_style == "linear" and lr_warmup_steps > 0 and meets:
        return warmed(lr_warmup_steps, phases(Phase(held, stable), Phase(fall, origin=stable)))
    rise: AnyDefinition = held
    if lr_warmup_style == "linear":
        rise = Constant(value=0.0)
        if lr_warmup_steps > 0:
            rise = Linear(start=0.0, end=case.base, steps=lr_warmup_steps)
    first = Phase(rise, until=0 if lr_warmup_style is None else lr_warmup_steps + 1)
    return phases(first, Phase(held, until=start), Phase(fall, origin=start))


def _fall(style: str, start: float, end: float, steps: int) -> AnyDefinition:
    """Return the decay, which may take no step."""
    if steps <= 0:
        return Constant(value=end)
    if style == "1-sqrt":
        return Ramp(start=start, end=end, steps=steps, shape="1-sqrt")
    kind = Cosine if style == "cosine" else Linear
    return kind(start=start, end=end, steps=steps)
