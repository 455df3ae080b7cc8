"""Records: the rows of runs, read and written as the words of the domain."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from rheostat.errors import UnknownRevision, UnknownRun, UnknownSchedule
from rheostat.schedules import Definition, parse
from rheostat.server.runs.limits import Limits
from rheostat.server.runs.lineage import Generation, Key, Lineage, Stretch
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.settling import Reign, Segment
from rheostat.server.runs.spec import ID, RunSpec
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.runs.units import Units
from rheostat.server.store import hot, ledger, locks, tables
from rheostat.server.store.cache import BoundedCache
from rheostat.server.store.ledger import Shape

TIMELINE_BYTES = 64 * 1024 * 1024
STATE_BYTES = 16 * 1024 * 1024

BEYOND = 2**62
"""Past every step."""


class Caches:
    """
    What a process remembers of the database.

    Timelines are kept by the hash of their content. The generations before a run's newest one,
    and the revisions that rule its newest one, change only with the number of the generation or
    of the revision, which is part of their key; but a commit that fails takes its numbers back.
    """

    def __init__(self) -> None:
        self.timelines: BoundedCache[str, Timeline] = BoundedCache(TIMELINE_BYTES)
        self.past: BoundedCache[Key, Sequence[Generation]] = BoundedCache(STATE_BYTES)
        self.rulers: BoundedCache[tuple[Key, int], Sequence[Row[Any]]] = BoundedCache(STATE_BYTES)

    def doubt(self) -> None:
        """Let go of what may come from a transaction that was not committed."""
        self.past.clear()
        self.rulers.clear()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it is stored: its specification and its state, but for the generations."""

    id: str
    spec: RunSpec
    author: str | None
    created_at: str
    generation: int
    revision: int
    event: int
    end: int | None
    finished_at: str | None

    @property
    def key(self) -> Key:
        """The current generation's key."""
        return Key(self.id, self.generation)

    @property
    def shape(self) -> Shape:
        """How its cells are laid out."""
        return Shape(self.spec.grid, len(self.spec.names))

    def newest_event(self, lineage: Lineage) -> int:
        """Return the number of the newest event: a revision, or a settle."""
        return max(self.event, lineage[self.generation].event)


def now() -> str:
    """Return the time as it is stored."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Records:
    """
    What one transaction sees and changes of the runs.

    A transaction may settle blocks of many runs. What it will need of them is read at once
    (`expect`), and what settling writes is kept back and written at once: when the transaction
    ends, or as soon as anybody asks for the connection.
    """

    def __init__(self, connection: Connection, limits: Limits, caches: Caches) -> None:
        self.limits = limits
        self._connection = connection
        self._caches = caches
        self._runs: dict[str, RunRecord] = {}
        self._newest: dict[Key, Generation] = {}
        self._settled: list[dict[str, Any]] = []
        self._served: list[dict[str, Any]] = []

    @property
    def connection(self) -> Connection:
        """The connection, with everything written that was kept back."""
        self.flush()
        return self._connection

    def flush(self) -> None:
        """Write what was kept back."""
        if self._settled:
            self._connection.execute(hot.SETTLE, self._settled)
            self._settled = []
        if self._served:
            self._connection.execute(hot.APPEND, self._served)
            self._served = []

    def expect(self, run_ids: Collection[str]) -> None:
        """Lock and read the runs that the operations to come are about, but for held ones."""
        if not run_ids:
            return
        where = {"ids": sorted(run_ids)}
        runs = [_run(row) for row in locks.rows(self._connection, hot.RUNS, where)]
        newest = [_generation(row) for row in self._connection.execute(hot.NEWEST, where)]
        self._runs = {run.id: run for run in runs}
        self._newest = {each.key: each for each in newest if each.key.run_id in self._runs}

    def _forget(self, run_id: str) -> None:
        """Read a run again when it is asked for: it has changed."""
        run = self._runs.pop(run_id, None)
        if run is not None:
            del self._newest[run.key]

    # the library

    def units(self) -> Units:
        """Return how definitions are read: schedules by name come from the library."""
        return Units(lookup=self.schedule)

    def schedule(self, name: str, version: int | None) -> Definition:
        """Return a schedule of the library, by default its newest version."""
        table = tables.schedules
        query = select(table.c.definition).where(table.c.name == name)
        if version is not None:
            query = query.where(table.c.version == version)
        query = query.order_by(table.c.version.desc()).limit(1)
        text = self.connection.execute(query).scalar_one_or_none()
        if text is None:
            which = "" if version is None else f", version {version}"
            raise UnknownSchedule(f"there is no schedule {name!r}{which}")
        return parse(orjson.loads(text))

    # runs

    def find(self, ref: str, *, lock: bool = False) -> RunRecord:
        """Return the run with this id or name; with ``lock``, nobody else may change it."""
        if ref in self._runs:
            return self._runs[ref]
        query = hot.RUN_BY_ID if re.match(ID, ref) else hot.RUN_BY_NAME
        read = locks.row if lock else locks.unlocked_row
        row = read(self.connection, query, {"ref": ref})
        if row is None:
            raise UnknownRun(f"there is no run {ref!r}")
        return _run(row)

    def claim(self, name: str) -> RunRecord | None:
        """Return the run with this name; if there is none, nobody else may make it."""
        found = self._named(name)
        if found is None and locks.is_shared(self.connection):
            locks.word(self.connection, f"run {name}")
            found = self._named(name)
        return found

    def _named(self, name: str) -> RunRecord | None:
        row = locks.unlocked_row(self.connection, hot.RUN_BY_NAME, {"ref": name})
        return None if row is None else _run(row)

    def runs(self, labels: Mapping[str, str], after: str, limit: int) -> list[RunRecord]:
        """Return runs by name, past ``after``, that carry all ``labels``."""
        table, label = tables.runs, tables.labels
        query = select(table).where(table.c.name > after).order_by(table.c.name).limit(limit)
        for key, value in labels.items():
            carries = select(label.c.run_id).where(label.c.key == key, label.c.value == value)
            query = query.where(table.c.id.in_(carries))
        return [_run(row) for row in self.connection.execute(query)]

    def add(self, run: RunRecord) -> None:
        """Store a new run, with its labels."""
        row = {field: getattr(run, field) for field in RunRecord.__slots__ if field != "spec"}
        spec = _text(run.spec.to_json())
        self.connection.execute(insert(tables.runs).values(spec=spec, name=run.spec.name, **row))
        if run.spec.labels:
            pairs = [
                {"run_id": run.id, "key": key, "value": value}
                for key, value in run.spec.labels.items()
            ]
            self.connection.execute(insert(tables.labels), pairs)

    def remove(self, run_id: str) -> None:
        """Delete a run and everything of it."""
        self._forget(run_id)
        self.connection.execute(delete(tables.runs).where(tables.runs.c.id == run_id))

    def add_generation(self, generation: Generation) -> None:
        """Store a new generation."""
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
            )
        )

    def lineage(self, run: RunRecord) -> Lineage:
        """Return the run's generations, and those of the runs that it was forked from."""
        past = self._caches.past.get(run.key)
        if past is None:
            past = self._past(run.key)
            self._caches.past.put(run.key, past, 256 * (len(past) + 1))
        return Lineage(run.id, [*past, self._newest.get(run.key) or self._generation(run.key)])

    def _generation(self, key: Key) -> Generation:
        where = {"run_id": key.run_id, "generation": key.number}
        return _generation(self.connection.execute(hot.GENERATION, where).one())

    def _past(self, newest: Key) -> list[Generation]:
        """Return all generations but the newest; their settled ends never change."""
        found: list[Generation] = []
        source: str | None = newest.run_id
        while source is not None:
            rows = self.connection.execute(hot.GENERATIONS, {"run_id": source})
            generations = [_generation(row) for row in rows]
            others = (g.parent.run_id for g in generations if g.parent)
            found += generations
            source = next((other for other in others if other != source), None)
        return [generation for generation in found if generation.key != newest]

    def lock(self, run_ids: set[str]) -> None:
        """Keep others from changing these runs."""
        for run_id in run_ids:
            locks.row(self.connection, hot.RUN_BY_ID, {"ref": run_id})

    def is_forked(self, run_id: str) -> bool:
        """Whether another run has been forked from this one."""
        table = tables.generations
        query = select(table.c.run_id).where(table.c.parent_run == run_id, table.c.run_id != run_id)
        return self.connection.execute(query.limit(1)).first() is not None

    def settle(self, owner: Key, until: int, event: int) -> None:
        """Record that the steps below ``until`` are settled, and by which event."""
        at = now()
        where = {"of_run": owner.run_id, "of_generation": owner.number}
        self._settled.append({**where, "until": until, "number": event, "at": at})
        if known := self._newest.get(owner):
            settled = replace(known, settled_until=until, event=event, settled_at=at)
            self._newest[owner] = settled

    def append(self, owner: Key, segments: Iterable[Segment]) -> None:
        """Add segments to the ledger, of cells that it lacks."""
        self._served += [ledger.row(owner, segment) for segment in segments]

    def advance(self, run_id: str, **values: Any) -> None:
        """Change the run's own row."""
        self._forget(run_id)
        table = tables.runs
        self.connection.execute(update(table).where(table.c.id == run_id).values(**values))

    # revisions

    def add_revision(self, run_id: str, revision: Revision, event: int) -> None:
        """Store a revision, which is an event of this number, with its timelines."""
        self.connection.execute(
            insert(tables.revisions).values(
                run_id=run_id,
                revision=revision.number,
                generation=revision.generation,
                kind=revision.kind,
                effective=revision.effective,
                folds=revision.folds,
                changes=_text(dict(revision.changes)),
                timelines=self._store_timelines(run_id, revision.timelines),
                author=revision.note.author,
                message=revision.note.message,
                created_at=revision.created_at,
                forced=revision.forced,
                cancelled=revision.cancelled,
                cancels=revision.cancels,
                event=event,
            )
        )

    def update_timelines(self, run_id: str, revision: Revision) -> None:
        """Store what a pending revision now expands to."""
        stored = self._store_timelines(run_id, revision.timelines)
        self._update_revision(run_id, revision.number, timelines=stored)

    def cancel_revision(self, run_id: str, number: int) -> None:
        """Take a revision out of the folding, for good."""
        self._update_revision(run_id, number, cancelled=True, folds=False)

    def _update_revision(self, run_id: str, number: int, **values: Any) -> None:
        table = tables.revisions
        self.connection.execute(
            update(table)
            .where(table.c.run_id == run_id, table.c.revision == number)
            .values(**values)
        )

    def revision(self, run_id: str, number: int) -> Revision:
        """Return one revision."""
        table = tables.revisions
        query = _revisions(run_id).where(table.c.revision == number)
        row = self.connection.execute(query).one_or_none()
        if row is None:
            raise UnknownRevision(f"the run has no revision {number}")
        return self._revision(row)

    def revisions(self, run_id: str, after: int, limit: int) -> Generator[Revision]:
        """Yield revisions by number, past ``after``, read as they are asked for."""
        number = tables.revisions.c.revision
        query = _revisions(run_id).where(number > after).order_by(number).limit(limit)
        with self.connection.execute(query.execution_options(yield_per=16)) as rows:
            for row in rows:
                yield self._revision(row)

    def in_force_at(self, owner: Key, step: int) -> Revision:
        """Return the revision in force at a step that the generation owns."""
        table = tables.revisions
        query = (
            _revisions(owner.run_id)
            .where(table.c.generation == owner.number, table.c.folds, table.c.effective <= step)
            .order_by(table.c.effective.desc(), table.c.revision.desc())
            .limit(1)
        )
        return self._revision(self.connection.execute(query).one())

    def effective_from(self, owner: Key, step: int) -> list[Revision]:
        """Return the revisions that take effect at ``step`` or later, in folding order."""
        table = tables.revisions
        query = _revisions(owner.run_id).where(
            table.c.generation == owner.number, table.c.folds, table.c.effective >= step
        )
        rows = self.connection.execute(query.order_by(table.c.effective, table.c.revision))
        return [self._revision(row) for row in rows]

    def reigns(self, stretch: Stretch, head: int | None = None) -> list[Reign]:
        """
        Return which revisions reign over a stretch, by rising step.

        ``head`` is the run's newest revision, if the stretch belongs to the newest generation and
        the next ones are likely to be asked for, too.
        """
        owner, start, stop = stretch.owner, stretch.start, stretch.stop
        rulers = self._rulers(stretch, head)
        effective = [ruler.effective for ruler in rulers]
        first, last = bisect_right(effective, start) - 1, bisect_right(effective, stop - 1)
        bounds = [start, *effective[first + 1 : last], stop]
        return [
            Reign(
                begin,
                end,
                owner.run_id,
                ruler.revision,
                Note(ruler.author, ruler.message),
                self._load_timelines(owner.run_id, orjson.loads(ruler.timelines)),
            )
            for ruler, (begin, end) in zip(rulers[first:last], pairwise(bounds), strict=True)
            if begin < end
        ]

    def _rulers(self, stretch: Stretch, head: int | None) -> Sequence[Row[Any]]:
        """Return the revisions in force within a stretch, and maybe some before and after."""
        if head is None:
            return self._read_rulers(stretch)
        key = (stretch.owner, head)
        rulers = self._caches.rulers.get(key)
        if rulers is None:
            rulers = self._read_rulers(replace(stretch, stop=BEYOND))
            size = sum(1024 + len(ruler.message) + len(ruler.timelines) for ruler in rulers)
            self._caches.rulers.put(key, rulers, size)
        earlier = stretch.start < rulers[0].effective
        return self._read_rulers(stretch) if earlier else rulers

    def _read_rulers(self, stretch: Stretch) -> Sequence[Row[Any]]:
        return self.connection.execute(hot.RULERS, hot.within(stretch)).all()

    def _revision(self, row: Row[Any]) -> Revision:
        return Revision(
            number=row.revision,
            generation=row.generation,
            kind=RevisionKind(row.kind),
            effective=row.effective,
            changes=orjson.loads(row.changes),
            note=Note(row.author, row.message),
            created_at=row.created_at,
            forced=row.forced,
            cancelled=row.cancelled,
            cancels=row.cancels,
            timelines=self._load_timelines(row.run_id, orjson.loads(row.timelines)),
        )

    # timelines

    def _store_timelines(self, run_id: str, timelines: Mapping[str, Timeline]) -> str:
        texts = {name: _text(timeline.to_json()) for name, timeline in timelines.items()}
        hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        known = self._known(run_id, hashes.values())
        new = {hashes[name]: text for name, text in texts.items() if hashes[name] not in known}
        if new:
            rows = [{"run_id": run_id, "hash": key, "pieces": text} for key, text in new.items()]
            self.connection.execute(insert(tables.timelines), rows)
        for name, text in texts.items():
            self._caches.timelines.put(hashes[name], timelines[name], len(text))
        return _text(hashes)

    def _known(self, run_id: str, hashes: Iterable[str]) -> set[str]:
        table = tables.timelines
        query = select(table.c.hash).where(table.c.run_id == run_id, table.c.hash.in_(set(hashes)))
        return set(self.connection.execute(query).scalars())

    def _load_timelines(self, run_id: str, hashes: Mapping[str, str]) -> Timelines:
        found = {key: self._caches.timelines.get(key) for key in hashes.values()}
        missing = [key for key, timeline in found.items() if timeline is None]
        found |= self._read_timelines(run_id, missing)
        known = {key: timeline for key, timeline in found.items() if timeline is not None}
        return Timelines({name: known[key] for name, key in hashes.items()})

    def _read_timelines(self, run_id: str, hashes: list[str]) -> dict[str, Timeline]:
        if not hashes:
            return {}
        table = tables.timelines
        query = select(table.c.hash, table.c.pieces)
        query = query.where(table.c.run_id == run_id, table.c.hash.in_(hashes))
        texts = {row.hash: row.pieces for row in self.connection.execute(query)}
        found = {key: Timeline.from_json(orjson.loads(text)) for key, text in texts.items()}
        for key, timeline in found.items():
            self._caches.timelines.put(key, timeline, len(texts[key]))
        return found


def _text(document: Any) -> str:
    return orjson.dumps(document).decode()


def _revisions(run_id: str) -> Select[Any]:
    return select(tables.revisions).where(tables.revisions.c.run_id == run_id)


def _generation(row: Row[Any]) -> Generation:
    parent = None if row.parent is None else Key(row.parent_run, row.parent)
    key = Key(row.run_id, row.generation)
    return Generation(key, parent, row.start, row.settled_until, row.event, row.settled_at)


def _run(row: Row[Any]) -> RunRecord:
    return RunRecord(
        id=row.id,
        spec=_spec(row.spec),
        author=row.author,
        created_at=row.created_at,
        generation=row.generation,
        revision=row.revision,
        event=row.event,
        end=row.end,
        finished_at=row.finished_at,
    )


@lru_cache(maxsize=1024)
def _spec(text: str) -> RunSpec:
    return RunSpec.model_validate_json(text)
