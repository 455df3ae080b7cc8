"""MaxText: maxtext.utils.maxtext_utils.create_learning_rate_schedule, by its configuration."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases
from rheostat.converters.parameters import NotNegative, Share, Steps
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.union import AnyDefinition

library = Library("maxtext")

OrUnset = Annotated[Steps, Field(ge=-1)]
"""A number of steps, or −1 for none."""


@library.scheduler("create_learning_rate_schedule")
def schedule(
    case: Case,
    *,
    learning_rate: NotNegative = 3e-5,
    learning_rate_final_fraction: float = 0.1,
    learning_rate_schedule_steps: OrUnset = -1,
    warmup_steps_fraction: Share = 0.1,
    steps: OrUnset = 150_001,
    lr_schedule_type: Literal["cosine", "wsd"] = "cosine",
    wsd_decay_steps_fraction: Share = 0.1,
    wsd_decay_style: Literal["linear", "cosine"] = "linear",
    cosine_learning_rate_final_fraction: float | None = None,
) -> AnyDefinition:
    """
    `sequence` of a warm-up, a constant for wsd, a decay, and 0 from the schedule's end on.

    A decay reaches its end at its last step, and so takes one step less than its length: a linear
    one of a single step never decays. Without steps after the schedule's end a cosine rises again.
    cosine_learning_rate_final_fraction is a field of the versions before 2026: with it the cosine
    takes one step more, and is 0 from its end on.
    """
    older = cosine_learning_rate_final_fraction
    if older is not None and lr_schedule_type == "wsd":
        message = "is a field of versions that have no wsd"
        raise case.wrong("cosine_learning_rate_final_fraction", message, older, "null")
    total = steps if learning_rate_schedule_steps == -1 else learning_rate_schedule_steps
    whole = total if steps == -1 else steps
    if total < 1:
        raise case.wrong("steps", "must be above 0, or learning_rate_schedule_steps", steps, "≥ 1")
    peak = learning_rate
    final = peak * (learning_rate_final_fraction if older is None else older)
    warmup, decay = int(total * warmup_steps_fraction), int(total * wsd_decay_steps_fraction)
    if lr_schedule_type == "cosine":
        decay = total - warmup
    elif warmup_steps_fraction + wsd_decay_steps_fraction > 1:
        bound = f"≤ {1 - warmup_steps_fraction}"
        message = "leaves no room for the warm-up"
        raise case.wrong("wsd_decay_steps_fraction", message, wsd_decay_steps_fraction, bound)
    waves = lr_schedule_type == "cosine" or wsd_decay_style == "cosine"
    start = total - decay
    follows = whole > total or older is not None
    end = total if follows else inf  # the last part goes on where nothing follows
    length = decay - 1 if older is None else decay
    ends = [end if step == total else step for step in (warmup, start)]
    return phases(
        Phase(Linear(start=0.0, end=peak, steps=max(1, warmup)), until=ends[0]),
        Phase(Constant(value=peak), until=ends[1]),
        Phase(_decay(peak, final, length, waves=waves), until=end, origin=start),
        Phase(Constant(value=0.0)),
    )


def _decay(peak: float, final: float, steps: int, *, waves: bool) -> AnyDefinition:
    """Return the decay; of no steps a cosine is at its end, and a line never leaves its start."""
    if steps < 1:
        return Constant(value=final if waves else peak)
    if waves:
        return Cosine(start=peak, end=final, steps=steps, periodic=True)
    return Linear(start=peak, end=final, steps=steps)
