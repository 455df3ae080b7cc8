"""Where this process has seen workers read of late: a hint, in memory."""

from __future__ import annotations

import time

from rheostat.server.runs.lineage import Key
from rheostat.server.runs.sightings import Sighting

PERIOD = 15.0
"""Seconds of which the furthest read is kept, and that of the last such time before."""

MOST = 4_096
"""Generations that are remembered, those that were first seen last."""


Read = tuple[int, int, float]
"""The fields of a `Sighting`: a tuple is put in place at once, and costs next to nothing."""


class _Seen:
    """The furthest read of the period that began then, and of the one before."""

    __slots__ = ("before", "furthest", "since")

    def __init__(self, read: Read) -> None:
        self.since = read[2]
        self.furthest = read
        self.before = read


class Sightings:
    """
    The furthest reads of each generation: noted by the event loop, asked for by any thread.

    Most reads are of blocks that are settled, and answered from memory: the database never hears
    of them. A cache in front hides them from us as well.
    """

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}

    def note(self, key: Key, start: int, stop: int) -> None:
        """Remember that a worker has read the cells from ``start`` to ``stop``."""
        now = time.time()
        seen = self._seen.get(key)
        if seen is None:
            self._add(key, _Seen((start, stop, now)))
        elif not 0 <= now - seen.since < PERIOD:
            seen.before, seen.furthest, seen.since = seen.furthest, (start, stop, now), now
        elif start >= seen.furthest[0]:
            seen.furthest = (start, stop, now)

    def _add(self, key: Key, seen: _Seen) -> None:
        if len(self._seen) >= MOST:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = seen

    def of(self, key: Key) -> tuple[Sighting, ...]:
        """Return what is known of a generation."""
        seen = self._seen.get(key)
        return () if seen is None else (Sighting(*seen.furthest), Sighting(*seen.before))
