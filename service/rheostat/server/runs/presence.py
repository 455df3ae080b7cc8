"""
Presence: what the workers of runs last said to this process, and how often they are to say it.

It is a hint, which no value depends on. It is kept in memory and written now and then, so that
other processes know, too (`store.workers`); what cannot be written for a while waits here. Memory
is bounded: of too many workers, those of the run with the most are forgotten, longest unheard
first.

Times are those of this process's steady clock, `now`, and are shifted to the database's when
they are written or compared with what others have written.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from rheostat.limits import BEATS_PER_SECOND, LEAST_AGAIN, MAX_WORKERS
from rheostat.server.runs.beats import Beat, Said
from rheostat.server.runs.crowd import PATIENCE, Crowd, Worker, merged

JITTER = 0.2
"""Part by which what a worker is told varies, so that those who began together spread out."""

MOST = 2 * MAX_WORKERS
"""Workers that a process remembers, of all runs."""

MOST_RUNS = 4_096
"""Runs of which it remembers any."""

FRESH, SLOW = 4.0, 10_000
"""Seconds for which a crowd of so many workers serves whoever asks; a smaller one for less."""

LATE = 3
"""Times as long for which it serves while the next one is put together: by one, not by all."""

MOST_CROWDS = 64
"""Crowds that are kept for that, of at most as many workers together as are remembered."""

SHOWN = 600.0
"""Seconds for which this process remembers who has fallen silent or ended: figures show them."""

now = time.monotonic


@dataclass(slots=True)
class _Heard:
    """
    What a worker last said, and whether it sends its beats itself.

    ``written`` is whether others can know it, ``new`` whether they know nothing of its session, and
    ``before`` the session that this one follows, if that was heard here.
    """

    last: Worker
    sends: bool
    written: bool = False
    new: bool = False
    before: str | None = None

    def after(self, former: _Heard) -> _Heard:
        """Return it with what was heard of the worker before."""
        last = merged(former.last, self.last)
        if former.last.session != self.last.session:
            return replace(self, last=last, before=former.last.session)
        return replace(self, last=last, new=former.new, before=former.before)

    def goes_on_after(self, said: Said) -> bool:
        """
        Whether this is the end of the session before, while the worker goes on in another one.

        In a notebook a cell that is run again begins anew, and only then lets go of what it had.
        """
        return said.state == "ended" and said.session == self.before


@dataclass(frozen=True, slots=True)
class News:
    """Workers that are to be written down, by run, and the runs in which some are new."""

    workers: Mapping[str, Sequence[Worker]]
    growing: Collection[str]


class Roster:
    """
    The workers that this process has heard: by the event loop, and asked for by any thread.

    A *sender* is whoever sends beats: a worker, or one that speaks for its whole node.
    """

    def __init__(self, pick: random.Random | None = None) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, dict[str, _Heard]] = {}
        self._count = 0
        self._senders = 0
        self._joining: deque[float] = deque()
        self._random = pick or random.Random()
        self._crowds: dict[str, tuple[float, Crowd]] = {}
        self._gathering: set[str] = set()

    # pacing

    def again(self) -> float:
        """Return the seconds after which whoever joins now says something, at the latest."""
        with self._lock:
            return self._again()

    def expect(self) -> float:
        """Return the same to a worker that joins, and count it among those who will."""
        with self._lock:
            if self._senders + len(self._joining) < MOST:
                self._joining.append(now())
            return self._again()

    def _again(self) -> float:
        return max(LEAST_AGAIN, (self._senders + len(self._joining)) / BEATS_PER_SECOND)

    # hearing

    def known(self, run_id: str, names: Iterable[str]) -> dict[str, Worker]:
        """Return what was heard of some workers of a run, of those that were."""
        with self._lock:
            heard = self._runs.get(run_id, {})
            return {name: heard[name].last for name in names if name in heard}

    def learn(self, run_id: str, rows: Iterable[Worker], shift: float) -> None:
        """Take over what others have written of workers of whom nothing was heard here."""
        with self._lock:
            for row in rows:
                if row.worker not in self._runs.get(run_id, {}):
                    self._put(run_id, _Heard(row.shifted(-shift), sends=False, written=True))
            self._make_room(run_id)

    def hear(
        self, run_id: str, beat: Beat, at: float, proven: Mapping[str, int] | None = None
    ) -> float:
        """
        Remember a beat that came at a time; return after how many seconds the next is to come.

        ``proven`` has, by worker, the step up to which this beat shows that it is right.
        """
        with self._lock:
            heard = self._runs.get(run_id, {})
            speaker = beat.workers[0].worker
            sender = heard.get(speaker)
            if sender is None or not sender.sends:
                self._senders += 1
                if self._joining:
                    self._joining.popleft()
            again = self._again() * self._random.uniform(1 - JITTER, 1 + JITTER)
            for said in beat.workers:
                former = heard.get(said.worker)
                if former is not None and former.goes_on_after(said):
                    continue
                last = _told(said, beat.generation, again, at, (proven or {}).get(said.worker))
                heard_now = _Heard(last, sends=said.worker == speaker, new=True)
                self._put(run_id, heard_now if former is None else heard_now.after(former))
            self._make_room(run_id)
            return again

    def go_on(self, run_id: str, beat: Beat, at: float) -> None:
        """Remember of a beat that could not be judged that who was known before is there still."""
        known = self.known(run_id, [each.worker for each in beat.workers])
        still = [
            each
            for each in beat.workers
            if (before := known.get(each.worker)) is not None
            and (before.session, before.generation) == (each.session, beat.generation)
        ]
        if still:
            self.hear(run_id, Beat(beat.generation, tuple(still)), at)

    def _put(self, run_id: str, heard: _Heard) -> None:
        """Remember a worker as the one that was heard last."""
        run = self._runs.pop(run_id, {})
        self._runs[run_id] = run
        if run.pop(heard.last.worker, None) is None:
            self._count += 1
        run[heard.last.worker] = heard

    def _make_room(self, run_id: str) -> None:
        """Forget who is too many once some were heard of a run: once, as it looks at all runs."""
        self._forget_some(run_id, len(self._runs.get(run_id, {})) - MAX_WORKERS)
        while self._count > MOST:
            largest = max(self._runs, key=lambda each: len(self._runs[each]))
            self._forget_some(largest, self._count - MOST)
        if len(self._runs) > MOST_RUNS:
            self._drop(next(iter(self._runs)))

    def _forget_some(self, run_id: str, many: int) -> None:
        run = self._runs.get(run_id, {})
        for name in list(islice(run, max(many, 0))):
            del run[name]
            self._count -= 1

    def drop(self, run_ids: Iterable[str]) -> None:
        """Forget runs that are gone."""
        with self._lock:
            for run_id in run_ids:
                self._drop(run_id)

    def _drop(self, run_id: str) -> None:
        self._count -= len(self._runs.pop(run_id, {}))
        self._crowds.pop(run_id, None)

    # telling

    def of(self, run_id: str) -> Sequence[Worker]:
        """Return what the workers of a run last said here."""
        with self._lock:
            return [each.last for each in self._runs.get(run_id, {}).values()]

    def look_round(self) -> dict[str, int]:
        """
        Return how many of these workers do what, and count who sends beats from now on.

        Who has been silent or done for long is forgotten, once that is written down.
        """
        counts = dict.fromkeys(("training", "waiting", "silent", "ended"), 0)
        with self._lock:
            at, senders = now(), 0
            for run_id in list(self._runs):
                run = self._runs[run_id]
                old = [name for name, each in run.items() if each.written and _is_old(each, at)]
                for name in old:
                    del run[name]
                self._count -= len(old)
                for heard in run.values():
                    state = heard.last.state
                    silent = state != "ended" and heard.last.silent_at < at
                    counts["silent" if silent else state] += 1
                    senders += heard.sends and not silent and state != "ended"
                if not run:
                    self._drop(run_id)
            self._senders = senders
            came_before = at - PATIENCE * self._again()
            while self._joining and self._joining[0] < came_before:
                self._joining.popleft()
        return counts

    # writing

    def news(self, most: int) -> News:
        """Return up to ``most`` workers that are not written, and take them to be from now on."""
        found: dict[str, list[Worker]] = {}
        growing: set[str] = set()
        with self._lock:
            for run_id, run in self._runs.items():
                for heard in run.values():
                    if heard.written:
                        continue
                    if not most:
                        return News(found, growing)
                    found.setdefault(run_id, []).append(heard.last)
                    if heard.new:
                        growing.add(run_id)
                    heard.written, heard.new = True, False
                    most -= 1
        return News(found, growing)

    def put_back(self, news: News, run_ids: Iterable[str] | None = None) -> None:
        """Note that news, all or those of some runs, could not be written: they are news again."""
        with self._lock:
            for run_id in news.workers if run_ids is None else run_ids:
                run = self._runs.get(run_id, {})
                for each in news.workers[run_id]:
                    if each.worker in run:
                        run[each.worker].written = False
                        run[each.worker].new |= run_id in news.growing

    # crowds

    def recent(self, run_id: str, within: float = 0.0) -> Crowd | None:
        """
        Return the crowd of a run that was put together lately.

        A large one, which takes long, serves for some seconds, and for some more while somebody
        puts together the next; any for the seconds that whoever asks puts up with.
        """
        at, crowd = self._crowds.get(run_id, (0.0, None))
        if crowd is None:
            return None
        fresh = min(FRESH, FRESH * len(crowd.workers) / SLOW)
        if run_id in self._gathering:
            fresh *= LATE
        return crowd if now() <= at + max(fresh, within) else None

    @contextmanager
    def gathering(self, run_id: str) -> Iterator[None]:
        """Have the others know that the crowd of a run is being put together."""
        self._gathering.add(run_id)
        try:
            yield
        finally:
            self._gathering.discard(run_id)

    def remember(self, run_id: str, crowd: Crowd) -> None:
        """Have a crowd at hand for whoever asks next."""
        with self._lock:
            self._crowds.pop(run_id, None)
            self._crowds[run_id] = (now(), crowd)
            many = sum(len(each.workers) for _, each in self._crowds.values())
            while len(self._crowds) > 1 and (len(self._crowds) > MOST_CROWDS or many > MOST):
                _, oldest = self._crowds.pop(next(iter(self._crowds)))
                many -= len(oldest.workers)


def _is_old(heard: _Heard, at: float) -> bool:
    return at > heard.last.silent_at + SHOWN


def _told(said: Said, generation: int, again: float, at: float, proven_until: int | None) -> Worker:
    return Worker(
        worker=said.worker,
        session=said.session,
        generation=generation,
        step=said.step,
        again=again,
        since=at,
        seen_at=at,
        host=said.host,
        job=said.job,
        pace=said.pace,
        waited=said.waited,
        proven_until=proven_until,
        state=said.state,
    )
