"""Hugging Face diffusers: diffusers.optimization, by function or by the name of `get_scheduler`."""

from __future__ import annotations

from math import isfinite
from typing import Any

from rheostat.converters import transformers
from rheostat.converters.core import Case, Conversion, Library
from rheostat.converters.kit import levels
from rheostat.converters.parameters import Count, NotNegative, Resumed
from rheostat.converters.transformers import Lengths
from rheostat.limits import MAX_STEP
from rheostat.schedules.kinds.curves import Linear
from rheostat.schedules.union import AnyDefinition

library = Library("diffusers", common=Resumed)
library.scheduler("get_constant_schedule", "constant")(transformers.constant)
library.scheduler("get_constant_schedule_with_warmup", "constant_with_warmup")(transformers.warm)
library.scheduler("get_cosine_schedule_with_warmup", "cosine")(transformers.cosine)
library.scheduler("get_cosine_with_hard_restarts_schedule_with_warmup", "cosine_with_restarts")(
    transformers.restarts
)
library.scheduler("get_polynomial_decay_schedule_with_warmup", "polynomial")(
    transformers.polynomial
)


@library.scheduler("get_linear_schedule_with_warmup", "linear")
def linear(
    case: Case, lengths: Lengths, *, f_min: float = 0.0, f_max: float = 1.0
) -> AnyDefinition:
    """
    `warmup` to a `linear` decay.

    It falls from f_max to f_min, which are shares of the base value.
    """
    peak, end = f_max * case.base, f_min * case.base
    if lengths.decay <= 0:
        return lengths.warmed_until(peak, end)
    return lengths.warmed(Linear(start=peak, end=end, steps=lengths.decay))


@library.scheduler("get_piecewise_constant_schedule", "piecewise_constant")
def piecewise(case: Case, *, step_rules: str) -> AnyDefinition:
    """
    `piecewise`, holding each value.

    A rule ``0.1:20`` multiplies the base value by 0.1 until step 20, and the last one from there
    on. The steps count from the beginning, in whatever order the rules are.
    """
    *rules, last = step_rules.split(",")
    held = dict(_rule(case, rule) for rule in rules)
    boundaries = sorted(held)
    factors = [*(held[step] for step in boundaries), _factor(case, last)]
    return levels(boundaries, [factor * case.base for factor in factors])


def _rule(case: Case, rule: str) -> tuple[int, float]:
    """Return the step until which a factor holds, and the factor."""
    factor, colon, step = rule.partition(":")
    try:
        until = int(step)
    except ValueError:
        colon = ""
    if not colon or abs(until) > MAX_STEP:
        bound = f"factor:step, with a whole step ≤ {MAX_STEP}"
        raise case.wrong("step_rules", "has a rule that cannot be read", rule, bound)
    return until, _factor(case, factor)


def _factor(case: Case, text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = float("nan")
    if not isfinite(factor):
        raise case.wrong("step_rules", "has a factor that is no number", text, "a number")
    return factor


@library.scheduler("get_scheduler")
def by_name(
    case: Case,
    *,
    name: str,
    step_rules: str | None = None,
    num_warmup_steps: Count | None = None,
    num_training_steps: Count | None = None,
    num_cycles: NotNegative = 1,
    power: NotNegative = 1.0,
) -> Conversion:
    """What the schedule of this name becomes."""
    lengths: dict[str, Any] = {
        "num_warmup_steps": num_warmup_steps,
        "num_training_steps": num_training_steps,
    }
    taken = {
        "constant": {},
        "constant_with_warmup": {"num_warmup_steps": num_warmup_steps},
        "cosine_with_restarts": {**lengths, "num_cycles": num_cycles},
        "polynomial": {**lengths, "power": power},
        "piecewise_constant": {"step_rules": step_rules},
    }.get(name, lengths)
    params = {key: value for key, value in taken.items() if value is not None}
    return case.convert(case, name, params)
