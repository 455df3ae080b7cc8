"""
Guard: notice a spike of a metric, by what was usual in a window before it.

A spike is measured against the last `window` reports that were none, so that a second and a third
bad report are held against the same calm. In the reports of a cool-down everything enters the
window: a level that has come to stay becomes the usual one.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, sqrt
from statistics import median
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from rheostat.controllers.controller import State, Step, counted
from rheostat.controllers.decided import Acting
from rheostat.controllers.fields import Choice, Reports, SomeReports
from rheostat.controllers.numbers import json_of_value
from rheostat.controllers.sources import exact_mean
from rheostat.limits import MAX_WINDOW
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import Positive

_MEASURES: Final = ("sigma", "ratio", "mad", "value")


class Above(Choice):
    """From where on a report is a spike; for a metric that is better high, below the mirror."""

    sigma: Annotated[
        Positive | None, Field(description="standard deviations from the window's mean")
    ] = None
    ratio: Annotated[
        Annotated[float, Field(gt=1)] | None,
        Field(description="times the exponential moving average"),
    ] = None
    mad: Annotated[
        Positive | None, Field(description="median absolute deviations from the window's median")
    ] = None
    value: Annotated[float | None, Field(description="this value, whatever was before")] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in _MEASURES if getattr(self, name) is not None]
        if len(given) != 1:
            bound = f"exactly one of {', '.join(_MEASURES)}"
            field = given[-1] if given else _MEASURES[0]
            raise wrong(field, f"must be {bound}", getattr(self, field), bound)
        return self


class Guard(Acting):
    """Notice a spike of a metric, and propose what to do about it."""

    remembers: ClassVar[tuple[str, ...]] = ("bad", "cool", "count", "mean", "window")

    kind: Literal["guard"] = "guard"
    action: Annotated[
        Literal["apply", "propose"], Field(description="make the decision, or wait for a yes")
    ] = "propose"
    window: Annotated[
        int,
        Field(ge=2, le=MAX_WINDOW, description="reports that say what is usual; none fires before"),
    ] = 200
    above: Above
    for_: Annotated[
        SomeReports, Field(alias="for", description="so many spikes in a row make it fire")
    ] = 3
    nonfinite: Annotated[
        bool, Field(description="NaN and infinities are spikes; else they are passed over")
    ] = True
    cooldown: Annotated[
        Reports, Field(description="reports after it fired that cannot count as spikes")
    ] = 0

    def _fold(self, state: State, step: int, value: float) -> Step:
        if not isfinite(value) and not self.nonfinite:
            return Step(state, fires=False, why="")
        usual = self._usual(state)
        spike = not isfinite(value) or (usual is not None and self._beyond(value, usual))
        if isfinite(value) and (state.best is None or self._better(value, state.best)):
            state = replace(state, best=value, best_step=step)
        if state.cool > 0:
            return Step(self._taken(replace(state, cool=state.cool - 1), value), False, "")
        if not spike:
            return Step(self._taken(replace(state, bad=0), value), False, "")
        bad = state.bad + 1
        if bad < self.for_:
            return Step(replace(state, bad=bad), False, "")
        return Step(replace(state, bad=0, cool=self.cooldown), True, self._why(value, usual, bad))

    @property
    def looks_at(self) -> int:
        """How many values it looks at in each step: its window, where that is kept."""
        kept = self.above.sigma is not None or self.above.mad is not None
        return self.window if kept else 1

    def reset(self, state: State) -> State:
        """Return the state with its counters anew; what is usual stays."""
        kept = super().reset(state)
        return replace(kept, count=state.count, mean=state.mean, window=state.window)

    def _usual(self, state: State) -> float | None:
        """Return the value beyond which a report is a spike; None while that is not known."""
        above, up = self.above, 1 if self.mode == "min" else -1
        if above.value is not None:
            return above.value
        if above.ratio is not None:
            known = state.count >= self.window
            if not known:
                return None
            # a metric may be negative: the distance grows with its size, whatever its sign
            return state.mean + up * (above.ratio - 1) * abs(state.mean)
        if len(state.window) < self.window:
            return None
        if above.sigma is not None:
            centre = exact_mean(state.window)
            squares = [(value - centre) * (value - centre) for value in state.window]
            return centre + up * above.sigma * sqrt(exact_mean(squares))
        centre = median(state.window)
        spread = median([abs(value - centre) for value in state.window])
        return centre + up * (above.mad or 0.0) * spread

    def _beyond(self, value: float, usual: float) -> bool:
        return value > usual if self.mode == "min" else value < usual

    def _taken(self, state: State, value: float) -> State:
        """Return the state with a value among those that say what is usual."""
        if not isfinite(value) or self.above.value is not None:
            return state
        if self.above.ratio is None:
            return replace(state, window=(*state.window, value)[-self.window :])
        count = min(state.count + 1, self.window)
        share = max(2 / (self.window + 1), 1 / count)  # the mean until the average has settled
        return replace(state, count=count, mean=state.mean + share * (value - state.mean))

    def _why(self, value: float, usual: float | None, bad: int) -> str:
        """Say what was seen, and where a spike begins."""
        reports = counted(bad, "report")
        if not isfinite(value):
            return f"{self.metric} is {json_of_value(value)}, and was beyond bounds for {reports}"
        side = "above" if self.mode == "min" else "below"
        return f"{self.metric} is {value:.6g}, and was {side} {usual or 0.0:.6g} for {reports}"
