"""A parameter that follows another one of the run."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, Literal

from pydantic import Field

from rheostat.errors import FieldError, Invalid
from rheostat.schedules.definition import About, Bounds, Definition, Floats, Followed, Places
from rheostat.schedules.exact import power_of_bounds, power_of_values
from rheostat.schedules.fields import Exponent, Number, Value


class Follow(Definition):
    """
    A function of another parameter's value at the same step.

    It stands at the top of a parameter's definition, or inside of kinds that work on values at
    one step: product, sum, scale, power, clip, quantize, noise.
    """

    about = About(
        formula="offset + scale · parameter(t)^power",
        after="what the other parameter's value gives",
        example={"kind": "follow", "parameter": "lr", "power": 2},
        names={"composer": "DecoupledAdamW", "t5x": "weight decay lr²"},
        shown=1200,
    )
    culprit = "scale"

    kind: Literal["follow"] = "follow"
    parameter: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_]*(/[A-Za-z0-9_.-]+)?$",
            max_length=128,
            description="the name of the other parameter",
        ),
    ]
    scale: Annotated[Number, Field(description="the factor; it may be negative")] = 1.0
    power: Annotated[Exponent, Field(description="the exponent of the other value")] = 1.0
    offset: Annotated[Value, Field(description="what is added")] = 0.0

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return offset + scale·parameter(t)^power."""
        del t
        if followed is None or self.parameter not in followed:
            message = "follows another parameter, and only a run has that one's values"
            error = FieldError("definition.parameter", message, self.parameter, "a run")
            raise Invalid("The definition has no values of its own.", errors=[error])
        return self.scale * power_of_values(followed[self.parameter], self.power) + self.offset

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return what the other parameter's bounds give; infinite if they are not known."""
        del start, stop
        inner = power_of_bounds(followed.get(self.parameter, Bounds(-inf, inf)), self.power)
        scaled = inner.times(Bounds(self.scale, self.scale))
        return Bounds(scaled.min + self.offset, scaled.max + self.offset)

    @property
    def length(self) -> None:
        """None: the other parameter may change for ever."""
        return

    def follows(self) -> frozenset[str]:
        """Return the other parameter's name."""
        return frozenset({self.parameter})
