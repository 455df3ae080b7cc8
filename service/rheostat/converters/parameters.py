"""
Types of the parameters that converters declare.

A parameter that is accepted and changes no value is marked with `Ignored` and its reason: the
manual lists it, and a test fails for any other parameter without an effect, and for a marked one
that has one. What one library alone marks stands in that library's file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rheostat.limits import MAX_STEP

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Shared(BaseModel):
    """Parameters that several schedulers of a library share: declared once, as its subclass."""

    model_config = STRICT


def whole(value: Any) -> Any:
    """Return a whole float as an integer, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Steps = Annotated[int, BeforeValidator(whole), Field(ge=-MAX_STEP, le=MAX_STEP)]
"""A number of steps; a whole float will do."""
Count = Annotated[Steps, Field(ge=0)]
"""A number of steps, or none."""
Length = Annotated[Steps, Field(gt=0)]
"""A number of steps, at least one."""

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
"""A share of a whole, or a factor that does not enlarge."""
Growth = Annotated[float, Field(ge=1)]
"""A factor that does not shrink."""
PerGroup = float | list[float]
"""A number, or one for each parameter group: `kit.of_group` reads it."""

Function: TypeAlias = Any
"""A parameter that takes a function: refused before a converter sees it, unless it is null."""


@dataclass(frozen=True)
class Ignored:
    """Marks a parameter that changes no value of any step, and says why."""

    reason: str


LastEpoch = Annotated[
    int, Ignored("says where a training resumes; a definition counts from its beginning")
]


class Resumed(Shared):
    """What all schedulers of several libraries accept, with the default that all of them have."""

    last_epoch: LastEpoch = -1


Verbose = Annotated[bool | int, Ignored("prints the values")]

ScaleMode = Annotated[
    Literal["cycle", "iterations"], Ignored("says what scale_fn is given, which must be null")
]
