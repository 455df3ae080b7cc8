"""The table of NeMo's schedulers, and what they share: lengths, the warm-up and the end."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Case, Steps
from rheostat.converters.library import Library
from rheostat.converters.pieces import Piece, pieces, warmed
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.union import AnyDefinition

library = Library("nemo")
library.metric_driven("ReduceLROnPlateau")

Count = Annotated[Steps, Field(ge=0)]
Length = Annotated[Steps, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]


def length(case: Case, name: str, steps: int | None, ratio: float | None, total: int | None) -> int:
    """Return the steps of a stage, which are given, or a share of max_steps rounded down."""
    if steps is not None and ratio is not None:
        raise case.wrong(f"{name}_ratio", f"cannot stand beside {name}_steps", ratio, "null")
    if ratio is None:
        return steps or 0
    if total is None:
        raise case.wrong("max_steps", f"is required for {name}_ratio", None, "≥ 1")
    return int(ratio * total)


def after_warmup(case: Case, warmup: int, curve: AnyDefinition) -> AnyDefinition:
    """Return a curve after NeMo's warm-up, which has (t + 1)/(warmup + 1) of the base value."""
    return warmed(warmup, curve, case.base / (warmup + 1))


def ending(curve: AnyDefinition, end: int | None, floor: float) -> AnyDefinition:
    """Return a curve that drops to a floor after its end."""
    if end is None:
        return curve
    return pieces(Piece(curve, until=end + 1), Piece(Constant(value=floor)))


def held(case: Case, warmup: int, end: int, floor: float) -> AnyDefinition:
    """Return the warm-up and the base value, up to an end that lies past max_steps."""
    return ending(after_warmup(case, warmup, Constant(value=case.base)), end, floor)


def floored(curve: AnyDefinition, floor: float) -> AnyDefinition:
    """Return a curve of positive values that never falls below a floor."""
    return Clip(of=curve, min=floor) if floor > 0 else curve
