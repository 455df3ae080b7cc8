"""What a process remembers of the database, each bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Row

from rheostat.server.runs.lineage import Generation, GenerationKey
from rheostat.server.runs.signals import Signal
from rheostat.server.runs.timeline import Steps, Timeline, Values

K = TypeVar("K")
V = TypeVar("V")


MIB = 1024 * 1024

DIGESTS = 4_096
"""Digests of windows that are remembered of one run."""

DIGEST_BYTES = 200
"""Bytes that a digest takes with its window."""


class SignalsFrom(NamedTuple):
    """All signals of a line from a step on, by rising step."""

    start: int
    signals: Sequence[Signal]


class RunCurve(NamedTuple):
    """A curve as tables of runs show it: of which parameter, and its values at a few steps."""

    parameter: str
    steps: Steps
    values: Values

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return 512 + self.steps.nbytes + self.values.nbytes


CurveKey = tuple[GenerationKey, int, int]
"""Generation, newest revision, and about where the run is."""


class CacheFigures(NamedTuple):
    """What a cache has done, and what it holds."""

    hits: int
    misses: int
    bytes: int
    limit: int


@dataclass(frozen=True, slots=True)
class CacheSizes:
    """How many bytes the caches of a store may hold, per process."""

    timelines: int = 64 * MIB
    states: int = 64 * MIB
    """Of the four caches of what is known of runs together: a quarter for each."""
    digests: int = 16 * MIB


class BoundedCache(Generic[K, V]):
    """Keeps what was used last, up to ``limit`` bytes in all; safe to share between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._size = 0
        self._hits, self._misses = 0, 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the item, or None."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                self._misses += 1
                return None
            self._hits += 1
            self._items.move_to_end(key)
            return found[0]

    @property
    def figures(self) -> CacheFigures:
        """What it has done, and what it holds."""
        return CacheFigures(self._hits, self._misses, self._size, self._limit)

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


class Digests:
    """Digests of what was served in windows, by run: those that were used last."""

    def __init__(self, *, of_run: int = DIGESTS, of_all: int) -> None:
        self._of_run, self._of_all = of_run, of_all
        self._runs: OrderedDict[str, OrderedDict[bytes, str]] = OrderedDict()
        self._count = 0
        self._hits, self._misses = 0, 0
        self._lock = threading.Lock()

    def get(self, run_id: str, window: bytes) -> str | None:
        """Return the digest of a window, or None."""
        with self._lock:
            digests = self._runs.get(run_id)
            if digests is None or window not in digests:
                self._misses += 1
                return None
            self._hits += 1
            self._runs.move_to_end(run_id)
            digests.move_to_end(window)
            return digests[window]

    def put(self, run_id: str, window: bytes, digest: str) -> None:
        """Remember the digest of a window."""
        with self._lock:
            digests = self._runs.setdefault(run_id, OrderedDict())
            self._runs.move_to_end(run_id)
            self._count += window not in digests
            digests[window] = digest
            if len(digests) > self._of_run:
                self._drop(run_id)
            if self._count > self._of_all:
                self._drop(next(iter(self._runs)))

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._runs.clear()
            self._count = 0

    @property
    def figures(self) -> CacheFigures:
        """What it has done, and what it holds."""
        size, limit = self._count * DIGEST_BYTES, self._of_all * DIGEST_BYTES
        return CacheFigures(self._hits, self._misses, size, limit)

    def _drop(self, run_id: str) -> None:
        """Let go of the digest of a run that was not used for longest."""
        digests = self._runs[run_id]
        digests.popitem(last=False)
        self._count -= 1
        if not digests:
            del self._runs[run_id]


class Ahead:
    """
    How far workers were past what is settled, of a few generations.

    No worker is ahead of its service, unless that has forgotten what it handed out.
    """

    def __init__(self, most: int = 1_024) -> None:
        self._most = most
        self._told: OrderedDict[GenerationKey, tuple[int, str]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, key: GenerationKey, step: int, worker: str) -> None:
        """Remember that a worker says that it has applied a value below ``step``."""
        with self._lock:
            self._told[key] = max((step, worker), self._told.pop(key, (0, "")))
            if len(self._told) > self._most:
                self._told.popitem(last=False)

    def of(self, key: GenerationKey) -> tuple[int, str]:
        """Return the furthest such step of a generation, 0 if there is none, and who says so."""
        return self._told.get(key, (0, ""))


class Caches:
    """
    What a process remembers of the database.

    Timelines are kept by the hash of their content. The generations before a run's newest one,
    and the revisions that rule its newest one and say signals on its line, change only with the
    number of the generation or of the revision, which is part of their key; but a commit that
    fails takes its numbers back.
    """

    def __init__(self, sizes: CacheSizes | None = None) -> None:
        sizes = sizes or CacheSizes()
        state = sizes.states // 4
        self.timelines: BoundedCache[str, Timeline] = BoundedCache(sizes.timelines)
        self.past: BoundedCache[GenerationKey, Sequence[Generation]] = BoundedCache(state)
        self.in_force: BoundedCache[tuple[GenerationKey, int], Sequence[Row[Any]]] = BoundedCache(
            state
        )
        self.signals: BoundedCache[tuple[GenerationKey, int], SignalsFrom] = BoundedCache(state)
        self.curves: BoundedCache[CurveKey, RunCurve] = BoundedCache(state)
        self.digests = Digests(of_all=sizes.digests // DIGEST_BYTES)
        self.ahead = Ahead()
        self.incarnation: str | None = None

    def figures(self) -> dict[str, CacheFigures]:
        """Return what each has done, and what it holds, by name."""
        return {
            "timelines": self.timelines.figures,
            "past generations": self.past.figures,
            "revisions in force": self.in_force.figures,
            "signals": self.signals.figures,
            "curves of lists": self.curves.figures,
            "digests": self.digests.figures,
        }

    def doubt(self) -> None:
        """Let go of what may come from a transaction that was not committed."""
        self.incarnation = None  # the database may have been restored meanwhile
        self.past.clear()
        self.in_force.clear()
        self.signals.clear()
        self.curves.clear()
        self.digests.clear()
