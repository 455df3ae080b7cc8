"""
PyTorch-Ignite: ignite.handlers, for any field of the optimizer.

A step is an event that the scheduler is attached to, before the update: Events.ITERATION_STARTED.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from rheostat.converters.core import Case, Conversion, Library, Nested
from rheostat.converters.kit import (
    Phase,
    cycles,
    exponential,
    most_cycles,
    phases,
    restarts,
    scaled,
    sequence,
    since,
    through,
    triangles,
    value_at,
)
from rheostat.converters.parameters import (
    Count,
    Function,
    Growth,
    Ignored,
    Length,
    NotNegative,
    Shared,
    Steps,
)
from rheostat.converters.reactions import Mode, PlateauParameters, ThresholdMode, metric_of, stop
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.points import Multistep, Piecewise
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

ParamName = Annotated[
    str | None, Ignored("names the field that is set; its values are the same under any name")
]
GroupIndex = Annotated[int | None, Ignored("says which group is set, not to what")]
Point = Annotated[
    tuple[Steps, float], BeforeValidator(lambda x: tuple(x) if isinstance(x, list) else x)
]
Points = Annotated[list[Point], Field(min_length=1)]


class Recorded(Shared):
    """What all schedulers take."""

    save_history: Annotated[bool, Ignored("keeps the values that were set")] = False


library = Library("ignite", common=Recorded)


class StateParam(Shared):
    """What sets a field of the engine's state: its first event counts as 1."""

    param_name: ParamName = None
    create_new: Annotated[bool, Ignored("makes the field in the engine's state")] = False

    def counted(self, curve: AnyDefinition) -> AnyDefinition:
        """Return a curve from its second step on."""
        return since(1, curve)


class Decaying(StateParam):
    """A value of the state that is multiplied now and then."""

    initial_value: float
    gamma: float


@library.scheduler("LambdaStateScheduler", "BatchSizeScheduler", hyperparameters=None)
def function(
    case: Case,
    state: StateParam,
    *,
    lambda_obj: Function | None = None,
    scheduler_fn: Function | None = None,
) -> AnyDefinition:
    """Refused: a function is no data. Tabulate its values, and give them as a `table`."""
    given = lambda_obj or scheduler_fn
    raise case.wrong("lambda_obj", "must be a function", given, "a function")


@library.scheduler("PiecewiseLinear", hyperparameters=None)
def piecewise(
    case: Case,
    *,
    milestones_values: Points,
    param_name: ParamName = None,
    param_group_index: GroupIndex = None,
) -> AnyDefinition:
    """
    `piecewise`.

    A repeated milestone is a jump.
    """
    for i, (before, after) in enumerate(pairwise(milestones_values)):
        if after[0] < before[0]:
            path = f"milestones_values[{i + 1}]"
            bound = f"≥ {before[0]}"
            raise case.wrong(path, "must not lie before the one before it", after[0], bound)
    return _through(milestones_values)


def _through(points: list[tuple[int, float]]) -> AnyDefinition:
    """Return lines through points; where a place stands twice, a jump."""
    jumps = [i for i, (a, b) in enumerate(pairwise(points), 1) if 0 < a[0] == b[0]]
    parts = [
        Phase(
            through(points[first:end], "linear"),
            until=inf if end == len(points) else points[end][0],
        )
        for first, end in pairwise([0, *jumps, len(points)])
    ]
    return phases(*parts)


@library.scheduler("PiecewiseLinearStateScheduler", hyperparameters=None)
def piecewise_state(case: Case, state: StateParam, *, milestones_values: Points) -> AnyDefinition:
    """
    `piecewise`, from its second step on.

    The first event counts as 1.
    """
    return state.counted(piecewise(case, milestones_values=milestones_values))


@library.scheduler("ExpStateScheduler", hyperparameters=None)
def exponential_state(case: Case, state: Decaying) -> AnyDefinition:
    """
    `exponential`, from its second step on.

    The first event counts as 1.
    """
    return state.counted(exponential(state.initial_value, state.gamma))


@library.scheduler("StepStateScheduler", hyperparameters=None)
def step_state(case: Case, state: Decaying, *, step_size: Length) -> AnyDefinition:
    """
    `step`, from its second step on.

    The first event counts as 1.
    """
    curve = exponential(state.initial_value, state.gamma, step_size, staircase=True)
    return state.counted(curve)


@library.scheduler("MultiStepStateScheduler", hyperparameters=None)
def multistep_state(case: Case, state: Decaying, *, milestones: list[Count]) -> AnyDefinition:
    """
    `multistep`, from its second step on.

    The first event counts as 1.
    """
    places = tuple(milestones)
    curve = Multistep(start=state.initial_value, milestones=places, factor=state.gamma)
    return state.counted(curve)


Shape: TypeAlias = Literal["triangle", "linear", "cosine"]


@dataclass(frozen=True)
class Wave:
    """One cycle from start to end, or there and back, and a line back up to the next start."""

    shape: Shape
    size: int
    warmup: int

    @property
    def length(self) -> int:
        """How many steps it has."""
        return self.size + self.warmup

    def between(self, start: float, end: float, following: float) -> AnyDefinition:
        """Return the cycle from a start to an end; the line leads to the following start."""
        if self.shape == "triangle":
            points = ((0.0, start), (self.size / 2, end), (float(self.size), start))
            return Piecewise(points=points)
        back = ((float(self.length), following),) if self.warmup else ()
        if self.shape == "linear":
            return Piecewise(points=((0.0, start), (float(self.size), end), *back))
        curve = Cosine(start=start, end=end, steps=self.size)
        if not self.warmup:
            return curve
        line = Piecewise(points=((0.0, end), (float(self.warmup), following)))
        return sequence((curve, self.size), then=line)


class Cyclical(Shared):
    """A cycle again and again, each time longer, whose start and end change."""

    start_value: float
    end_value: float
    cycle_size: Annotated[Steps, Field(ge=2)]
    cycle_mult: Growth = 1.0
    start_value_mult: NotNegative = 1.0
    end_value_mult: NotNegative = 1.0
    warmup_duration: Count = 0
    param_name: ParamName = None
    param_group_index: GroupIndex = None

    def endless(self, case: Case, shape: Shape) -> AnyDefinition:
        """Return the cycles; where their ends change differently, the sum of two of them."""
        if not self.cycle_mult.is_integer():
            return cycles(case, self._rounded_down(shape))
        start, end = self.start_value, self.end_value
        up, down = self.start_value_mult, self.end_value_mult
        if up == down or end == 0:
            return self._repeated(shape, start, end, up)
        if start == 0:
            return self._repeated(shape, 0.0, end, down)
        falling = self._repeated(shape, start, 0.0, up)
        return Sum(of=(falling, self._repeated(shape, 0.0, end, down)))

    def _repeated(self, shape: Shape, start: float, end: float, factor: float) -> AnyDefinition:
        """Return cycles that are multiplied by a factor each time."""
        wave = Wave(shape, self.cycle_size, self.warmup_duration)
        largest = max(abs(self.start_value), abs(self.end_value))
        return Repeat(
            of=wave.between(start, end, start * factor),
            every=float(wave.length),
            period_factor=self.cycle_mult,
            peak_factor=factor,
            cycles=most_cycles(largest, factor),
        )

    def _rounded_down(self, shape: Shape) -> Iterator[tuple[AnyDefinition, int]]:
        """Yield cycles whose lengths are rounded down."""
        wave = Wave(shape, self.cycle_size, self.warmup_duration)
        start, end = self.start_value, self.end_value
        while wave.size > 0:
            following = start * self.start_value_mult
            yield wave.between(start, end, following), wave.length
            start, end = following, end * self.end_value_mult
            size, warmup = int(wave.size * self.cycle_mult), int(wave.warmup * self.cycle_mult)
            wave = Wave(shape, size, warmup)


@library.scheduler("LinearCyclicalScheduler", hyperparameters=None)
def linear(case: Case, cycle: Cyclical, *, monotonic: bool = False) -> AnyDefinition:
    """
    `cyclic`, or `repeat` of a line if monotonic.

    The warm-up leads from the end of a cycle to the start of the next one. Lengths that
    cycle_mult leaves no whole numbers are rounded down.
    """
    if monotonic:
        return cycle.endless(case, "linear")
    if cycle.warmup_duration:
        message = "must be 0 unless monotonic"
        raise case.wrong("warmup_duration", message, cycle.warmup_duration, "0")
    if cycle.start_value_mult == cycle.end_value_mult == cycle.cycle_mult == 1:
        half = cycle.cycle_size / 2
        return triangles(cycle.start_value, cycle.end_value, half, half)
    return cycle.endless(case, "triangle")


@library.scheduler("CosineAnnealingScheduler", hyperparameters=None)
def cosine(case: Case, cycle: Cyclical) -> AnyDefinition:
    """
    `cosine_restarts`, or a `repeat` if there is a warm-up or the end changes.

    The warm-up leads from the end of a cycle to the start of the next one. Lengths that
    cycle_mult leaves no whole numbers are rounded down.
    """
    plain = cycle.warmup_duration == 0 and cycle.end_value_mult == 1
    if not plain or not cycle.cycle_mult.is_integer():
        return cycle.endless(case, "cosine")
    return restarts(
        cycle.start_value,
        cycle.end_value,
        cycle.cycle_size,
        cycle.cycle_mult,
        cycle.start_value_mult,
    )


_TORCH = "torch."


@library.scheduler("ConcatScheduler", hyperparameters=None)
def concat(
    case: Case, *, schedulers: Annotated[list[Nested], Field(min_length=2)], durations: list[Steps]
) -> AnyDefinition:
    """
    `sequence`.

    A duration of 0 or less never ends, but for the first one, of 0, which never begins.
    """
    if len(durations) != len(schedulers) - 1:
        bound = f"{len(schedulers) - 1} durations"
        raise case.wrong("durations", "must be one less than schedulers", durations, bound)
    parts = [_inner(case, spec, f"schedulers[{i}]") for i, spec in enumerate(schedulers)]
    first = 1 if durations[0] == 0 else 0
    last = next((i for i in range(first, len(durations)) if durations[i] <= 0), len(durations))
    steps = zip(parts[first:last], durations[first:last], strict=True)
    return sequence(*steps, then=parts[last])


@library.scheduler("LRScheduler")
def of_torch(
    case: Case,
    *,
    lr_scheduler: Nested | None = None,
    inner: Nested | None = None,
    use_legacy: bool = False,
) -> AnyDefinition:
    """
    The definition of PyTorch's scheduler, but for the first step, which Ignite takes twice.

    So an ExponentialLR is one step ahead, and a LinearLR or ConstantLR has its first factor twice,
    all along. With use_legacy, attached to ITERATION_COMPLETED, it is PyTorch's own.
    """
    spec = lr_scheduler or inner
    if spec is None:
        raise case.wrong("lr_scheduler", "is required", None, "a scheduler of PyTorch")
    field = "lr_scheduler" if lr_scheduler else "inner"
    spec = Nested(name=spec.name.removeprefix(_TORCH), params=spec.params)
    curve = case.nested(spec, field, library="torch")
    return curve if use_legacy else _taken_twice(case, spec, field, curve)


def _taken_twice(case: Case, spec: Nested, field: str, curve: AnyDefinition) -> AnyDefinition:
    """Return what becomes of a scheduler of PyTorch whose first step is taken again."""
    params: dict[str, Any] = spec.params
    match spec.name:
        case "ExponentialLR" | "CosineAnnealingWarmRestarts":
            return since(1, curve)
        case "LinearLR":
            return scaled(params.get("start_factor", 1 / 3), curve)
        case "ConstantLR":
            return scaled(params.get("factor", 1 / 3), curve)
        case "MultiStepLR":
            at_once = list(params["milestones"]).count(0)
            return scaled(params.get("gamma", 0.1) ** at_once, curve)
        case "PolynomialLR":
            length = params.get("total_iters", 5)
            if length <= 0:
                path = f"{field}.params.total_iters"
                raise case.wrong(path, "is a division by zero in Ignite", length, "≥ 1")
            return scaled((length / (length + 1)) ** params.get("power", 1.0), curve)
        case "CosineAnnealingLR" if isinstance(curve, Cosine):
            unit = Cosine(start=1.0, end=0.0, steps=curve.steps, periodic=True)
            if curve.steps == 1:
                first = curve.start + (curve.start - curve.end)
            else:
                first = curve.end + (curve.start - curve.end) / value_at(unit, 1)
            return phases(Phase(Constant(value=first), until=1), Phase(curve))
        case "SequentialLR" | "ChainedScheduler" | "SWALR":
            message = "cannot be wrapped by Ignite"
            raise case.wrong(f"{field}.name", message, spec.name, "a single curve or cycle")
    return curve


@library.scheduler("create_lr_scheduler_with_warmup")
def with_warmup(
    case: Case,
    *,
    lr_scheduler: Nested,
    warmup_start_value: float,
    warmup_duration: Annotated[Steps, Field(gt=1)],
    warmup_end_value: float | None = None,
    output_simulated_values: None = None,
) -> AnyDefinition:
    """
    `sequence` of a line and the other scheduler.

    The line takes warmup_duration − 1 steps. A scheduler of Ignite follows it, without a repetition
    if it begins where the line ends; a scheduler of PyTorch follows it with its own second step.
    """
    curve = _inner(case, lr_scheduler, "lr_scheduler")
    first = value_at(curve, 0)
    of_torch = lr_scheduler.name.startswith(_TORCH)
    default = first if of_torch else case.base_value
    end = default if warmup_end_value is None else warmup_end_value
    if end is None:
        end = case.base
    points = [(0.0, warmup_start_value), (float(warmup_duration - 1), end)]
    steps = warmup_duration
    if of_torch and first != end:
        points.append((float(warmup_duration), first))
        steps += 1
    elif not of_torch and first == end:
        steps -= 1
    line = Phase(Piecewise(points=tuple(points)), until=steps)
    return phases(line, Phase(curve, origin=steps - 1 if of_torch else steps))


@library.scheduler("ParamGroupScheduler", hyperparameters=None)
def of_groups(
    case: Case,
    *,
    schedulers: Annotated[list[Nested], Field(min_length=1)],
    names: Annotated[list[str] | None, Ignored("names the schedulers")] = None,
) -> AnyDefinition:
    """The definition of the scheduler of the group that is asked for."""
    group = case.context.group
    if group is None and len(schedulers) == 1:
        group = 0
    if not isinstance(group, int) or not 0 <= group < len(schedulers):
        bound = f"group: a number from 0 to {len(schedulers) - 1}"
        raise case.wrong("schedulers", "must have one for the group", group, bound)
    return _inner(case, schedulers[group], f"schedulers[{group}]")


def _inner(case: Case, spec: Nested, path: str) -> AnyDefinition:
    """Return the definition of a scheduler of Ignite, or of one of PyTorch by its full name."""
    if not spec.name.startswith(_TORCH):
        return case.nested(spec, path)
    plain = Nested(name=spec.name.removeprefix(_TORCH), params=spec.params)
    return case.nested(plain, path, library="torch")


@library.controller("ReduceLROnPlateauScheduler")
def reduce_on_plateau(
    case: Case,
    plateau: PlateauParameters,
    recorded: Recorded,
    *,
    metric_name: str,
    param_group_index: int | None = None,
    trainer: None = None,
) -> Conversion:
    """
    `plateau`, reading `torch`.

    Ignite loses min_lr but for a param_group_index of 0: without an index, and with another one,
    the floor is 0.
    """
    floor = plateau.min_lr if param_group_index == 0 else 0.0
    if isinstance(floor, list):
        raise case.wrong("min_lr", "must be one number beside param_group_index", floor, "a number")
    return plateau.controller(case, metric_of(case, plateau.mode, metric_name), floor)


@library.controller("EarlyStopping")
def early_stopping(
    case: Case,
    *,
    patience: Length,
    score_function: Function | None = None,
    trainer: None = None,
    threshold: NotNegative = 0.0,
    cumulative: bool = False,
    threshold_mode: ThresholdMode = "abs",
    mode: Mode = "max",
    min_delta: NotNegative | None = None,
    min_delta_mode: ThresholdMode | None = None,
    cumulative_delta: bool | None = None,
) -> Conversion:
    """
    `stop`, reading `transformers`; with cumulative `lightning`, with check_finite false.

    What score_function returns is what is reported: `metric` is its name. A relative threshold is
    refused. A score that is no number is better to Ignite, and here it is not.
    """
    delta = threshold if min_delta is None else min_delta
    if delta and (min_delta_mode or threshold_mode) == "rel":
        message = "is nothing that a reading of a stop has"
        field = "min_delta_mode" if min_delta_mode else "threshold_mode"
        raise case.wrong(field, message, "rel", "abs")
    metric, fields = metric_of(case, mode), {"patience": patience, "min_delta": delta}
    if cumulative if cumulative_delta is None else cumulative_delta:
        return stop(case, "lightning", metric, mode, check_finite=False, **fields)
    return stop(case, "transformers", metric, mode, **fields)
