"""Who trains: what beats are about, what is known of a run's workers, and writing it down."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from sqlalchemy import or_

from rheostat import wire
from rheostat.server.runs import presence
from rheostat.server.runs.beats import Beat
from rheostat.server.runs.crowd import Crowd, Worker, believed, merged, place_of
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.presence import News, Roster
from rheostat.server.runs.status import NOBODY, status
from rheostat.server.store import clock, locks
from rheostat.server.store.operations.show import state
from rheostat.server.store.records import Records, RunRecord, require_id
from rheostat.server.store.run_lists import WantedRuns
from rheostat.server.store.workers import Workers, may_be

MOST_AHEAD = 100
"""Revisions that workers have not come to, of which it is told when they will: the next ones."""


def meet(records: Records, run_id: str, beat: Beat, roster: Roster) -> tuple[RunRecord, Lineage]:
    """
    Return the run that a beat is about, and learn what others have written of workers new here.

    Raises:
        UnknownRun: There is none with this id.
        UnknownGeneration: The run has none of this number.

    """
    require_id(run_id)
    run = records.find(run_id)
    lineage = records.lineage(run)
    lineage[beat.generation]
    names = [each.worker for each in beat.workers]
    known = roster.known(run.id, names)
    new = [name for name in names if name not in known]
    if new:
        rows = Workers(records.connection).some(run.id, new)
        if rows:
            shift = _shift(records)
            now = presence.now() + shift
            roster.learn(run.id, [believed(each, now) for each in rows], shift)
    return run, lineage


def crowd(records: Records, ref: str, roster: Roster) -> Crowd:
    """Return the workers of a run, by what is written and what this process has heard since."""
    return crowd_of(records, records.find(ref), roster)


def crowd_of(records: Records, run: RunRecord, roster: Roster) -> Crowd:
    """Return the same of a run that was found; that of many workers may be some seconds old."""
    found = roster.recent(run.id)
    if found is None or found.generation != run.generation:
        with roster.gathering(run.id):
            found = _crowd(records, run, roster)
            roster.remember(run.id, found.prepared())
    return found


def _crowd(records: Records, run: RunRecord, roster: Roster) -> Crowd:
    workers = Workers(records.connection)
    shift = _shift(records)
    time_now = presence.now() + shift
    found = {each.worker: believed(each, time_now) for each in workers.of(run.id)}
    for each in roster.of(run.id):
        here, row = each.shifted(shift), found.get(each.worker)
        found[each.worker] = here if row is None else merged(row, here)
    mistakes = workers.mistakes(run.id)
    left = {each.generation for each in found.values()} - {run.generation}
    shared = _shared(records.lineage(run), run.generation, left) if left else {}
    return Crowd(found.values(), time_now, run.generation, shared, mistakes)


def _shared(lineage: Lineage, current: int, left: Collection[int]) -> dict[int, float]:
    """Return up to which step each of some left generations has the past of the current one."""
    here = lineage.reach(current)
    return {
        number: max(
            (
                min(reach, here[each])
                for each, reach in lineage.reach(number).items()
                if each in here
            ),
            default=0,
        )
        for number in left
    }


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing workers down: runs that are gone, and those to be tried again."""

    gone: Collection[str]
    held: Collection[str]


def write(records: Records, news: News) -> Written:
    """Write down what workers last said, and forget those who are retired, or too many."""
    connection = records.connection
    locks.advisory(connection, "workers")  # in any order, replicas would wait for each other's rows
    rows = Workers(connection)
    free, exist = rows.there(news.workers)
    rows.write({run_id: news.workers[run_id] for run_id in free}, _shift(records))
    growing = sorted(free.intersection(news.growing))
    for run_id in growing:
        rows.retire(run_id)
        rows.forget_some(run_id)
    if growing:
        rows.forget_some_of_all()
    return Written(news.workers.keys() - exist, exist - free)


def _shift(records: Records) -> float:
    """Return what this process's clock lacks of the database's."""
    return clock.read(records.connection) - presence.now()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which workers to list: what they do, if it matters, the name after which, and how many."""

    state: wire.WorkerState | None
    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class Listed:
    """How workers are together, some of them, and after which name there are more."""

    summary: wire.WorkersSummary
    items: list[wire.Worker]
    following: str | None


def listed(records: Records, ref: str, wanted: Wanted, roster: Roster) -> Listed:
    """Return how a run's workers are, some of them, and where to go on."""
    run = records.find(ref)
    found = crowd_of(records, run, roster)
    after = place_of(wanted.after) if wanted.after else (-1, 0, "")
    first = bisect_right(found.listed, after, key=lambda each: each.place)
    fitting = (
        each
        for each in islice(found.listed, first, None)
        if wanted.state in {None, found.state(each)}
    )
    items = list(islice(fitting, wanted.limit + 1))
    following = items[wanted.limit - 1].worker if len(items) > wanted.limit else None
    last = found.last
    ahead = [] if last is None else records.revisions.places(run.key, last, MOST_AHEAD)
    shown = [_shown(found, each) for each in items[: wanted.limit]]
    return Listed(found.summary(ahead), shown, following)


def _shown(crowd: Crowd, worker: Worker) -> wire.Worker:
    return {
        "worker": worker.worker,
        "host": worker.host,
        "generation": worker.generation,
        "step": worker.step,
        "pace": worker.pace,
        "proven_until": crowd.proven_until(worker),
        "seen_at": clock.text(worker.seen_at),
        "state": crowd.state(worker),
    }


class FoundRun(NamedTuple):
    """A run of a list, with its generations and what lists show of each."""

    run: RunRecord
    lineage: Lineage
    summary: wire.RunSummary


def runs(records: Records, wanted: WantedRuns) -> tuple[list[wire.RunSummary], str | None]:
    """
    Return runs, with how many workers each has, and where to go on.

    How many workers there are is as it is written down.
    """
    found, following = found_runs(records, wanted)
    return [each.summary for each in found], following


def found_runs(records: Records, wanted: WantedRuns) -> tuple[list[FoundRun], str | None]:
    """Return the same runs for whoever has more to tell of them."""
    rows = Workers(records.connection)
    now = clock.read(records.connection)
    fitting = [or_(*(may_be(each, now) for each in wanted.states))] if wanted.states else []
    page, following = records.runs(wanted, *fitting)
    ids = [run.id for run in page]
    many, turnouts = rows.counts(ids, now), rows.turnouts(ids, now)
    lineages = records.lineages(page)
    items: list[FoundRun] = []
    for run in page:
        lineage = lineages[run.id]
        item = state(run, lineage)
        item = {
            **item,
            "state": status(item, turnouts.get(run.id, NOBODY)),
            "workers": many[run.id],
        }
        if not wanted.states or item["state"] in wanted.states:
            items.append(FoundRun(run, lineage, item))
    return items, following
