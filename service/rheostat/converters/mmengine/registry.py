"""The table of MMEngine's schedulers, and their windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from rheostat.converters.building import sequence, value_at
from rheostat.converters.case import Case, Steps, refused
from rheostat.converters.library import Library
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.kinds.timing import Staircase, Stretch
from rheostat.schedules.union import AnyDefinition

library = Library("mmengine")

ENDLESS = 10**9
"""MMEngine's end of a scheduler that has none."""
Begin = Annotated[Steps, Field(ge=0)]


def named(stem: str) -> tuple[str, str, str]:
    """Return the names of a scheduler."""
    return f"{stem}ParamScheduler", f"{stem}LR", f"{stem}Momentum"


library.metric_driven(*named("ReduceOnPlateau"))


_OF_MOMENTUM = ("momentum", "beta1", "betas")
_MOST_STEPS = 2**53


@dataclass(frozen=True)
class Span:
    """The window of a scheduler in its own counts, and what a count is in steps."""

    case: Case
    begin: int
    end: int
    factor: int
    """By what its lengths are multiplied: those of epochs that are converted to iterations."""
    every: int
    """How many steps it takes to count once."""

    @classmethod
    def of(
        cls,
        case: Case,
        window: tuple[int, int],
        param_name: str | None,
        *,
        by_epoch: bool,
        to_iters: bool,
    ) -> Span:
        """Return the window of a scheduler, once it is clear that it sets what is asked for."""
        _check_field(case, param_name)
        begin, end = window
        if end <= begin:
            raise case.wrong("end", "must lie above begin", end, f"> {begin}")
        length = case.context.steps_per_epoch
        if to_iters and not by_epoch:
            message = "is for schedulers that count epochs"
            raise case.wrong("convert_to_iter_based", message, to_iters, "by_epoch true")
        if to_iters and length is None:
            raise needs_epochs("counts the iterations of its epochs")
        factor = (length or 1) if to_iters else 1
        every = (length or 1) if by_epoch and not to_iters else 1
        end = end if end >= ENDLESS else end * factor
        return cls(case, begin * factor, end, factor, every)

    @property
    def width(self) -> int:
        """How many counts the window has."""
        return self.end - self.begin

    def at_most(self, counts: int) -> Span:
        """Return the window, cut off after so many counts."""
        return replace(self, end=min(self.end, self.begin + counts))

    def laid_out(self, curve: AnyDefinition) -> AnyDefinition:
        """Return a curve that acts in the window: after it the last value in it holds."""
        last = self.width - 1
        if self.end < ENDLESS and (curve.length is None or curve.length > last):
            frozen = Constant(value=value_at(curve, 0))
            curve = Sequence(parts=(Part(schedule=curve, steps=last),)) if last else frozen
        start = (Constant(value=self.case.base), self.begin)
        return by_counts(sequence(start, then=curve) if self.begin else curve, self.every)


def by_counts(curve: AnyDefinition, every: int) -> AnyDefinition:
    """Return a curve that moves on once every so many steps."""
    if every == 1 or isinstance(curve, Constant):
        return curve
    if isinstance(curve, Multistep) and max(curve.milestones, default=0) * every < _MOST_STEPS:
        milestones = tuple(milestone * every for milestone in curve.milestones)
        return Multistep(start=curve.start, milestones=milestones, factor=curve.factor)
    if isinstance(curve, Step):
        return Step(start=curve.start, every=curve.every * every, factor=curve.factor)
    return Staircase(of=Stretch(of=curve, ratio=float(every)), every=float(every))


def field_of(name: str, param_name: str | None) -> str | None:
    """Return the field that a scheduler of this name sets; None for whatever is asked for."""
    if name.endswith("Momentum"):
        return "momentum"
    return "lr" if name.endswith("LR") else param_name


def sets(name: str, param_name: str | None, hyperparameter: str) -> bool:
    """Return whether a scheduler of this name sets a hyperparameter."""
    field = field_of(name, param_name)
    if field == "momentum":
        return hyperparameter in _OF_MOMENTUM
    return field is None or field == hyperparameter


def needs_epochs(why: str) -> Invalid:
    """Return the error about the length of an epoch that is missing, to be raised."""
    return refused(FieldError("steps_per_epoch", f"is required: {why}", None, "≥ 1"))


def _check_field(case: Case, param_name: str | None) -> None:
    """Refuse a scheduler of another field than the one that is asked for."""
    if param_name is not None and not case.name.endswith("ParamScheduler"):
        message = f"is not a parameter of {case.name}"
        raise case.wrong("param_name", message, param_name, "not given")
    if sets(case.name, param_name, case.hyperparameter):
        return
    field = field_of(case.name, param_name)
    message = f"is not set by {case.name}, which sets the {field}"
    raise refused(FieldError("hyperparameter", message, case.hyperparameter, f"{field}"))
