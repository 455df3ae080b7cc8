"""
Sampling: figures that nobody counts as they happen, looked at now and then, by themselves.

No scrape costs more than writing down what is known, and what the process holds, which the others
are told each second. The process itself, the disk and readiness are looked at every few, in a
thread, since a file system may hang; and the database by the first process of a server, for all of
them. Whatever fails is said in the log, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from starlette.datastructures import State

from rheostat import __version__
from rheostat.errors import Unavailable
from rheostat.schedules.evaluation import CACHE
from rheostat.server.http import metric_table as table
from rheostat.server.http.connections import lacking_files
from rheostat.server.http.figures import Family
from rheostat.server.http.metrics import NO_FIGURES, Metrics
from rheostat.server.runs.selector import Selector
from rheostat.server.settings import Settings
from rheostat.server.store import Store
from rheostat.server.store.caches import CacheFigures
from rheostat.server.store.failures import Outage
from rheostat.server.store.operations import census
from rheostat.server.store.operations.census import Census

LOG = logging.getLogger("rheostat.metrics")

SECOND: Final = 1.0
"""Between two looks at what the process holds, which the other processes are told."""

LOOK: Final = 5.0
"""Seconds between two looks at the process, the disk and readiness."""

CENSUS: Final = 15.0
"""Seconds between two reads of the database, at least."""

REST: Final = 50
"""Times as long as such a read took, for which the next one waits: 2 % of the time, at most."""

FORGOTTEN: Final = 120.0
"""Seconds after which what was read of the database, and cannot be read again, is told no more."""

OUTAGES: Final = sorted(set(Outage) - {Outage.BUSY})

PROCESS: Final = {
    info.name: info
    for info in (
        table.CPU_SECONDS,
        table.RESIDENT_BYTES,
        table.VIRTUAL_BYTES,
        table.STARTED_AT,
        table.OPEN_FILES,
        table.MAX_FILES,
    )
}


class Sampler:
    """Looks, for the `Metrics` of an application, at its store and at what it holds."""

    def __init__(self, state: State, *, counts: bool) -> None:
        self._metrics: Metrics = state.metrics
        self._store: Store = state.store
        self._settings: Settings = state.settings
        self._blocks = state.block_cache
        self._recent = state.recent_answers
        self._connections = state.connections
        self._counts = counts and self._metrics.is_first
        named = state.settings.metrics_runs
        self._named = Selector.parse(named, "metrics_runs") if named else None
        self._process = ProcessCollector(registry=CollectorRegistry())
        self._seen = 0.0
        self._complained: set[str] = set()

    async def run(self) -> None:
        """Look for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep("what this process holds", self._look, SECOND))
            tasks.create_task(self._keep("this process", self._look_outside, LOOK))
            if self._counts:
                tasks.create_task(self._keep_counting())

    async def _keep(self, what: str, look: Callable[[], Awaitable[None]], pause: float) -> None:
        while True:
            await self._try(what, look)
            await asyncio.sleep(pause)

    async def _try(self, what: str, look: Callable[[], Awaitable[None]]) -> None:
        """Look, and say once that it failed until it works again."""
        try:
            await look()
        except Exception as error:
            if what not in self._complained:
                expected = isinstance(error, Unavailable | OSError)
                LOG.warning("the figures of %s: %s", what, error, exc_info=not expected)
            self._complained.add(what)
        else:
            self._complained.discard(what)

    async def _look(self) -> None:
        self.look()
        self._metrics.publish()

    def look(self) -> None:
        """Look at what the process holds, which is at hand."""
        store = self._store.figures()
        caches: dict[str, CacheFigures] = {
            "settled blocks": self._blocks.figures,
            "recent answers": self._recent.figures,
            **store.caches,
        }
        chunks = CACHE.figures()
        caches["curves"] = CacheFigures(chunks.hits, chunks.misses, chunks.bytes, chunks.capacity)
        families = [
            table.QUEUED.single(store.queued),
            table.OLDEST.single(store.oldest),
            table.POOL.family({("used",): store.used, ("idle",): store.idle}),
            table.PROCESSES.single(1),
            table.CONNECTION_LIMIT.single(self._connections.limit),
            *of_caches(caches),
        ]
        self._metrics.put("held", families)

    async def _look_outside(self) -> None:
        families = await asyncio.to_thread(self.outside)
        self._metrics.put("outside", families)

    def outside(self) -> list[Family]:
        """Return what is seen of the process, the disk and readiness; may take long."""
        reasons = self._store.known_reasons()
        release = (__version__, platform.python_version(), self._store.kind)
        wanted = self._settings.max_connections
        families = [
            table.BUILD.family({release: 1}),
            table.READY.single(not reasons),
            table.OUTAGES.family({(each.value,): each in reasons for each in OUTAGES}),
            table.LACKING_FILES.single(lacking_files(wanted)),
        ]
        found = self._process.collect()
        families += [PROCESS[each.name].single(each.samples[0].value) for each in found]
        if self._counts and (disk := self._store.disk()) is not None:
            families += [table.DATABASE_BYTES.single(disk[0]), table.FREE_BYTES.single(disk[1])]
        return families

    async def _keep_counting(self) -> None:
        while True:
            began = time.monotonic()
            await self._try("the database", self.count)
            took = time.monotonic() - began
            if time.monotonic() > self._seen + FORGOTTEN + REST * took:
                self._metrics.put("census", NO_FIGURES)
            await asyncio.sleep(max(CENSUS, REST * took))

    async def count(self) -> None:
        """Read what the database holds."""
        began = time.monotonic()
        found = await self._store.read(census.take, self._named, table.MOST_RUNS)
        self._seen = time.monotonic()
        self._metrics.put("census", of_census(found, time.time(), self._seen - began))


def of_caches(caches: Mapping[str, CacheFigures]) -> Iterable[Family]:
    """Return the figures of caches, by their names."""
    yield table.CACHE_BYTES.family({(name,): each.bytes for name, each in caches.items()})
    yield table.CACHE_LIMIT.family({(name,): each.limit for name, each in caches.items()})
    yield table.CACHE_HITS.family({(name,): each.hits for name, each in caches.items()})
    yield table.CACHE_MISSES.family({(name,): each.misses for name, each in caches.items()})


def of_census(found: Census, at: float, took: float) -> Sequence[Family]:
    """Return what was counted at a time, in so many seconds."""
    runs = found.named
    families = [
        table.RUNS.family({(state,): many for state, many in found.runs.items()}),
        table.WORKERS.family({(word,): many for word, many in found.workers.items()}),
        table.DUE.single(found.due),
        table.SAMPLED_AT.single(at),
        table.SAMPLE_SECONDS.single(took),
        table.RUNS_LEFT_OUT.single(found.left_out),
        table.RUN_SETTLED.family({(name,): each.settled_until for name, each in runs.items()}),
        table.RUN_REVISION.family({(name,): each.revision for name, each in runs.items()}),
        table.RUN_AGE.family(
            {(name,): each.age for name, each in runs.items() if each.age is not None}
        ),
        table.RUN_SLOWEST.family(
            {(name,): each.slowest for name, each in runs.items() if each.slowest is not None}
        ),
        table.RUN_WORKERS.family(
            {
                (name, word): many
                for name, each in runs.items()
                for word, many in each.workers.items()
            }
        ),
    ]
    if found.bytes is not None:
        families.append(table.DATABASE_BYTES.single(found.bytes))
    return families
