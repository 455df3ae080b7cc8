"""Records: the rows of runs, read and written as the words of the domain."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from rheostat.errors import NameTaken, Unavailable, UnknownRun
from rheostat.limits import RUN_ID
from rheostat.server.runs.barriers import NO_BARRIERS, Barriers, Standing
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage, Sighting
from rheostat.server.runs.protection import Protect, StoredProtect
from rheostat.server.runs.reach import Progress
from rheostat.server.runs.settling import Segment
from rheostat.server.runs.sightings import Sightings, fastest
from rheostat.server.runs.spec import StoredRun
from rheostat.server.runs.validation import Limits, Units
from rheostat.server.store import clock, ledger, locks, migrate, statements, tables
from rheostat.server.store.acting import NOBODY, Acting
from rheostat.server.store.caches import (
    Ahead,
    BoundedCache,
    Caches,
    CurveKey,
    Digests,
    RunCurve,
)
from rheostat.server.store.controllers import Controllers
from rheostat.server.store.ledger import LedgerLayout
from rheostat.server.store.outcomes import Outcomes
from rheostat.server.store.outside import Results, Work
from rheostat.server.store.proposals import Proposals
from rheostat.server.store.reports import Reports
from rheostat.server.store.revisions import Revisions
from rheostat.server.store.run_lists import WantedRuns, page
from rheostat.server.store.selecting import conditions
from rheostat.server.store.transaction import Transaction
from rheostat.server.store.watching import StoreWatcher
from rheostat.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it is stored: its specification and its state, but for the generations."""

    id: str
    spec: StoredRun
    author: str | None
    created_at: str
    generation: int
    revision: int
    event: int
    end: int | None
    finished_at: str | None
    total: int | None
    """The total in force: the one that the run was created with, until a revision set another."""
    begins: int = 0
    begun_by: str | None = None
    begun_at: str | None = None
    begun_event: int | None = None
    barriers: Barriers = NO_BARRIERS
    """Where reading ends or holds."""
    needs: str | None = None
    """The schema that brought its newest kind of revision, if that came after the first release."""
    protect: Protect | None = None
    """What may not be done to it without a second person."""

    @property
    def key(self) -> GenerationKey:
        """The current generation's key."""
        return GenerationKey(self.id, self.generation)

    @property
    def layout(self) -> LedgerLayout:
        """How its cells are laid out."""
        return LedgerLayout(self.spec.grid, len(self.spec.names))

    def units(self, units: Units) -> Units:
        """Return ``units`` with the run's own lengths."""
        return self.spec.units(units, self.total)

    def newest_event(self, lineage: Lineage) -> int:
        """Return the number of the newest event: a revision, a settle, or the beginning."""
        return max(self.event, lineage[self.generation].event)

    @property
    def standing(self) -> Standing:
        """What decides whether a refusal at a pause or a gate still stands."""
        return Standing(self.generation, self.end, self.barriers, self.revision)

    @property
    def is_newer(self) -> bool:
        """Whether a newer release has done what this one does not know."""
        return self.needs is not None and self.needs > migrate.HEAD

    def require_known(self) -> None:
        """Raise `Unavailable` if what lies ahead cannot be said here: see `is_newer`."""
        if self.is_newer:
            raise Unavailable(
                f"a newer release has changed the run {self.spec.name!r} in a way that this one"
                " does not know: what is settled is served, and all else by that release",
                reason="schema",
            )

    def progress(self, lineage: Lineage) -> Progress:
        """Return what decides how far it may be read."""
        return Progress(
            self.spec, lineage, self.generation, self.total, self.begins, self.end, self.barriers
        )


NEAR = 50
"""Names before and after one that does not exist, among which the right one is looked for."""


def now() -> str:
    """Return the time as it is stored."""
    return clock.from_now(timedelta())


def require_id(run_id: str) -> None:
    """
    Raise `UnknownRun` for what is no run's id.

    What a worker says names its run by that: a name may be the next run's when it comes.
    """
    if not re.fullmatch(RUN_ID, run_id):
        raise UnknownRun(f"there is no run with the id {run_id!r}")


class Records:
    """
    What one transaction sees and changes of the runs.

    A transaction may settle blocks of many runs. What it will need of them is read at once
    (`expect`), and what settling writes is written at once (`Transaction`).
    """

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        caches: Caches,
        sightings: Sightings,
        *,
        shared: bool = False,
        on_change: Callable[[Collection[str]], None] | None = None,
        watcher: StoreWatcher | None = None,
    ) -> None:
        self.limits = limits
        self.sightings = sightings
        self._transaction = Transaction(connection, shared=shared)
        self.revisions = Revisions(self._transaction, caches)
        self.proposals = Proposals(self._transaction)
        self.reports = Reports(self._transaction)
        self.controllers = Controllers(self._transaction)
        self.outcomes = Outcomes(self._transaction)
        self._caches = caches
        self._past = caches.past
        self._runs: dict[str, RunRecord] = {}
        self._newest: dict[GenerationKey, Generation] = {}
        self._on_change = on_change
        self._watcher = watcher
        self._changed: set[str] = set()
        self._about: RunRecord | None = None
        self.acting: Acting = NOBODY
        """On whose behalf the operation runs."""

    @property
    def connection(self) -> Connection:
        """The connection, with everything written that was kept back."""
        return self._transaction.connection

    def begin(self, done: Results, acting: Acting = NOBODY) -> None:
        """Begin an operation on somebody's behalf, for which this was done outside of it."""
        self._transaction.begin(done)
        self._about = None
        self.acting, self.revisions.besides = acting, {}

    @property
    def has_written(self) -> bool:
        """Whether the operation has begun to write."""
        return self._transaction.has_written

    def write(self) -> None:
        """Note that the operation begins to write, past which it refuses nothing."""
        self._transaction.write()

    @property
    def about(self) -> RunRecord | None:
        """The run that the operation has made, or else the one that it locked first."""
        return self._about

    def outside(self, key: Hashable, work: Work, data: Any, *, stored: bool = False) -> Any:
        """Return the result known by a key, or have it made of ``data``: see `WorkNeeded`."""
        return self._transaction.outside(key, work, data, stored=stored)

    @property
    def digests(self) -> Digests:
        """What this process knows of the digests of windows."""
        return self._caches.digests

    @property
    def ahead(self) -> Ahead:
        """What this process has heard of workers that are past what is settled."""
        return self._caches.ahead

    @property
    def curves(self) -> BoundedCache[CurveKey, RunCurve]:
        """What this process knows of the curves that tables of runs show."""
        return self._caches.curves

    @property
    def incarnation(self) -> str:
        """Which life of the database this is: another one after a backup was restored."""
        if self._caches.incarnation is None:
            query = select(tables.incarnation.c.id)
            self._caches.incarnation = str(self.connection.execute(query).scalar_one())
        return self._caches.incarnation

    def flush(self) -> None:
        """Write what was kept back."""
        self._transaction.flush()

    def committed(self) -> None:
        """Tell which runs have changed, and what else there is, now that it is durable."""
        if self._changed and self._on_change is not None:
            self._on_change(self._changed)
        if self._watcher is not None:
            for tell in self._transaction.news:
                tell(self._watcher)

    def note_place(self, steps: int) -> None:
        """Have it counted that a change takes effect so far beyond the fastest worker."""
        self._transaction.news.append(lambda watcher: watcher.placed(steps))

    def note_landing(self, changed_at: str) -> None:
        """Have it counted that a change, which was made then, is handed out for the first time."""
        seconds = max(time.time() - clock.seconds(changed_at), 0.0)
        self._transaction.news.append(lambda watcher: watcher.landed(seconds))

    def expect(self, run_ids: Collection[str]) -> None:
        """Lock and read the runs that the operations to come are about, but for held ones."""
        if not run_ids:
            return
        where = {"ids": sorted(run_ids)}
        runs = [_run(row) for row in locks.rows(self.connection, statements.RUNS, where)]
        newest = [_generation(row) for row in self.connection.execute(statements.NEWEST, where)]
        self._runs = {run.id: run for run in runs}
        self._newest = {each.key: each for each in newest if each.key.run_id in self._runs}

    def _forget(self, run_id: str) -> None:
        """Read a run again when it is asked for: it has changed, and others may wait for that."""
        self._changed.add(run_id)
        run = self._runs.pop(run_id, None)
        if run is not None:
            del self._newest[run.key]

    # runs

    def find(self, ref: str, *, lock: bool = False, settled: bool = False) -> RunRecord:
        """
        Return the run with this id or name; with ``lock``, nobody else may change it.

        One that a newer release has changed is there for who wants what is ``settled`` alone.

        Raises:
            UnknownRun: There is none, as far as the caller is told.
            NeedsApproval: It is to be changed, and is protected against what is done to it.

        """
        run = self._runs.get(ref) or self._read_run(ref, lock=lock)
        if run is None or not self.acting.knows(run.spec.labels):
            raise self._unknown(ref)
        if not settled:
            run.require_known()
        if lock and self._about is None:
            self._about = run
        if lock and self.acting.is_held(run.protect):
            self.acting.require_approved(run.protect)
            self.revisions.besides |= {"unapproved": True}
        return run

    def _unknown(self, ref: str) -> UnknownRun:
        if re.fullmatch(RUN_ID, ref):  # a worker's, of before a restored backup, maybe
            return UnknownRun(f"there is no run {ref!r}", incarnation=self.incarnation)
        return UnknownRun(f"there is no run {ref!r}{did_you_mean(ref, self._names_near(ref))}")

    def _read_run(self, ref: str, *, lock: bool) -> RunRecord | None:
        query = statements.RUN_BY_ID if re.fullmatch(RUN_ID, ref) else statements.RUN_BY_NAME
        read = locks.row if lock else locks.unlocked_row
        row = read(self.connection, query, {"ref": ref})
        return None if row is None else _run(row)

    def _names_near(self, name: str) -> list[str]:
        """Return names of runs that come next to one in their order, and few of them."""
        column = tables.runs.c.name
        known = select(column).where(*conditions(self.acting.runs))
        before = known.where(column < name).order_by(column.desc()).limit(NEAR)
        after = known.where(column > name).order_by(column).limit(NEAR)
        return [
            *self.connection.execute(before).scalars(),
            *self.connection.execute(after).scalars(),
        ]

    def claim(self, name: str) -> RunRecord | None:
        """
        Return the run with this name; if there is none, nobody else may make it.

        Raises `NameTaken` if there is one of which the caller is told no more than that.
        """
        found = self.named(name)
        if found is None and locks.is_shared(self.connection):
            locks.advisory(self.connection, f"run {name}")
            found = self.named(name)
        return found

    def named(self, name: str) -> RunRecord | None:
        """Return the run with this name; raise `NameTaken` for one that the caller cannot know."""
        row = locks.unlocked_row(self.connection, statements.RUN_BY_NAME, {"ref": name})
        found = None if row is None else _run(row)
        if found is not None and not self.acting.knows(found.spec.labels):
            raise NameTaken(f"the name {name!r} is taken: take another one")
        return found

    def runs(
        self, wanted: WantedRuns, *fitting: ColumnElement[bool]
    ) -> tuple[list[RunRecord], str | None]:
        """Return the runs that are wanted, and fitting, and where the list goes on."""
        rows, following = page(self.connection, wanted, self.acting.runs, fitting)
        return [_run(row) for row in rows], following

    def add(self, run: RunRecord, definitions: int) -> None:
        """
        Store a new run, with its labels; its definitions have so many characters.

        Raises:
            Invalid: The caller would not know of it, or has no bytes left for it.
            TooMany: The caller has as many runs as they may have.

        """
        self.acting.require_labels(run.spec.labels)
        if self.acting.share is not None:
            self.acting.share.require_room(self.connection, run.author, definitions)
        self._transaction.write()
        row = {field: getattr(run, field) for field in RunRecord.__slots__ if field != "spec"}
        spec = orjson.dumps(run.spec.to_json()).decode()
        self._about = run
        row["barriers"] = _barriers_text(run.barriers)
        row["protect"] = _protect_text(run.protect)
        row |= {"spec": spec, "name": run.spec.name, "stored": len(spec) + definitions}
        self.connection.execute(insert(tables.runs).values(**row))
        self.reports.begin(run.id)
        if run.spec.labels:
            pairs = [
                {"run_id": run.id, "key": key, "value": value}
                for key, value in run.spec.labels.items()
            ]
            self.connection.execute(insert(tables.labels), pairs)

    def standings(self, run_ids: Collection[str]) -> dict[str, Standing]:
        """Return what decides up to where runs may be read, by their ids."""
        runs = tables.runs.c
        query = select(runs.id, runs.generation, runs.end, runs.barriers, runs.revision)
        return {
            row.id: Standing(row.generation, row.end, _barriers(row.barriers), row.revision)
            for row in self.connection.execute(query.where(runs.id.in_(run_ids)))
        }

    def remove(self, run_id: str) -> None:
        """Delete a run and everything of it."""
        self._transaction.write()
        self._forget(run_id)
        self.connection.execute(delete(tables.runs).where(tables.runs.c.id == run_id))

    def add_generation(self, generation: Generation) -> None:
        """Store a new generation."""
        self._transaction.write()
        self._forget(generation.key.run_id)
        self.connection.execute(
            insert(tables.generations).values(
                run_id=generation.key.run_id,
                generation=generation.key.number,
                parent=generation.parent and generation.parent.number,
                parent_run=generation.parent and generation.parent.run_id,
                start=generation.start,
                settled_until=generation.settled_until,
                event=generation.event,
                settled_at=generation.settled_at,
                **_read(generation.read, "read_from", "read_until", "read_at"),
            )
        )

    def lineage(self, run: RunRecord) -> Lineage:
        """Return the run's generations, and those of the runs that it was forked from."""
        newest = self._newest.get(run.key) or self._generation(run.key)
        return Lineage(run.id, [*self._before(run.key), newest])

    def _before(self, newest: GenerationKey) -> Sequence[Generation]:
        past = self._past.get(newest)
        if past is None:
            past = self._read_past(newest)
            self._past.put(newest, past, 256 * (len(past) + 1))
        return past

    def lineages(self, runs: Sequence[RunRecord]) -> dict[str, Lineage]:
        """Return the same of many runs at once, by their ids."""
        where = {"ids": [run.id for run in runs]}
        rows = self.connection.execute(statements.NEWEST, where) if runs else ()
        newest = {each.key: each for each in map(_generation, rows)}
        found = {}
        for run in runs:
            last = newest[run.key]
            past = () if last.parent is None else self._before(run.key)
            found[run.id] = Lineage(run.id, [*past, last])
        return found

    def _generation(self, key: GenerationKey) -> Generation:
        where = {"run_id": key.run_id, "generation": key.number}
        return _generation(self.connection.execute(statements.GENERATION, where).one())

    def _read_past(self, newest: GenerationKey) -> list[Generation]:
        """Return all generations but the newest; their settled ends never change."""
        found: list[Generation] = []
        source: str | None = newest.run_id
        while source is not None:
            rows = self.connection.execute(statements.GENERATIONS, {"run_id": source})
            generations = [_generation(row) for row in rows]
            others = (g.parent.run_id for g in generations if g.parent)
            found += generations
            source = next((other for other in others if other != source), None)
        return [generation for generation in found if generation.key != newest]

    def lock(self, run_ids: set[str]) -> None:
        """Keep others from changing these runs."""
        for run_id in run_ids:
            locks.row(self.connection, statements.RUN_BY_ID, {"ref": run_id})

    def is_forked(self, run_id: str) -> bool:
        """Whether another run has been forked from this one."""
        table = tables.generations
        query = select(table.c.run_id).where(table.c.parent_run == run_id, table.c.run_id != run_id)
        return self.connection.execute(query.limit(1)).first() is not None

    def settle(self, owner: GenerationKey, until: int, event: int, read: Sighting | None) -> None:
        """Record that the steps below ``until`` are settled, by which event and last read."""
        self._transaction.write()
        at = now()
        where = {"of_run": owner.run_id, "of_generation": owner.number}
        values = {"until": until, "number": event, "at": at}
        self._transaction.settled.append(
            {**where, **values, **_read(read, "since", "read", "seen")}
        )
        if known := self._newest.get(owner):
            settled = replace(known, settled_until=until, event=event, settled_at=at, read=read)
            self._newest[owner] = settled

    def seen(self, run: RunRecord, lineage: Lineage) -> Sighting | None:
        """Return where the fastest worker of the current generation was last seen to read."""
        here, there = self.sightings.of(run.key), lineage[run.generation].read
        return fastest([*here, there], time.time())

    def append(self, owner: GenerationKey, segments: Iterable[Segment]) -> None:
        """Add segments to the ledger, of cells that it lacks."""
        self._transaction.write()
        self._transaction.served += [ledger.row(owner, segment) for segment in segments]

    def pack(self, run: RunRecord, before: int, after: int) -> None:
        """Pack what is full of the ledger, now that the settled end has moved."""
        start, stop = run.layout.floor(before), run.layout.floor(after)
        if start < stop:
            ledger.pack(self.connection, run.key, run.layout, start, stop)

    def change(self, run_id: str, **values: Any) -> None:
        """Change the run's own row."""
        self._transaction.write()
        if "barriers" in values:
            values["barriers"] = _barriers_text(values["barriers"])
        if "protect" in values:
            values["protect"] = _protect_text(values["protect"])
        self._forget(run_id)
        table = tables.runs
        self.connection.execute(update(table).where(table.c.id == run_id).values(**values))


def _read(read: Sighting | None, *names: str) -> dict[str, Any]:
    """Return the columns of a sighting, under these names."""
    if read is None:
        return dict.fromkeys(names)
    at = clock.text(read.at)
    return dict(zip(names, (read.start, read.stop, at), strict=True))


def _generation(row: Row[Any]) -> Generation:
    parent = None if row.parent is None else GenerationKey(row.parent_run, row.parent)
    key = GenerationKey(row.run_id, row.generation)
    read = None
    if row.read_at is not None:
        at = clock.seconds(row.read_at)
        read = Sighting(row.read_from, row.read_until, at)
    return Generation(key, parent, row.start, row.settled_until, row.event, row.settled_at, read)


def _run(row: Row[Any]) -> RunRecord:
    return RunRecord(
        id=row.id,
        spec=_spec(row.name, row.spec),
        author=row.author,
        created_at=row.created_at,
        generation=row.generation,
        revision=row.revision,
        event=row.event,
        end=row.end,
        finished_at=row.finished_at,
        total=row.total,
        begins=row.begins,
        begun_by=row.begun_by,
        begun_at=row.begun_at,
        begun_event=row.begun_event,
        barriers=_barriers(row.barriers),
        needs=row.needs,
        protect=_protect(row.protect),
    )


@lru_cache(maxsize=1024)
def _barriers(text: str | None) -> Barriers:
    return NO_BARRIERS if text is None else Barriers.from_json(orjson.loads(text))


def _barriers_text(barriers: Barriers) -> str | None:
    return orjson.dumps(barriers.to_json()).decode() if barriers else None


@lru_cache(maxsize=64)
def _protect(text: str | None) -> Protect | None:
    return None if text is None else StoredProtect.model_validate_json(text)


def _protect_text(protect: Protect | None) -> str | None:
    return None if protect is None else orjson.dumps(protect.to_json()).decode()


@lru_cache(maxsize=2048)  # more than a list of runs has
def _spec(name: str, text: str) -> StoredRun:
    try:
        return StoredRun.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        message = f"a newer release stored the run {name!r}: this one cannot read its {where}"
        raise Unavailable(message, reason="schema") from error
