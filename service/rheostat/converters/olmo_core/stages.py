"""OLMo-core's schedulers of stages: warm-up, stable, decay, once or in periods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Case, Steps
from rheostat.converters.ignored import LrField, Units, Whole
from rheostat.converters.olmo_core.registry import (
    Count,
    Length,
    NotNegative,
    Share,
    library,
    needed,
    rise,
    share,
    training,
)
from rheostat.converters.pieces import Piece, pieces
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.union import AnyDefinition


@library.scheduler("WSD", "wsd")
def wsd(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    decay: Count | None = None,
    decay_steps: Count | None = None,
    decay_fraction: Share | None = 0.1,
    warmup_min_lr: NotNegative = 0.0,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `wsd`.

    Past the end OLMo-core's line goes on below decay_min_lr, and below zero; the definition holds.
    Without a warm-up OLMo-core divides by zero at step 0.
    """
    total = training(case, t_max_arg)
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    steps = share(case, "decay", decay, decay_steps, decay_fraction, total)
    begin = rise(case, length, warmup_min_lr)
    _check_floor(case, decay_min_lr, case.base)
    held, start = Constant(value=case.base), total - steps
    if steps == 0:
        return pieces(begin, Piece(held))
    if start >= length:
        return Wsd(
            peak=case.base,
            warmup=length,
            warmup_start=warmup_min_lr,
            stable=start - length,
            decay=steps,
            end=decay_min_lr,
        )
    fall = Linear(start=case.base, end=decay_min_lr, steps=steps)
    return pieces(begin, Piece(held, until=length + 1), Piece(fall, origin=start))


@library.scheduler("PowerLR", "power_lr")
def power(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    b: Annotated[float, Field(lt=0)] = -0.51,
    warmup: Count | None = None,
    warmup_steps: Count | None = None,
    warmup_fraction: Share | None = None,
    warmup_min_lr: NotNegative = 0.0,
    decay: Count | None = None,
    decay_steps: Count | None = None,
    decay_fraction: Share | None = 0.1,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `sequence` of a line, an `inverse_sqrt` of power −b and a line at the end.

    Past the end OLMo-core's line goes on below decay_min_lr; the definition holds. Without a
    warm-up OLMo-core divides by zero.
    """
    total = training(case, t_max_arg)
    length = share(case, "warmup", warmup, warmup_steps, warmup_fraction, total)
    steps = share(case, "decay", decay, decay_steps, decay_fraction, total)
    begin = rise(case, needed(case, "warmup", length), warmup_min_lr)
    curve = InverseSqrt(start=case.base, timescale=length, power=-b)
    if steps == 0:
        return pieces(begin, Piece(curve, origin=length))
    level = case.base * (needed(case, "decay", total - steps) / length) ** b
    _check_floor(case, decay_min_lr, level)
    fall = Linear(start=level, end=decay_min_lr, steps=steps)
    until = max(total - steps, length + 1)
    middle = Piece(curve, until=until, origin=length)
    return pieces(begin, middle, Piece(fall, origin=total - steps))


@library.scheduler("WSDS", "wsds")
def periods(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    period_lengths: Annotated[list[Length], Field(min_length=1)],
    period_lr_multipliers: list[Annotated[float, Field(gt=0)]] | None = None,
    warmup: Count | None = None,
    warmup_fraction: Share | None = None,
    decay: Count | None = None,
    decay_fraction: Share | None = None,
    warmup_min_lr: NotNegative = 0.0,
    decay_min_lr: NotNegative = 0.0,
    t_max_arg: Whole = None,
) -> AnyDefinition:
    """
    `sequence` of a warm-up and, for each period, a constant and a line.

    The last step of a period has decay_min_lr, and the next one the peak of the next period. The
    first period counts the warm-up.
    """
    peaks = _peaks(case, period_lengths, period_lr_multipliers)
    length = share(case, "warmup", warmup, None, warmup_fraction, period_lengths[0])
    parts = [rise(case, length, warmup_min_lr, peaks[0])]
    end = 0
    for i, (period, peak) in enumerate(zip(period_lengths, peaks, strict=True)):
        steps = share(case, "decay", decay, None, decay_fraction, period)
        start, end = end + (length if i == 0 else 0), end + period
        if end - steps < start:
            path, bound = f"period_lengths[{i}]", f"≥ {start - end + period + steps}"
            raise case.wrong(path, "is shorter than its stages", period, bound)
        _check_floor(case, decay_min_lr, peak)
        fall = Linear(start=peak, end=decay_min_lr, steps=needed(case, "decay", steps))
        parts.append(Piece(Constant(value=peak), until=end - steps))
        parts.append(Piece(fall, until=end + 1, origin=end - steps))
    return pieces(*parts, Piece(Constant(value=decay_min_lr)))


def _peaks(case: Case, lengths: list[int], multipliers: list[float] | None) -> list[float]:
    if multipliers is None:
        return [case.base] * len(lengths)
    if len(multipliers) != len(lengths):
        bound = f"{len(lengths)} numbers"
        raise case.wrong("period_lr_multipliers", "must be one per period", multipliers, bound)
    return [case.base * multiplier for multiplier in multipliers]


def _check_floor(case: Case, floor: float, peak: float) -> None:
    if floor >= peak:
        raise case.wrong("decay_min_lr", "must be below the peak", floor, f"< {peak}")
