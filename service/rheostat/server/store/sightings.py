"""Where this process has seen workers read of late: a hint, in memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import NamedTuple

from rheostat.server.runs.lineage import Key
from rheostat.server.runs.sightings import Sighting

PERIOD = 15.0
"""Seconds of which the furthest read is kept, and that of the last such time before."""

MOST = 4_096
"""Generations that are remembered, those that were first seen last."""


class _Seen(NamedTuple):
    """The furthest read of the period that began then, and of the one before."""

    since: float
    furthest: Sighting
    before: Sighting | None


class Sightings:
    """
    The furthest reads of each generation: noted by the event loop, asked for by any thread.

    Most reads are of blocks that are settled, and answered from memory: the database never hears
    of them. A cache in front hides them from us as well.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, _Seen] = OrderedDict()

    def note(self, key: Key, start: int, stop: int) -> None:
        """Remember that a worker has read the cells from ``start`` to ``stop``."""
        now = time.time()
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = _Seen(now, Sighting(start, stop, now), None)
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)
        elif not 0 <= now - seen.since < PERIOD:
            self._seen[key] = _Seen(now, Sighting(start, stop, now), seen.furthest)
        elif start >= seen.furthest.start:
            self._seen[key] = seen._replace(furthest=Sighting(start, stop, now))

    def of(self, key: Key) -> tuple[Sighting | None, ...]:
        """Return what is known of a generation."""
        seen = self._seen.get(key)
        return () if seen is None else (seen.furthest, seen.before)
