"""What a converter is asked: a scheduler, the base value, and what surrounds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rheostat.errors import FieldError, Invalid
from rheostat.schedules.field_errors import shown
from rheostat.schedules.field_types import MAX_STEP
from rheostat.schedules.size_limits import MAX_NODES, MAX_POINTS
from rheostat.schedules.union import AnyDefinition

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
Function: TypeAlias = Any
"""A parameter that takes a function: refused before a converter sees it, unless it is null."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Steps = Annotated[int, BeforeValidator(_whole), Field(ge=-MAX_STEP, le=MAX_STEP)]
"""A number of steps; a whole float will do."""


class Nested(BaseModel):
    """A scheduler inside of another one's parameters."""

    model_config = STRICT

    name: str
    params: dict[str, Any] = {}


class Context(BaseModel):
    """What surrounds a scheduler: what its library knows beside the scheduler's parameters."""

    model_config = STRICT

    total: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STEP), BeforeValidator(_whole)] | None,
        Field(description="the length of the training in steps"),
    ] = None
    steps_per_epoch: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STEP), BeforeValidator(_whole)] | None,
        Field(
            description="the length of an epoch in steps, where some count epochs and others steps"
        ),
    ] = None
    context: Annotated[
        dict[str, Any] | None, Field(description="the state of Composer's trainer: its durations")
    ] = None
    lr_scale: Annotated[float | None, Field(description="timm's factor of the group")] = None
    group: Annotated[int | str | None, Field(description="the parameter group")] = None
    group_overrides: Annotated[
        dict[str, Any] | None, Field(description="what Megatron's group sets for itself")
    ] = None
    optimizer_default_lr: Annotated[
        float | None, Field(description="the optimizer's own default, if a group differs from it")
    ] = None


class Budget:
    """How many schedulers, of how many values, may still be converted for one definition."""

    def __init__(self) -> None:
        self._left = MAX_NODES
        self._values = MAX_POINTS

    def spend(self, params: Mapping[str, Any], field: str) -> None:
        """Count one conversion; raise Invalid if there were too many, or of too much."""
        self._left -= 1
        self._values -= sum(len(v) for v in params.values() if isinstance(v, (list, dict, str)))
        if self._left < 0 or self._values < 0:
            bound = f"≤ {MAX_NODES} conversions, of {MAX_POINTS} values"
            message = "stand inside of too many others: each is converted several times"
            raise refused(FieldError(field, message, None, bound))


@dataclass(frozen=True)
class Case:
    """A scheduler as its own library configures it, and the value that it starts from."""

    library: str
    name: str
    base_value: float | None
    hyperparameter: str
    context: Context
    convert: Callable[[Case, str, dict[str, Any]], AnyDefinition]
    """What converts a scheduler of the library in this name, with these parameters."""
    budget: Budget
    field: str = "params"
    """The path of the parameters, for errors."""

    @property
    def base(self) -> float:
        """The base value, which is required if it is asked for."""
        if self.base_value is None:
            message = f"is required: {self.name} starts from the optimizer's value"
            raise refused(FieldError("base_value", message, None, "a finite number"))
        return self.base_value

    @property
    def total(self) -> float:
        """The length of the training in steps, which is required if it is asked for."""
        if self.context.total is None:
            message = f"is required: {self.name} counts shares of the training"
            raise refused(FieldError("total", message, None, "≥ 1"))
        return self.context.total

    def wrong(self, parameter: str, message: str, value: Any, bound: str | None = None) -> Invalid:
        """Return the error about a parameter, to be raised."""
        path = f"{self.field}.{parameter}" if parameter else self.field
        return refused(FieldError(path, message, shown(value), bound))

    def nested(
        self,
        spec: Nested,
        parameter: str,
        *,
        base_value: float | None = None,
        library: str | None = None,
        total: float | None = None,
        inside: str = ".params",
    ) -> AnyDefinition:
        """
        Return the definition of a scheduler that stands in a parameter of this one.

        It may have a base value, a library and a total of its own; its parameters stand at the
        path ``inside`` of there.
        """
        context = (
            self.context if total is None else self.context.model_copy(update={"total": total})
        )
        inner = replace(
            self,
            library=library or self.library,
            base_value=self.base_value if base_value is None else base_value,
            context=context,
            field=f"{self.field}.{parameter}{inside}",
        )
        return self.convert(inner, spec.name, spec.params)


def refused(*errors: FieldError) -> Invalid:
    """Return the error for a scheduler that cannot be converted."""
    return Invalid("The scheduler cannot be converted.", errors=errors)
