"""
From a definition and steps to values, and the cache of those that were computed last.

The cache keeps values in chunks, and is bounded in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from rheostat.errors import Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import field_errors
from rheostat.schedules.numeric.arrays import Floats
from rheostat.schedules.parse import parse

Function: TypeAlias = Callable[[range], Floats]
"""From steps to values."""

_Place: TypeAlias = Annotated[int, Field(ge=0, le=MAX_STEP)]
_STRICT: Final = ConfigDict(strict=True)
_PLACE: Final = TypeAdapter[int](_Place, config=_STRICT)
PLACES: Final = TypeAdapter[list[int]](Annotated[list[_Place], FailFast()], config=_STRICT)
"""What validates steps in any order: integers from 0 to the last one there is."""

CAPACITY: Final = 256 * 2**20
"""Bytes that a cache keeps by default."""
_SMALL_BITS: Final = 9
_SMALLEST: Final = 1 << _SMALL_BITS
_LARGEST: Final = 2**20
"""Values in a chunk: a power of two between these."""
_PIECE: Final = 2**16
"""Values in the chunks of a range that no single chunk holds."""
_ENTRY: Final = 512
"""Bytes that a chunk takes beside its values."""

_Name: TypeAlias = tuple[Hashable, int, int, int, int] | tuple[Hashable, int]
"""A function's key, index, size, stride and phase: the values at phase + stride·i for
index·size ≤ i < (index + 1)·size. Key and index alone name a smallest chunk of all steps."""


class Figures(NamedTuple):
    """What a cache has done, and what it holds."""

    hits: int
    misses: int
    chunks: int
    bytes: int
    capacity: int


class _Chunk:
    """Values, and whether they were used since the cache last looked for chunks to drop."""

    __slots__ = ("cost", "item", "used", "values")

    def __init__(self, values: Floats) -> None:
        values.flags.writeable = False
        self.values, self.used = values, False
        self.item = values.data
        """The values again, by an access that gives plain floats."""
        self.cost = values.nbytes + _ENTRY


_ASKED: Final = _Chunk(np.empty(0))
"""Stands for a chunk of which one step was asked for: the next one computes the chunk."""


class ChunkCache:
    """
    Values of functions of the step, by the function's key and the number of a chunk.

    The key stands for the function: equal keys, equal values. Once the capacity is reached, the
    oldest chunks are dropped, but those that were used meanwhile count as new. Any number of
    threads may use a cache; a hit takes no lock. Two threads may now and then compute the same
    chunk at the same time.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lock = Lock()
        self._chunks: dict[_Name, _Chunk] = {}
        self._capacity, self._bytes, self._hits, self._misses = capacity, 0, 0, 0

    def curve(
        self, key: Hashable, function: Function, start: int, stop: int, stride: int = 1
    ) -> Floats:
        """Return the values at ``range(start, stop, stride)`` as an array that is read-only."""
        first, phase = divmod(start, stride)
        last = first + len(range(start, stop, stride))
        if first == last:
            return np.empty(0)
        size = min(max(_SMALLEST, 1 << (last - first - 1).bit_length()), _LARGEST)
        if first // size != (last - 1) // size:
            size = min(size, _PIECE)
        parts = []
        for index in range(first // size, (last - 1) // size + 1):
            origin = index * size
            name = (key, index, size, stride, phase)
            chunk = self._chunks.get(name)
            if chunk is None:
                low = phase + stride * origin
                steps = range(low, low + stride * size, stride)
                chunk = self._computed(name, function, steps)
            else:
                chunk.used = True
                self._hits += 1
            parts.append(chunk.values[max(first - origin, 0) : last - origin])
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        values.flags.writeable = False
        return values

    def value(self, key: Hashable, function: Function, step: int) -> float:
        """
        Return the value at one step.

        The first one asked for in a chunk is computed alone, so that it is there at once; the
        second one brings the chunk.
        """
        name = (key, step >> _SMALL_BITS)
        chunk = self._chunks.get(name)
        if chunk is None:
            self._keep(name, _ASKED)
            return function(range(step, step + 1)).item(0)
        if chunk.item:
            chunk.used = True
            self._hits += 1
        else:
            origin = step & -_SMALLEST
            chunk = self._computed(name, function, range(origin, origin + _SMALLEST))
        value: float = chunk.item[step & (_SMALLEST - 1)]
        return value

    def figures(self) -> Figures:
        """Return hits and misses so far, and the chunks and bytes that are kept."""
        with self._lock:
            held = len(self._chunks), self._bytes, self._capacity
            return Figures(self._hits, self._misses, *held)

    def resize(self, capacity: int) -> None:
        """Set how many bytes are kept at most, and let go of what is over it."""
        with self._lock:
            self._capacity = capacity
            self._shrink()

    def _computed(self, name: _Name, function: Function, steps: range) -> _Chunk:
        chunk = _Chunk(function(steps))
        self._keep(name, chunk)
        return chunk

    def _keep(self, name: _Name, chunk: _Chunk) -> None:
        with self._lock:
            self._misses += 1
            old = self._chunks.pop(name, None)
            self._bytes += chunk.cost - (old.cost if old else 0)
            self._chunks[name] = chunk
            if self._bytes > self._capacity:
                self._shrink()

    def _shrink(self) -> None:
        while self._bytes > self._capacity:
            name = next(iter(self._chunks))
            chunk = self._chunks.pop(name)
            if chunk.used:
                chunk.used = False
                self._chunks[name] = chunk
            else:
                self._bytes -= chunk.cost


CACHE: Final = ChunkCache()
"""The values that were computed last, by the content hash of their definition."""


@overload
def evaluate(definition: Any, steps: int) -> float: ...
@overload
def evaluate(definition: Any, steps: Sequence[int] | NDArray[np.int64]) -> Floats: ...
def evaluate(definition: Any, steps: int | Sequence[int] | NDArray[np.int64]) -> float | Floats:
    """
    Return the values of a definition, or of the JSON of one, at steps from its origin.

    An integer gives a float; a ``range``, a list or a one-dimensional array of integers in any
    order gives an array. Steps are coordinates, from 0 to 2^53 − 1, as they are over HTTP. The
    array of a range may be read-only: it is a view of the cache.

    Raises:
        Invalid: if the definition or the steps are wrong.

    """
    parsed = definition if isinstance(definition, Definition) else parse(definition)
    if type(steps) is int:
        if not 0 <= steps <= MAX_STEP:
            raise _wrong_steps(steps)
        return CACHE.value(parsed.content_hash, parsed.values, steps)
    if isinstance(steps, range):
        return _of_range(parsed, steps)
    return parsed.values(_checked(steps if isinstance(steps, np.ndarray) else _listed(steps)))


def _of_range(definition: Definition, steps: range) -> Floats:
    if steps and not 0 <= min(steps[0], steps[-1]) <= max(steps[0], steps[-1]) <= MAX_STEP:
        wrong = 0 if not 0 <= steps[0] <= MAX_STEP else len(steps) - 1
        raise _wrong_steps(steps[wrong], f"steps[{wrong}]")
    if steps.step > 0 and steps.start >= 0:  # an empty range may begin anywhere
        key = definition.content_hash
        return CACHE.curve(key, definition.values, steps.start, steps.stop, steps.step)
    return definition.values(steps)


def _listed(steps: Any) -> NDArray[np.int64]:
    """Return steps in a list or a tuple as an array."""
    listed = list(steps) if isinstance(steps, (list, tuple)) else steps
    try:
        return np.array(PLACES.validate_python(listed), dtype=np.int64)
    except ValidationError:
        raise _wrong_steps(listed) from None


def _checked(steps: NDArray[Any]) -> NDArray[np.int64]:
    whole = steps.ndim == 1 and steps.dtype.kind in "iu"
    if not whole or (steps.size and not 0 <= steps.min() <= steps.max() <= MAX_STEP):
        raise _wrong_steps(steps.tolist())
    return steps.astype(np.int64, copy=False)


def _wrong_steps(steps: Any, field: str = "steps") -> Invalid:
    """Return the refusal of a step, or of a list of steps by the first that is wrong."""
    try:
        (PLACES if isinstance(steps, list) else _PLACE).validate_python(steps)
    except ValidationError as error:
        return Invalid("The steps are refused.", errors=field_errors(error, steps, field))
    raise AssertionError(steps)
