"""Rule: do something when a metric has passed a value, such as "decay once the loss is 0.3"."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from rheostat.controllers.controller import State, Step, counted
from rheostat.controllers.decided import Acting
from rheostat.controllers.fields import Part, SomeReports

_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class When(Part):
    """A condition on one report; NaN meets none."""

    op: Literal["<", "<=", ">", ">="]
    value: float

    def holds(self, value: float) -> bool:
        """Say whether a value meets the condition."""
        return _COMPARE[self.op](value, self.value)


class Rule(Acting):
    """Do something when a metric has met a condition for some reports in a row."""

    remembers: ClassVar[tuple[str, ...]] = ("bad",)

    kind: Literal["rule"] = "rule"
    when: When
    for_: Annotated[
        SomeReports, Field(alias="for", description="so many reports in a row make it fire")
    ] = 1
    once: Annotated[
        bool, Field(description="decide once; else each time that the condition is met anew")
    ] = True

    @property
    def most(self) -> int | None:
        """How many decisions it may make on one line; None for any number."""
        return 1 if self.once else self.limit

    def _fold(self, state: State, step: int, value: float) -> Step:
        if isfinite(value) and (state.best is None or self._better(value, state.best)):
            state = replace(state, best=value, best_step=step)
        if not self.when.holds(value):
            return Step(replace(state, bad=0), fires=False, why="")
        held = state.bad + 1  # fires at one report of each stretch, and counts on beyond it
        reports = counted(held, "report")
        why = f"{self.metric} is {value:.6g}, {self.when.op} {self.when.value:.6g} for {reports}"
        fires = held == self.for_
        return Step(replace(state, bad=held), fires, why if fires else "")
