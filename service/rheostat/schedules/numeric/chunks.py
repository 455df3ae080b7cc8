"""A cache of computed values, in chunks and bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rheostat.schedules.numeric.arrays import Floats

Function: TypeAlias = Callable[[NDArray[np.int64]], Floats]
"""From steps to values."""

CAPACITY: Final = 256 * 2**20
"""Bytes that a cache keeps by default."""
_SMALLEST: Final = 2**9
_LARGEST: Final = 2**20
"""Values in a chunk: a power of two between these."""
_PIECE: Final = 2**16
"""Values in the chunks of a range that no single chunk holds."""
_ENTRY: Final = 512
"""Bytes that a chunk takes beside its values."""

_Name: TypeAlias = tuple[Hashable, int, int, int, int]
"""A function's key, stride, phase, size and index: the values at phase + stride·i for
index·size ≤ i < (index + 1)·size."""


class Figures(NamedTuple):
    """What a cache has done, and what it holds."""

    hits: int
    misses: int
    chunks: int
    bytes: int
    capacity: int


class ChunkCache:
    """
    Values of functions of the step, by the function's key and the number of a chunk.

    The key stands for the function: equal keys, equal values. Chunks that were not used for the
    longest time go first. Any number of threads may use a cache; two of them may now and then
    compute the same chunk at the same time.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lock = Lock()
        self._chunks: dict[_Name, Floats] = {}
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
            chunk = self._chunk((key, stride, phase, size, index), function)
            origin = index * size
            parts.append(chunk[max(first - origin, 0) : last - origin])
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        values.flags.writeable = False
        return values

    def value(self, key: Hashable, function: Function, step: int) -> float:
        """
        Return the value at one step.

        The first one asked for in a chunk is computed alone, so that it is there at once; the
        second one brings the chunk.
        """
        index, place = divmod(step, _SMALLEST)
        name = (key, 1, 0, _SMALLEST, index)
        if name in self._chunks:
            chunk = self._chunk(name, function)
            return chunk.item(place)
        with self._lock:
            self._misses += 1
            self._keep(name, _NOTHING)
        return function(np.array([step])).item(0)

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

    def _chunk(self, name: _Name, function: Function) -> Floats:
        """Return a chunk from the cache, or compute it."""
        with self._lock:
            chunk = self._chunks.get(name, _NOTHING)
            if len(chunk):
                # The last ones are those used last.
                self._chunks[name] = self._chunks.pop(name)
                self._hits += 1
                return chunk
            self._misses += 1
        _, stride, phase, size, index = name
        start = phase + stride * size * index
        chunk = function(np.arange(start, start + stride * size, stride))
        chunk.flags.writeable = False
        with self._lock:
            self._keep(name, chunk)
        return chunk

    def _keep(self, name: _Name, chunk: Floats) -> None:
        old = self._chunks.pop(name, None)
        if old is not None:
            self._bytes -= old.nbytes + _ENTRY
        self._chunks[name] = chunk
        self._bytes += chunk.nbytes + _ENTRY
        self._shrink()

    def _shrink(self) -> None:
        while self._bytes > self._capacity:
            self._bytes -= self._chunks.pop(next(iter(self._chunks))).nbytes + _ENTRY


_NOTHING: Final = np.empty(0)
"""What stands for a chunk of which one value was asked for."""
