"""Megatron-LM: megatron.core.optimizer_param_scheduler, which counts samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf
from typing import Annotated, Literal

from pydantic import BaseModel, ValidationError

from rheostat.converters.core import Case, Library, refused
from rheostat.converters.kit import Phase, over, phases, warmed
from rheostat.converters.parameters import STRICT, Ignored, NotNegative, Positive
from rheostat.schedules.field_errors import field_errors
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Ramp
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.numeric import ShapeName
from rheostat.schedules.union import AnyDefinition

library = Library("megatron")

AtResume = Annotated[
    bool, Ignored("says whose values win when a training resumes; a definition is of one alone")
]
Style = Literal["constant", "linear", "cosine", "inverse-square-root", "WSD"]
DecayStyle = Literal["linear", "cosine", "exponential", "minus_sqrt"]
_SHAPES: dict[str, ShapeName] = {
    "linear": "linear",
    "cosine": "cosine",
    "exponential": "exponential",
    "minus_sqrt": "1-sqrt",
}


class Overrides(BaseModel):
    """What a parameter group sets for itself."""

    model_config = STRICT

    max_lr: float | None = None
    min_lr: float | None = None
    start_wd: float | None = None
    end_wd: float | None = None
    wd_mult: float = 1.0


@dataclass(frozen=True)
class Rate:
    """A learning rate: its values, and the samples at which the warm-up and the decay end."""

    first: float
    peak: float
    floor: float
    warmup: float
    end: float

    def after_warmup(self, *decay: Phase) -> AnyDefinition:
        """Return the warm-up, a decay on the scheduler's own axis, and the floor."""
        floored = Phase(Constant(value=self.floor))
        if self.warmup == 0:
            return phases(*decay, floored)
        rise = Piecewise(points=((0.0, self.first), (self.warmup, self.peak)))
        return phases(Phase(rise, until=floor(self.warmup) + 1), *decay, floored)

    def warmed(self, curve: AnyDefinition) -> AnyDefinition:
        """Return the warm-up and a curve that begins at the peak, where it ends."""
        if float(self.warmup).is_integer():
            return warmed(int(self.warmup), curve, self.first)
        return self.after_warmup(Phase(curve, origin=self.warmup))


@library.scheduler("OptimizerParamScheduler", hyperparameters=("lr", "weight_decay"))
def scheduler(
    case: Case,
    *,
    init_lr: float,
    max_lr: float,
    min_lr: NotNegative,
    lr_warmup_steps: NotNegative,
    lr_decay_steps: Positive,
    lr_decay_style: Style,
    start_wd: NotNegative,
    end_wd: float,
    wd_incr_steps: NotNegative,
    wd_incr_style: Literal["constant", "linear", "cosine"],
    use_checkpoint_opt_param_scheduler: AtResume = True,
    override_opt_param_scheduler: AtResume = False,
    wsd_decay_steps: NotNegative | None = None,
    lr_wsd_decay_style: DecayStyle | None = None,
) -> AnyDefinition:
    """
    `warmup` to `linear`, `cosine` or `inverse_sqrt`, or `wsd`; `linear` or `cosine` weight decay.

    A step is a sample, for Megatron moves on by the batch size; a warm-up given as a fraction need
    not be whole. The weight decay rises alone, from step 0, whatever the learning rate does.
    inverse-square-root drops to min_lr after lr_decay_steps. Without an lr_wsd_decay_style WSD
    fails where its decay would begin; the definition holds max_lr. A group may override max_lr,
    min_lr, start_wd, end_wd and wd_mult.
    """
    _check_order(case, ("min_lr", min_lr), ("max_lr", max_lr))
    _check_order(case, ("init_lr", init_lr), ("max_lr", max_lr))
    _check_order(case, ("start_wd", start_wd), ("end_wd", end_wd))
    if lr_warmup_steps >= lr_decay_steps:
        bound = f"< {lr_decay_steps}"
        raise case.wrong("lr_warmup_steps", "must end before the decay", lr_warmup_steps, bound)
    if override_opt_param_scheduler and use_checkpoint_opt_param_scheduler:
        name = "override_opt_param_scheduler"
        message = "cannot be set beside use_checkpoint_opt_param_scheduler"
        raise case.wrong(name, message, override_opt_param_scheduler, "false")
    group = _overrides(case)
    ends = (_or(group.start_wd, start_wd), _or(group.end_wd, end_wd))
    decay = _weight_decay(case, ends, wd_incr_steps, wd_incr_style, group.wd_mult)
    if case.hyperparameter == "weight_decay":
        return decay
    rate = Rate(
        first=init_lr,
        peak=_or(group.max_lr, max_lr),
        floor=_or(group.min_lr, min_lr),
        warmup=lr_warmup_steps,
        end=lr_decay_steps,
    )
    if lr_decay_style == "WSD":
        return _stages(case, rate, wsd_decay_steps, lr_wsd_decay_style)
    return _annealed(rate, lr_decay_style)


def _annealed(rate: Rate, style: Style) -> AnyDefinition:
    """Return the learning rate of the styles that anneal from the warm-up on."""
    if style == "constant":
        return rate.warmed(Constant(value=rate.peak))
    if style == "inverse-square-root":
        origin = max(rate.warmup, 1.0)
        curve: AnyDefinition = InverseSqrt(start=rate.peak, timescale=origin)
        if rate.floor > 0:
            curve = Clip(of=curve, min=rate.floor)
        fall = Phase(curve, until=floor(rate.end) + 1, origin=origin)
        if rate.warmup >= 1:
            return rate.after_warmup(fall)
        first = rate.peak if rate.warmup == 0 else rate.first  # a part of a sample has one step
        return phases(Phase(Constant(value=first), 1), fall, Phase(Constant(value=rate.floor)))
    kind = Linear if style == "linear" else Cosine
    length = rate.end - rate.warmup
    return rate.warmed(over(length, lambda n: kind(start=rate.peak, end=rate.floor, steps=n)))


def _stages(case: Case, rate: Rate, steps: float | None, style: DecayStyle | None) -> AnyDefinition:
    """Return warm-up, stable and decay; the decay lies at the end, whatever the warm-up does."""
    if steps is None:
        raise case.wrong("wsd_decay_steps", "is required for WSD", None, "a number of samples")
    if style is None:
        until = inf if steps else floor(rate.end) + 1
        return rate.after_warmup(Phase(Constant(value=rate.peak), until=until))
    shape, ratio, start = _SHAPES[style], 0.5, rate.end - steps
    stable = start - rate.warmup
    whole = all(float(x).is_integer() for x in (rate.warmup, stable, steps))
    if whole and stable >= 0 and steps > 0:
        return Wsd(
            peak=rate.peak,
            warmup=int(rate.warmup),
            warmup_start=rate.first,
            stable=int(stable),
            decay=int(steps),
            decay_shape=shape,
            ratio=ratio,
            end=rate.floor,
        )
    after = over(
        steps or 1.0,
        lambda n: Ramp(start=rate.peak, end=rate.floor, steps=n, shape=shape, ratio=ratio),
    )
    held = Phase(Constant(value=rate.peak), until=floor(start) + 1)
    return rate.after_warmup(held, Phase(after, until=floor(rate.end) + 1, origin=start))


def _weight_decay(
    case: Case, ends: tuple[float, float], steps: float, style: str, factor: float
) -> AnyDefinition:
    start, end = ends
    if style == "constant":
        if start != end:
            raise case.wrong("end_wd", "must equal start_wd to be constant", end, f"= {start}")
        return Constant(value=end * factor)
    if steps == 0:
        raise case.wrong("wd_incr_steps", "is a division by zero", steps, "> 0")
    kind = Linear if style == "linear" else Cosine
    return over(steps, lambda n: kind(start=start * factor, end=end * factor, steps=n))


def _overrides(case: Case) -> Overrides:
    given = case.context.group_overrides or {}
    try:
        return Overrides.model_validate(given)
    except ValidationError as error:
        raise refused(*field_errors(error, given, "group_overrides")) from None


def _or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given


def _check_order(case: Case, low: tuple[str, float], high: tuple[str, float]) -> None:
    if high[1] < low[1]:
        raise case.wrong(high[0], f"must not be below {low[0]}", high[1], f"≥ {low[1]}")
