"""optax: optax.schedules. Functions of the step, in float64 (`jax_enable_x64`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.kit import (
    cosine,
    delayed,
    exponential,
    levels,
    polynomial,
    since,
    through,
    warmed,
)
from rheostat.converters.parameters import Share, Steps
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.cycles import OneCycle
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.pointwise import Clip, Power, Scale, Sum
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.union import AnyDefinition

library = Library("optax")
library.metric_driven("contrib.reduce_on_plateau", "reduce_on_plateau")


Length = Annotated[float, Field(gt=0)]


@library.scheduler("constant_schedule", hyperparameters=None)
def constant(case: Case, *, value: float) -> AnyDefinition:
    """`constant`."""
    return Constant(value=value)


@library.scheduler("linear_schedule", hyperparameters=None)
def linear(
    case: Case,
    *,
    init_value: float,
    end_value: float,
    transition_steps: Steps,
    transition_begin: Steps = 0,
) -> AnyDefinition:
    """
    `linear`, after a `constant` until transition_begin.

    With transition_steps 0 or less init_value holds for ever. A negative transition_begin is 0.
    """
    return power_law(
        case,
        init_value=init_value,
        end_value=end_value,
        power=1.0,
        transition_steps=transition_steps,
        transition_begin=transition_begin,
    )


@library.scheduler("polynomial_schedule", hyperparameters=None)
def power_law(
    case: Case,
    *,
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: Steps,
    transition_begin: Steps = 0,
) -> AnyDefinition:
    """
    `polynomial`, after a `constant` until transition_begin.

    With transition_steps 0 or less, or power 0, init_value holds for ever. A negative
    transition_begin is 0.
    """
    if transition_steps <= 0:
        return Constant(value=init_value)
    curve = polynomial(init_value, end_value, transition_steps, power)
    return delayed(transition_begin, curve)


@library.scheduler("exponential_decay", hyperparameters=None)
def exponential_decay(
    case: Case,
    *,
    init_value: float,
    transition_steps: Steps,
    decay_rate: float,
    transition_begin: Steps = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> AnyDefinition:
    """
    `exponential`, or `step` if staircase, after a `constant` until transition_begin.

    With decay_rate below 1 end_value is the least value, else the greatest: with 1 itself the
    value drops to it at once. With transition_steps 0 or less, or decay_rate 0, init_value holds
    for ever, whatever end_value is. What grows without an end_value holds where it would pass
    1e100.
    """
    if transition_steps <= 0 or decay_rate == 0:
        return Constant(value=init_value)
    curve = exponential(init_value, decay_rate, transition_steps, staircase=staircase)
    if end_value is not None and 0 < decay_rate < 1:
        curve = Exponential(
            start=init_value,
            factor=decay_rate,
            every=transition_steps,
            staircase=staircase,
            floor=end_value,
        )
    elif end_value is not None:
        curve = Clip(of=curve, max=end_value)
    return delayed(transition_begin, curve)


@library.scheduler("cosine_decay_schedule", hyperparameters=None)
def cosine_decay(
    case: Case,
    *,
    init_value: float,
    decay_steps: Length,
    alpha: float = 0.0,
    exponent: float = 1.0,
) -> AnyDefinition:
    """
    `cosine` to alpha · init_value.

    With an exponent, a `power` of a cosine.
    """
    if exponent == 0:
        return Constant(value=init_value)
    if exponent == 1:
        return cosine(init_value, alpha * init_value, decay_steps)
    curve = Power(of=cosine(1.0, 0.0, decay_steps), exponent=exponent)
    falling = Scale(factor=init_value * (1 - alpha), of=curve)
    return falling if alpha == 0 else Sum(of=(Constant(value=alpha * init_value), falling))


Scales = dict[str, Annotated[float, Field(ge=0)]] | None


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


@library.scheduler("warmup_constant_schedule", hyperparameters=None)
def warmup_constant(
    case: Case, *, init_value: float, peak_value: float, warmup_steps: Steps
) -> AnyDefinition:
    """
    `linear`.

    With warmup_steps 0 init_value holds for ever.
    """
    return (
        polynomial(init_value, peak_value, warmup_steps)
        if warmup_steps > 0
        else (Constant(value=init_value))
    )


@library.scheduler("warmup_cosine_decay_schedule", hyperparameters=None)
def warmup_cosine(
    case: Case,
    *,
    init_value: float,
    peak_value: float,
    warmup_steps: Steps,
    decay_steps: Steps,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> AnyDefinition:
    """
    `warmup` and `cosine`.

    decay_steps is the whole length, warm-up included.
    """
    length = decay_steps - warmup_steps
    if length <= 0:
        raise case.wrong(
            "decay_steps", "must lie above warmup_steps", decay_steps, f"> {warmup_steps}"
        )
    then = cosine_decay(
        case,
        init_value=peak_value,
        decay_steps=length,
        alpha=end_value / peak_value if peak_value else 0.0,
        exponent=exponent,
    )
    return warmed(warmup_steps, then, init_value, peak=peak_value)


@library.scheduler("warmup_exponential_decay_schedule", hyperparameters=None)
def warmup_exponential(
    case: Case,
    *,
    init_value: float,
    peak_value: float,
    warmup_steps: Steps,
    transition_steps: Steps,
    decay_rate: float,
    transition_begin: Steps = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> AnyDefinition:
    """
    `warmup` and `exponential`.

    transition_begin counts from the end of the warm-up.
    """
    then = exponential_decay(
        case,
        init_value=peak_value,
        transition_steps=transition_steps,
        decay_rate=decay_rate,
        transition_begin=transition_begin,
        staircase=staircase,
        end_value=end_value,
    )
    return warmed(warmup_steps, then, init_value, peak=peak_value)


@library.scheduler("join_schedules", hyperparameters=None)
def join(case: Case, *, schedules: list[Nested], boundaries: list[Steps]) -> AnyDefinition:
    """
    `sequence`.

    Each part counts from its own boundary. A schedule without a boundary is left out, as in optax.
    """
    parts = [case.nested(spec, f"schedules[{i}]") for i, spec in enumerate(schedules)]
    return _joined(case, parts, boundaries)


@library.scheduler("sgdr_schedule", hyperparameters=None)
def sgdr(case: Case, *, cosine_kwargs: list[dict[str, Any]]) -> AnyDefinition:
    """`sequence` of warm-ups and cosines, each decay_steps long."""
    parts, boundaries, end = [], [], 0
    for i, kwargs in enumerate(cosine_kwargs):
        spec = Nested(name="warmup_cosine_decay_schedule", params=kwargs)
        parts.append(case.nested(spec, f"cosine_kwargs[{i}]", inside=""))
        end += int(kwargs["decay_steps"])
        boundaries.append(end)
    return _joined(case, parts, boundaries[:-1])


def _joined(case: Case, parts: list[AnyDefinition], boundaries: list[int]) -> AnyDefinition:
    """Return parts one after the other; of overlapping ones the last holds."""
    if not parts:
        raise case.wrong("schedules", "must have at least one schedule", parts, "≥ 1 schedules")
    kept: list[tuple[int, AnyDefinition]] = [(0, parts[0])]
    for boundary, part in zip(boundaries, parts[1:], strict=False):
        kept = [(begin, known) for begin, known in kept if begin < boundary]
        kept.append((max(boundary, 0), since(max(-boundary, 0), part)))
    ends = [*(begin for begin, _ in kept[1:]), None]
    if len(kept) == 1:
        return kept[0][1]
    return Sequence(
        parts=tuple(
            Part(schedule=part, until=end) for (_, part), end in zip(kept, ends, strict=True)
        )
    )
