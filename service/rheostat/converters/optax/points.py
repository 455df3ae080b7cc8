"""optax's schedules by points and scales."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.building import levels, through
from rheostat.converters.case import Case, Steps
from rheostat.converters.optax.registry import library
from rheostat.schedules.kinds.cycles import OneCycle
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

Scales = dict[str, Annotated[float, Field(ge=0)]] | None
Share = Annotated[float, Field(ge=0, le=1)]


@library.scheduler("piecewise_constant_schedule", hyperparameters=None)
def piecewise_constant(
    case: Case, *, init_value: float, boundaries_and_scales: Scales = None
) -> AnyDefinition:
    """`multistep` if all scales are the same, else `piecewise`."""
    pairs = _sorted(case, boundaries_and_scales)
    boundaries = [place for place, _ in pairs]
    if (
        pairs
        and len({scale for _, scale in pairs}) == 1
        and all(p.is_integer() for p in boundaries)
    ):
        milestones = tuple(max(int(place), 0) for place in boundaries)
        return Multistep(start=init_value, milestones=milestones, factor=pairs[0][1])
    return levels(boundaries, _cumulative(init_value, pairs))


@library.scheduler("piecewise_interpolate_schedule", hyperparameters=None)
def piecewise_interpolate(
    case: Case,
    *,
    interpolate_type: Literal["linear", "cosine"],
    init_value: float,
    boundaries_and_scales: Scales = None,
) -> AnyDefinition:
    """
    `piecewise`.

    The scales multiply up. A boundary at 0 is a jump.
    """
    pairs = _sorted(case, boundaries_and_scales)
    values = _cumulative(init_value, pairs)
    places = [0.0, *(place for place, _ in pairs)]
    return through(list(zip(places, values, strict=True)), interpolate_type)


@library.scheduler("linear_onecycle_schedule", hyperparameters=None)
def linear_onecycle(
    case: Case,
    *,
    transition_steps: Annotated[Steps, Field(gt=0)],
    peak_value: float,
    pct_start: Share = 0.3,
    pct_final: Share = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> AnyDefinition:
    """
    `piecewise` with corners at ⌊pct_start · n⌋, ⌊pct_final · n⌋ and n = transition_steps.

    It ends at peak_value / (div_factor · final_div_factor); optax's own text leaves div_factor out.
    Corners that fall together leave a phase out.
    """
    scales = {
        int(pct_start * transition_steps): div_factor,
        int(pct_final * transition_steps): 1 / div_factor,
        transition_steps: 1 / final_div_factor,
    }
    return _through_scales(peak_value / div_factor, scales, "linear")


@library.scheduler("cosine_onecycle_schedule", hyperparameters=None)
def cosine_onecycle(
    case: Case,
    *,
    transition_steps: Annotated[Steps, Field(gt=0)],
    peak_value: float,
    pct_start: Share = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> AnyDefinition:
    """
    `one_cycle` with the turn at ⌊pct_start · transition_steps⌋.

    Corners that fall together leave a phase out.
    """
    turn, start = int(pct_start * transition_steps), peak_value / div_factor
    last = 1 / (div_factor * final_div_factor)
    if not 0 < turn < transition_steps:
        scales = {turn: div_factor, transition_steps: last}
        return _through_scales(start, scales, "cosine")
    return OneCycle(
        peak=peak_value,
        steps=transition_steps,
        start=start,
        end=peak_value * last,
        up=turn / transition_steps,
    )


def _sorted(case: Case, scales: Scales) -> list[tuple[float, float]]:
    """Return boundaries and scales in order; JSON has the boundaries as text."""
    pairs = []
    for boundary, scale in (scales or {}).items():
        try:
            pairs.append((float(boundary), scale))
        except ValueError:
            path = f"boundaries_and_scales.{boundary}"
            raise case.wrong(path, "must be a step", boundary, "a number") from None
    return sorted(pairs)


def _cumulative(start: float, pairs: list[tuple[float, float]]) -> list[float]:
    values = [start]
    for _, scale in pairs:
        values.append(values[-1] * scale)
    return values


def _through_scales(
    start: float, scales: dict[int, float], shape: Literal["linear", "cosine"]
) -> AnyDefinition:
    pairs = sorted((float(place), scale) for place, scale in scales.items())
    places = [0.0, *(place for place, _ in pairs)]
    return through(list(zip(places, _cumulative(start, pairs), strict=True)), shape)
