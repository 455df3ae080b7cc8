"""How fast a run is settled, as far as it was watched."""

from __future__ import annotations

import time
from collections import deque

REMEMBERED = 60
"""Looks at a run from which its pace is told."""


class Pace:
    """How fast the settled end of a run moved in the last looks at it."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)

    def see(self, settled: int) -> None:
        """Take in where it is now; a rewind begins anew."""
        if self._seen and settled < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((time.monotonic(), settled))

    @property
    def steps_per_second(self) -> float | None:
        """How fast it is; None while it was not seen to move."""
        if not self._seen:
            return None
        (since, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - since) if last > first and now > since else None
