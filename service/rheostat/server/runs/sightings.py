"""
Sightings: where workers were last seen to read, and how far beyond that a change lands.

A change waits until the workers have used up what is settled. That is a moment, unless something
has read on far beyond them: a loop that looks values up without training, or a run that was moved
on. So an answer to a change says how far beyond the readers it lands.

Most reads are of blocks that are settled, and answered from memory: the database never hears of
them. So each process remembers what it has seen of late (`Sightings`), besides the last read that
settled anything, which is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from rheostat.server.runs.lineage import GenerationKey, Sighting

LIVE = 30.0
"""Seconds for which who has read counts as reading still."""

FAR = 2
"""Blocks past the start of the last one: a worker asks for its next block, and no further."""

PERIOD = 15.0
"""Seconds of which the furthest read is kept, and that of the last such time before."""

MOST = 4_096
"""Generations that are remembered, those that were first seen last."""

Read = tuple[int, int, float]
"""The fields of a `Sighting`: a tuple is put in place at once, and costs next to nothing."""


def fastest(sightings: Iterable[Sighting | None], now: float) -> Sighting | None:
    """Return the furthest of those that read still; if none does, the last one; None of none."""
    known = [sighting for sighting in sightings if sighting is not None]
    live = [sighting for sighting in known if abs(now - sighting.at) <= LIVE]
    if live:
        return max(live, key=lambda sighting: sighting.start)
    return max(known, key=lambda sighting: sighting.at, default=None)


def warnings(step: int, seen: Sighting | None, now: float) -> list[str]:
    """Return what to tell whoever made a change that takes effect at ``step``."""
    if seen is None or step - seen.start <= FAR * (seen.stop - seen.start):
        return []
    ago = max(round(now - seen.at), 0)
    message = (
        f"step {step} lies {step - seen.start} past step {seen.start}, where workers were last seen"
        f" to read ({ago} s ago), {_NOTHING_BEFORE}"
    )
    return [message]


def is_of_distance(warning: str) -> bool:
    """Whether it warns of how far ahead a change is, which needs no saying where workers say it."""
    return warning.endswith(_NOTHING_BEFORE)


_NOTHING_BEFORE = "and nothing changes for them before they come to it"


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

    What a cache in front of the service answers, no process sees.
    """

    def __init__(self) -> None:
        self._seen: dict[GenerationKey, _Seen] = {}

    def note(self, key: GenerationKey, start: int, stop: int) -> None:
        """Remember that a worker has read the cells from ``start`` to ``stop``."""
        now = time.time()
        seen = self._seen.get(key)
        if seen is None:
            self._add(key, _Seen((start, stop, now)))
        elif not 0 <= now - seen.since < PERIOD:
            seen.before, seen.furthest, seen.since = seen.furthest, (start, stop, now), now
        elif start >= seen.furthest[0]:
            seen.furthest = (start, stop, now)

    def _add(self, key: GenerationKey, seen: _Seen) -> None:
        if len(self._seen) >= MOST:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = seen

    def of(self, key: GenerationKey) -> tuple[Sighting, ...]:
        """Return what is known of a generation."""
        seen = self._seen.get(key)
        return () if seen is None else (Sighting(*seen.furthest), Sighting(*seen.before))
