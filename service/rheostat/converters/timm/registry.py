"""The table of timm's schedulers, and what all of them share: warm-up, noise, the group's scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from rheostat.converters.building import scaled, value_at
from rheostat.converters.case import Case, Steps
from rheostat.converters.library import Library
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.schedules.kinds.curves import Linear
from rheostat.schedules.kinds.pointwise import Noise
from rheostat.schedules.union import AnyDefinition

library = Library("timm")
library.metric_driven("PlateauLRScheduler")

Length = Annotated[Steps, Field(gt=0)]
Count = Annotated[Steps, Field(ge=0)]
Floor = Annotated[float, Field(ge=0)]
Range = float | list[float] | None
"""Where there is noise: from a step on, or from one step up to another."""


@dataclass(frozen=True)
class Warm:
    """A linear warm-up, which delays the curve if it is a prefix, and else covers its beginning."""

    steps: int
    start: float
    prefix: bool
    peak: float | None = None
    """Where a prefix ends; None: at the base value."""


@dataclass(frozen=True)
class Noisy:
    """Where there is noise, and which."""

    range: Range
    pct: float
    std: float
    seed: int | None


def finished(case: Case, curve: AnyDefinition, warm: Warm, noisy: Noisy) -> AnyDefinition:
    """Return the curve with its warm-up, its noise and its group's scale."""
    whole = _with_noise(case, _with_warmup(case, curve, warm), noisy)
    scale = case.context.lr_scale
    return whole if scale is None else scaled(scale, whole)


def _with_warmup(case: Case, curve: AnyDefinition, warm: Warm) -> AnyDefinition:
    if warm.steps == 0:
        return curve
    peak = case.base if warm.peak is None else warm.peak
    if warm.prefix and value_at(curve, 0) == peak:
        return warmed(warm.steps, curve, warm.start)
    rise = Linear(start=warm.start, end=peak, steps=warm.steps)
    origin = warm.steps if warm.prefix else 0
    return pieces(Piece(rise, until=warm.steps), Piece(curve, origin=origin))


def _with_noise(case: Case, curve: AnyDefinition, noisy: Noisy) -> AnyDefinition:
    if noisy.range is None or noisy.std == 0:
        return curve
    seed = 42 if noisy.seed is None else noisy.seed
    noise = Noise(of=curve, seed=seed, amplitude=noisy.pct, distribution="normal", std=noisy.std)
    bounds = noisy.range if isinstance(noisy.range, list) else [noisy.range]
    if len(bounds) == 1:
        return pieces(Piece(curve, until=bounds[0]), Piece(noise))
    if len(bounds) != 2:
        raise case.wrong("noise_range_t", "must be one step or two", bounds, "[from, to]")
    start, stop = bounds
    return pieces(Piece(curve, until=start), Piece(noise, until=stop), Piece(curve))
