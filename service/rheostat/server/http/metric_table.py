"""
Every metric that a server has: its name by Prometheus' conventions, what it is, its labels.

`docs/operations.md` is made from this table. A label has few values, and none that a caller may
choose, but for `run`, of which a setting says which have series, and this file how many at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rheostat.server.http.figures import Family, Over, Sample

M = TypeVar("M", Counter, Gauge, Histogram)

Group = Literal[
    "requests",
    "connections",
    "the writer",
    "the database",
    "caches",
    "processes",
    "hooks",
    "runs",
    "a run",
]
"""Under which heading a metric is listed."""


@dataclass(frozen=True)
class MetricInfo(Generic[M]):
    """
    A metric as it is listed: its name, what it is, and the labels by which it is split up.

    ``over`` is how the figures of several processes of one server become one. Of the ``database``
    are those that every replica tells alike.
    """

    name: str
    kind: type[M]
    group: Group
    text: str
    labels: tuple[str, ...] = ()
    over: Over = "sum"
    database: bool = False
    buckets: tuple[float, ...] = ()

    @property
    def type(self) -> str:
        """Return Prometheus's word for what it is."""
        return self.kind.__name__.lower()

    @property
    def shown(self) -> str:
        """Return the name under which Prometheus sees it."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    def make(self, registry: CollectorRegistry) -> M:
        """Return it, as one of a registry."""
        options: dict[str, Any] = {"buckets": self.buckets} if self.buckets else {}
        return self.kind(self.name, self.text, self.labels, registry=registry, **options)

    def family(self, values: Mapping[tuple[str, ...], float]) -> Family:
        """Return it with these values, by its labels' values; no histogram."""
        samples = [
            Sample(self.shown, dict(zip(self.labels, labels, strict=True)), float(value))
            for labels, value in values.items()
        ]
        return Family(self.name, self.text, self.type, samples, self.over)

    def single(self, value: float) -> Family:
        """Return it with its one value, of a metric without labels."""
        return self.family({(): value})


REQUEST_SECONDS = MetricInfo(
    "rheostat_http_request_duration_seconds",
    Histogram,
    "requests",
    "Time to answer, by route, method and status; its count is the number of requests.",
    ("route", "method", "status"),
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
IN_FLIGHT = MetricInfo(
    "rheostat_http_requests_in_flight",
    Gauge,
    "requests",
    "Requests that are being answered, event streams among them; without reads that are held.",
)
REFUSALS = MetricInfo(
    "rheostat_refusals",
    Counter,
    "requests",
    "Requests that were refused, by the code of their problem, and the reason of a 503.",
    ("code", "reason"),
)
EVENT_STREAMS = MetricInfo(
    "rheostat_event_streams", Gauge, "requests", "Event streams that are open."
)
HELD_READS = MetricInfo(
    "rheostat_held_reads",
    Gauge,
    "requests",
    "Reads that are held at a pause or a gate until it opens.",
)
OPEN_CONNECTIONS = MetricInfo(
    "rheostat_connections", Gauge, "connections", "Connections that are open."
)
CONNECTION_LIMIT = MetricInfo(
    "rheostat_connection_limit",
    Gauge,
    "connections",
    "Connections that there may be, as far as open files reach.",
)
ENDED_CONNECTIONS = MetricInfo(
    "rheostat_connections_ended",
    Counter,
    "connections",
    "Connections that the service refused, or ended by itself, by reason.",
    ("reason",),
)
LACKING_FILES = MetricInfo(
    "rheostat_open_files_lacking",
    Gauge,
    "connections",
    "Open files by which the limit of a process is too low for RHEOSTAT_MAX_CONNECTIONS.",
    over="max",
)
QUEUED = MetricInfo(
    "rheostat_writer_queue_operations",
    Gauge,
    "the writer",
    "Operations that wait for the writer, and have not begun.",
)
OLDEST = MetricInfo(
    "rheostat_writer_oldest_seconds",
    Gauge,
    "the writer",
    "For how long the oldest operation has waited that is not answered; 0 if none has.",
    over="max",
)
COMMIT_SECONDS = MetricInfo(
    "rheostat_commit_duration_seconds",
    Histogram,
    "the writer",
    "Time of a transaction that was committed, the wait for its lock and its flush included.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
COMMIT_OPERATIONS = MetricInfo(
    "rheostat_commit_operations",
    Histogram,
    "the writer",
    "Operations in a transaction that was committed.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
COMMIT_FAILURES = MetricInfo(
    "rheostat_commit_failures",
    Counter,
    "the writer",
    "Transactions that failed, by reason: those of readiness, `busy`, or `defect`.",
    ("reason",),
)
READY = MetricInfo(
    "rheostat_ready",
    Gauge,
    "the database",
    "1 if nothing is known that keeps the service from its work, else 0: as /readyz, unasked.",
    over="min",
)
OUTAGES = MetricInfo(
    "rheostat_outage",
    Gauge,
    "the database",
    "1 for each reason for which it is not ready, 0 for the others.",
    ("reason",),
    over="max",
)
POOL = MetricInfo(
    "rheostat_database_connections",
    Gauge,
    "the database",
    "Connections to the database that are in use, or idle.",
    ("state",),
)
DATABASE_BYTES = MetricInfo(
    "rheostat_database_bytes",
    Gauge,
    "the database",
    "Size of the database: of SQLite, of its file and what stands beside it.",
    over="max",
    database=True,
)
FREE_BYTES = MetricInfo(
    "rheostat_database_free_bytes",
    Gauge,
    "the database",
    "Bytes that are free where SQLite's file is; absent with PostgreSQL, which knows it itself.",
    over="min",
    database=True,
)
SAMPLED_AT = MetricInfo(
    "rheostat_database_figures_timestamp_seconds",
    Gauge,
    "the database",
    "When the figures that come from the database were read last.",
    over="max",
    database=True,
)
SAMPLE_SECONDS = MetricInfo(
    "rheostat_database_figures_duration_seconds",
    Gauge,
    "the database",
    "How long reading them took.",
    over="max",
    database=True,
)
CACHE_BYTES = MetricInfo(
    "rheostat_cache_bytes", Gauge, "caches", "Memory that a cache holds.", ("cache",)
)
CACHE_LIMIT = MetricInfo(
    "rheostat_cache_limit_bytes", Gauge, "caches", "Memory that it may hold.", ("cache",)
)
CACHE_HITS = MetricInfo(
    "rheostat_cache_hits", Counter, "caches", "Look-ups that found what they sought.", ("cache",)
)
CACHE_MISSES = MetricInfo(
    "rheostat_cache_misses", Counter, "caches", "Look-ups that did not.", ("cache",)
)
BUILD = MetricInfo(
    "rheostat_build_info",
    Gauge,
    "processes",
    "1, for the release that runs, its Python, and the kind of its database.",
    ("version", "python", "database"),
    over="max",
)
PROCESSES = MetricInfo(
    "rheostat_processes", Gauge, "processes", "Processes that serve, of RHEOSTAT_WORKERS."
)
RESTARTS = MetricInfo(
    "rheostat_process_restarts",
    Counter,
    "processes",
    "Processes that ended and were replaced; the log says of what. Only with several.",
)
CPU_SECONDS = MetricInfo(
    "process_cpu_seconds", Counter, "processes", "Processor time that all of them have used."
)
RESIDENT_BYTES = MetricInfo(
    "process_resident_memory_bytes", Gauge, "processes", "Memory of all of them."
)
VIRTUAL_BYTES = MetricInfo(
    "process_virtual_memory_bytes", Gauge, "processes", "Virtual memory of all of them."
)
STARTED_AT = MetricInfo(
    "process_start_time_seconds",
    Gauge,
    "processes",
    "When the youngest of them was started.",
    over="max",
)
OPEN_FILES = MetricInfo(
    "process_open_fds", Gauge, "processes", "Open files of the one that has most.", over="max"
)
MAX_FILES = MetricInfo(
    "process_max_fds",
    Gauge,
    "processes",
    "Files that one of them may have open.",
    over="min",
)
RUNS = MetricInfo(
    "rheostat_runs",
    Gauge,
    "runs",
    "Runs by their state, as lists show it.",
    ("state",),
    over="max",
    database=True,
)
WORKERS = MetricInfo(
    "rheostat_workers",
    Gauge,
    "runs",
    "Workers of runs that are not finished: `training`, `waiting`, `ended`; `silent` while others"
    " of their run are heard, and `gone` where nobody is.",
    ("state",),
    over="max",
    database=True,
)
REVISIONS = MetricInfo(
    "rheostat_revisions", Counter, "runs", "Revisions that were made here, by kind.", ("kind",)
)
LANDING_SECONDS = MetricInfo(
    "rheostat_change_landing_seconds",
    Histogram,
    "runs",
    "Time from a change to the first block with its values; of several at a step, the last.",
    buckets=(0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600),
)
LANDING_STEPS = MetricInfo(
    "rheostat_change_landing_steps",
    Histogram,
    "runs",
    "Steps from where the fastest worker read when a change was made to where it takes effect.",
    buckets=(0, 8, 32, 128, 512, 2048, 8192, 32768, 131072),
)
DUE = MetricInfo(
    "rheostat_change_due_look_aheads",
    Gauge,
    "runs",
    "For how many look-aheads (2 s, or a cell's time if that is longer) the change has waited that"
    " has done so for longest, of those that the next block of a run in training brings.",
    over="max",
    database=True,
)
KEPT_REPORTS = MetricInfo(
    "rheostat_reports", Counter, "runs", "Values of metrics that were kept, not repetitions."
)
DECISIONS = MetricInfo(
    "rheostat_decisions",
    Counter,
    "runs",
    "Decisions that who reported was told, by kind; who reports once more is told again.",
    ("decision",),
)
MISMATCHES = MetricInfo(
    "rheostat_mismatches",
    Counter,
    "runs",
    "Values that workers applied and were not given, each once.",
)
WENT_BACK = MetricInfo(
    "rheostat_went_back",
    Counter,
    "runs",
    "Beats of workers that are past all that the service knows to have handed out.",
)

MOST_RUNS = 100
"""Runs that have series of their own, at most: those that were made last."""

RUN_SETTLED = MetricInfo(
    "rheostat_run_settled_step",
    Gauge,
    "a run",
    "Step below which all is settled.",
    ("run",),
    over="max",
    database=True,
)
RUN_AGE = MetricInfo(
    "rheostat_run_settled_age_seconds",
    Gauge,
    "a run",
    "For how long nothing more was settled.",
    ("run",),
    over="max",
    database=True,
)
RUN_SLOWEST = MetricInfo(
    "rheostat_run_slowest_step",
    Gauge,
    "a run",
    "Where the last of those is who train; absent if nobody does.",
    ("run",),
    over="max",
    database=True,
)
RUN_WORKERS = MetricInfo(
    "rheostat_run_workers",
    Gauge,
    "a run",
    "Its workers, by the states of rheostat_workers.",
    ("run", "state"),
    over="max",
    database=True,
)
RUN_REVISION = MetricInfo(
    "rheostat_run_revision",
    Gauge,
    "a run",
    "Number of its newest revision.",
    ("run",),
    over="max",
    database=True,
)
RUNS_LEFT_OUT = MetricInfo(
    "rheostat_run_series_left_out",
    Gauge,
    "a run",
    "Runs that RHEOSTAT_METRICS_RUNS means and that have no series: there are too many.",
    over="max",
    database=True,
)

HOOK_ATTEMPTS = MetricInfo(
    "rheostat_hook_attempts",
    Counter,
    "hooks",
    "Attempts to deliver messages to hooks, by what came of them: delivered or failed.",
    ("outcome",),
)
HOOK_WAITING = MetricInfo(
    "rheostat_hook_waiting",
    Gauge,
    "hooks",
    "Messages that wait for hooks, of the process that sends them.",
)
HOOK_OLDEST = MetricInfo(
    "rheostat_hook_oldest_seconds",
    Gauge,
    "hooks",
    "How long the oldest message to a hook has waited, of the process that sends them.",
)

METRICS: tuple[MetricInfo[Any], ...] = (
    REQUEST_SECONDS,
    IN_FLIGHT,
    REFUSALS,
    EVENT_STREAMS,
    HELD_READS,
    OPEN_CONNECTIONS,
    CONNECTION_LIMIT,
    ENDED_CONNECTIONS,
    LACKING_FILES,
    QUEUED,
    OLDEST,
    COMMIT_SECONDS,
    COMMIT_OPERATIONS,
    COMMIT_FAILURES,
    READY,
    OUTAGES,
    POOL,
    DATABASE_BYTES,
    FREE_BYTES,
    SAMPLED_AT,
    SAMPLE_SECONDS,
    CACHE_BYTES,
    CACHE_LIMIT,
    CACHE_HITS,
    CACHE_MISSES,
    BUILD,
    PROCESSES,
    RESTARTS,
    CPU_SECONDS,
    RESIDENT_BYTES,
    VIRTUAL_BYTES,
    STARTED_AT,
    OPEN_FILES,
    MAX_FILES,
    HOOK_ATTEMPTS,
    HOOK_WAITING,
    HOOK_OLDEST,
    RUNS,
    WORKERS,
    REVISIONS,
    LANDING_SECONDS,
    LANDING_STEPS,
    DUE,
    KEPT_REPORTS,
    DECISIONS,
    MISMATCHES,
    WENT_BACK,
    RUN_SETTLED,
    RUN_AGE,
    RUN_SLOWEST,
    RUN_WORKERS,
    RUN_REVISION,
    RUNS_LEFT_OUT,
)
"""All that there are."""
