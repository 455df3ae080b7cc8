"""
Simulate: what a controller makes of a series of reports, without a run.

It is to controllers what `evaluate` is to definitions. Every decision lands where it is to land: at
the step of its report, or so many steps after it; in a run ``"next"`` lands as soon as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rheostat.controllers.controller import Controller, State
from rheostat.controllers.numbers import value_of_json
from rheostat.controllers.plateau import Plateau
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_SIMULATED, MAX_STEP
from rheostat.schedules import Definition, evaluate
from rheostat.schedules.definition import Floats
from rheostat.schedules.field_errors import shown
from rheostat.schedules.thin import spread, thin
from rheostat.wire import SimulatedDecision

SHOWN: Final = 2_000
"""Steps of a whole curve that are told; a longer one is thinned so that its extremes stay."""
_LOOKED_AT: Final = 20_000
"""Steps of a whole curve that are computed, of which those are chosen."""

MOST_DECISIONS: Final = 10_000
"""Decisions that are told."""
MOST_LOOKED_AT: Final = 5_000_000
"""Values that a controller may look at in all: its window, at each report."""
_MOST_ERRORS: Final = 20

Report: TypeAlias = tuple[int, float]
Steps: TypeAlias = NDArray[np.int64]
Curve: TypeAlias = Callable[[Steps], Floats]


def reports_of_json(data: Any, field: str = "reports") -> list[Report]:
    """
    Return the reports that JSON lists as ``[step, value]``, each value as `value_of_json` has it.

    Raises:
        Invalid: for more than `MAX_SIMULATED`, and with an item for each of the first wrong ones.

    """
    if not isinstance(data, (list, tuple)) or len(data) > MAX_SIMULATED:
        bound = f"a list of at most {MAX_SIMULATED} pairs of a step and a value"
        wrong = [FieldError(field, f"must be {bound}", shown(data), bound)]
        raise Invalid("The reports are refused.", errors=wrong)
    found: list[Report] = []
    refused: list[FieldError] = []
    for index, item in enumerate(data):
        try:
            found.append(_report(item, f"{field}[{index}]"))
        except Invalid as error:
            refused += error.errors
            if len(refused) >= _MOST_ERRORS:
                break
    if refused:
        raise Invalid("The reports are refused.", errors=refused)
    return found


def _report(item: Any, field: str) -> Report:
    if not isinstance(item, (list, tuple)) or len(item) != 2:
        raise _refused(field, "a pair of a step and a value", item)
    step, value = item
    if type(step) is not int or not 0 <= step <= MAX_STEP:
        raise _refused(f"{field}[0]", f"an integer from 0 to {MAX_STEP}", step)
    return step, value_of_json(value, f"{field}[1]")


def _refused(field: str, bound: str, value: Any) -> Invalid:
    wrong = [FieldError(field, f"must be {bound}", shown(value), bound)]
    return Invalid("The reports are refused.", errors=wrong)


class Simulation(NamedTuple):
    """What a controller made of a series of reports."""

    decisions: list[SimulatedDecision]
    steps: list[int]
    values: list[float]
    """The parameter's values at `steps`."""
    warnings: list[str]
    state: State


def simulate(
    controller: Controller,
    reports: Sequence[Report],
    *,
    definition: Definition | None = None,
    total: int | None = None,
    base_value: float = 1.0,
) -> Simulation:
    """
    Return what a controller decides on reports, and the values that its parameter then has.

    The parameter follows ``definition``, or is ``base_value`` without one. ``steps`` are those of
    the reports; with ``total`` those of the whole curve from 0 to there, at most `SHOWN`. The
    first stop ends it all. What a guard or a rule changes is told as a decision, and not computed.

    Raises:
        Invalid: if the steps of the reports do not rise, if there are too many reports for a window
            as long as the controller's, or if it decides more than `MOST_DECISIONS` times.

    """
    _check_rising(reports)
    _check_work(controller, len(reports))
    curve = _curve(definition, base_value)
    course = _Course(controller, curve)
    course.run(reports)
    end = MAX_STEP + 1 if course.end is None else course.end
    if total is None:
        steps = np.array([step for step, _ in reports if step < end], dtype=np.int64)
    else:
        steps = _shown(course, min(total, end))
    values = course.values(steps)
    return Simulation(
        course.decisions, steps.tolist(), values.tolist(), course.warnings, course.state
    )


class _Course:
    """A controller on its way through reports, and what it has decided so far."""

    def __init__(self, controller: Controller, curve: Curve) -> None:
        self.controller, self.curve = controller, curve
        self.state = controller.initial()
        self.decisions: list[SimulatedDecision] = []
        self.warnings: list[str] = []
        self.drops: list[int] = []
        """Where the values fall, in rising order."""
        self.products = [1.0]
        """The product of all factors, before the first drop and from each one on."""
        self.end: int | None = None
        """The first step without a value."""

    def run(self, reports: Sequence[Report]) -> None:
        """Take the reports, up to the first stop."""
        for step, value in reports:
            if not self.warnings and (warning := self.controller.warning(value)):
                self.warnings.append(warning)
            self.state, fires, why = self.controller.step(self.state, step, value)
            if not fires:
                continue
            decision = self._decision(step, why) if self._may_decide() else None
            self.state = self.controller.fired(self.state, made=decision is not None)
            if decision is not None:
                self.decisions.append(decision)
                _check_few(self.decisions)
            if self.end is not None:
                return

    def values(self, steps: Steps) -> Floats:
        """Return the values of the parameter at rising steps."""
        products: Floats = np.array(self.products)
        values: Floats = self.curve(steps) * products[np.searchsorted(self.drops, steps, "right")]
        return values

    def _may_decide(self) -> bool:
        most = self.controller.most
        return most is None or len(self.decisions) < most

    def _decision(self, step: int, why: str) -> SimulatedDecision | None:
        """Return what comes of a report on which the controller fired; None for nothing."""
        controller, landing = self.controller, self.controller.effective_step(step)
        effective = min(step if landing is None else landing, MAX_STEP)
        applies = controller.action == "apply"
        word: Literal["change", "stop", "proposal"] = controller.decides if applies else "proposal"
        message = controller.said(why)
        decision = SimulatedDecision(step=step, decision=word, effective=effective, message=message)
        if isinstance(controller, Plateau):
            value = float(self.curve(np.array([effective]))[0]) * self.products[-1]
            factor = controller.reduction(self.state, value)
            if factor is None:
                return None
            decision["factor"] = factor
            if applies:
                self.drops.append(effective)
                self.products.append(self.products[-1] * factor)
        if word == "stop":
            self.end = effective
        return decision


def _check_rising(reports: Sequence[Report]) -> None:
    for index, ((before, _), (step, _)) in enumerate(pairwise(reports), 1):
        if step <= before:
            bound = f"> {before}"
            message = "must be greater than the step before it"
            wrong = [FieldError(f"reports[{index}][0]", message, step, bound)]
            raise Invalid("The reports are refused.", errors=wrong)


def _check_work(controller: Controller, count: int) -> None:
    most = MOST_LOOKED_AT // controller.looks_at
    if count > most:
        message = f"are too many for a window of {controller.looks_at}"
        wrong = [FieldError("reports", message, count, f"≤ {most} reports")]
        raise Invalid("The reports are refused.", errors=wrong)


def _check_few(decisions: list[SimulatedDecision]) -> None:
    if len(decisions) > MOST_DECISIONS:
        message = "make the controller decide too often to be told"
        wrong = [FieldError("reports", message, None, f"≤ {MOST_DECISIONS} decisions")]
        raise Invalid("The reports are refused.", errors=wrong)


def _curve(definition: Definition | None, base_value: float) -> Curve:
    if definition is None:
        return lambda steps: np.full(len(steps), base_value)
    return lambda steps: evaluate(definition, steps)


def _shown(course: _Course, end: int) -> Steps:
    """Return the steps below ``end`` that show the whole curve, both sides of its drops with it."""
    drops = np.array(course.drops, dtype=np.int64)
    sides = np.concatenate([drops - 1, drops]) if len(drops) <= SHOWN // 4 else drops[:0]
    sides = sides[(sides >= 0) & (sides < end)]
    places = np.unique(np.concatenate([spread(end, min(end, _LOOKED_AT)), sides]))
    kept = thin([course.values(places)], SHOWN - len(sides))
    return np.unique(np.concatenate([places[kept], sides]))
