"""
Stop: end the training when a metric has stopped getting better.

As with plateaus, a controller says whose *reading* of the words it is:

==============  ===================  ==================================================
reading         stops when           what counts as better
==============  ===================  ==================================================
lightning       bad ≥ patience       by more than min_delta; three thresholds besides
keras           bad ≥ patience       by more than min_delta; the counter starts anew only
                                     for what beats the baseline too
transformers    bad ≥ patience       by more than min_delta, and the best moves on for less
composer        steps > patience     by more than min_delta; patience is in steps
==============  ===================  ==================================================

Values are compared in float64, as they were reported.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rheostat.controllers.controller import Controller, State, Step
from rheostat.controllers.fields import Amount, Place, Reports
from rheostat.controllers.numbers import json_of_value


class Stop(Controller):
    """End the training when a metric has stopped getting better."""

    remembers: ClassVar[tuple[str, ...]] = ("bad",)

    kind: Literal["stop"] = "stop"
    reading: str
    min_delta: Annotated[Amount, Field(description="by how much a report must be better")] = 0.0

    @property
    def decides(self) -> Literal["change", "stop"]:
        """What it makes of the run: a stop."""
        return "stop"

    def _beats(self, value: float, best: float) -> bool:
        """Compare as Lightning and Keras do, to the order of the operations."""
        delta = self.min_delta if self.mode == "min" else -self.min_delta
        return self._better(value + delta, best)

    def _clearly_beats(self, value: float, best: float) -> bool:
        """Compare as transformers and Composer do; two equal infinities differ by NaN."""
        return self._better(value, best) and abs(value - best) > self.min_delta

    def _stopped(self, state: State, why: str) -> Step:
        """Return that it fires, its counters anew: what is taken back is not repeated at once."""
        return Step(replace(state, bad=0, since=None), fires=True, why=why)


class LightningStop(Stop):
    """``lightning.pytorch.callbacks.EarlyStopping``."""

    reading: Literal["lightning"] = "lightning"
    patience: Annotated[Reports, Field(description="reports in a row that are no better")] = 3
    check_finite: Annotated[bool, Field(description="stop at NaN and infinities, at once")] = True
    stopping_threshold: Annotated[
        float | None, Field(description="stop once the metric is better than this")
    ] = None
    divergence_threshold: Annotated[
        float | None, Field(description="stop once the metric is worse than this")
    ] = None

    def _fold(self, state: State, step: int, value: float) -> Step:
        at_once = self._at_once(value)
        if at_once:
            return self._stopped(state, at_once)
        worst = inf if self.mode == "min" else -inf
        if self._beats(value, worst if state.best is None else state.best):
            return _calm(replace(state, best=value, best_step=step, bad=0))
        return _bad(self, state, self.patience)

    def _at_once(self, value: float) -> str:
        """Return why a value alone ends the training; the empty text if it does not."""
        metric = self.metric
        if self.check_finite and not isfinite(value):
            return f"{metric} is {json_of_value(value)}"
        goal, limit = self.stopping_threshold, self.divergence_threshold
        if goal is not None and self._better(value, goal):
            return f"{metric} is {value:.6g}, better than the stopping threshold {goal:.6g}"
        if limit is not None and self._better(-value, -limit):
            return f"{metric} is {value:.6g}, worse than the divergence threshold {limit:.6g}"
        return ""


class KerasStop(Stop):
    """``keras.callbacks.EarlyStopping``; its ``start_from_epoch`` is `start`, in steps."""

    reading: Literal["keras"] = "keras"
    patience: Annotated[Reports, Field(description="reports in a row that are no better")] = 0
    baseline: Annotated[
        float | None, Field(description="the counter starts anew only for what beats this too")
    ] = None

    def _fold(self, state: State, step: int, value: float) -> Step:
        if state.best is not None and not self._beats(value, state.best):
            return _bad(self, state, self.patience)
        # whatever comes first is the best, NaN too, which nothing is ever better than
        beaten = self.baseline is None or self._beats(value, self.baseline)
        bad = 0 if beaten else state.bad + 1
        return _calm(replace(state, best=value, best_step=step, bad=bad))


class TransformersStop(Stop):
    """
    ``transformers.EarlyStoppingCallback`` beside its `Trainer`, which keeps the best metric.

    ``early_stopping_threshold`` is `min_delta`. The Trainer's best moves on for any improvement,
    so that many small ones never count.
    """

    reading: Literal["transformers"] = "transformers"
    patience: Annotated[Reports, Field(description="reports in a row that are no better")] = 1

    def _fold(self, state: State, step: int, value: float) -> Step:
        before = state.best
        best = (inf if self.mode == "min" else -inf) if before is None else before
        if self._better(value, best):
            state = replace(state, best=value, best_step=step)
        elif before is None:  # NaN or the worst infinity: the Trainer begins from the infinity
            state = replace(state, best=best)
        if before is None or self._clearly_beats(value, before):
            state = replace(state, bad=0)
            return self._stopped(state, self._first()) if self.patience == 0 else _calm(state)
        return _bad(self, state, self.patience)

    def _first(self) -> str:
        return f"{self.metric} was reported, and a patience of 0 stops at any report"


class ComposerStop(Stop):
    """``composer.callbacks.EarlyStopper``, whose patience in batches or epochs is one in steps."""

    remembers: ClassVar[tuple[str, ...]] = ("since",)

    reading: Literal["composer"] = "composer"
    patience_steps: Annotated[
        Place, Field(description="steps without an improvement that are borne")
    ]

    def _fold(self, state: State, step: int, value: float) -> Step:
        # whatever comes first is the best, NaN too, which nothing is ever better than
        if state.best is None or self._clearly_beats(value, state.best):
            return _calm(replace(state, best=value, best_step=step, since=step))
        since = step if state.since is None else state.since
        if step - since <= self.patience_steps:
            return _calm(replace(state, since=since))
        return self._stopped(state, self._not_better(state, step - since, "step"))


def _calm(state: State) -> Step:
    return Step(state, fires=False, why="")


def _bad(stop: Stop, state: State, patience: int) -> Step:
    """Count a report that is no better, and stop at the patience."""
    bad = state.bad + 1
    if bad < patience:
        return _calm(replace(state, bad=bad))
    return stop._stopped(state, stop._not_better(state, bad, "report"))  # noqa: SLF001 - of this file
