"""The size of what may be parsed, checked before anything else looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
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
_MAX_FIELDS: Final = 100
_LARGEST: Final = 2**1023
"""Integers below it are finite as float64."""


class _Item(NamedTuple):
    value: Any
    path: str
    depth: int
    nesting: int


class _Size:
    """What has been counted so far."""

    def __init__(self, whole: _Item) -> None:
        self._whole = whole
        self._objects = self._nodes = self._points = 0

    def add_object(self, item: _Item) -> None:
        """Count an object; it is a definition if it has a kind."""
        self._objects += 1
        self._nodes += _is_definition(item.value)
        if self._nodes > MAX_NODES or self._objects > 2 * MAX_NODES:
            _refuse(self._whole, "has too many definitions inside", f"≤ {MAX_NODES} definitions")
        if len(item.value) > _MAX_FIELDS:
            _refuse(item, "has too many fields", f"≤ {_MAX_FIELDS} fields")

    def add_list(self, item: _Item) -> None:
        """Count a list's items; a pair in a list of pairs is one point."""
        self._points += len(item.value)
        if self._points > MAX_POINTS:
            _refuse(self._whole, "has too many points", f"≤ {MAX_POINTS} points in all")


def check(data: Any, field: str) -> None:
    """
    Refuse data that is too deep, too large, or not JSON.

    Takes time in proportion to what the limits allow, whatever the data is.

    Raises:
        Invalid: naming the field that goes beyond a limit.

    """
    whole = _Item(data, field, 1, _is_definition(data))
    size, stack = _Size(whole), [whole]
    while stack:
        item = stack.pop()
        if item.depth > _MAX_DEPTH or item.nesting > MAX_NESTING:
            _refuse(whole, "is nested too deep", f"≤ {MAX_NESTING} definitions")
        if isinstance(item.value, dict):
            size.add_object(item)
            stack.extend(_fields(item))
        elif isinstance(item.value, (list, tuple)):
            size.add_list(item)
            stack.extend(_items(item))
        elif not _plain(item.value):
            _check_scalar(item)


def _fields(item: _Item) -> Iterator[_Item]:
    for key, value in item.value.items():
        if not isinstance(key, str):
            _refuse(item, "has a field whose name is not a string", "names are strings")
        nesting = item.nesting + _is_definition(value)
        yield _Item(value, f"{item.path}.{key[:100]}", item.depth + 1, nesting)


def _items(item: _Item) -> Iterator[_Item]:
    """Yield the items that need a look of their own: most of a long list are plain numbers."""
    for i, value in enumerate(item.value):
        if _plain(value) or (type(value) in {list, tuple} and _plain_pair(value)):
            continue
        nesting = item.nesting + _is_definition(value)
        yield _Item(value, f"{item.path}[{i}]", item.depth + 1, nesting)


def _is_definition(value: Any) -> bool:
    return isinstance(value, dict) and "kind" in value


def _plain_pair(value: Any) -> bool:
    return len(value) == 2 and _plain(value[0]) and _plain(value[1])


def _plain(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return isfinite(value)
    if kind is int:
        return bool(-_LARGEST < value < _LARGEST)
    return value is None or kind is bool or kind is str


def _check_scalar(item: _Item) -> None:
    if not isinstance(item.value, (int, float)):
        _refuse(item, "must be JSON", "a number, string, list, object, true, false or null")
    if not -_LARGEST < item.value < _LARGEST:
        _refuse(item, "must be a finite number", "a finite float64")


def _refuse(item: _Item, message: str, bound: str) -> NoReturn:
    error = FieldError(item.path, f"{message}: {bound}", shown(item.value), bound)
    raise Invalid("The definition is refused.", errors=[error])
