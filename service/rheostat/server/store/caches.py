"""What a process remembers of the database, each bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Row

from rheostat.server.runs.lineage import Generation, GenerationKey
from rheostat.server.runs.signals import Signal
from rheostat.server.runs.timeline import Timeline

K = TypeVar("K")
V = TypeVar("V")


TIMELINE_BYTES = 64 * 1024 * 1024
STATE_BYTES = 16 * 1024 * 1024


class SignalsFrom(NamedTuple):
    """All signals of a line from a step on, by rising step."""

    start: int
    signals: Sequence[Signal]


class BoundedCache(Generic[K, V]):
    """Keeps what was used last, up to ``limit`` bytes in all; safe to share between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the item, or None."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                return None
            self._items.move_to_end(key)
            return found[0]

    def put(self, key: K, item: V, size: int) -> None:
        """Keep an item of ``size`` bytes, unless it alone is over the limit."""
        with self._lock:
            if key in self._items or size > self._limit:
                return
            self._items[key] = (item, size)
            self._size += size
            while self._size > self._limit:
                _, (_, freed) = self._items.popitem(last=False)
                self._size -= freed

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._items.clear()
            self._size = 0


class Caches:
    """
    What a process remembers of the database.

    Timelines are kept by the hash of their content. The generations before a run's newest one,
    and the revisions that rule its newest one and say signals on its line, change only with the
    number of the generation or of the revision, which is part of their key; but a commit that
    fails takes its numbers back.
    """

    def __init__(self) -> None:
        self.timelines: BoundedCache[str, Timeline] = BoundedCache(TIMELINE_BYTES)
        self.past: BoundedCache[GenerationKey, Sequence[Generation]] = BoundedCache(STATE_BYTES)
        self.in_force: BoundedCache[tuple[GenerationKey, int], Sequence[Row[Any]]] = BoundedCache(
            STATE_BYTES
        )
        self.signals: BoundedCache[tuple[GenerationKey, int], SignalsFrom] = BoundedCache(
            STATE_BYTES
        )
        self.incarnation: str | None = None

    def doubt(self) -> None:
        """Let go of what may come from a transaction that was not committed."""
        self.incarnation = None  # the database may have been restored meanwhile
        self.past.clear()
        self.in_force.clear()
        self.signals.clear()
