"""What a process remembers of the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from rheostat.server.runs.lineage import Generation, Key
from rheostat.server.runs.timeline import Timeline
from rheostat.server.store.cache import BoundedCache

TIMELINE_BYTES = 64 * 1024 * 1024
STATE_BYTES = 16 * 1024 * 1024


class Caches:
    """
    What a process remembers of the database.

    Timelines are kept by the hash of their content. The generations before a run's newest one,
    and the revisions that rule its newest one, change only with the number of the generation or
    of the revision, which is part of their key; but a commit that fails takes its numbers back.
    """

    def __init__(self) -> None:
        self.timelines: BoundedCache[str, Timeline] = BoundedCache(TIMELINE_BYTES)
        self.past: BoundedCache[Key, Sequence[Generation]] = BoundedCache(STATE_BYTES)
        self.rulers: BoundedCache[tuple[Key, int], Sequence[Row[Any]]] = BoundedCache(STATE_BYTES)

        self.incarnation: str | None = None

    def doubt(self) -> None:
        """Let go of what may come from a transaction that was not committed."""
        self.incarnation = None  # the database may have been restored meanwhile
        self.past.clear()
        self.rulers.clear()
