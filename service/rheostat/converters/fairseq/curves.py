"""fairseq's schedulers of one curve after a warm-up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.building import over
from rheostat.converters.case import Case, Steps
from rheostat.converters.fairseq.registry import Count, Rates, library, only
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.schedules.kinds.curves import Constant, Linear, Polynomial
from rheostat.schedules.kinds.decays import Exponential, InverseSqrt
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.union import AnyDefinition

NotNegative = Annotated[float, Field(ge=0)]
Ratios = Annotated[list[float], Field(min_length=3, max_length=3)]


@library.scheduler("InverseSquareRootSchedule", "inverse_sqrt")
def inverse_sqrt(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_updates: Count = 4000,
    warmup_init_lr: float = -1.0,
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt` of the same timescale.

    It starts from 0 unless warmup_init_lr is given. Without a warm-up fairseq divides by zero.
    """
    if warmup_updates == 0:
        raise case.wrong("warmup_updates", "is a division by zero", warmup_updates, "≥ 1")
    curve = InverseSqrt(start=only(case, lr), timescale=warmup_updates)
    return warmed(warmup_updates, curve, max(warmup_init_lr, 0.0))


@library.scheduler("PolynomialDecayLRSchedule", "polynomial_decay")
def polynomial(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_updates: Count = 0,
    force_anneal: Steps | None = None,
    end_learning_rate: float = 0.0,
    power: NotNegative = 1.0,
    total_num_update: Annotated[float, Field(gt=0)] | None = None,
    max_update: Annotated[float, Field(gt=0)] | None = None,
) -> AnyDefinition:
    """
    `warmup` to a `polynomial` decay.

    total_num_update counts the warm-up, and is max_update unless it is given. From epoch
    force_anneal on fairseq takes each epoch's last rate for its peak: refused.
    """
    if force_anneal is not None:
        message = "lets each epoch decay anew from the last one's rate: there is no formula"
        raise case.wrong("force_anneal", message, force_anneal, "null")
    total = total_num_update or max_update
    if total is None:
        raise case.wrong("total_num_update", "is required, or else max_update", None, "> 0")
    peak, end, length = only(case, lr), end_learning_rate, total - warmup_updates
    if length > 0 and power > 0:
        fall = over(length, lambda n: Polynomial(start=peak, end=end, steps=n, power=power))
        return warmed(warmup_updates, fall)
    rise = Linear(start=0.0, end=peak, steps=max(1, warmup_updates))
    held = Piece(Constant(value=peak), until=total)
    until = warmup_updates + 1 if warmup_updates > 0 else 0
    return pieces(Piece(rise, until=until), held, Piece(Constant(value=end)))


@library.scheduler("StepLRSchedule", "step")
def step(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_updates: Count = 0,
    warmup_init_lr: float = -1.0,
    min_lr: NotNegative = 0.0,
    lr_deacy_period: Annotated[Steps, Field(gt=0)] = 25000,
    lr_decay: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> AnyDefinition:
    """
    `warmup` to a `step`, or to an `exponential` staircase with a floor.

    The warm-up starts from min_lr unless warmup_init_lr is given. The option is spelled
    lr_deacy_period in fairseq.
    """
    peak = lr[0] if isinstance(lr, list) else only(case, lr)
    if peak <= min_lr:
        raise case.wrong("min_lr", "must be below lr", min_lr, f"< {peak}")
    start = warmup_init_lr if warmup_init_lr >= 0 else min_lr
    if min_lr == 0:
        return warmed(
            warmup_updates, Step(start=peak, every=lr_deacy_period, factor=lr_decay), start
        )
    curve = Exponential(
        start=peak, factor=lr_decay, every=lr_deacy_period, staircase=True, floor=min_lr
    )
    return warmed(warmup_updates, curve, start)


@library.scheduler("TriStageLRSchedule", "tri_stage")
def tri_stage(
    case: Case,
    *,
    lr: Rates | None = None,
    warmup_steps: Count = 0,
    hold_steps: Count = 0,
    decay_steps: Count = 0,
    phase_ratio: Ratios | None = None,
    init_lr_scale: float = 0.01,
    final_lr_scale: Annotated[float, Field(gt=0)] = 0.01,
    max_update: NotNegative | None = None,
) -> AnyDefinition:
    """
    `sequence` of a line, a constant and a geometric decay.

    phase_ratio gives the lengths as shares of max_update, each rounded down by itself, so that
    they may add up to less.
    """
    stages = (warmup_steps, hold_steps, decay_steps)
    if phase_ratio is not None:
        stages = _shares(case, phase_ratio, max_update)
    warmup, hold, decay = stages
    if decay == 0:
        field = "decay_steps" if phase_ratio is None else "phase_ratio"
        raise case.wrong(field, "leaves no decay, which is a division by zero", decay, "≥ 1")
    peak = only(case, lr)
    ends = ((0.0, peak), (float(decay), peak * final_lr_scale))
    fall = Piecewise(points=ends, interpolation="geometric")
    start = warmup + hold
    held = Piece(Constant(value=peak), until=start)
    rise = Linear(start=peak * init_lr_scale, end=peak, steps=max(1, warmup))
    return pieces(Piece(rise, until=warmup), held, Piece(fall, origin=start))


def _shares(case: Case, ratio: list[float], total: float | None) -> tuple[int, int, int]:
    if not total:
        raise case.wrong("max_update", "is required for phase_ratio", total, "> 0")
    if sum(ratio) != 1:
        raise case.wrong("phase_ratio", "must add up to exactly 1", ratio, f"not {sum(ratio)!r}")
    return int(total * ratio[0]), int(total * ratio[1]), int(total * ratio[2])
