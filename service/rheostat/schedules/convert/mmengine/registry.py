"""The table of MMEngine's schedulers, and their windows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rheostat.schedules.convert.building import sequence, value_at
from rheostat.schedules.convert.case import Case, Steps
from rheostat.schedules.convert.library import Library
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.union import AnyDefinition

library = Library("mmengine")

ENDLESS = 10**9
"""MMEngine's end of a scheduler that has none."""
Begin = Annotated[Steps, Field(ge=0)]


def named(stem: str) -> tuple[str, str, str]:
    """Return the names of a scheduler."""
    return f"{stem}ParamScheduler", f"{stem}LR", f"{stem}Momentum"


library.metric_driven(*named("ReduceOnPlateau"))


def width(case: Case, begin: int, end: int) -> int:
    """Return how many steps a window has."""
    if end <= begin:
        raise case.wrong("end", "must lie above begin", end, f"> {begin}")
    return end - begin


def windowed(case: Case, begin: int, end: int, curve: AnyDefinition) -> AnyDefinition:
    """Return a curve that acts in its window: after it the last value in it holds."""
    last = width(case, begin, end) - 1
    if end < ENDLESS and (curve.length is None or curve.length > last):
        frozen = Constant(value=value_at(curve, 0))
        curve = Sequence(parts=(Part(schedule=curve, steps=last),)) if last else frozen
    return sequence((Constant(value=case.base), begin), then=curve) if begin else curve
