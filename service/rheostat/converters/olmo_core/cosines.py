"""OLMo-core's cosines."""

from __future__ import annotations

from rheostat.converters.building import value_at
from rheostat.converters.case import Case, Steps
from rheostat.converters.ignored import LrField, Units
from rheostat.converters.olmo_core.registry import (
    Count,
    Length,
    NotNegative,
    Share,
    library,
    rise,
    share,
    training,
)
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.union import AnyDefinition


@library.scheduler("CosWithWarmup", "cos_with_warmup")
def cosine(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    alpha_f: float = 0.1,
    t_max: Length | None = None,
    warmup_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """`warmup` to a `cosine`; t_max counts the warm-up."""
    total, end = training(case, t_max_arg, t_max), case.base * alpha_f
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    begin = rise(case, length, warmup_min_lr)
    if length >= total:
        return pieces(begin, Piece(Constant(value=end)))
    return warmed(length, Cosine(start=case.base, end=end, steps=total - length), warmup_min_lr)


@library.scheduler("HalfCosWithWarmup", "half_cos_with_warmup")
def half(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    alpha_f: float = 0.1,
    t_max: Length | None = None,
    warmup_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """`sequence` of a line and the second half of a `cosine`, which begins half-way down."""
    total, end = training(case, t_max_arg, t_max), case.base * alpha_f
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    begin = rise(case, length, warmup_min_lr, end + (case.base - end) / 2)
    left = total - length
    if left <= 0:
        return pieces(begin, Piece(Constant(value=end)))
    wave = Cosine(start=case.base, end=end, steps=2 * left)
    return pieces(begin, Piece(wave, origin=length - left))


@library.scheduler("CosWithWarmupAndLinearDecay", "cos_with_warmup_and_linear_decay")
def with_decay(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    alpha_f: float = 0.1,
    t_max: Length | None = None,
    warmup_min_lr: NotNegative = 0.0,
    decay: Count | None = None,
    decay_steps: Count | None = None,
    decay_fraction: Share | None = 0.1,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `sequence` of CosWithWarmup and a line from where it is, at the end of the training.

    Past the end OLMo-core's line goes on below its floor; the definition holds.
    """
    total = training(case, t_max_arg)
    steps = share(case, "decay", decay, decay_steps, decay_fraction, total)
    curve = cosine(
        case,
        warmup=warmup,
        warmup_steps=warmup_steps,
        warmup_fraction=warmup_fraction,
        alpha_f=alpha_f,
        t_max=t_max,
        warmup_min_lr=warmup_min_lr,
        t_max_arg=total,
    )
    if steps == 0:
        return curve
    start = value_at(curve, max(0, total - steps))
    if decay_min_lr >= start:
        bound = f"< {start}"
        raise case.wrong(
            "decay_min_lr", "must be below where the decay begins", decay_min_lr, bound
        )
    fall = Linear(start=start, end=decay_min_lr, steps=steps)
    return pieces(Piece(curve, until=total - steps), Piece(fall, origin=total - steps))
