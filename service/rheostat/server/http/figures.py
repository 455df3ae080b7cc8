"""
The metrics of several workers, side by side in a file without a name.

Each worker writes its figures about once a second, and the one that is asked adds them all up. A
worker that takes a dead one's place counts on from where that one was, so that no sum goes down.

Nothing is mapped: touching a mapped page for which there is no memory kills the process (SIGBUS),
and a write for which there is no room only fails.
"""

from __future__ import annotations

import os
import struct
import tempfile
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.reduction import DupFd
from typing import Any, NamedTuple

import orjson

HEAD = struct.Struct("<QQI")
"""Sequence number, length and CRC-32 of the body behind it."""

HALF = 4 * 1024 * 1024
"""Bytes between two halves of a place; those that nobody writes take no memory."""

STALE = 10.0
"""Seconds after which what a worker holds now (not what it has counted) is no longer believed."""

SUMS = frozenset({"counter", "histogram", "summary"})
"""Types of families that only grow."""


class Sample(NamedTuple):
    """One number of a family."""

    name: str
    labels: dict[str, str]
    value: float


class Family(NamedTuple):
    """A metric's name, description and type, and its numbers."""

    name: str
    text: str
    kind: str
    samples: list[Sample]


class SharedFigures:
    """
    One place for each worker, in a file without a name.

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
            Family(name, text, kind, [Sample(*sample) for sample in samples])
            for name, text, kind, samples in families
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
    """Return a place for each of so many workers, or None where there is no memory to share."""
    descriptor = _nameless_file()
    return None if descriptor is None else SharedFigures(descriptor, places)


def added(snapshots: Iterable[Iterable[Family]]) -> list[Family]:
    """Return the sums of the figures of several workers, each in the order in which it came."""
    heads: dict[str, Family] = {}
    samples: dict[str, dict[tuple[Any, ...], Sample]] = {}
    for family in (family for snapshot in snapshots for family in snapshot):
        heads.setdefault(family.name, family)
        sums = samples.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.name, *sample.labels.items())
            before = sums.get(key)
            value = sample.value + (before.value if before else 0.0)
            sums[key] = sample._replace(value=value)
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
