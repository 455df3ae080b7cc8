"""OLMo-core's schedulers that are put together: from stages, or from other schedulers."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from rheostat.converters.core import Case, Nested
from rheostat.converters.kit import Phase, phases, value_at
from rheostat.converters.olmo_core import library, training
from rheostat.converters.parameters import (
    STRICT,
    Count,
    Length,
    LrField,
    NotNegative,
    Steps,
    Units,
    Whole,
)
from rheostat.schedules.kinds.curves import Cosine, Linear
from rheostat.schedules.union import AnyDefinition

Shape = Literal["linear", "cosine"]


class Stage(BaseModel):
    """A stage: its length and shape, and its ends, each as a value or as a share of the base."""

    model_config = STRICT

    duration: Length
    shape: Shape = "linear"
    start_lr: NotNegative | None = None
    start_lr_fraction: NotNegative | None = None
    end_lr: NotNegative | None = None
    end_lr_fraction: NotNegative | None = None


class Decay(BaseModel):
    """A decay from wherever the schedule is, at a step of its own."""

    model_config = STRICT

    start: Count
    duration: Length
    shape: Shape = "linear"
    end_lr: NotNegative | None = None
    end_lr_fraction: NotNegative | None = None


@library.scheduler("ComposableScheduler", "composable")
def composable(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    stages: Annotated[list[Stage], Field(min_length=1)],
    override_decay: Decay | None = None,
    t_max_arg: Whole = None,
) -> AnyDefinition:
    """
    `sequence` of lines and cosines, which holds its last value.

    A stage starts where the one before it ended unless it says otherwise; override_decay cuts in
    from wherever the schedule is.
    """
    parts, until, value = [], 0, case.base
    for i, stage in enumerate(stages):
        path = f"stages[{i}]"
        given = (stage.start_lr, stage.start_lr_fraction)
        start = value if given == (None, None) else _value(case, f"{path}.start_lr", *given)
        value = _value(case, f"{path}.end_lr", stage.end_lr, stage.end_lr_fraction)
        origin, until = until, until + stage.duration
        curve = _curve(stage.shape, start, value, stage.duration)
        parts.append(Phase(curve, until=until, origin=origin))
    parts[-1] = Phase(parts[-1].curve, origin=parts[-1].origin)
    return _overridden(case, phases(*parts), override_decay)


@library.scheduler("SequentialScheduler", "sequential")
def sequential(
    case: Case,
    *,
    lr_field: LrField = "lr",
    initial_lr_field: LrField = "initial_lr",
    units: Units = "steps",
    schedulers: Annotated[list[Nested], Field(min_length=1)],
    schedulers_max: list[Length] | None = None,
    schedulers_max_steps: list[Length] | None = None,
    override_decay: Decay | None = None,
    t_max_arg: Steps | None = None,
) -> AnyDefinition:
    """
    `sequence` of what the schedulers become.

    Each starts from the last value of the one before it, which keeps the step between them. The
    last one lasts to the end of the training, whatever its maximum says.
    """
    lengths = schedulers_max_steps if schedulers_max is None else schedulers_max
    if lengths is None:
        raise case.wrong("schedulers_max", "is required", None, "a length for all but the last")
    if len(lengths) == len(schedulers):
        lengths = lengths[:-1]
    if len(lengths) != len(schedulers) - 1:
        bound = f"{len(schedulers) - 1} lengths"
        raise case.wrong("schedulers_max", "must be one for all but the last", lengths, bound)
    left, parts, origin, base = training(case, t_max_arg), [], 0, case.base
    for i, (spec, length) in enumerate(zip(schedulers, lengths, strict=False)):
        curve = _part(case, spec, i, base, min(left, length))
        parts.append(Phase(curve, until=origin + length + 1, origin=origin))
        base = value_at(_part(case, spec, i, base, length), length)
        origin, left = origin + length, left - length
    if left <= 0:
        bound = f"> {sum(lengths)}"
        raise case.wrong("t_max_arg", "must be above all maxima", left + sum(lengths), bound)
    last = len(schedulers) - 1
    parts.append(Phase(_part(case, schedulers[last], last, base, left), origin=origin))
    return _overridden(case, phases(*parts), override_decay)


def _part(case: Case, spec: Nested, i: int, base: float, total: int) -> AnyDefinition:
    """Return one of several schedulers, from its own base and for its own length."""
    context = case.context.model_copy(update={"total": total})
    inner = replace(case, context=context)
    return inner.nested(spec, f"schedulers[{i}]", base_value=base)


def _overridden(case: Case, curve: AnyDefinition, decay: Decay | None) -> AnyDefinition:
    if decay is None:
        return curve
    start = value_at(curve, decay.start)
    end = _value(case, "override_decay.end_lr", decay.end_lr, decay.end_lr_fraction)
    fall = _curve(decay.shape, start, end, decay.duration)
    return phases(Phase(curve, until=decay.start), Phase(fall, origin=decay.start))


def _curve(shape: Shape, start: float, end: float, steps: int) -> AnyDefinition:
    kind = Linear if shape == "linear" else Cosine
    return kind(start=start, end=end, steps=steps)


def _value(case: Case, path: str, value: float | None, fraction: float | None) -> float:
    """Return a value that is given, or given as a share of the base value."""
    if (value is None) == (fraction is None):
        raise case.wrong(path, "is required, or else its fraction, not both", value, "a number")
    return value if value is not None else case.base * (fraction or 0.0)
