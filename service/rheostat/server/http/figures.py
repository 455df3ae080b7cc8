"""
The metrics of several workers, side by side in a file without a name.

Each worker writes its figures about once a second, and the one that is asked puts them together:
what is counted is added up. A worker that takes a dead one's place counts on from where that one
was, so that no sum goes down. The supervisor has a place of its own, after those of the workers.

Nothing is mapped: touching a mapped page for which there is no memory kills the process (SIGBUS),
and a write for which there is no room only fails.
"""

from __future__ import annotations

import os
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from multiprocessing.reduction import DupFd
from operator import add
from typing import Any, Final, Literal, NamedTuple

import orjson

HEAD = struct.Struct("<QQI")
"""Sequence number, length and CRC-32 of the body behind it."""

HALF = 4 * 1024 * 1024
"""Bytes between two halves of a place; those that nobody writes take no memory."""

STALE = 10.0
"""Seconds after which what a worker holds now (not what it has counted) is no longer believed."""

SUMS = frozenset({"counter", "histogram", "summary"})
"""Types of families that only grow."""

Over = Literal["sum", "max", "min"]
"""What the figures of several processes come to together."""

TOGETHER: Final[Mapping[str, Callable[[float, float], float]]] = {
    "sum": add,
    "max": max,
    "min": min,
}


class Sample(NamedTuple):
    """One number of a family."""

    name: str
    labels: dict[str, str]
    value: float


class Family(NamedTuple):
    """A metric's name, description and type, its numbers, and what those of several come to."""

    name: str
    text: str
    kind: str
    samples: list[Sample]
    over: Over = "sum"


class SharedFigures:
    """
    One place for each process, in a file without a name.

    A place has two halves that are written in turn: whoever reads while one is written, or after a
    worker died in the middle, finds the other one whole.
    """

    def __init__(self, descriptor: int, places: int) -> None:
        self._descriptor = descriptor
        self._places = places

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._descriptor), self._places)

    def write(self, place: int, sequence: int, families: Iterable[Family]) -> None:
        """
        Replace the older half of a place.

        Raises:
            OSError: if there is no room for the figures.

        """
        body = orjson.dumps([time.monotonic(), [*families]], default=tuple)
        if HEAD.size + len(body) > HALF:
            raise OSError(f"{len(body)} bytes of figures are too many")
        head = HEAD.pack(sequence, len(body), zlib.crc32(body))
        whole = head + body
        if os.pwrite(self._descriptor, whole, _offset(place, sequence)) < len(whole):
            raise OSError("no room for all of them")

    def read(self, place: int) -> tuple[int, list[Family]]:
        """Return the newest sequence number of a place, and its figures; 0 and none at first."""
        halves = [half for half in (self._half(place, 0), self._half(place, 1)) if half]
        if not halves:
            return 0, []
        sequence, body = max(halves)
        written, families = orjson.loads(body)
        fresh = time.monotonic() - written < STALE
        found = [
            Family(name, text, kind, [Sample(*sample) for sample in samples], over)
            for name, text, kind, samples, over in families
            if fresh or kind in SUMS
        ]
        return sequence, found

    def others(self, place: int) -> list[list[Family]]:
        """Return the figures of all places but this one."""
        return [self.read(other)[1] for other in range(self._places) if other != place]

    def _half(self, place: int, half: int) -> tuple[int, bytes] | None:
        offset = _offset(place, half)
        head = os.pread(self._descriptor, HEAD.size, offset)
        if len(head) < HEAD.size:
            return None
        sequence, length, check = HEAD.unpack(head)
        if not 0 < length <= HALF:
            return None
        body = os.pread(self._descriptor, length, offset + HEAD.size)
        return (sequence, body) if zlib.crc32(body) == check else None


def share_figures(places: int) -> SharedFigures | None:
    """Return so many places, or None where there is no memory to share."""
    descriptor = _nameless_file()
    return None if descriptor is None else SharedFigures(descriptor, places)


def together(snapshots: Iterable[Iterable[Family]]) -> list[Family]:
    """Return what the figures of several workers come to, in the order in which they came."""
    heads: dict[str, Family] = {}
    samples: dict[str, dict[tuple[Any, ...], Sample]] = {}
    for family in (family for snapshot in snapshots for family in snapshot):
        heads.setdefault(family.name, family)
        found = samples.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.name, *sample.labels.items())
            before = found.get(key)
            if before is not None:
                value = TOGETHER[family.over](before.value, sample.value)
                sample = sample._replace(value=value)  # noqa: PLW2901 - it is what it comes to
            found[key] = sample
    return [head._replace(samples=[*samples[name].values()]) for name, head in heads.items()]


def _offset(place: int, half: int) -> int:
    return (2 * place + half % 2) * HALF


def _received(descriptor: Any, places: int) -> SharedFigures:
    return SharedFigures(descriptor.detach(), places)


def _nameless_file() -> int | None:
    with suppress(AttributeError, OSError):  # not every system has it, or allows it
        return os.memfd_create("rheostat-figures")
    with suppress(OSError), tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
    return None
