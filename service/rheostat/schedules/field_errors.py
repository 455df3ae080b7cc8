"""From Pydantic's errors to errors that name field, value and bound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from rheostat.errors import FieldError
from rheostat.suggestions import did_you_mean


def shown(value: Any) -> Any:
    """Return the value, or a short text for one that JSON or a reader cannot take."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= 100 else value[:100] + "…"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object of {len(value)}"
    return f"a {type(value).__name__}"


_MAX_ERRORS: Final = 20
_NAMELESS: Final = '""'
"""How paths name the member of an object whose name is empty."""

_MAX_LOOKED_AT: Final = 200
"""Errors that are looked at to find those that are told."""


def wrong(field: str, message: str, value: Any, bound: str) -> PydanticCustomError:
    """Return the error for a validator to raise: about a field below the model, by its path."""
    context = {"field": field, "message": message, "value": value, "bound": bound}
    return PydanticCustomError("wrong", "{message}: {bound}", context)


def field_errors(error: ValidationError, data: Any, field: str) -> list[FieldError]:
    """Return the first errors of a validation of ``data``; their paths start with ``field``."""
    details = error.errors(include_url=False)[:_MAX_LOOKED_AT]
    told = [item for item in details if not _follows_from_others(item, details)]
    found = [(item["type"], field_error(item, data, field)) for item in told[:_MAX_ERRORS]]
    fields = [each.field for _, each in found]
    return merged(
        each for kind, each in found if not (kind.endswith("_type") and _holds(each.field, fields))
    )


def _holds(field: str, fields: Iterable[str]) -> bool:
    """Return whether one of the fields is in this one: the error here is of another choice."""
    return any(other.startswith((f"{field}.", f"{field}[")) for other in fields)


def merged(errors: Iterable[FieldError]) -> list[FieldError]:
    """Return one error for each field: of what may be one thing or another, all are said."""
    found: dict[str, FieldError] = {}
    for error in errors:
        before = found.get(error.field, error)
        found[error.field] = error if before.message == error.message else _either(before, error)
    return list(found.values())


def _either(one: FieldError, other: FieldError) -> FieldError:
    bounds = [bound for bound in (one.bound, other.bound) if bound]
    message = f"{one.message}, or {other.message}"
    return replace(one, message=message, bound=" or ".join(bounds) or None)


def _follows_from_others(item: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Say whether a list is too short only since items of it are wrong."""
    loc = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in details
    )


def field_error(item: ErrorDetails, data: Any, field: str) -> FieldError:
    """Return one error of a validation of ``data``; its path starts with ``field``."""
    path = (field + _path(item, data)).removeprefix(".")
    context = item.get("ctx", {})
    if item["type"] == "wrong":
        path = f"{path}.{context['field']}".removeprefix(".")
        return FieldError(path, context["message"], shown(context["value"]), context["bound"])
    if item["type"].startswith("union_tag"):
        return _unknown_tag(item, path)
    message, bound = _wording(item)
    value = None if item["type"] == "missing" else shown(item["input"])
    return FieldError(path, message, value, bound)


def _unknown_tag(item: ErrorDetails, path: str) -> FieldError:
    context = item.get("ctx", {})
    tag = str(context["discriminator"]).strip("'")
    known = str(context.get("expected_tags", "")).replace("'", "")
    bound = f"one of {known}" if known else "required"
    value = item["input"].get(tag) if isinstance(item["input"], dict) else None
    message = f"must be {bound}" if known else "is required"
    if close := did_you_mean(value, known.split(", ")):
        message = f"there is no {tag} {shown(value)!r}{close}"
    return FieldError(f"{path}.{tag}".removeprefix("."), message, shown(value), bound)


def _path(item: ErrorDetails, data: Any) -> str:
    """Return the JSON path of a location, without the tags and types of unions."""
    path, here, arrived = "", data, True
    steps = item["loc"]
    for index, step in enumerate(steps, 1):
        if arrived and isinstance(here, dict) and step in (here.get("kind"), here.get("edit")):
            arrived = False
            continue
        arrived = True
        if step == "[key]":  # the error is about the name that the path already ends with
            continue
        absent = item["type"] == "missing" and index == len(steps)
        if data is not None and not absent and not _leads_on(here, step):
            continue
        path += f"[{step}]" if isinstance(step, int) else f".{step[:100] or _NAMELESS}"
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
    return path


def _leads_on(here: Any, step: int | str) -> bool:
    if isinstance(step, int):
        return isinstance(here, (list, tuple)) and step < len(here)
    return isinstance(here, dict) and step in here


_BOUNDS: Final = {
    "greater_than": ("must be greater than {gt}", "> {gt}"),
    "greater_than_equal": ("must be at least {ge}", "≥ {ge}"),
    "less_than": ("must be less than {lt}", "< {lt}"),
    "less_than_equal": ("must be at most {le}", "≤ {le}"),
    "finite_number": ("must be a finite number", "finite"),
    "missing": ("is required", "required"),
    "extra_forbidden": ("is not a field here", "no other fields"),
    "float_type": ("must be a number", "a number"),
    "int_type": ("must be an integer", "an integer"),
    "int_from_float": ("must be an integer", "an integer"),
    "bool_type": ("must be true or false", "true or false"),
    "float_parsing": ("must be a number", "a number"),
    "int_parsing": ("must be an integer", "an integer"),
    "bool_parsing": ("must be true or false", "true or false"),
    "string_type": ("must be a string", "a string"),
    "string_too_short": ("must have at least {min_length} characters", "≥ {min_length} characters"),
    "string_too_long": ("must have at most {max_length} characters", "≤ {max_length} characters"),
    "string_pattern_mismatch": ("must match {pattern}", "{pattern}"),
    "list_type": ("must be a list", "a list"),
    "dict_type": ("must be an object", "an object"),
    "literal_error": ("must be {expected}", "{expected}"),
    "tuple_type": ("must be a list", "a list"),
    "too_short": ("must have at least {min_length} items", "≥ {min_length} items"),
    "too_long": ("must have at most {max_length} items", "≤ {max_length} items"),
    "model_type": ("must be an object", "an object"),
    "model_attributes_type": ("must be an object", "an object"),
}


def _wording(item: ErrorDetails) -> tuple[str, str | None]:
    if item["type"] not in _BOUNDS:
        return f"is wrong: {item['msg']}", None
    message, bound = _BOUNDS[item["type"]]
    context = item.get("ctx", {})
    return message.format(**context), bound.format(**context)
