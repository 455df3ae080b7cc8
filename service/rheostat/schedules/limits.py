"""The size of what may be parsed, checked before anything else looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

from rheostat.errors import FieldError, Invalid
from rheostat.schedules.shown import shown

MAX_NESTING: Final = 16
"""Definitions inside definitions."""
MAX_NODES: Final = 1_000
"""Definitions in all."""
MAX_POINTS: Final = 1_000_000
"""Table values, points and milestones in all."""
_MAX_DEPTH: Final = 4 * MAX_NESTING
"""Containers inside containers: a definition is at most three deep in its parent."""
_LARGEST: Final = 2**1023


class _Item(NamedTuple):
    value: Any
    path: str
    depth: int
    nesting: int


def check(data: Any, field: str) -> None:
    """
    Refuse data that is too deep, too large, or not JSON.

    Takes time in proportion to what the limits allow, whatever the data is.

    Raises:
        Invalid: naming the field that goes beyond a limit.

    """
    nodes = objects = points = 0
    stack = [_Item(data, field, 1, 0)]
    while stack:
        item = stack.pop()
        if item.depth > _MAX_DEPTH:
            _refuse(item, "is nested too deep", f"≤ {MAX_NESTING} definitions")
        if isinstance(item.value, dict):
            objects += 1
            nesting = item.nesting + ("kind" in item.value)
            nodes += "kind" in item.value
            if nesting > MAX_NESTING:
                _refuse(item, "is nested too deep", f"≤ {MAX_NESTING} definitions")
            if nodes > MAX_NODES or objects > 2 * MAX_NODES:
                _refuse(
                    _Item(data, field, 1, 0), "has too many nodes", f"≤ {MAX_NODES} definitions"
                )
            stack.extend(_entries(item, nesting))
        elif isinstance(item.value, (list, tuple)):
            points += len(item.value)
            if points > 3 * MAX_POINTS:
                _refuse(item, "has too many points", f"≤ {MAX_POINTS} points in all")
            stack.extend(_elements(item))
        else:
            _check_scalar(item)


def _entries(item: _Item, nesting: int) -> Iterator[_Item]:
    if len(item.value) > 100:
        _refuse(item, "has too many fields", "≤ 100 fields")
    for key, value in item.value.items():
        if not isinstance(key, str):
            _refuse(item, "has a field whose name is not a string", "names are strings")
        yield _Item(value, f"{item.path}.{key[:100]}", item.depth + 1, nesting)


def _elements(item: _Item) -> Iterator[_Item]:
    for i, value in enumerate(item.value):
        yield _Item(value, f"{item.path}[{i}]", item.depth + 1, item.nesting)


def _check_scalar(item: _Item) -> None:
    value = item.value
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if not -_LARGEST < value < _LARGEST:
            _refuse(item, "is too large an integer", "a finite float64")
    elif not isinstance(value, float):
        _refuse(item, "is not JSON", "a number, string, list, object, true, false or null")


def _refuse(item: _Item, message: str, bound: str) -> NoReturn:
    error = FieldError(item.path, f"{item.path} {message}: {bound}", shown(item.value), bound)
    raise Invalid("The definition is refused.", errors=[error])
