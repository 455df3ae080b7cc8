"""
What a service counts and measures of itself, for Prometheus.

An application has a registry of its own, so that two can live in one process. Several workers share
their figures (`SharedFigures`), and any of them answers for all: what they count is added up, and
what they hold, too.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest

from rheostat.schedules.evaluation import Figures
from rheostat.server.http.figures import SUMS, Family, Sample, SharedFigures, added

LOG = logging.getLogger("rheostat.metrics")
BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
"""Upper bounds of the histogram's buckets, in seconds."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that have series of their own; all others share one."""


M = TypeVar("M", Counter, Gauge, Histogram)


@dataclass(frozen=True)
class MetricInfo(Generic[M]):
    """A metric as it is listed: its name, what it is, and the labels by which it is split up."""

    name: str
    kind: type[M]
    text: str
    labels: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Return Prometheus's word for what it is."""
        return self.kind.__name__.lower()

    @property
    def shown(self) -> str:
        """Return the name under which Prometheus sees it."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    def make(self, registry: CollectorRegistry, **options: Any) -> M:
        """Return it, as one of a registry."""
        return self.kind(self.name, self.text, self.labels, registry=registry, **options)


REQUEST_SECONDS = MetricInfo(
    "rheostat_request_seconds",
    Histogram,
    "Time to answer, by route, method and status; its count is the number of requests.",
    ("route", "method", "status"),
)
CACHE_HITS = MetricInfo(
    "rheostat_chunk_cache_hits", Counter, "Pieces of curves found in the chunk cache."
)
CACHE_MISSES = MetricInfo(
    "rheostat_chunk_cache_misses", Counter, "Pieces of curves that had to be computed."
)
CACHE_BYTES = MetricInfo("rheostat_chunk_cache_bytes", Gauge, "Memory that the chunk cache holds.")
EVENT_STREAMS = MetricInfo("rheostat_event_streams", Gauge, "Event streams that are open.")
HELD_READS = MetricInfo(
    "rheostat_held_reads", Gauge, "Reads that are held at a pause or a gate until it opens."
)
OPEN_CONNECTIONS = MetricInfo("rheostat_connections", Gauge, "Connections that are open.")
ENDED_CONNECTIONS = MetricInfo(
    "rheostat_connections_ended",
    Counter,
    "Connections that the service ended by itself, by reason.",
    ("reason",),
)
WORKERS = MetricInfo(
    "rheostat_workers",
    Gauge,
    "Workers whose beats came here, by what they do; silent and ended ones for ten minutes.",
    ("state",),
)
KEPT_REPORTS = MetricInfo(
    "rheostat_reports", Counter, "Values of metrics that were kept: new ones, not repetitions."
)
DECISIONS = MetricInfo(
    "rheostat_decisions",
    Counter,
    "Decisions that who reported was told, by kind; who reports once more is told again.",
    ("decision",),
)
MISMATCHES = MetricInfo(
    "rheostat_mismatches", Counter, "Values that workers applied and were not given, each once."
)
WENT_BACK = MetricInfo(
    "rheostat_went_back",
    Counter,
    "Beats of workers that are past all that the service knows to have handed out.",
)
HOOK_ATTEMPTS = MetricInfo(
    "rheostat_hook_attempts",
    Counter,
    "Attempts to deliver messages to hooks, by what came of them: delivered or failed.",
    ("outcome",),
)
HOOK_WAITING = MetricInfo(
    "rheostat_hook_waiting", Gauge, "Messages that wait for hooks, of the process that sends them."
)
HOOK_OLDEST = MetricInfo(
    "rheostat_hook_oldest_seconds",
    Gauge,
    "How long the oldest message to a hook has waited, of the process that sends them.",
)

METRICS = (
    REQUEST_SECONDS,
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_BYTES,
    EVENT_STREAMS,
    HELD_READS,
    OPEN_CONNECTIONS,
    ENDED_CONNECTIONS,
    WORKERS,
    KEPT_REPORTS,
    DECISIONS,
    MISMATCHES,
    WENT_BACK,
    HOOK_ATTEMPTS,
    HOOK_WAITING,
    HOOK_OLDEST,
)
"""All that there are; docs/metrics.md is made from this."""


class Tally:
    """
    Requests of one series that the histogram has yet to be told of, by `flush`.

    Counting in the histogram itself takes locks, a tenth of what a request in the fast lane takes.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._counts = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def flush(self) -> None:
        """Add them to the histogram, which by its public methods takes one at a time."""
        for bucket, count in zip(self._histogram._buckets, self._counts, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self._histogram._sum.inc(self._seconds)  # noqa: SLF001
        self._counts, self._seconds = [0] * len(self._counts), 0.0


class Metrics:
    """The figures of one application; ``chunk_cache`` says how its cache does."""

    def __init__(self, chunk_cache: Callable[[], Figures]) -> None:
        self._chunk_cache = chunk_cache
        self._sampled = Figures(0, 0, 0, 0, 0)
        self._shared: SharedFigures | None = None
        self._place, self._sequence = 0, 0
        self._before: list[Family] = []
        self._complained = False
        self.registry = CollectorRegistry()
        self._requests = REQUEST_SECONDS.make(self.registry, buckets=BUCKETS)
        self._hits, self._misses = CACHE_HITS.make(self.registry), CACHE_MISSES.make(self.registry)
        self._bytes = CACHE_BYTES.make(self.registry)
        self._streams = EVENT_STREAMS.make(self.registry)
        self._held = HELD_READS.make(self.registry)
        self._connections = OPEN_CONNECTIONS.make(self.registry)
        self._ended = ENDED_CONNECTIONS.make(self.registry)
        self._workers = WORKERS.make(self.registry)
        self._kept_reports = KEPT_REPORTS.make(self.registry)
        self._decisions = DECISIONS.make(self.registry)
        self._mismatches = MISMATCHES.make(self.registry)
        self._went_back = WENT_BACK.make(self.registry)
        self._hook_attempts = HOOK_ATTEMPTS.make(self.registry)
        self._hook_waiting = HOOK_WAITING.make(self.registry)
        self._hook_oldest = HOOK_OLDEST.make(self.registry)
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._tallies: list[Tally] = []

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is its template, so that names do not multiply series."""
        key = (route, method, status)
        child = self._children.get(key)
        if child is None:
            known = method if method in METHODS else "other"
            child = self._requests.labels(route, known, str(status))
            if known == method:
                self._children[key] = child
        child.observe(seconds)

    def tally(self, route: str, method: str, status: int) -> Tally:
        """Return what counts requests of one series, to be seen at the next sample."""
        tally = Tally(self._requests.labels(route, method, str(status)))
        self._tallies.append(tally)
        return tally

    def count_streams(self, number: int) -> None:
        """Note how many event streams are open."""
        self._streams.set(number)

    def count_held(self, number: int) -> None:
        """Note how many reads are held."""
        self._held.set(number)

    def count_connections(self, number: int) -> None:
        """Note how many connections are open."""
        self._connections.set(number)

    def count_ended(self, reason: str) -> None:
        """Count a connection that was ended, for one of few reasons."""
        self._ended.labels(reason).inc()

    def count_workers(self, numbers: Mapping[str, int]) -> None:
        """Note how many workers do what, of those whose beats this process had."""
        for state, number in numbers.items():
            self._workers.labels(state).set(number)

    def count_reports(self, kept: int, decisions: Iterable[str]) -> None:
        """Count values of metrics that were kept, and what was decided on them."""
        self._kept_reports.inc(kept)
        for decision in decisions:
            self._decisions.labels(decision).inc()

    def count_mismatches(self, kept: int) -> None:
        """Count values that workers applied and were not given."""
        self._mismatches.inc(kept)

    def count_went_back(self) -> None:
        """Count a beat of a worker that is past all that is settled."""
        self._went_back.inc()

    def count_hook_attempt(self, outcome: str) -> None:
        """Count an attempt to deliver a message to a hook."""
        self._hook_attempts.labels(outcome).inc()

    def count_hooks(self, waiting: int, oldest: float) -> None:
        """Note how many messages wait for hooks, and how long the oldest has."""
        self._hook_waiting.set(waiting)
        self._hook_oldest.set(oldest)

    def share(self, figures: SharedFigures, place: int) -> None:
        """Share figures from now on, and count on from what was counted at this place before."""
        self._sequence, before = figures.read(place)
        self._before = [family for family in before if family.kind in SUMS]
        self._shared, self._place = figures, place

    def sample(self) -> None:
        """Take over the tallies, and the chunk cache's present figures."""
        for tally in self._tallies:
            tally.flush()
        figures, before = self._chunk_cache(), self._sampled
        self._hits.inc(figures.hits - before.hits)
        self._misses.inc(figures.misses - before.misses)
        self._bytes.set(figures.bytes)
        self._sampled = figures

    async def keep_sampling(self) -> None:
        """Sample each second for ever, for the other workers, which are asked for all figures."""
        while True:
            self.sample()
            self._publish(self._own())
            await asyncio.sleep(1)

    def text(self) -> bytes:
        """Return all figures, those of the other workers included, in Prometheus's text format."""
        self.sample()
        families = self._own()
        if self._shared is not None:
            self._publish(families)  # so that no other worker answers with less after this
            families = added([families, *self._shared.others(self._place)])
        return generate_latest(_Collected(families))

    def _own(self) -> list[Family]:
        return added([self._before, _families(self.registry)])

    def _publish(self, families: list[Family]) -> None:
        if self._shared is None:
            return
        try:
            self._shared.write(self._place, self._sequence + 1, families)
        except OSError as error:  # figures are worth less than the service
            if not self._complained:
                LOG.warning("this worker's figures are not shared for now: %s", error)
            self._complained = True
        else:
            self._complained = False
            self._sequence += 1


class _Collected:
    """Figures in the form in which Prometheus's own writer takes them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield each family."""
        for family in self._families:
            metric = Metric(family.name, family.text, family.kind)
            for sample in family.samples:
                metric.add_sample(*sample)
            yield metric


def _families(registry: CollectorRegistry) -> Iterator[Family]:
    """Yield what a registry holds, without the times at which its series began."""
    for metric in registry.collect():
        samples = [
            Sample(each.name, each.labels, each.value)
            for each in metric.samples
            if not each.name.endswith("_created")
        ]
        yield Family(metric.name, metric.documentation, metric.type, samples)
