"""
Definitions inside of documents, and documents that are stored: they are written as they are.

A definition may have a million points. To make Python's lists and dictionaries of it only to
write them out again holds the interpreter's lock for long; its canonical JSON is made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import orjson
from numpy.typing import NDArray

from rheostat import wire
from rheostat.schedules import Definition


class Verbatim(Mapping[str, Any]):
    """An object whose JSON is at hand, and which is read when somebody looks into it."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _read(self) -> dict[str, Any]:
        read: dict[str, Any] = orjson.loads(self.text)
        return read

    def __getitem__(self, key: str) -> Any:
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __bool__(self) -> bool:
        return self.text != "{}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._read == dict(other)

    __hash__ = None  # type: ignore[assignment]


@overload
def as_json(value: Definition) -> wire.Definition: ...
@overload
def as_json(value: NDArray[np.float64]) -> list[float]: ...
@overload
def as_json(value: NDArray[np.int64]) -> list[int]: ...
def as_json(value: Any) -> Any:
    """
    Return a definition, or an array, where a document has what is written of it.

    It is not copied: the type says what it is once the document is sent.
    """
    return value


def by_name(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return a row of values for each name, as documents have them."""
    return {name: as_json(row) for name, row in zip(names, values, strict=True)}


def dumps(document: Any) -> bytes:
    """Return a document as JSON, in which definitions and stored documents may stand anywhere."""
    return orjson.dumps(document, default=fragment)


def fragment(value: Any) -> orjson.Fragment:
    """Return the JSON of a definition or of what is stored; raise `TypeError` for other things."""
    if isinstance(value, Definition):
        return orjson.Fragment(value.canonical)
    if isinstance(value, Verbatim):
        return orjson.Fragment(value.text)
    raise TypeError
