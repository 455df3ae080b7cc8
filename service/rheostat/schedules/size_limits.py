"""The size of what may be parsed, checked before anything else looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Any, Final, NamedTuple, NoReturn

from pydantic import BaseModel

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_NESTING, MAX_NODES, MAX_POINTS, MAX_TEXTS
from rheostat.schedules.field_errors import shown

_MAX_DEPTH: Final = 4 * MAX_NESTING
"""Containers inside containers: a definition is at most three deep in its parent."""
_MAX_INSIDE: Final = 4 * MAX_NODES
"""Objects and lists in all, but for pairs in lists."""
_MAX_FIELDS: Final = 100
"""Fields of one object: many more than any kind has."""
_MAX_FIELDS_IN_ALL: Final = 20 * MAX_NODES
LARGEST_INTEGER: Final = 2**1023
"""Integers below it are finite as float64."""


_NUMBERS: Final = frozenset({int, float})


class _Item(NamedTuple):
    value: Any
    path: str
    depth: int
    nesting: int


class Size:
    """How much of everything has been counted so far."""

    def __init__(self, whole: _Item) -> None:
        self._whole = whole
        self._objects = self._fields = self._lists = self._texts = 0
        self.nodes = self.points = 0

    def add_object(self, item: _Item) -> None:
        """Count an object; it is a definition if it has a kind."""
        self._objects += 1
        self._fields += len(item.value)
        self.nodes += _is_definition(item.value)
        if self.nodes > MAX_NODES or self._objects > 2 * MAX_NODES:
            _refuse(self._whole, "has too many definitions inside", f"≤ {MAX_NODES} definitions")
        if len(item.value) > _MAX_FIELDS:
            _refuse(item, "has too many fields", f"≤ {_MAX_FIELDS} fields")
        if self._fields > _MAX_FIELDS_IN_ALL:
            _refuse(self._whole, "has too many fields", f"≤ {_MAX_FIELDS_IN_ALL} fields in all")

    def add_list(self, item: _Item) -> None:
        """Count a list and its items; a pair in a list of pairs is one point."""
        self._lists += 1
        if self._objects + self._lists > _MAX_INSIDE:
            _refuse(self._whole, "has too many lists inside", f"≤ {_MAX_INSIDE} lists and objects")
        self.points += len(item.value)
        if self.points > MAX_POINTS:
            _refuse(self._whole, "has too many points", f"≤ {MAX_POINTS} points in all")

    def add_text(self) -> None:
        """Count a text in a list: each is read by itself, which takes longer than a number."""
        self._texts += 1
        if self._texts > MAX_TEXTS:
            bound = f"≤ {MAX_TEXTS} texts"
            _refuse(self._whole, "has too many texts in its lists", bound)


def check(data: Any, field: str) -> Size:
    """
    Return the size of data; refuse what is too deep, too large, or not JSON.

    Takes time in proportion to what the limits allow, whatever the data is.

    Raises:
        Invalid: naming the field that goes beyond a limit.

    """
    whole = _Item(data, field, 1, _is_definition(data))
    size, stack = Size(whole), [whole]
    while stack:
        item = stack.pop()
        if item.depth > _MAX_DEPTH or item.nesting > MAX_NESTING:
            _refuse(whole, "is nested too deep", f"≤ {MAX_NESTING} definitions")
        if isinstance(item.value, dict):
            size.add_object(item)
            stack.extend(_fields(item))
        elif isinstance(item.value, (list, tuple)):
            size.add_list(item)
            if not _numbers(item.value):
                # of more than these, some are always too many
                stack.extend(islice(_items(item, size), _MAX_INSIDE + 1))
        elif not _plain(item.value):
            _check_scalar(item)
    return size


def check_built(definition: BaseModel, field: str) -> None:
    """
    Refuse a definition that is too deep or too large, and was built of objects, not parsed.

    Raises:
        Invalid: naming the field.

    """
    nodes = points = 0
    stack: list[tuple[BaseModel, int]] = [(definition, 0)]
    while stack:
        model, outside = stack.pop()
        nesting = outside + ("kind" in type(model).model_fields)
        nodes += nesting > outside
        values = [getattr(model, name) for name in type(model).model_fields]
        points += sum(len(value) for value in values if isinstance(value, tuple))
        if nesting > MAX_NESTING:
            raise _too_much(field, "is nested too deep", f"≤ {MAX_NESTING} definitions")
        if nodes > MAX_NODES:
            raise _too_much(field, "has too many definitions inside", f"≤ {MAX_NODES} definitions")
        if points > MAX_POINTS:
            raise _too_much(field, "has too many points", f"≤ {MAX_POINTS} points in all")
        for value in values:
            inside = value if isinstance(value, tuple) else (value,)
            if inside and isinstance(inside[0], BaseModel):
                stack.extend((item, nesting) for item in inside)


def _too_much(field: str, message: str, bound: str) -> Invalid:
    error = FieldError(field, f"{message}: {bound}", None, bound)
    return Invalid("The definition is refused.", errors=[error])


def _fields(item: _Item) -> Iterator[_Item]:
    for key, value in item.value.items():
        if not isinstance(key, str):
            _refuse(item, "has a field whose name is not a string", "names are strings")
        nesting = item.nesting + _is_definition(value)
        yield _Item(value, f"{item.path}.{key[:100]}", item.depth + 1, nesting)


def _numbers(values: Any) -> bool:
    """Say whether all of a list are finite numbers, as those of most long ones are."""
    if not {*map(type, values)} <= _NUMBERS:
        return False
    try:
        return all(map(isfinite, values))
    except OverflowError:  # an integer beyond float64
        return False


def _items(item: _Item, size: Size) -> Iterator[_Item]:
    """Yield the items that need a look of their own: no plain values, and no pairs of them."""
    for i, value in enumerate(item.value):
        if _plain(value):
            if type(value) is str:
                size.add_text()
            continue
        if type(value) in {list, tuple} and _plain_pair(value):
            if type(value[0]) is str or type(value[1]) is str:
                size.add_text()
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
        return bool(-LARGEST_INTEGER < value < LARGEST_INTEGER)
    return value is None or kind is bool or kind is str


def _check_scalar(item: _Item) -> None:
    if not isinstance(item.value, (int, float)):
        _refuse(item, "must be JSON", "a number, string, list, object, true, false or null")
    if not -LARGEST_INTEGER < item.value < LARGEST_INTEGER:
        _refuse(item, "must be a finite number", "a finite float64")


def _refuse(item: _Item, message: str, bound: str) -> NoReturn:
    error = FieldError(item.path, f"{message}: {bound}", shown(item.value), bound)
    raise Invalid("The definition is refused.", errors=[error])
