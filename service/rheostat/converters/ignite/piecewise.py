"""Ignite's schedulers by points, and those of engine states."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Annotated

from pydantic import BeforeValidator, Field

from rheostat.converters.building import exponential, since, through
from rheostat.converters.case import Case, Function, Steps
from rheostat.converters.ignite.registry import library
from rheostat.converters.ignored import CreateNew, GroupIndex, History, ParamName
from rheostat.converters.pieces import Piece, pieces
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

Point = Annotated[
    tuple[Steps, float], BeforeValidator(lambda x: tuple(x) if isinstance(x, list) else x)
]
Points = Annotated[list[Point], Field(min_length=1)]


@library.scheduler("LambdaStateScheduler", "BatchSizeScheduler", hyperparameters=None)
def function(
    case: Case,
    *,
    lambda_obj: Function | None = None,
    scheduler_fn: Function | None = None,
    param_name: ParamName = None,
    save_history: History = False,
    create_new: CreateNew = False,
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
    save_history: History = False,
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
        Piece(_lines(points[first:end]), until=inf if end == len(points) else points[end][0])
        for first, end in pairwise([0, *jumps, len(points)])
    ]
    return pieces(*parts)


def _lines(points: list[tuple[int, float]]) -> AnyDefinition:
    return through([(float(place), value) for place, value in points], "linear")


@library.scheduler("PiecewiseLinearStateScheduler", hyperparameters=None)
def piecewise_state(
    case: Case,
    *,
    milestones_values: Points,
    param_name: ParamName = None,
    save_history: History = False,
    create_new: CreateNew = False,
) -> AnyDefinition:
    """
    `piecewise`, from its second step on.

    The first event counts as 1.
    """
    return since(1, piecewise(case, milestones_values=milestones_values))


@library.scheduler("ExpStateScheduler", hyperparameters=None)
def exponential_state(
    case: Case,
    *,
    initial_value: float,
    gamma: float,
    param_name: ParamName = None,
    save_history: History = False,
    create_new: CreateNew = False,
) -> AnyDefinition:
    """
    `exponential`, from its second step on.

    The first event counts as 1.
    """
    return since(1, exponential(initial_value, gamma))


@library.scheduler("StepStateScheduler", hyperparameters=None)
def step_state(
    case: Case,
    *,
    initial_value: float,
    gamma: float,
    step_size: Annotated[Steps, Field(gt=0)],
    param_name: ParamName = None,
    save_history: History = False,
    create_new: CreateNew = False,
) -> AnyDefinition:
    """
    `step`, from its second step on.

    The first event counts as 1.
    """
    return since(1, exponential(initial_value, gamma, step_size, staircase=True))


@library.scheduler("MultiStepStateScheduler", hyperparameters=None)
def multistep_state(
    case: Case,
    *,
    initial_value: float,
    gamma: float,
    milestones: list[Annotated[Steps, Field(ge=0)]],
    param_name: ParamName = None,
    save_history: History = False,
    create_new: CreateNew = False,
) -> AnyDefinition:
    """
    `multistep`, from its second step on.

    The first event counts as 1.
    """
    curve = Multistep(start=initial_value, milestones=tuple(milestones), factor=gamma)
    return since(1, curve)
