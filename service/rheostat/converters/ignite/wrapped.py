"""Ignite's schedulers of schedulers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from rheostat.converters.building import scaled, sequence, since, value_at
from rheostat.converters.case import Case, Nested, Steps
from rheostat.converters.ignite.registry import library
from rheostat.converters.ignored import History, Names
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.union import AnyDefinition

_TORCH = "torch."


@library.scheduler("ConcatScheduler", hyperparameters=None)
def concat(
    case: Case,
    *,
    schedulers: Annotated[list[Nested], Field(min_length=2)],
    durations: list[Steps],
    save_history: History = False,
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
    save_history: History = False,
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
            return sequence((Constant(value=first), 1), then=since(1, curve))
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
    save_history: History = False,
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
    return sequence(
        (Piecewise(points=tuple(points)), steps), then=since(1, curve) if of_torch else curve
    )


@library.scheduler("ParamGroupScheduler", hyperparameters=None)
def of_groups(
    case: Case,
    *,
    schedulers: Annotated[list[Nested], Field(min_length=1)],
    names: Names = None,
    save_history: History = False,
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
