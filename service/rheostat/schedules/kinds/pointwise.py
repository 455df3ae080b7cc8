"""Combinators that work on values at one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from math import inf
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from rheostat.errors import FieldError, Invalid
from rheostat.schedules import numeric
from rheostat.schedules.definition import (
    About,
    AnyKind,
    Blame,
    Bounds,
    Child,
    Definition,
    Floats,
    Followed,
    Places,
    Wave,
    array,
)
from rheostat.schedules.field_errors import wrong
from rheostat.schedules.field_types import AnyExponent, Number, Positive, Share, Value
from rheostat.schedules.numeric.seeded import half_mass, quantile, uniform

Several = Annotated[
    tuple[AnyKind, ...],
    Field(strict=False, min_length=1, description="the definitions that are combined"),
]


_ANYTHING: Final = Bounds(-inf, inf)


class Pointwise(Definition):
    """A combinator whose value depends on its children's values at the same step alone."""

    family = "Combinators of values"
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
    def wave(self) -> Wave | None:
        """The wave of the definition inside."""
        return self.of.wave


class Many(Pointwise):
    """A combinator of several definitions."""

    culprit = "of"

    of: Several

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definitions."""
        for i, part in enumerate(self.of):
            yield Child(f"of[{i}]", part, start, stop)

    @property
    def wave(self) -> Wave | None:
        """What all of them have together, from where on those that end have ended."""
        found: Wave | None = None
        for part in self.of:
            if (wave := part.wave) is not None:
                found = wave if found is None else found | wave
            if (found if wave else part.length) is None:
                return None
        last = max(part.length or 0 for part in self.of)
        return found and found._replace(start=max(found.start, last))


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


class Minimum(Many):
    """The least of several definitions, step by step: the lower one of two curves that cross."""

    about = About(
        formula="min(of[0](t), of[1](t), …)",
        after="what the definitions inside hold there",
        example={
            "kind": "minimum",
            "of": [
                {"kind": "linear", "start": 0.0, "end": 1e-3, "steps": 1000},
                {"kind": "inverse_sqrt", "start": 2e-3, "timescale": 250},
            ],
        },
        names={"tensor2tensor": "noam"},
        shown=4000,
    )

    kind: Literal["minimum"] = "minimum"

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the least value."""
        return reduce(np.minimum, (part.at(t, followed) for part in self.of))

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the least of the lower and of the upper ends."""
        parts = [part.between(start, stop, followed) for part in self.of]
        return Bounds(*(Bounds.around(*ends).min for ends in zip(*parts, strict=True)))


class Maximum(Many):
    """The greatest of several definitions, step by step: a curve above a floor that moves."""

    about = About(
        formula="max(of[0](t), of[1](t), …)",
        after="what the definitions inside hold there",
        example={
            "kind": "maximum",
            "of": [
                {"kind": "cosine", "start": 1e-3, "end": 0.0, "steps": 1000, "periodic": True},
                {"kind": "linear", "start": 5e-4, "end": 1e-4, "steps": 4000},
            ],
        },
        shown=4500,
    )

    kind: Literal["maximum"] = "maximum"

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the greatest value."""
        return reduce(np.maximum, (part.at(t, followed) for part in self.of))

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the greatest of the lower and of the upper ends."""
        parts = [part.between(start, stop, followed) for part in self.of]
        return Bounds(*(Bounds.around(*ends).max for ends in zip(*parts, strict=True)))


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
    """
    A definition raised to a power.

    Where rounding put a value inside off by one unit in its last place, its power is off by as many
    as the exponent; of values that float64 has exactly, powers are right to 4 such units.
    """

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
        AnyExponent,
        Field(
            description="the exponent; a whole number where values may be negative, and not below "
            "0 where they may be 0; what rounding took of the values inside counts as many times"
        ),
    ]

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return of(t)^exponent."""
        return numeric.signed_power(self.of.at(t, followed), self.exponent)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the powers of the interval."""
        return self.of.between(start, stop, followed).raised(self.exponent)

    def blame(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Blame:
        """Return what the exponent does not go with."""
        inner = self.of.between(start, stop, followed)
        found = Blame.of_power("exponent", self.exponent, inner)
        return found or super().blame(start, stop, followed)


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
        return numeric.to_multiple(self.of.at(t, followed), self.multiple, self.rounding)

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the interval, rounded."""
        inner = self.of.between(start, stop, followed)
        if not inner.finite:
            return inner
        ends = numeric.to_multiple(np.array(inner), self.multiple, self.rounding)
        return Bounds.around(*ends.tolist())


class Noise(Unary):
    """A definition times one plus noise: a function of seed and step, the same bits everywhere."""

    about = About(
        formula="of(t) · (1 + n(t)), n from output ⌊t⌋ of SplitMix64(seed): uniform in ±amplitude, "
        "or normal with deviation `std`, cut off at ±amplitude",
        after="what the definitions inside hold there",
        example={
            "kind": "noise",
            "seed": 42,
            "amplitude": 0.1,
            "of": {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 1000},
        },
        names={"timm": "noise_range_t, noise_pct, noise_std, noise_seed"},
        shown=1200,
    )

    kind: Literal["noise"] = "noise"
    seed: Annotated[
        int,
        Field(ge=0, lt=2**63, json_schema_extra={"unit": "none"}, description="which noise it is"),
    ]
    amplitude: Annotated[Share, Field(description="the greatest noise, relative to the value")]
    distribution: Annotated[
        Literal["uniform", "normal"], Field(description="how the noise is spread")
    ] = "uniform"
    std: Annotated[
        Positive, Field(description="the standard deviation before cutting off, if normal")
    ] = 1.0

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return of(t)·(1 + n(t))."""
        return self.of.at(t, followed) * (1 + self._noise(array(t).astype(np.int64)))

    def _noise(self, t: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
        even = uniform(self.seed, t)
        if self.distribution == "uniform":
            return even * self.amplitude
        noise = self.std * quantile(even * half_mass(self.amplitude / self.std))
        return np.clip(noise, -self.amplitude, self.amplitude)

    @property
    def wave(self) -> None:
        """None: noise does not come again."""
        return None

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return the interval times 1 ± amplitude."""
        noise = Bounds(1 - self.amplitude, 1 + self.amplitude)
        return self.of.between(start, stop, followed).times(noise)

    @property
    def length(self) -> None:
        """None: the noise never ends."""
        return None


class Follow(Definition):
    """
    A function of another parameter's value at the same step.

    It stands at the top of a parameter's definition, or inside of kinds that work on values at
    one step: product, sum, minimum, maximum, scale, power, clip, quantize, noise.
    """

    family = "Other parameters"
    about = About(
        formula="offset + scale · parameter(t)^power",
        after="what the other parameter's value gives",
        example={"kind": "follow", "parameter": "lr", "power": 2},
        names={"composer": "DecoupledAdamW", "t5x": "weight decay lr²"},
        shown=1200,
    )
    follower = True
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
    power: Annotated[
        AnyExponent,
        Field(
            description="the exponent of the other value; a whole number where that may be "
            "negative, and not below 0 where it may be 0"
        ),
    ] = 1.0
    offset: Annotated[Value, Field(description="what is added")] = 0.0

    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return offset + scale·parameter(t)^power."""
        del t
        if followed is None or self.parameter not in followed:
            message = "follows another parameter, and only a run has that one's values"
            error = FieldError("definition.parameter", message, self.parameter, "a run")
            raise Invalid("The definition has no values of its own.", errors=[error])
        return self.scale * numeric.signed_power(followed[self.parameter], self.power) + self.offset

    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return what the other parameter's bounds give; infinite if they are not known."""
        del start, stop
        inner = followed.get(self.parameter, _ANYTHING).raised(self.power)
        scaled = inner.times(Bounds(self.scale, self.scale))
        return Bounds(scaled.min + self.offset, scaled.max + self.offset)

    def blame(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Blame:
        """Return what the power does not go with."""
        inner = followed.get(self.parameter, _ANYTHING)
        found = Blame.of_power("power", self.power, inner)
        return found or super().blame(start, stop, followed)

    @property
    def length(self) -> None:
        """None: the other parameter may change for ever."""
        return

    def follows(self) -> frozenset[str]:
        """Return the other parameter's name."""
        return frozenset({self.parameter})
