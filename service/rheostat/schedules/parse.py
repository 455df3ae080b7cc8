"""From JSON to a definition, or to errors that name field, value and bound."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rheostat.errors import FieldError, Invalid
from rheostat.schedules import limits
from rheostat.schedules.definition import Bounds, Definition
from rheostat.schedules.fields import MAX_STEP
from rheostat.schedules.lengths import Clock, Window, resolve
from rheostat.schedules.shown import shown
from rheostat.schedules.union import ADAPTER, KINDS

_MAX_ERRORS: Final = 20


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
        details = error.errors(include_url=False)[:_MAX_ERRORS]
        raise _invalid([_field_error(item, resolved, field) for item in details]) from None
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


def _field_error(item: ErrorDetails, data: Any, field: str) -> FieldError:
    path = field + _path(item["loc"], data)
    context = item.get("ctx", {})
    if "field" in context:
        path = f"{path}.{context['field']}"
        value, bound = context.get("value"), context.get("bound")
        return FieldError(path, f"{path} {item['msg']}", shown(value), bound)
    if item["type"].startswith("union_tag"):
        known = ", ".join(KINDS)
        kind = data if not isinstance(item["input"], dict) else item["input"].get("kind")
        message = f"{path}.kind is not a kind of definition; the kinds are {known}"
        return FieldError(f"{path}.kind", message, shown(kind), f"one of {known}")
    message, bound = _wording(item)
    value = None if item["type"] == "missing" else shown(item["input"])
    return FieldError(path, f"{path} {message}", value, bound)


def _path(loc: tuple[int | str, ...], data: Any) -> str:
    """Return the JSON path of a location, without the tags of the union."""
    path, here, arrived = "", data, True
    for step in loc:
        if arrived and isinstance(here, dict) and here.get("kind") == step:
            arrived = False
            continue
        arrived = True
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
    return path


_BOUNDS: Final = {
    "greater_than": ("must be greater than {gt}", "> {gt}"),
    "greater_than_equal": ("must be at least {ge}", "≥ {ge}"),
    "less_than": ("must be less than {lt}", "< {lt}"),
    "less_than_equal": ("must be at most {le}", "≤ {le}"),
    "finite_number": ("must be a finite number", "finite"),
    "missing": ("is required", "required"),
    "extra_forbidden": ("is not a field of this kind", "no other fields"),
    "float_type": ("must be a number", "a number"),
    "int_type": ("must be an integer", "an integer"),
    "int_from_float": ("must be an integer", "an integer"),
    "bool_type": ("must be true or false", "true or false"),
    "string_type": ("must be a string", "a string"),
    "literal_error": ("must be {expected}", "{expected}"),
    "tuple_type": ("must be a list", "a list"),
    "too_short": ("must have at least {min_length} items", "≥ {min_length} items"),
    "too_long": ("must have at most {max_length} items", "≤ {max_length} items"),
    "model_type": ("must be an object", "an object"),
}


def _wording(item: ErrorDetails) -> tuple[str, str | None]:
    if item["type"] not in _BOUNDS:
        return f"is wrong: {item['msg']}", None
    message, bound = _BOUNDS[item["type"]]
    context = item.get("ctx", {})
    return message.format(**context), bound.format(**context)


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
