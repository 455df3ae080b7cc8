"""From JSON to a definition, or to errors that name field, value and bound."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any

from pydantic import ValidationError

from rheostat.errors import FieldError, Invalid
from rheostat.schedules import limits
from rheostat.schedules.definition import Bounds, Definition
from rheostat.schedules.fields import MAX_STEP
from rheostat.schedules.lengths import Clock, Window, resolve
from rheostat.schedules.shown import shown
from rheostat.schedules.union import ADAPTER
from rheostat.schedules.validation import field_errors


def parse(
    data: Any,
    *,
    total: int | None = None,
    steps_per_epoch: int | None = None,
    field: str = "definition",
) -> Definition:
    """
    Return the definition that JSON data describes.

    ``total`` is the length of the run in steps, for ``"10%"`` and ``"rest"``; ``steps_per_epoch``
    is for ``"3 epochs"``. The paths of errors start with ``field``.

    Raises:
        Invalid: with one item for each wrong field.

    """
    if isinstance(data, Definition):
        return data
    limits.check(data, field)
    _check_context(total=total, steps_per_epoch=steps_per_epoch)
    clock = Clock(total, steps_per_epoch)
    end = None if total is None else Fraction(total)
    resolved = resolve(data, Window(clock, end=end), field)
    if clock.errors:
        raise _invalid(clock.errors)
    try:
        definition = ADAPTER.validate_python(resolved)
    except ValidationError as error:
        raise _invalid(field_errors(error, resolved, field)) from None
    _check_bounds(definition, field)
    return definition


def _invalid(errors: list[FieldError]) -> Invalid:
    return Invalid("The definition is refused.", errors=errors)


def _check_context(**lengths: int | None) -> None:
    for name, value in lengths.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_STEP:
            bound = f"an integer from 1 to {MAX_STEP}"
            raise _invalid([FieldError(name, f"{name} must be {bound}", shown(value), bound)])


def _check_bounds(definition: Definition, path: str) -> None:
    """Refuse what overflows float64 or is not a number somewhere."""
    assumed = dict.fromkeys(definition.follows(), Bounds(0.0, 1.0))
    if definition.between(0.0, inf, assumed).finite:
        return
    start, stop = 0.0, inf
    while True:
        for child in definition.children(start, stop):
            inner = child.definition.between(child.start, child.stop, assumed)
            if not inner.finite:
                path = f"{path}.{child.path}"
                _, definition, start, stop = child
                break
        else:
            break
    at = f"{path}.{definition.culprit}" if definition.culprit else path
    bounds = definition.between(start, stop, assumed)
    message = f"{at} lets values leave the range of float64: from {bounds.min} to {bounds.max}"
    raise _invalid(
        [
            FieldError(
                at,
                message,
                shown(getattr(definition, definition.culprit or "kind", None)),
                "finite values at every step",
            )
        ]
    )
