"""Combinators that work on values at one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from math import inf
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from rheostat.schedules.definition import Bounds, Child, Definition, Floats, Followed, Places
from rheostat.schedules.fields import Value

if TYPE_CHECKING:
    from rheostat.schedules.union import AnyDefinition

Of = Annotated["AnyDefinition", Field(description="the definition whose values are changed")]
Several = Annotated[
    "tuple[AnyDefinition, ...]",
    Field(
        strict=False, min_length=1, description="the definitions that are combined, at least one"
    ),
]


class Pointwise(Definition):
    """A combinator whose value depends on its children's values at the same step alone."""

    pointwise = True

    @property
    def length(self) -> int | None:
        """The longest child's length."""
        lengths = [child.definition.length for child in self.children()]
        return None if None in lengths else max(n for n in lengths if n is not None)


class Unary(Pointwise):
    """A combinator of one definition."""

    of: Of

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definition."""
        yield Child("of", self.of, start, stop)


class Product(Pointwise):
    """The product of several definitions."""

    culprit = "of"

    kind: Literal["product"] = "product"
    of: Several

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the factors."""
        for i, part in enumerate(self.of):
            yield Child(f"of[{i}]", part, start, stop)

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the product, multiplied from first to last."""
        return reduce(np.multiply, (part.at(t, followed) for part in self.of))

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the product of the factors' intervals."""
        return reduce(_times, (part.between(start, stop, followed) for part in self.of))


def _times(a: Bounds, b: Bounds) -> Bounds:
    return Bounds.around(a.min * b.min, a.min * b.max, a.max * b.min, a.max * b.max)


class Scale(Unary):
    """A definition times a factor."""

    culprit = "factor"

    kind: Literal["scale"] = "scale"
    factor: Annotated[Value, Field(description="the factor; no unit")]

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return factor·of(t)."""
        return self.factor * self.of.at(t, followed)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the scaled interval."""
        return _times(self.of.between(start, stop, followed), Bounds(self.factor, self.factor))


class Clip(Unary):
    """A definition that is kept between two limits."""

    kind: Literal["clip"] = "clip"
    min: Annotated[
        Value | None, Field(description="the least value, in the parameter's unit; none if null")
    ] = None
    max: Annotated[
        Value | None, Field(description="the greatest value, in the parameter's unit; none if null")
    ] = None

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.min is None and self.max is None:
            raise PydanticCustomError("clip_open", "needs min, max or both", {"field": "min"})
        if self.min is not None and self.max is not None and self.min > self.max:
            raise PydanticCustomError(
                "clip_order",
                "must not be below min, {bound}",
                {"field": "max", "value": self.max, "bound": f"≥ {self.min:g}"},
            )
        return self

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return of(t), but at least `min` and at most `max`."""
        with np.errstate(over="ignore"):
            return np.clip(self.of.at(t, followed), self.min, self.max)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the interval, clipped."""
        low = -inf if self.min is None else self.min
        high = inf if self.max is None else self.max
        inner = self.of.between(start, stop, followed)
        return Bounds(min(max(inner.min, low), high), min(max(inner.max, low), high))
