"""From Pydantic's errors to errors that name field, value and bound."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rheostat.errors import FieldError
from rheostat.schedules.shown import shown

_MAX_ERRORS: Final = 20


def field_errors(error: ValidationError, data: Any, field: str) -> list[FieldError]:
    """Return the first errors of a validation of ``data``; their paths start with ``field``."""
    details = error.errors(include_url=False)[:_MAX_ERRORS]
    return [field_error(item, data, field) for item in details]


def field_error(item: ErrorDetails, data: Any, field: str) -> FieldError:
    """Return one error of a validation of ``data``; its path starts with ``field``."""
    path = (field + _path(item["loc"], data)).removeprefix(".")
    context = item.get("ctx", {})
    if "field" in context:
        path = f"{path}.{context['field']}"
        value, bound = context.get("value"), context.get("bound")
        return FieldError(path, f"{path} {item['msg']}", shown(value), bound)
    if item["type"].startswith("union_tag"):
        return _unknown_tag(item, path)
    message, bound = _wording(item)
    value = None if item["type"] == "missing" else shown(item["input"])
    return FieldError(path, f"{path} {message}", value, bound)


def _unknown_tag(item: ErrorDetails, path: str) -> FieldError:
    context = item.get("ctx", {})
    tag = str(context["discriminator"]).strip("'")
    known = str(context.get("expected_tags", "")).replace("'", "")
    if not isinstance(item["input"], dict):
        return FieldError(path, f"{path} must be an object", shown(item["input"]), "an object")
    bound = f"one of {known}" if known else "required"
    value = item["input"].get(tag)
    message = f"{path}.{tag} must be {bound}" if known else f"{path}.{tag} is required"
    return FieldError(f"{path}.{tag}", message, shown(value), bound)


def _path(loc: tuple[int | str, ...], data: Any) -> str:
    """Return the JSON path of a location, without the tags of the union."""
    path, here, arrived = "", data, True
    for step in loc:
        if arrived and isinstance(here, dict) and step in {here.get("kind"), here.get("edit")}:
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
