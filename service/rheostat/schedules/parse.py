"""From JSON to a definition, or to errors that name field, value and bound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules import size_limits
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.lengths import Clock, Kept, Timeframe, resolve
from rheostat.schedules.ranges import out_of_range
from rheostat.schedules.references import Lookup, inlined
from rheostat.schedules.union import ADAPTER, KINDS

D = TypeVar("D", bound=Definition)

_CACHED: Final = 512
_LARGEST_CACHED: Final = 8192
"""Definitions whose JSON is longer, in characters, are parsed each time."""
_MANY: Final = 1_000
"""Of more points than these the JSON is longer, and is not written to find out."""


class ParseContext(NamedTuple):
    """How a definition is read."""

    total: int | None = None
    steps_per_epoch: int | None = None
    field: str = "definition"
    kept: tuple[tuple[str, Kept], ...] | None = None
    """What of the definition stays where it was for another total."""

    def timeframe(self, clock: Clock, **passing: Any) -> Timeframe:
        """Return the time of the whole definition."""
        return Timeframe(clock, end=None if self.total is None else Fraction(self.total), **passing)

    def clock(self, **noting: Any) -> Clock:
        """Return what its lengths are relative to."""
        kept = None if self.kept is None else dict(self.kept)
        return Clock(self.total, self.steps_per_epoch, root=len(self.field), kept=kept, **noting)


class Parsed(NamedTuple):
    """A definition, and the JSON that it was read from, with references replaced."""

    definition: Definition
    data: Any
    spoken: bool
    """Whether lengths depend on the run."""


def parse(
    data: Any,
    *,
    total: int | None = None,
    steps_per_epoch: int | None = None,
    field: str = "definition",
    lookup: Lookup | None = None,
) -> Definition:
    """
    Return the definition that JSON data describes; a number is a constant.

    ``total`` is the length of the run in steps, for ``"10%"`` and ``"rest"``; ``steps_per_epoch``
    is for ``"3 epochs"``; ``lookup`` finds the schedules that the definition refers to. The paths
    of errors start with ``field``.

    Raises:
        Invalid: with one item for each wrong field.

    """
    return parsed(data, ParseContext(total, steps_per_epoch, field), lookup).definition


def parsed(data: Any, context: ParseContext, lookup: Lookup | None = None) -> Parsed:
    """
    Return the definition that JSON data describes, and how it was described.

    Raises:
        Invalid: with one item for each wrong field.

    """
    if isinstance(data, Definition):
        return Parsed(data, None, spoken=False)
    data = whole(data)
    size = size_limits.check(data, context.field)
    _check_lengths(total=context.total, steps_per_epoch=context.steps_per_epoch)
    full = inlined(data, lookup, context.field)
    if full is not data:
        size = size_limits.check(full, context.field)
    if max(size.points, size.nodes) > _MANY:
        return _parse(full, context)
    text = json.dumps(full, sort_keys=True)
    return _parsed(text, context) if len(text) <= _LARGEST_CACHED else _parse(full, context)


def whole(data: Any) -> Any:
    """Return the JSON of a definition; a number stands for a constant."""
    return {"kind": "constant", "value": data} if type(data) in {int, float} else data


def passed(
    data: Any, context: ParseContext, now: Fraction, totals: tuple[Fraction, ...]
) -> dict[str, Kept]:
    """Return what of a definition is to stay where it is at ``now``: see `lengths`."""
    noted: dict[str, Kept] = {}
    time = context.timeframe(context.clock(noted=noted), now=now, totals=totals)
    resolve(data, time, context.field)
    return noted


@lru_cache(_CACHED)
def _parsed(text: str, context: ParseContext) -> Parsed:
    return _parse(json.loads(text), context)


def _parse(data: Any, context: ParseContext) -> Parsed:
    clock = context.clock()
    resolved = resolve(data, context.timeframe(clock), context.field)
    if clock.errors:
        raise _invalid(*clock.errors)
    try:
        definition = ADAPTER.validate_python(resolved)
    except ValidationError as error:
        raise _invalid(*field_errors(error, resolved, context.field)) from None
    return Parsed(_in_range(definition, context.field), data, spoken=bool(clock.said))


def composed(data: Mapping[str, Any], field: str = "definition") -> Definition:
    """
    Return the definition that raw data describes, of which some parts were parsed before.

    It has to be all that `parse` demands, but those parts are not parsed again; lengths are in
    steps.

    Raises:
        Invalid: with one item for each wrong field.

    """
    try:
        definition = ADAPTER.validate_python(data)
    except ValidationError as error:
        raise _invalid(*field_errors(error, data, field)) from None
    return sound(definition, field)


def sound(definition: D, field: str = "definition") -> D:
    """
    Return a definition that was built, not parsed; raise `Invalid` unless `parse` would take it.

    Raises:
        Invalid: if it is too large, too deep, or leaves the range of float64.

    """
    size_limits.check_built(definition, field)
    return _in_range(definition, field)


def _in_range(definition: D, field: str) -> D:
    _check_follows(definition, field, allowed=True)
    _check_bounds(definition, field)
    return definition


def _invalid(*errors: FieldError) -> Invalid:
    return Invalid("The definition is refused.", errors=errors)


def _check_lengths(**lengths: int | None) -> None:
    for name, value in lengths.items():
        if value is None:
            continue
        if type(value) is not int or not 1 <= value <= MAX_STEP:
            bound = f"an integer from 1 to {MAX_STEP}"
            raise _invalid(FieldError(name, f"must be {bound}", shown(value), bound))


def _check_follows(definition: Definition, path: str, *, allowed: bool) -> None:
    """Refuse to follow a parameter where its value at the same step would not be the one used."""
    if definition.follower and not allowed:
        message = "cannot stand inside of a kind that changes time"
        *most, last = (kind for kind, cls in KINDS.items() if cls.pointwise)
        bound = f"at the top, or inside of {', '.join(most)} or {last}"
        raise _invalid(FieldError(path, message, definition.kind, bound))
    for child in definition.children():
        inside = f"{path}.{child.path}"
        _check_follows(child.definition, inside, allowed=allowed and definition.pointwise)


def _check_bounds(definition: Definition, path: str) -> None:
    """Refuse what overflows float64, or is not a number, at any step."""
    error = out_of_range(definition, path)
    if error is not None:
        raise _invalid(error)
