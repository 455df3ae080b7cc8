"""
Sightings: where workers were last seen to read, and how far beyond that a change lands.

A change waits until the workers have used up what is settled. That is a moment, unless something
has read on far beyond them: a loop that looks values up without training, or a run that was moved
on. So an answer to a change says how far beyond the readers it lands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LIVE = 30.0
"""Seconds for which who has read counts as reading still."""

FAR = 2
"""Blocks past the start of the last one: a worker asks for its next block, and no further."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A worker read the cells from ``start`` to ``stop``, at a time in seconds of the epoch."""

    start: int
    stop: int
    at: float


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
        f" to read ({ago} s ago), and nothing changes for them before they come to it"
    )
    return [message]
