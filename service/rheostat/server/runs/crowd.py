"""
The crowd: a run's workers, by what each last said, and what they are together.

A worker is *alive* until it has said nothing for `PATIENCE` times as long as it was told to wait,
or has said that it is done. It is *wrong* if it has applied another value than was served, in its
generation and since its session was first heard of. It is *behind* if it trains in a generation
that was left, or further behind the first than its last `PATIENCE` beats explain.

Times are seconds of the epoch, by the database's clock.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple, Self

from rheostat import wire
from rheostat.server.runs.beats import Doing
from rheostat.server.runs.revision_state import Front, done_at
from rheostat.server.runs.status import Turnout

PATIENCE = 3
"""Beats that may be missing before a worker counts as silent."""

CLOCKS_APART = 1.0
"""Seconds by which the beginning of a session, which was shifted between clocks, may be off."""

Places = Iterable[tuple[int | None, int, str]]
"""Revisions, the first step of each, and its kind; a rehearsed one is None."""


class Worker(NamedTuple):
    """A worker, by what it last said: at ``seen_at``, in a session that began at ``since``."""

    worker: str
    session: str
    generation: int
    step: int
    again: float
    """Seconds that it was told to wait until its next beat."""
    since: float
    seen_at: float
    host: str | None = None
    job: str | None = None
    pace: float | None = None
    waited: float = 0.0
    proven_until: int | None = None
    """Step below which all that it has listed is right, as far as nothing else is known."""
    state: Doing = "training"

    @property
    def silent_at(self) -> float:
        """When it counts as silent, unless it says something."""
        return self.seen_at + PATIENCE * self.again

    def shifted(self, seconds: float) -> Self:
        """Return it with its times by a clock that is ahead by so much."""
        return self._replace(since=self.since + seconds, seen_at=self.seen_at + seconds)

    @property
    def place(self) -> tuple[int, int, str]:
        """Where it stands in a list: ranks by their number, then the others by name."""
        return place_of(self.worker)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A value at a step that a worker applied, and that is not the ledger's."""

    worker: str
    generation: int
    step: int
    at: float


class Crowd:
    """
    A run's workers at a time.

    Args:
        workers: What each last said, one for each name.
        now: The time, by the clock of theirs.
        generation: The current one.
        shared: For each other generation that workers are in, up to which step it has the past of
            the current one.
        mistakes: What is known to have been applied wrongly.

    """

    def __init__(
        self,
        workers: Iterable[Worker],
        now: float,
        generation: int,
        shared: Mapping[int, float] | None = None,
        mistakes: Iterable[Mistake] = (),
    ) -> None:
        self.now = now
        self.generation = generation
        self._shared = shared or {}
        self.workers: Sequence[Worker] = current(workers)
        self._mistakes = _first_mistakes(self.workers, mistakes)

    @cached_property
    def alive(self) -> Sequence[Worker]:
        """Those who say something still, and have not ended."""
        return [each for each in self.workers if self.is_alive(each)]

    @cached_property
    def training(self) -> Sequence[Worker]:
        """Those of them who are in the current generation."""
        return [each for each in self.alive if each.generation == self.generation]

    @cached_property
    def pace(self) -> float | None:
        """Steps in a second: the median of those who train."""
        paces = [each.pace for each in self.training if each.pace is not None]
        return statistics.median(paces) if paces else None

    @cached_property
    def first(self) -> int | None:
        """The step of the first of those who train."""
        return max((each.step for each in self.training), default=None)

    @cached_property
    def last(self) -> int | None:
        """The step of the last of those who train."""
        return min((each.step for each in self.training), default=None)

    @cached_property
    def counting(self) -> Sequence[Worker]:
        """Those whom revisions come to: alive or ended; without any, those of the newest job."""
        counting = [each for each in self.workers if each.state == "ended" or self.is_alive(each)]
        if counting:
            return counting
        newest = newest_job(self.workers)
        return [each for each in self.workers if newest is None or each.job == newest.name]

    @cached_property
    def hindmost(self) -> Worker | None:
        """The one of these that is least far on the line of the current generation."""
        return min(self.counting, key=self._reached_on_line, default=None)

    @cached_property
    def least_shown(self) -> Worker | None:
        """The one of these that has shown least of what it applied there."""
        return min(self.counting, key=self._shown_on_line, default=None)

    @cached_property
    def front(self) -> Front:
        """How far all of these are."""
        last, least = self.hindmost, self.least_shown
        if last is None or least is None:
            return Front(generation=self.generation)
        proven = self._proven_on_line(least)
        return Front(self._reached_on_line(last), proven, self.generation)

    def prepared(self) -> Crowd:
        """Work out what many will ask for, and return it: of many workers that takes a while."""
        _ = self.front, self.training, self.pace, self._steps
        return self

    @cached_property
    def counts(self) -> wire.WorkerCounts:
        """How many are alive, silent and wrong."""
        silent = sum(each.state != "ended" for each in self.workers) - len(self.alive)
        return {"alive": len(self.alive), "silent": silent, "wrong": len(self._mistakes)}

    @cached_property
    def turnout(self) -> Turnout:
        """How many are there, and how far any of them came."""
        furthest = max((each.step for each in self.workers), default=0)
        return Turnout(len(self.alive), len(self.workers) - len(self.alive), furthest)

    def eta(self, places: Places) -> list[wire.Eta]:
        """Return when those who train come to revisions; nothing if nobody does."""
        return [self._eta(*place) for place in places] if self.training else []

    def summary(self, places: Places) -> wire.WorkersSummary:
        """Return what they are together, and when they come to revisions they are not all past."""
        # a pause is told for as long as somebody stands there
        etas = [each for each in self.eta(places) if each["effective"] >= (self.last or 0)]
        return {
            **self.counts,
            "ended": sum(each.state == "ended" for each in self.workers),
            "behind": sum(self.is_behind(each) for each in self.alive),
            "first": self.first,
            "last": self.last,
            "pace": self.pace,
            "proven_until": _least([self.proven_until(each) for each in self.alive]),
            "eta": etas,
        }

    def is_alive(self, worker: Worker) -> bool:
        """Whether a worker says something still, and has not ended."""
        return worker.state != "ended" and self.now <= worker.silent_at

    def is_behind(self, worker: Worker) -> bool:
        """Whether one that is alive is in a left generation, or further behind than beats are."""
        if worker.generation != self.generation:
            return True
        if self.first is None or self.pace is None:
            return False
        return self.first - worker.step > self.pace * PATIENCE * worker.again

    def wrong_at(self, worker: Worker) -> int | None:
        """Return the first step at which a worker went wrong, None if it did not."""
        return self._mistakes.get(worker.worker)

    def proven_until(self, worker: Worker) -> int | None:
        """Return the step below which all that a worker listed is right, None if it listed none."""
        mistake = self._mistakes.get(worker.worker)
        if mistake is None or worker.proven_until is None:
            return worker.proven_until
        return min(worker.proven_until, mistake)

    def state(self, worker: Worker) -> wire.WorkerState:
        """Return what a worker does; that it is wrong goes before all else."""
        if worker.worker in self._mistakes:
            return "wrong"
        if worker.state == "ended" or self.is_alive(worker):
            return worker.state
        return "silent"

    @cached_property
    def listed(self) -> Sequence[Worker]:
        """All of them in the order of lists."""
        return sorted(self.workers, key=attrgetter("place"))

    @cached_property
    def _hindmost_training(self) -> Worker:
        return min(self.training, key=attrgetter("step"))

    @cached_property
    def _steps(self) -> Sequence[int]:
        """Where those who train are, rising: of many, each of many revisions is to be held to."""
        return sorted(each.step for each in self.training)

    def _eta(self, revision: int | None, effective: int, kind: str) -> wire.Eta:
        last, pace = self._hindmost_training, self.pace
        steps = max(effective - last.step, 0)
        since = self.now - last.seen_at if last.state == "training" else 0.0
        return {
            "revision": revision,
            "effective": effective,
            "steps": steps,
            "seconds": max(steps / pace - since, 0.0) if pace else None,
            "reached_by": len(self._steps) - bisect_left(self._steps, done_at(kind, effective)),
            "workers": len(self.training),
        }

    def _on_line(self, worker: Worker) -> float:
        """Return up to where a worker's generation has the past of the current one."""
        here = worker.generation == self.generation
        return float("inf") if here else self._shared.get(worker.generation, 0)

    def _reached_on_line(self, worker: Worker) -> int:
        return int(min(worker.step, self._on_line(worker)))

    def _shown_on_line(self, worker: Worker) -> int:
        proven = self._proven_on_line(worker)
        return -1 if proven is None else proven

    def _proven_on_line(self, worker: Worker) -> int | None:
        proven = self.proven_until(worker)
        return None if proven is None else int(min(proven, self._on_line(worker)))


def place_of(name: str) -> tuple[int, int, str]:
    """Return where a worker of this name stands in a list."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def merged(one: Worker, other: Worker) -> Worker:
    """
    Return what is known of a worker by what two have heard.

    The newer counts, with the beginning of its session by whoever knows it from earlier; what is
    proven stays so within a session and a generation. `store.workers` says the same in SQL.
    """
    older, newer = sorted((one, other), key=attrgetter("seen_at"))
    if older.session != newer.session:
        return newer
    proven = newer.proven_until
    if older.generation == newer.generation and older.proven_until is not None:
        proven = max(older.proven_until, -1 if proven is None else proven)
    return newer._replace(since=min(older.since, newer.since), proven_until=proven)


def believed(worker: Worker, now: float) -> Worker:
    """
    Return a worker as it is written down, without the future.

    What was said later than now was said before the clock was set back. When that was is not known:
    long enough ago to be silent, so that whatever it says next is newer.
    """
    if worker.seen_at <= now + CLOCKS_APART:
        return worker
    seen_at = now - PATIENCE * worker.again - CLOCKS_APART
    return worker._replace(since=min(worker.since, seen_at), seen_at=seen_at)


def current(workers: Iterable[Worker]) -> Sequence[Worker]:
    """
    Return those whom no newer job has retired.

    The newest job retires the workers of others that have said nothing since it began; one that is
    of no job stays.
    """
    found = tuple(workers)
    newest = newest_job(found)
    if newest is None:
        return found
    return [e for e in found if e.job in (None, newest.name) or e.seen_at >= newest.began]


class Job(NamedTuple):
    """A process group, which began when a worker of it was first heard of."""

    began: float
    name: str


def newest_job(workers: Iterable[Worker]) -> Job | None:
    """Return the job that began last, if there is any."""
    began: dict[str, float] = {}
    for each in workers:
        if each.job is not None and each.since < began.get(each.job, float("inf")):
            began[each.job] = each.since
    return max((Job(at, name) for name, at in began.items()), default=None)


def is_wrong(worker_since: float, at: float) -> bool:
    """Whether a mismatch of a worker came in its present session, which began then."""
    return at >= worker_since - CLOCKS_APART


def _first_mistakes(workers: Sequence[Worker], mistakes: Iterable[Mistake]) -> dict[str, int]:
    """Return the first step at which each worker that is wrong went wrong."""
    known = {each.worker: each for each in workers}
    found: dict[str, int] = {}
    for each in mistakes:
        worker = known.get(each.worker)
        if worker is None or worker.generation != each.generation:
            continue
        if is_wrong(worker.since, each.at):
            found[each.worker] = min(each.step, found.get(each.worker, each.step))
    return found


def _least(proven: Sequence[int | None]) -> int | None:
    known = [each for each in proven if each is not None]
    return min(known) if known and len(known) == len(proven) else None
