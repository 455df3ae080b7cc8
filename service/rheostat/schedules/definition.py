"""The base of all kinds: what a definition can be asked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from math import inf, isfinite, isnan, lcm, nan
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, to_json
from pydantic_core.core_schema import no_info_plain_validator_function

from rheostat.schedules import numeric
from rheostat.schedules.lengths import Json, Timeframe, consecutive, inside

Floats: TypeAlias = NDArray[np.float64]
Array: TypeAlias = NDArray[Any]
"""Places on a definition's own axis: int64, or float64 where some may lie between two steps."""
Places: TypeAlias = range | Array
"""A rising range of steps, or an array of places in any order."""
Followed: TypeAlias = Mapping[str, Floats]
"""The values of the run's other parameters, aligned with the places."""

Family: TypeAlias = Literal[
    "Base curves",
    "Decays",
    "Points",
    "Combinators in time",
    "Combinators of values",
    "Other parameters",
    "Presets",
]
"""The headings under which the manual has the kinds."""

MANY: Final = 4096
"""Periods that may have passed before whole ones are left out: fewer take 12 bits of a place."""
_LONGEST: Final = 2**40
"""Steps of the longest period that is looked for."""
_ROUNDING = 2e-15
"""What rounding may add to a value, relative to the numbers on its way: a few ulp."""


def array(t: Places) -> Array:
    """Return places as an array."""
    return np.arange(t.start, t.stop, t.step) if isinstance(t, range) else t


def places_within(places: Iterable[float] | Floats, start: float, stop: float) -> Floats:
    """Return the places from ``start`` to ``stop``."""
    found = np.asarray(places if isinstance(places, np.ndarray) else [*places], dtype=np.float64)
    return found[(found >= start) & (found <= stop)]


class Bounds(NamedTuple):
    """The least and the greatest value that a definition can take."""

    min: float
    max: float

    @property
    def finite(self) -> bool:
        """Whether both are finite numbers."""
        return isfinite(self.min) and isfinite(self.max)

    @classmethod
    def around(cls, *values: float) -> Bounds:
        """Return the bounds of some values; NaN among them makes both NaN."""
        if any(isnan(value) for value in values):
            return cls(nan, nan)
        return cls(min(values), max(values))

    def widened(self, scale: float = 0.0) -> Bounds:
        """Return the bounds moved out by what rounding may add, at this scale or their own."""
        low = self.min - max(abs(self.min), scale) * _ROUNDING
        high = self.max + max(abs(self.max), scale) * _ROUNDING
        return Bounds(low, high)

    def times(self, other: Bounds) -> Bounds:
        """Return the bounds of products; NaN where zero may meet infinity."""
        for a, b in ((self, other), (other, self)):
            if a.min <= 0 <= a.max and not b.finite:
                return Bounds(nan, nan)
        return Bounds.around(*(a * b for a in self for b in other))

    def plus(self, other: Bounds) -> Bounds:
        """Return the bounds of sums; NaN where infinities may cancel."""
        if isnan(self.min + other.max) or isnan(self.max + other.min):
            return Bounds(nan, nan)
        return Bounds(self.min + other.min, self.max + other.max)

    def raised(self, exponent: float) -> Bounds:
        """Return the bounds of powers: NaN if some are no numbers, infinite if one is of 0."""
        if isnan(self.min):
            return self
        if exponent == 0:
            return Bounds(1.0, 1.0)
        if not exponent.is_integer() and self.min < 0:
            return Bounds(nan, nan)
        if exponent < 0:
            if self.min <= 0 <= self.max:
                return Bounds(-inf if exponent % 2 == 1 else 0.0, inf)
        elif not self.finite:
            return Bounds(-inf if exponent % 2 == 1 else 0.0, inf)
        ends = Bounds.around(*numeric.signed_power(np.array(self), exponent).tolist())
        if abs(exponent) != 1:
            ends = ends.widened()
        if exponent % 2 == 1:
            return ends
        return Bounds(0.0 if self.min < 0 < self.max else max(ends.min, 0.0), ends.max)

    def within(self, low: float, high: float) -> Bounds:
        """Return the bounds, clipped to [low, high]."""
        if isnan(self.min):
            return self
        return Bounds(min(max(self.min, low), high), min(max(self.max, low), high))


@dataclass(frozen=True)
class About:
    """What the manual says of a kind."""

    formula: str
    """The value v(t) for t ≥ 0, as text."""
    after: str
    """What holds past the end."""
    example: dict[str, Any]
    """A definition of the kind."""
    names: dict[str, str] = field(default_factory=dict)
    """What libraries call it."""
    shown: int | None = None
    """How many steps of the example the manual plots; by default a quarter more than it has."""


class Child(NamedTuple):
    """A definition inside another one: its field path, and the stretch of it that is used."""

    path: str
    definition: Definition
    start: float
    stop: float


class Wave(NamedTuple):
    """Values that come again: those at ``start`` and later, after each ``period``."""

    start: int
    period: Fraction

    def __or__(self, other: Wave) -> Wave | None:
        """Return the wave that both make together; None if it would be very long."""
        a, b = self.period, other.period
        period = Fraction(
            lcm(a.numerator * b.denominator, b.numerator * a.denominator),
            a.denominator * b.denominator,
        )
        # Of two periods not from 0 on, so that near values keep the bits that they always had.
        together = Wave(max(self.start, other.start, int(a != b)), period)
        return together if period <= max(a, b, Fraction(_LONGEST)) else None

    def places(self, high: Floats, low: Floats | float) -> Floats:
        """
        Return sums of two floats, less whole periods where many have passed.

        A float has too few digits to say where in a period a step is that lies 10^12 periods
        behind the first. Where few have passed, the sums are as they are.
        """
        passed, rest = numeric.two_sum(high, -float(self.start))
        counted = passed / float(self.period)
        far = (counted >= MANY) & (counted < numeric.COUNTED)
        whole = numeric.remainder(np.where(far, passed, 0.0), self.period)
        phase = np.mod(whole + (low + rest), float(self.period))
        return np.where(far, self.start + phase, high + low)

    def stretch(self, first: float, last: float) -> tuple[float, float]:
        """Return two ends between which all places lie that are looked up from first to last."""
        if last < self.start + MANY * float(self.period):
            return first, last
        return min(first, float(self.start)), inf


class Blame(NamedTuple):
    """What lets values leave the range of float64: a field, if it is one, and what is right."""

    field: str
    message: str = "lets values leave the range of float64"
    bound: str = "finite values at every step"

    @classmethod
    def of_power(cls, field: str, exponent: float, values: Bounds) -> Blame | None:
        """Return what is wrong with a power of such values, unless it is too large alone."""
        between = f"they go from {values.min:g} to {values.max:g}"
        if values.min < 0 and not exponent.is_integer():
            message = f"must be a whole number where values may be negative: {between}"
            return cls(field, message, "a whole number, or values that are never negative")
        if exponent < 0 and values.min <= 0 <= values.max:
            message = f"must not be negative where values may be 0: {between}"
            return cls(field, message, "≥ 0, or values that are never 0")
        return None


class Definition(BaseModel):
    """
    A curve: a pure function of the step, by closed form.

    ``t`` is the step minus the definition's origin. Before 0 the value at 0 holds; after the end
    of a finite curve its last value holds.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra=lambda schema: schema.update(
            required=["kind", *schema.get("required", ())]
        ),
    )

    about: ClassVar[About]
    """What the manual says of the kind."""
    family: ClassVar[Family]
    """Under which heading the manual has it."""
    lengths: ClassVar[tuple[str, ...]] = ()
    """The fields that are lengths, in the order in which they follow each other from step 0."""
    measures: ClassVar[tuple[str, ...]] = ()
    """Those of the lengths that say how fast, and end nowhere: a timescale."""
    recurring: ClassVar[bool] = False
    """Whether the lengths recur, whatever the fields are."""
    pointwise: ClassVar[bool] = False
    """Whether a value depends on the children's values at the same step alone."""
    follower: ClassVar[bool] = False
    """Whether values are computed from another parameter of the run, at the same step."""
    culprit: ClassVar[str] = ""
    """The field to name when the kind's own arithmetic overflows."""

    kind: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Definition) and self.canonical == other.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)

    @abstractmethod
    def at(self, t: Places, followed: Followed | None = None) -> Floats:
        """Return the values at places ``t ≥ 0``."""

    @abstractmethod
    def between(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return bounds of the values at ``start ≤ t ≤ stop``; ``stop`` may be infinite."""

    def blame(self, start: float, stop: float, followed: Mapping[str, Bounds]) -> Blame:
        """Return why the kind's own bounds are not finite, where those of what it holds are."""
        del start, stop, followed
        return Blame(self.culprit)

    @property
    @abstractmethod
    def length(self) -> int | None:
        """A step from which on the value never changes; None if it may change for ever."""

    @property
    def wave(self) -> Wave | None:
        """From where on and after how long all values come again; None if they do not."""
        return None

    def corners(self, start: float, stop: float, most: int) -> Floats:
        """
        Return places at ``start ≤ t ≤ stop`` where the curve may break or turn back.

        They are those that the kind can tell without looking at values, at most about ``most`` of
        them: of more, some that are evenly chosen, and of given values those that stick out.
        """
        del most
        return places_within([0.0] if self.length is None else [0.0, self.length], start, stop)

    def children(self, start: float = 0.0, stop: float = inf) -> Iterator[Child]:
        """Yield the definitions that this one uses for ``start ≤ t ≤ stop``."""
        del start, stop
        yield from ()

    def expansion(self) -> Definition | None:
        """Return what a preset is made of; None for a kind that is not a preset."""
        return None

    @np.errstate(over="ignore", invalid="ignore")
    def values(self, t: range | NDArray[np.int64], followed: Followed | None = None) -> Floats:
        """
        Return the values at steps ``t``, a range or an int64 array of any order.

        Steps before 0 count as 0. ``followed`` holds the values of the parameters that the
        definition follows, at the same steps. Nothing is kept: for steps that are asked for again
        there is `evaluate`.

        Raises:
            Invalid: if the definition follows a parameter that is not in ``followed``.

        """
        rises = isinstance(t, range) and t.step > 0 and t.start >= 0
        return self.at(t if rises else np.maximum(array(t), 0), followed)

    def bounds(self, followed: Mapping[str, Bounds] | None = None) -> Bounds:
        """Return bounds of the values over all ``t ≥ 0``, by interval arithmetic."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.between(0.0, inf, followed or {})

    @classmethod
    def laid_out(cls, raw: Json, time: Timeframe, path: str) -> Json:
        """
        Return the raw definition with its lengths in whole steps: what they mean, the kind says.

        Here they follow each other, and what stands inside has the same time.
        """
        out, _ = consecutive(cls, raw, time, path)
        return {key: inside(value, time, f"{path}.{key}") for key, value in out.items()}

    @classmethod
    def recurs(cls, raw: Mapping[str, Any]) -> bool:
        """Whether the raw definition's lengths recur, so that it has `turn`."""
        del raw
        return cls.recurring

    def turn(self, number: int) -> float:
        """Return the place of a turn, from 0 at 0; infinity beyond all places."""
        raise NotImplementedError

    @property
    def turns(self) -> int | None:
        """At which turn the curve ends; None if it does not."""
        return None

    def follows(self) -> frozenset[str]:
        """Return the names of the parameters that the definition follows."""
        return frozenset[str]().union(*(child.definition.follows() for child in self.children()))

    def to_json(self) -> dict[str, Any]:
        """Return the canonical JSON: all lengths resolved, defaults written out."""
        return self.model_dump(mode="json", by_alias=True)

    @cached_property
    def canonical(self) -> bytes:
        """The canonical JSON as bytes: no spaces, fields in the order of the manual."""
        return to_json(self, by_alias=True)

    @cached_property
    def content_hash(self) -> str:
        """The SHA-256 of the canonical JSON, in hexadecimal."""
        return sha256(self.canonical).hexdigest()


REFERENCE: Final = "x-reference"
"""Key of a JSON Schema for the name of what is described elsewhere, until they are joined."""

GIVEN: Final = {REFERENCE: "DefinitionOrNumber"}
"""JSON Schema of a whole definition as it is given: a number stands for a constant."""


def _read(data: Any) -> Definition:
    from rheostat.schedules.union import ADAPTER  # noqa: PLC0415 - it is made of the kinds

    return ADAPTER.validate_python(data)


class _Marker:
    """
    Has the union read the field when there is something to read.

    Were the union a part of each kind that holds definitions, it would be built for each of them.
    """

    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_plain_validator_function(_read)

    @staticmethod
    def __get_pydantic_json_schema__(
        _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {REFERENCE: "Definition"}


if TYPE_CHECKING:
    from rheostat.schedules.union import AnyDefinition

    AnyKind: TypeAlias = AnyDefinition
else:
    AnyKind = Annotated[Definition, _Marker]
