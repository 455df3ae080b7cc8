"""Combinators that work on values at one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import reduce
from math import inf
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from rheostat.schedules.any_kind import AnyKind
from rheostat.schedules.definition import About, Bounds, Child, Definition, Floats, Followed, Places
from rheostat.schedules.exact import power_of_bounds, power_of_values, rounded
from rheostat.schedules.fields import Exponent, Number, Value
from rheostat.schedules.validation import wrong

Several = Annotated[
    tuple[AnyKind, ...],
    Field(strict=False, min_length=1, description="the definitions that are combined"),
]


class Pointwise(Definition):
    """A combinator whose value depends on its children's values at the same step alone."""

    pointwise = True

    @property
    def length(self) -> int | None:
        """The longest child's length."""
        lengths = [child.definition.length for child in self.children()]
        return None if None in lengths else max(n for n in lengths if n is not None)

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """Return the children's corners."""
        children = [child.definition for child in self.children()]
        share = max(most // len(children), 1)
        return np.concatenate([child.corners(start, stop, share) for child in children])


class Unary(Pointwise):
    """A combinator of one definition."""

    of: Annotated[AnyKind, Field(description="the definition whose values are changed")]

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definition."""
        yield Child("of", self.of, start, stop)

    @property
    def wavelength(self) -> Fraction | None:
        """The period of the definition inside."""
        return self.of.wavelength


class Many(Pointwise):
    """A combinator of several definitions."""

    culprit = "of"

    of: Several

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definitions."""
        for i, part in enumerate(self.of):
            yield Child(f"of[{i}]", part, start, stop)

    @property
    def wavelength(self) -> Fraction | None:
        """The period that all of them have, but for those that never change."""
        found = {part.wavelength for part in self.of if part.length != 0}
        return found.pop() if len(found) == 1 else None


class Product(Many):
    """The product of several definitions."""

    about = About(
        formula="of[0](t) · of[1](t) · …",
        after="what the definitions inside hold there",
        example={
            "kind": "product",
            "of": [
                {"kind": "linear", "start": 0.1, "end": 1.0, "steps": 500},
                {"kind": "exponential", "start": 0.1, "factor": 0.999},
            ],
        },
        names={
            "composer": "several schedulers",
            "mmengine": "overlapping schedulers",
            "pytorch_warmup": "dampening",
            "torch": "ChainedScheduler",
        },
        shown=3000,
    )

    kind: Literal["product"] = "product"

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the product, multiplied from first to last."""
        return reduce(np.multiply, (part.at(t, followed) for part in self.of))

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the product of the intervals."""
        return reduce(Bounds.times, (part.between(start, stop, followed) for part in self.of))


class Sum(Many):
    """The sum of several definitions."""

    about = About(
        formula="of[0](t) + of[1](t) + …",
        after="what the definitions inside hold there",
        example={
            "kind": "sum",
            "of": [
                {"kind": "constant", "value": 0.01},
                {"kind": "cosine", "start": 0.09, "end": 0.0, "steps": 1000, "periodic": True},
            ],
        },
        shown=4000,
    )

    kind: Literal["sum"] = "sum"

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the sum, added from first to last."""
        return reduce(np.add, (part.at(t, followed) for part in self.of))

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the sum of the intervals."""
        parts = [part.between(start, stop, followed) for part in self.of]
        return reduce(Bounds.plus, parts)


class Scale(Unary):
    """A definition times a factor."""

    about = About(
        formula="factor · of(t)",
        after="what the definitions inside hold there",
        example={
            "kind": "scale",
            "factor": 0.5,
            "of": {"kind": "cosine", "start": 1e-3, "end": 0.0, "steps": 1000},
        },
    )
    culprit = "factor"

    kind: Literal["scale"] = "scale"
    factor: Annotated[Number, Field(description="the factor; it may be negative")]

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return factor·of(t)."""
        return self.factor * self.of.at(t, followed)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the scaled interval."""
        return self.of.between(start, stop, followed).times(Bounds(self.factor, self.factor))


class Power(Unary):
    """A definition raised to a power."""

    about = About(
        formula="of(t)^exponent",
        after="what the definitions inside hold there",
        example={
            "kind": "power",
            "exponent": 2.0,
            "of": {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 1000},
        },
        names={"optax": "cosine_decay_schedule(exponent)"},
    )
    culprit = "exponent"

    kind: Literal["power"] = "power"
    exponent: Annotated[
        Exponent, Field(description="the exponent; a whole number where values are negative")
    ]

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return of(t)^exponent."""
        return power_of_values(self.of.at(t, followed), self.exponent)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the powers of the interval."""
        return power_of_bounds(self.of.between(start, stop, followed), self.exponent)


class Clip(Unary):
    """A definition that is kept between two limits."""

    about = About(
        formula="the middle one of min, of(t) and max",
        after="what the definitions inside hold there",
        example={
            "kind": "clip",
            "min": 2e-4,
            "of": {"kind": "inverse_sqrt", "start": 1e-3, "timescale": 1000},
        },
        names={"megatron": "min_lr", "optax": "end_value"},
        shown=50000,
    )

    kind: Literal["clip"] = "clip"
    min: Annotated[Value | None, Field(description="the least value; null for none")] = None
    max: Annotated[Value | None, Field(description="the greatest value; null for none")] = None

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.min is None and self.max is None:
            raise wrong("min", "is required unless max is given", None, "min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong("max", "must not be below min", self.max, f"≥ {self.min:g}")
        return self

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return of(t), but at least `min` and at most `max`."""
        return np.clip(self.of.at(t, followed), self.min, self.max)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the clipped interval."""
        low = -inf if self.min is None else self.min
        high = inf if self.max is None else self.max
        return self.of.between(start, stop, followed).within(low, high)


class Quantize(Unary):
    """A definition rounded to multiples of a number, as batch sizes are."""

    about = About(
        formula=(
            "multiple · ⌊of(t)/multiple⌋, ⌈…⌉, or the nearest (ties to even); exact, then rounded"
        ),
        after="what the definitions inside hold there",
        example={
            "kind": "quantize",
            "multiple": 128,
            "of": {"kind": "linear", "start": 256, "end": 2048, "steps": 9765625},
        },
        names={"megatron": "rampup_batch_size"},
    )

    culprit = "multiple"

    kind: Literal["quantize"] = "quantize"
    multiple: Annotated[
        float,
        Field(gt=0, json_schema_extra={"unit": "value"}, description="the distance of two values"),
    ] = 1.0
    rounding: Annotated[
        Literal["floor", "ceil", "nearest"], Field(description="which multiple is taken")
    ] = "floor"

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the multiple below, above or nearest to of(t)."""
        return rounded(self.of.at(t, followed), self.multiple, self.rounding)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the interval, rounded."""
        inner = self.of.between(start, stop, followed)
        if not inner.finite:
            return inner
        ends = rounded(np.array(inner), self.multiple, self.rounding)
        return Bounds.around(*ends.tolist())
