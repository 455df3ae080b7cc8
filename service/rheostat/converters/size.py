"""The size of parameters, checked before anything else looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rheostat.converters.case import refused
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown

MAX_VALUES: Final = 100_000
"""Values in all, in lists and objects."""
MAX_TEXT: Final = 10_000
"""Characters of a text, also of the name of a field."""
_MAX_DEPTH: Final = 40
"""Containers inside containers."""
_LARGEST: Final = 2**1023
"""Integers below it are finite as float64."""


def check(params: Any, field: str = "params") -> None:
    """Refuse parameters that are too deep or too many, a number or a text that is too large."""
    count = 0
    stack: list[tuple[Any, str, int]] = [(params, field, 1)]
    while stack:
        value, path, depth = stack.pop()
        if depth > _MAX_DEPTH:
            bound = f"≤ {_MAX_DEPTH} levels"
            raise refused(FieldError(field, "is nested too deep", None, bound))
        if isinstance(value, int) and abs(value) >= _LARGEST:
            bound = "a finite float64"
            raise refused(FieldError(path, "must be a finite number", None, bound))
        if isinstance(value, str):
            check_text(value, path)
        if not isinstance(value, (Mapping, list, tuple)):
            continue
        count += len(value)
        if count > MAX_VALUES:
            bound = f"≤ {MAX_VALUES} values"
            raise refused(FieldError(field, "has too many values", None, bound))
        if isinstance(value, Mapping):
            for key in value:
                check_text(str(key), path)
            inner = [(item, f"{path}.{str(key)[:100]}") for key, item in value.items()]
        else:
            inner = [(item, f"{path}[{i}]") for i, item in enumerate(value)]
        stack += [(item, here, depth + 1) for item, here in inner]


def check_text(text: str, field: str) -> None:
    """Refuse a text that is too long to be looked at."""
    if len(text) > MAX_TEXT:
        bound = f"≤ {MAX_TEXT} characters"
        raise refused(FieldError(field, f"must have {bound}", shown(text), bound))
