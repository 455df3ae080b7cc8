"""The table of OLMo-core's schedulers, and what they share: lengths and the warm-up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Case, Steps
from rheostat.converters.library import Library
from rheostat.converters.pieces import Piece
from rheostat.schedules.kinds.curves import Linear

library = Library("olmo_core")

Count = Annotated[Steps, Field(ge=0)]
Length = Annotated[Steps, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]


def training(case: Case, t_max_arg: int | None, t_max: int | None = None) -> int:
    """Return the length of the training: the scheduler's own, or the trainer's."""
    for length in (t_max, t_max_arg, case.context.total):
        if length is not None:
            return length
    raise case.wrong("t_max_arg", "is required: the length of the training", None, "≥ 1")


def share(
    case: Case, name: str, steps: int | None, old: int | None, fraction: float | None, total: int
) -> int:
    """Return the steps of a stage: given, under its old name too, or a share that is rounded."""
    steps = old if steps is None else steps
    if (steps is None) == (fraction is None):
        bound = f"{name} or {name}_fraction, and null for the other one"
        raise case.wrong(name, f"is required, or else {name}_fraction, not both", steps, bound)
    return steps if steps is not None else round(total * (fraction or 0))


def needed(case: Case, name: str, steps: int) -> int:
    """Return the steps of a stage that OLMo-core divides by at once."""
    if steps <= 0:
        raise case.wrong(name, "is a division by zero", steps, "≥ 1")
    return steps


def rise(case: Case, warmup: int, start: float, peak: float | None = None) -> Piece:
    """Return the warm-up, to the base value or another peak."""
    peak = case.base if peak is None else peak
    if warmup > 0 and start >= peak:
        raise case.wrong("warmup_min_lr", "must be below the peak", start, f"< {peak}")
    return Piece(Linear(start=start, end=peak, steps=max(1, warmup)), until=warmup)
