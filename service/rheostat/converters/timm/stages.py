"""timm's warm-up, stable, decay scheduler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.case import Case
from rheostat.converters.ignored import InEpochs, Initialize
from rheostat.converters.pieces import Piece, pieces
from rheostat.converters.timm.registry import (
    Count,
    Floor,
    Length,
    Noisy,
    Range,
    Warm,
    finished,
    library,
)
from rheostat.schedules.kinds.curves import Constant, Ramp
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.pointwise import Clip, Product, Sum
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.numeric import ShapeName
from rheostat.schedules.union import AnyDefinition

Positive = Annotated[float, Field(gt=0)]
_SHAPES: dict[str, ShapeName] = {
    "linear": "linear",
    "1-sqrt": "1-sqrt",
    "cosine": "cosine",
    "power": "power",
    "exp": "exponential",
}


@library.scheduler("WSDLRScheduler")
def stages(
    case: Case,
    *,
    t_initial: Length,
    decay_t: Length,
    lr_min: Floor = 0.0,
    stable_fn: Literal["constant", "rsqrt", "power"] = "constant",
    stable_timescale: float | None = None,
    stable_power: Positive = 0.5,
    decay_fn: Literal["linear", "1-sqrt", "cosine", "power", "exp"] = "1-sqrt",
    decay_power: Positive = 0.5,
    decay_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    warmup_t: Count = 0,
    warmup_lr_init: float = 0.0,
    t_in_epochs: InEpochs = True,
    noise_range_t: Range = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    initialize: Initialize = True,
) -> AnyDefinition:
    """
    `wsd`; with another stable_fn an `inverse_sqrt`, times the decay.

    The warm-up comes before t_initial. A stable_fn that falls goes on falling while it decays.
    """
    if decay_t > t_initial:
        raise case.wrong("decay_t", "must not be above t_initial", decay_t, f"≤ {t_initial}")
    shape = Ramp(
        start=1.0,
        end=0.0,
        steps=decay_t,
        shape=_SHAPES[decay_fn],
        power=decay_power if decay_fn == "power" else 1.0,
        ratio=decay_ratio,
    )
    noisy = Noisy(noise_range_t, noise_pct, noise_std, noise_seed)
    if stable_fn == "constant" and case.base >= lr_min:
        curve = _wsd(case, shape, (warmup_t, t_initial - decay_t), (warmup_lr_init, lr_min))
        return finished(case, curve, Warm(0, 0.0, prefix=True), noisy)
    stable: AnyDefinition = Constant(value=case.base)
    if stable_fn != "constant":
        power = 0.5 if stable_fn == "rsqrt" else stable_power
        timescale = _timescale(case, stable_timescale, warmup_t)
        stable = InverseSqrt(start=case.base, timescale=timescale, power=power)
    curve = _decaying(stable, shape, t_initial - decay_t, lr_min)
    return finished(case, curve, Warm(warmup_t, warmup_lr_init, prefix=True), noisy)


def _wsd(
    case: Case, shape: Ramp, lengths: tuple[int, int], ends: tuple[float, float]
) -> AnyDefinition:
    return Wsd(
        peak=case.base,
        warmup=lengths[0],
        warmup_start=ends[0],
        stable=lengths[1],
        decay=shape.steps,
        decay_shape=shape.shape,
        power=shape.power,
        ratio=shape.ratio,
        end=ends[1],
    )


def _timescale(case: Case, given: float | None, warmup: int) -> float:
    timescale = float(warmup) if given is None else given
    if timescale <= 0:
        message = "must be above 0; it is warmup_t unless it is given"
        raise case.wrong("stable_timescale", message, timescale, "> 0")
    return timescale


def _decaying(stable: AnyDefinition, fall: Ramp, start: int, floor: float) -> AnyDefinition:
    """Return floor + (stable − floor) · c, c falling from 1 to 0 from start on."""
    one = Piece(Constant(value=1.0), until=start)
    weight = pieces(one, Piece(fall, origin=start))
    if floor == 0:
        return Product(of=(stable, weight))
    rise = fall.model_copy(update={"start": 0.0, "end": floor})
    rest = pieces(Piece(Constant(value=0.0), until=start), Piece(rise, origin=start))
    return Sum(of=(Product(of=(Clip(of=stable, min=floor), weight)), rest))
