"""
What a service counts and measures of itself, for Prometheus.

An application has a registry of its own, so that two can live in one process. Several workers share
their figures (`SharedFigures`), and any of them answers for all. What is counted where it happens
is in the registry; what is looked at now and then (`sampling`) comes in groups, whole each time.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Histogram, Metric, generate_latest

from rheostat.server.http import metric_table as table
from rheostat.server.http.figures import SUMS, Family, Sample, SharedFigures, together
from rheostat.server.store.failures import Outage
from rheostat.server.store.writer import DEFECT

LOG = logging.getLogger("rheostat.metrics")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that have series of their own; all others share one."""

NO_FIGURES: Sequence[Family] = ()


class Tally:
    """
    Requests of one series that the histogram has yet to be told of, by `flush`.

    Counting in the histogram itself takes locks, a tenth of what a request in the fast lane takes.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._bounds = table.REQUEST_SECONDS.buckets
        self._counts = [0] * (len(self._bounds) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._seconds += seconds

    def flush(self) -> None:
        """Add them to the histogram, which by its public methods takes one at a time."""
        for bucket, count in zip(self._histogram._buckets, self._counts, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self._histogram._sum.inc(self._seconds)  # noqa: SLF001
        self._counts, self._seconds = [0] * len(self._counts), 0.0


class Metrics:
    """The figures of one application, and of the other workers beside it."""

    def __init__(self) -> None:
        self._shared: SharedFigures | None = None
        self._place, self._sequence = 0, 0
        self._before: list[Family] = []
        self._groups: dict[str, Sequence[Family]] = {}
        self._complained = False
        self.registry = CollectorRegistry()
        self._requests = table.REQUEST_SECONDS.make(self.registry)
        self._in_flight = table.IN_FLIGHT.make(self.registry)
        self._refusals = table.REFUSALS.make(self.registry)
        self._streams = table.EVENT_STREAMS.make(self.registry)
        self._held = table.HELD_READS.make(self.registry)
        self._connections = table.OPEN_CONNECTIONS.make(self.registry)
        self._ended = table.ENDED_CONNECTIONS.make(self.registry)
        self._commit_seconds = table.COMMIT_SECONDS.make(self.registry)
        self._commit_operations = table.COMMIT_OPERATIONS.make(self.registry)
        self._commit_failures = table.COMMIT_FAILURES.make(self.registry)
        for reason in (*Outage, DEFECT):  # the first failure is a rise, too
            self._commit_failures.labels(reason)
        self._revisions = table.REVISIONS.make(self.registry)
        self._landing_seconds = table.LANDING_SECONDS.make(self.registry)
        self._landing_steps = table.LANDING_STEPS.make(self.registry)
        self._kept_reports = table.KEPT_REPORTS.make(self.registry)
        self._decisions = table.DECISIONS.make(self.registry)
        self._mismatches = table.MISMATCHES.make(self.registry)
        self._went_back = table.WENT_BACK.make(self.registry)
        self._hook_attempts = table.HOOK_ATTEMPTS.make(self.registry)
        self._hook_waiting = table.HOOK_WAITING.make(self.registry)
        self._hook_oldest = table.HOOK_OLDEST.make(self.registry)
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._tallies: list[Tally] = []
        self.in_flight = 0
        """Requests that are being answered, as `Observer` counts them."""

    # requests and connections: from the event loop

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

    def count_refusal(self, code: str, reason: str) -> None:
        """Count a request that was refused, by its problem's code, and the reason of a 503."""
        self._refusals.labels(code, reason).inc()

    def count_streams(self, number: int) -> None:
        """Note how many event streams are open."""
        self._streams.set(number)

    def count_held(self, number: int) -> None:
        """Note how many reads are held."""
        self._held.set(number)

    def count_connections(self, number: int) -> None:
        """Note how many connections are open."""
        self._connections.set(number)

    def count_ended(self, reason: str, times: int = 1) -> None:
        """Count connections that were ended for one of few reasons, or none, to have a series."""
        self._ended.labels(reason).inc(times)

    # what workers say

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

    # what the store does: `store.watching.StoreWatcher`, called from the writer's thread

    def committed(self, seconds: float, operations: int) -> None:
        """Count a transaction."""
        self._commit_seconds.observe(seconds)
        self._commit_operations.observe(operations)

    def failed(self, reason: str) -> None:
        """Count a transaction that failed."""
        self._commit_failures.labels(reason).inc()

    def revised(self, kind: str) -> None:
        """Count a revision."""
        self._revisions.labels(kind).inc()

    def placed(self, steps: int) -> None:
        """Note how many steps beyond the fastest worker a change takes effect."""
        self._landing_steps.observe(steps)

    def landed(self, seconds: float) -> None:
        """Note after how many seconds a change was first handed out."""
        self._landing_seconds.observe(seconds)

    # sharing and telling

    def share(self, figures: SharedFigures, place: int) -> None:
        """Share figures from now on, and count on from what was counted at this place before."""
        self._sequence, before = figures.read(place)
        self._before = [family for family in before if family.kind in SUMS]
        self._shared, self._place = figures, place

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that asks the database for all of its server."""
        return self._place == 0

    def put(self, group: str, families: Sequence[Family]) -> None:
        """Tell these figures from now on in the place of those of the same group before."""
        self._groups[group] = families

    def publish(self) -> None:
        """Have the other workers know this one's figures."""
        self._publish(self._own())

    def text(self) -> bytes:
        """Return all figures, those of the other workers included, in Prometheus's text format."""
        families = self._own()
        if self._shared is not None:
            self._publish(families)  # so that no other worker answers with less after this
            families = together([families, *self._shared.others(self._place)])
        return generate_latest(_Collected(families))

    def _own(self) -> list[Family]:
        for tally in self._tallies:
            tally.flush()
        self._in_flight.set(self.in_flight)
        groups = [family for families in self._groups.values() for family in families]
        return together([self._before, _families(self.registry), groups])

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
