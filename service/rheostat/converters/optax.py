"""optax: optax.schedules. Functions of the step, in float64 (`jax_enable_x64`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import inf
from operator import mul
from typing import Any, Literal

from rheostat.converters.core import Case, Conversion, Library, Nested
from rheostat.converters.kit import (
    Phase,
    cosine,
    exponential,
    levels,
    phases,
    polynomial,
    raised,
    through,
    value_at,
    warmed,
)
from rheostat.converters.parameters import (
    Count,
    Length,
    NotNegative,
    Positive,
    Share,
    Shared,
    Steps,
)
from rheostat.converters.reactions import metric_of, plateau
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.cycles import OneCycle
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.pointwise import Clip, Power, Scale
from rheostat.schedules.union import AnyDefinition

library = Library("optax")

Scales = dict[str, NotNegative] | None
Pairs = Sequence[tuple[float, float]]
"""Boundaries, in order, and the scales that apply from there on."""


class TransitionSteps(Shared):
    """What takes transition_steps, and begins after transition_begin."""

    transition_steps: Steps
    transition_begin: Steps = 0

    def begun(self, curve: AnyDefinition) -> AnyDefinition:
        """Return a curve from transition_begin on, and its first value until then."""
        begin = max(self.transition_begin, 0)
        held = Constant(value=value_at(curve, 0))
        return phases(Phase(held, until=begin), Phase(curve, origin=begin))

    def power_law(self, start: float, end: float, power: float) -> AnyDefinition:
        """Return what goes from one value to another."""
        if self.transition_steps <= 0:
            return Constant(value=start)
        return self.begun(polynomial(start, end, self.transition_steps, power))


class Decay(TransitionSteps):
    """An exponential decay, from whatever value."""

    decay_rate: float
    staircase: bool = False
    end_value: float | None = None

    def starting_at(self, start: float) -> AnyDefinition:
        """Return the decay from a value."""
        rate, steps = self.decay_rate, self.transition_steps
        if steps <= 0 or rate == 0:
            return Constant(value=start)
        curve = exponential(start, rate, steps, staircase=self.staircase)
        if self.end_value is not None and 0 < rate < 1:
            curve = Exponential(
                start=start,
                factor=rate,
                every=steps,
                staircase=self.staircase,
                floor=self.end_value,
            )
        elif self.end_value is not None:
            curve = Clip(of=curve, max=self.end_value)
        return self.begun(curve)


class Cycle(Shared):
    """What both one-cycles take."""

    transition_steps: Length
    peak_value: float
    pct_start: Share = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    @property
    def start(self) -> float:
        """Where it starts."""
        return self.peak_value / self.div_factor

    @property
    def turn(self) -> int:
        """The step at which it is at its peak."""
        return int(self.pct_start * self.transition_steps)


@library.scheduler("constant_schedule", hyperparameters=None)
def constant(case: Case, *, value: float) -> AnyDefinition:
    """`constant`."""
    return Constant(value=value)


@library.scheduler("linear_schedule", hyperparameters=None)
def linear(
    case: Case, transition: TransitionSteps, *, init_value: float, end_value: float
) -> AnyDefinition:
    """
    `linear`, after a `constant` until transition_begin.

    With transition_steps 0 or less init_value holds for ever. A negative transition_begin is 0.
    """
    return transition.power_law(init_value, end_value, 1.0)


@library.scheduler("polynomial_schedule", hyperparameters=None)
def power_law(
    case: Case, transition: TransitionSteps, *, init_value: float, end_value: float, power: float
) -> AnyDefinition:
    """
    `polynomial`, after a `constant` until transition_begin.

    With transition_steps 0 or less, or power 0, init_value holds for ever. A negative
    transition_begin is 0.
    """
    return transition.power_law(init_value, end_value, power)


@library.scheduler("exponential_decay", hyperparameters=None)
def exponential_decay(case: Case, decay: Decay, *, init_value: float) -> AnyDefinition:
    """
    `exponential`, or `step` if staircase, after a `constant` until transition_begin.

    With decay_rate below 1 end_value is the least value, else the greatest: with 1 itself the
    value drops to it at once. With transition_steps 0 or less, or decay_rate 0, init_value holds
    for ever, whatever end_value is. What grows without an end_value holds where it would pass
    1e100.
    """
    return decay.starting_at(init_value)


@library.scheduler("cosine_decay_schedule", hyperparameters=None)
def cosine_decay(
    case: Case,
    *,
    init_value: float,
    decay_steps: Positive,
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
    return raised(alpha * init_value, falling)


@library.scheduler("piecewise_constant_schedule", hyperparameters=None)
def piecewise_constant(
    case: Case, *, init_value: float, boundaries_and_scales: Scales = None
) -> AnyDefinition:
    """`multistep` if all scales are the same, else `piecewise`."""
    pairs = _sorted(case, boundaries_and_scales)
    places = [place for place, _ in pairs]
    scales = {scale for _, scale in pairs}
    if len(scales) == 1 and all(place.is_integer() for place in places):
        milestones = tuple(max(int(place), 0) for place in places)
        return Multistep(start=init_value, milestones=milestones, factor=scales.pop())
    return levels(places, _cumulative(init_value, pairs))


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
    return _corners(init_value, _sorted(case, boundaries_and_scales), interpolate_type)


@library.scheduler("linear_onecycle_schedule", hyperparameters=None)
def linear_onecycle(case: Case, cycle: Cycle, *, pct_final: Share = 0.85) -> AnyDefinition:
    """
    `piecewise` with corners at ⌊pct_start · n⌋, ⌊pct_final · n⌋ and n = transition_steps.

    It ends at peak_value / (div_factor · final_div_factor); optax's own text leaves div_factor out.
    Corners that fall together leave a phase out.
    """
    scales = {
        cycle.turn: cycle.div_factor,
        int(pct_final * cycle.transition_steps): 1 / cycle.div_factor,
        cycle.transition_steps: 1 / cycle.final_div_factor,
    }
    return _corners(cycle.start, sorted(scales.items()), "linear")


@library.scheduler("cosine_onecycle_schedule", hyperparameters=None)
def cosine_onecycle(case: Case, cycle: Cycle) -> AnyDefinition:
    """
    `one_cycle` with the turn at ⌊pct_start · transition_steps⌋.

    Corners that fall together leave a phase out.
    """
    turn, steps = cycle.turn, cycle.transition_steps
    last = 1 / (cycle.div_factor * cycle.final_div_factor)
    if not 0 < turn < steps:
        scales = {turn: cycle.div_factor, steps: last}
        return _corners(cycle.start, sorted(scales.items()), "cosine")
    peak = cycle.peak_value
    return OneCycle(peak=peak, steps=steps, start=cycle.start, end=peak * last, up=turn / steps)


def _sorted(case: Case, scales: Scales) -> Pairs:
    """Return boundaries and scales in order; JSON has the boundaries as text."""
    pairs = []
    for boundary, scale in (scales or {}).items():
        try:
            pairs.append((float(boundary), scale))
        except ValueError:
            path = f"boundaries_and_scales.{boundary}"
            raise case.wrong(path, "must be a step", boundary, "a number") from None
    return sorted(pairs)


def _cumulative(start: float, pairs: Pairs) -> list[float]:
    """Return the values from a start, each scaled from the one before it."""
    return list(accumulate((scale for _, scale in pairs), mul, initial=start))


def _corners(start: float, pairs: Pairs, shape: Literal["linear", "cosine"]) -> AnyDefinition:
    """Return the curve that is scaled from one boundary to the next, beginning at step 0."""
    places = [0.0, *(float(place) for place, _ in pairs)]
    return through(list(zip(places, _cumulative(start, pairs), strict=True)), shape)


@library.scheduler("warmup_constant_schedule", hyperparameters=None)
def warmup_constant(
    case: Case, *, init_value: float, peak_value: float, warmup_steps: Steps
) -> AnyDefinition:
    """
    `linear`.

    With warmup_steps 0 init_value holds for ever.
    """
    if warmup_steps <= 0:
        return Constant(value=init_value)
    return polynomial(init_value, peak_value, warmup_steps)


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
        bound = f"> {warmup_steps}"
        raise case.wrong("decay_steps", "must lie above warmup_steps", decay_steps, bound)
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
    case: Case, decay: Decay, *, init_value: float, peak_value: float, warmup_steps: Steps
) -> AnyDefinition:
    """
    `warmup` and `exponential`.

    transition_begin counts from the end of the warm-up.
    """
    then = decay.starting_at(peak_value)
    return warmed(warmup_steps, then, init_value, peak=peak_value)


@library.scheduler("join_schedules", hyperparameters=None)
def join(case: Case, *, schedules: list[Nested], boundaries: list[Steps]) -> AnyDefinition:
    """
    `sequence`.

    Each part counts from its own boundary. A schedule without a boundary is left out, as in optax.
    """
    parts = [case.nested(spec, f"schedules[{i}]") for i, spec in enumerate(schedules)]
    return joined(case, parts, boundaries)


@library.scheduler("sgdr_schedule", hyperparameters=None)
def sgdr(case: Case, *, cosine_kwargs: list[dict[str, Any]]) -> AnyDefinition:
    """`sequence` of warm-ups and cosines, each decay_steps long."""
    parts, boundaries, end = [], [], 0
    for i, kwargs in enumerate(cosine_kwargs):
        spec = Nested(name="warmup_cosine_decay_schedule", params=kwargs)
        parts.append(case.nested(spec, f"cosine_kwargs[{i}]", inside=""))
        end += int(kwargs["decay_steps"])
        boundaries.append(end)
    return joined(case, parts, boundaries[:-1])


def joined(case: Case, parts: list[AnyDefinition], boundaries: list[int]) -> AnyDefinition:
    """Return parts one after the other; of overlapping ones the last holds."""
    if not parts:
        raise case.wrong("schedules", "must have at least one schedule", parts, "≥ 1 schedules")
    boundaries = boundaries[: len(parts) - 1]
    return phases(
        *(
            Phase(part, until=min(boundaries[i:], default=inf), origin=origin)
            for i, (part, origin) in enumerate(zip(parts, [0, *boundaries], strict=False))
        )
    )


@library.controller("contrib.reduce_on_plateau", "reduce_on_plateau")
def reduce_on_plateau(
    case: Case,
    *,
    factor: float = 0.1,
    patience: Count = 10,
    rtol: NotNegative = 1e-4,
    atol: NotNegative = 0.0,
    cooldown: Count = 0,
    accumulation_size: Length = 1,
    min_scale: NotNegative = 0.0,
) -> Conversion:
    """
    `plateau`, reading `optax`.

    min_scale is the floor of all reductions together, not of the value. The reports are averaged
    as the values would be that the update is given.
    """
    if rtol == 0 and atol == 0:
        raise case.wrong("rtol", "must be above 0, or else atol", rtol, "> 0")
    return plateau(
        case,
        "optax",
        metric_of(case, "min"),
        "min",
        factor=factor,
        patience=patience,
        threshold=rtol,
        atol=atol,
        cooldown=cooldown,
        average=accumulation_size,
        min_scale=min_scale,
    )
