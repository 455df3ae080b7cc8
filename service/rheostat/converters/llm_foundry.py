"""MosaicML LLM Foundry: llmfoundry.optim.scheduler, and Composer's schedulers by its names."""

from __future__ import annotations

from rheostat.converters import composer
from rheostat.converters.composer import TrainerClock, Until
from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, polynomial, raised
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.union import AnyDefinition

library = Library("llm_foundry")
library.scheduler("constant_with_warmup")(composer.warmed_constant)
library.scheduler("cosine_with_warmup")(composer.warmed_cosine)
library.scheduler("linear_decay_with_warmup")(composer.warmed_linear)


@library.scheduler("InverseSquareRootWithWarmupScheduler", "inv_sqrt_with_warmup")
def inverse_sqrt(
    case: Case,
    until: Until,
    *,
    t_warmup: str,
    t_scale: str,
    t_cooldown: str,
    alpha_f_decay: float = 0.0,
    alpha_f_cooldown: float = 0.0,
) -> AnyDefinition:
    """
    `sequence` of a line, an `inverse_sqrt` and a line down to alpha_f_cooldown.

    The decay tends to alpha_f_decay; the cooldown ends at t_max, and begins no earlier than the
    warm-up ends. Times are in the unit of max_duration, and none is a share of it.
    """
    if alpha_f_decay < alpha_f_cooldown:
        bound = f"≥ {alpha_f_cooldown}"
        raise case.wrong(
            "alpha_f_decay", "must not be below alpha_f_cooldown", alpha_f_decay, bound
        )
    clock = TrainerClock.of(case)
    warmup = _time(case, clock, "t_warmup", t_warmup, scaled=False)
    scale = _time(case, clock, "t_scale", t_scale)
    cooldown = _time(case, clock, "t_cooldown", t_cooldown)
    if scale == 0:
        raise case.wrong("t_scale", "is a division by zero", t_scale, "> 0")
    begin = max(float(clock.batches("t_max", until.t_max)) - cooldown, warmup)
    rise = polynomial(0.0, case.base, warmup or 1.0)
    floor, height = case.base * alpha_f_decay, case.base * (1 - alpha_f_decay)
    decay = raised(floor, InverseSqrt(start=height, timescale=scale))
    level = floor + height * (scale / (scale + begin - warmup)) ** 0.5
    end: AnyDefinition = Constant(value=level)
    if cooldown > 0:
        end = polynomial(level, case.base * alpha_f_cooldown, cooldown)
    return phases(
        Phase(rise, until=warmup),
        Phase(decay, until=begin, origin=warmup),
        Phase(end, origin=begin),
    )


def _time(
    case: Case, clock: TrainerClock, parameter: str, text: str, *, scaled: bool = True
) -> float:
    """Return a time in batches; it must be in the unit of max_duration, and no share of it."""
    whole = clock.state.whole().unit
    if clock.unit(parameter, text) != whole:
        bound = f"in the unit of max_duration, {whole}"
        raise case.wrong(parameter, "is in another unit than max_duration", text, bound)
    return float(clock.batches(parameter, text, scaled=scaled))
