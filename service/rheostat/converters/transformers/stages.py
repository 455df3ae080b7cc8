"""The warm-up, stable, decay schedule of transformers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.case import Case, Steps
from rheostat.converters.ignored import LastEpoch
from rheostat.converters.pieces import Piece, pieces
from rheostat.converters.transformers.cosines import wave
from rheostat.converters.transformers.registry import Count, library
from rheostat.schedules.kinds.curves import Constant, Ramp
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.kinds.presets import Warmup, Wsd
from rheostat.schedules.union import AnyDefinition

ShapeType = Literal["linear", "cosine", "1-sqrt"]


@library.scheduler("get_wsd_schedule", "warmup_stable_decay")
def stages(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_decay_steps: Count,
    num_training_steps: Steps | None = None,
    num_stable_steps: Steps | None = None,
    warmup_type: ShapeType = "linear",
    decay_type: ShapeType = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: Annotated[float, Field(ge=0)] = 0.5,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `wsd`.

    min_lr_ratio lifts the start of the warm-up too. Without num_stable_steps the stable stage is
    what num_training_steps leaves; less than nothing, and the decay begins in its middle.
    """
    stable = num_stable_steps
    if stable is None:
        if num_training_steps is None:
            message = "is required, or else num_training_steps"
            raise case.wrong("num_stable_steps", message, None, "a number of steps")
        stable = num_training_steps - num_warmup_steps - num_decay_steps
    peak, floor = case.base, case.base * min_lr_ratio
    lengths = (num_warmup_steps, stable, num_decay_steps)
    plain = warmup_type == "linear" and (decay_type != "cosine" or num_cycles == 0.5)
    if plain and stable >= 0 and num_decay_steps > 0 and min_lr_ratio >= 0:
        return Wsd(
            peak=peak,
            warmup=num_warmup_steps,
            warmup_start=floor,
            stable=stable,
            decay=num_decay_steps,
            decay_shape=decay_type,
            end=floor,
        )
    decay = _decay(peak, floor, num_decay_steps, decay_type, num_cycles)
    return _laid_out(lengths, (peak, floor), warmup_type, decay)


def _decay(peak: float, floor: float, steps: int, shape: ShapeType, cycles: float) -> AnyDefinition:
    if shape == "cosine":
        return wave(peak, floor, steps, cycles)
    return Ramp(start=peak, end=floor, steps=max(1, steps), shape=shape)


def _laid_out(
    lengths: tuple[int, int, int],
    ends: tuple[float, float],
    warmup_shape: ShapeType,
    decay: AnyDefinition,
) -> AnyDefinition:
    """Return the stages as a sequence; a negative stable stage eats into the decay."""
    (warmup, stable, steps), (peak, floor) = lengths, ends
    after = pieces(
        Piece(Constant(value=peak), until=stable),
        Piece(decay, until=stable + steps, origin=stable),
        Piece(Constant(value=floor)),
    )
    curve = after
    if warmup > 0:
        rise = Warmup(steps=warmup, start=floor, shape=warmup_shape, then=Constant(value=peak))
        curve = pieces(Piece(rise, until=warmup), Piece(after, origin=warmup))
    return Clip(of=curve, min=0.0) if floor < 0 else curve
