"""The size of parameters, checked before anything else looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rheostat.errors import FieldError
from rheostat.schedules.convert.case import refused
from rheostat.schedules.limits import MAX_POINTS

_MAX_DEPTH: Final = 40
"""Containers inside containers."""
_LARGEST: Final = 2**1023
"""Integers below it are finite as float64."""


def check(params: Mapping[str, Any]) -> None:
    """Refuse parameters that are too deep or too many, or a number that is too large."""
    count = 0
    stack: list[tuple[Any, str, int]] = [(params, "params", 1)]
    while stack:
        value, path, depth = stack.pop()
        if depth > _MAX_DEPTH:
            bound = f"≤ {_MAX_DEPTH} levels"
            raise refused(FieldError("params", "is nested too deep", None, bound))
        if isinstance(value, int) and abs(value) >= _LARGEST:
            bound = "a finite float64"
            raise refused(FieldError(path, "must be a finite number", None, bound))
        if isinstance(value, Mapping):
            inner = [(item, f"{path}.{str(key)[:100]}") for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            inner = [(item, f"{path}[{i}]") for i, item in enumerate(value)]
        else:
            continue
        count += len(inner)
        if count > MAX_POINTS:
            bound = f"≤ {MAX_POINTS} values"
            raise refused(FieldError("params", "has too many values", None, bound))
        stack += [(item, here, depth + 1) for item, here in inner]
