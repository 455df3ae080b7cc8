"""
Plateau: multiply parameters by a factor when a metric has stopped getting better.

The same four words (factor, patience, threshold, cooldown) mean something else in each library, so
a controller says whose *reading* of them it is; each is one class here, and follows its library's
arithmetic to the order of the operations:

================  ===============  ================  ==========================================
reading           reduces when     NaN as the first  a cool-down of c
                  the bad count
================  ===============  ================  ==========================================
torch             > patience       is bad            c reports cannot count; the best moves on
mmengine          > patience       is bad            as torch; the first best is ±1e9, not ±inf
paddle            > patience       is the best       c reports are skipped, and the best stays
keras             ≥ patience       is the best       falls before it is looked at: c − 1 reports
optax             = patience       is bad            c reports cannot count; the best moves on
================  ===============  ================  ==========================================

What is reduced is the value in force, whatever schedule it comes from, so that a plateau composes
with every definition: `Plateau.reduction` says by which factor.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import replace
from math import inf, ulp
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from rheostat.controllers.controller import Controller, State, Step
from rheostat.controllers.fields import Amount, Parameter, Reports, SomeReports
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_PARAMETERS, meant
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import Proportion

_ROUNDING: Final = 8
"""By how many units in the last place a product of factors may miss a floor that it has reached."""


class Counted(NamedTuple):
    """The next state, whether to reduce, and how many reports in a row were bad."""

    state: State
    fires: bool
    bad: int = 0


class Plateau(Controller):
    """Multiply parameters by a factor when a metric has stopped getting better."""

    remembers: ClassVar[tuple[str, ...]] = ("bad", "cool", "count", "mean")

    kind: Literal["plateau"] = "plateau"
    reading: str
    factor: Annotated[Proportion, Field(description="what the parameters are multiplied by")] = 0.1
    patience: Annotated[
        Reports, Field(description="reports without an improvement that are borne")
    ] = 10
    threshold: Annotated[Amount, Field(description="by how much a report must be better")] = 1e-4
    cooldown: Annotated[
        Reports, Field(description="reports after a reduction that cannot count as bad")
    ] = 0
    average: Annotated[
        SomeReports, Field(description="reports whose mean counts as one, for a noisy metric")
    ] = 1
    parameters: Annotated[
        tuple[Parameter, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=MAX_PARAMETERS,
            description="what is reduced, all at one step; lr/* is lr and every group of it",
        ),
    ] = ("lr",)

    @abstractmethod
    def reduction(self, state: State, value: float) -> float | None:
        """
        Return the factor by which a parameter falls, from its value in force; None for no fall.

        It is `factor` itself wherever the floor does not bite, and never 1 or more. ``state`` is
        the one that fired.
        """

    @abstractmethod
    def _advance(self, state: State, step: int, value: float) -> Counted:
        """Return what a report, or the mean of several, comes to."""

    def _fold(self, state: State, step: int, value: float) -> Step:
        count = state.count + 1
        mean = (state.count * state.mean + value) / count
        if count < self.average:
            return Step(replace(state, count=count, mean=mean), False, "")
        before = replace(state, count=0, mean=0.0)
        found = self._advance(before, step, mean)
        return Step(found.state, found.fires, self._why(found, mean) if found.fires else "")

    def _why(self, found: Counted, value: float) -> str:
        if found.bad == 0:  # optax with a patience of 0
            return f"{self.metric} is {value:.6g}, and a patience of 0 reduces at an improvement"
        if self.average == 1:
            return self._not_better(found.state, found.bad, "report")
        return f"{self._not_better(found.state, found.bad, 'mean')} of {self.average:,} reports"

    def parameters_of(self, names: Collection[str], field: str = "controller") -> tuple[str, ...]:
        """
        Return those of a run's parameters that are reduced, in the order of `parameters`.

        Raises:
            Invalid: if one of `parameters` is none of the run's; it names the item.

        """
        found = [meant(pattern, names) for pattern in self.parameters]
        wrong = [
            FieldError(f"{field}.parameters[{index}]", "is no parameter of the run", pattern, bound)
            for index, pattern in enumerate(self.parameters)
            if not found[index]
            for bound in [f"of {', '.join(sorted(names)[:10])}"]
        ]
        if wrong:
            raise Invalid("The controller is refused.", errors=wrong)
        return tuple(dict.fromkeys(name for names in found for name in names))


class FlooredPlateau(Plateau):
    """The readings with a relative or absolute threshold, a floor, and an ``eps``."""

    threshold_mode: Annotated[
        Literal["rel", "abs"], Field(description="a share of the best, or an amount")
    ] = "rel"
    min: Annotated[Amount, Field(description="the floor of each parameter's value")] = 0.0
    eps: Annotated[Amount, Field(description="a fall of no more than this is not made")] = 1e-8

    @model_validator(mode="after")
    def _relative_threshold(self) -> Self:
        if self.threshold_mode == "rel" and self.threshold >= 1:
            raise wrong("threshold", "must be less than 1 if it is relative", self.threshold, "< 1")
        return self

    def reduction(self, state: State, value: float) -> float | None:  # noqa: ARG002 - as the base
        """Return the factor down to the floor; None for a fall of at most ``eps``."""
        return _fall(self.factor, value, self.min, self.eps)

    def warning(self, value: float) -> str | None:
        """Say that a share of a negative best points the other way."""
        if self.threshold_mode == "rel" and value < 0:
            return (
                f"{self.metric} is below 0, where a relative threshold points the wrong way:"
                " an equal value counts as better; threshold_mode abs does not"
            )
        return None

    def _beats(self, value: float, best: float | None) -> bool:
        return self._better(value, self._bar(self._worst() if best is None else best))

    def _bar(self, best: float) -> float:
        """Return what a report must be better than to be an improvement."""
        if self.threshold_mode == "rel":
            return best * (1 - self.threshold if self.mode == "min" else 1 + self.threshold)
        return best - self.threshold if self.mode == "min" else best + self.threshold

    def _worst(self) -> float:
        """Return what the library has as its best before the first report."""
        return inf if self.mode == "min" else -inf


class TorchPlateau(FlooredPlateau):
    """``torch.optim.lr_scheduler.ReduceLROnPlateau``, which most other libraries wrap."""

    reading: Literal["torch"] = "torch"

    def _advance(self, state: State, step: int, value: float) -> Counted:
        return _counted_above(self, state, step, value)


class MMEnginePlateau(FlooredPlateau):
    """``mmengine.optim.ReduceOnPlateauParamScheduler``: torch's, from a best of ±1e9."""

    reading: Literal["mmengine"] = "mmengine"

    def _advance(self, state: State, step: int, value: float) -> Counted:
        return _counted_above(self, state, step, value)

    def _worst(self) -> float:
        return 1e9 if self.mode == "min" else -1e9


def _counted_above(plateau: FlooredPlateau, state: State, step: int, value: float) -> Counted:
    """Count as torch does: bad reports above the patience, none of them in a cool-down."""
    found = replace(state, bad=state.bad + 1)
    if plateau._beats(value, state.best):  # noqa: SLF001 - of this file
        found = replace(state, best=value, best_step=step, bad=0)
    if state.cool > 0:
        found = replace(found, bad=0, cool=state.cool - 1)
    if found.bad <= plateau.patience:
        return Counted(found, fires=False)
    return Counted(replace(found, bad=0, cool=plateau.cooldown), fires=True, bad=found.bad)


class PaddlePlateau(FlooredPlateau):
    """``paddle.optimizer.lr.ReduceOnPlateau``: a cooling report is skipped altogether."""

    reading: Literal["paddle"] = "paddle"

    def _bar(self, best: float) -> float:
        # not best·(1 − threshold): nothing is better than an infinite best, whose share is infinite
        if self.threshold_mode == "rel":
            return (
                best - best * self.threshold if self.mode == "min" else best + best * self.threshold
            )
        return super()._bar(best)

    def _advance(self, state: State, step: int, value: float) -> Counted:
        if state.cool > 0:
            return Counted(replace(state, cool=state.cool - 1), fires=False)
        # whatever comes first is the best, NaN too, which nothing is ever better than
        if state.best is None or self._beats(value, state.best):
            return Counted(replace(state, best=value, best_step=step, bad=0), fires=False)
        bad = state.bad + 1
        if bad <= self.patience:
            return Counted(replace(state, bad=bad), fires=False)
        return Counted(replace(state, bad=0, cool=self.cooldown), fires=True, bad=bad)


class KerasPlateau(Plateau):
    """
    ``keras.callbacks.ReduceLROnPlateau``, whose ``min_delta`` is the threshold, absolute.

    Its counter starts anew, and its cool-down begins, only if the rate really fell: see `fired`.
    """

    reading: Literal["keras"] = "keras"
    min: Annotated[Amount, Field(description="the floor of each parameter's value")] = 0.0

    def reduction(self, state: State, value: float) -> float | None:  # noqa: ARG002 - as the base
        """Return the factor down to the floor."""
        return _fall(self.factor, value, self.min, 0.0)

    def fired(self, state: State, *, made: bool) -> State:
        """Return the state after a reduction: as it was, if nothing fell."""
        return replace(state, bad=0, cool=self.cooldown) if made else state

    def _advance(self, state: State, step: int, value: float) -> Counted:
        if state.cool > 0:
            state = replace(state, cool=state.cool - 1, bad=0)
        delta = self.threshold if self.mode == "min" else -self.threshold
        if state.best is None or self._better(value + delta, state.best):
            return Counted(replace(state, best=value, best_step=step, bad=0), fires=False)
        if state.cool > 0:
            return Counted(state, fires=False)
        bad = state.bad + 1
        return Counted(replace(state, bad=bad), fires=bad >= self.patience, bad=bad)


class OptaxPlateau(Plateau):
    """
    ``optax.contrib.reduce_on_plateau``: ``rtol`` is the threshold, ``accumulation_size`` `average`.

    Its floor is one of the product of the factors, whatever the values are.
    """

    remembers: ClassVar[tuple[str, ...]] = (*Plateau.remembers, "scale")

    reading: Literal["optax"] = "optax"
    mode: Annotated[Literal["min"], Field(description="optax knows no other")] = "min"
    threshold: Annotated[
        float, Field(ge=0, lt=1, description="the share of the best by which it must be better")
    ] = 1e-4
    atol: Annotated[Amount, Field(description="the amount by which it must be better")] = 0.0
    min_scale: Annotated[
        float, Field(ge=0, le=1, description="the floor of the product of all factors")
    ] = 0.0

    @model_validator(mode="after")
    def _some_tolerance(self) -> Self:
        if self.threshold == self.atol == 0:
            raise wrong("threshold", "must be above 0 unless atol is", 0.0, "> 0, or atol > 0")
        return self

    def reduction(self, state: State, value: float) -> float | None:  # noqa: ARG002 - as the base
        """Return the factor down to the least scale."""
        return _fall(self.factor, state.scale, self.min_scale, 0.0)

    def fired(self, state: State, *, made: bool) -> State:
        """Return the state with the factor in its scale, if it was made."""
        lowered = max(state.scale * self.factor, self.min_scale)
        return replace(state, scale=lowered) if made else state

    def _advance(self, state: State, step: int, value: float) -> Counted:
        best = inf if state.best is None else state.best
        found = replace(state, bad=state.bad + 1)
        if value < (1 - self.threshold) * best - self.atol:
            found = replace(state, best=value, best_step=step, bad=0)
        if state.cool > 0:
            return Counted(replace(found, bad=0, cool=state.cool - 1), fires=False)
        if found.bad != self.patience:
            return Counted(found, fires=False)
        return Counted(replace(found, bad=0, cool=self.cooldown), fires=True, bad=found.bad)


def _fall(factor: float, value: float, floor: float, eps: float) -> float | None:
    """Return the factor from a value to its product or the floor, if it falls by more than eps."""
    lowered = max(value * factor, floor)
    if not value - lowered > max(eps, _ROUNDING * ulp(value)):
        return None
    return factor if lowered == value * factor else lowered / value
