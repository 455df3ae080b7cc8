"""
The revisions of runs, and which of them are in force where.

This is where changes become the JSON that is stored, and are read from it again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import Row, Select, case, func, insert, or_, select, update

from rheostat.errors import Invalid, Unavailable, UnknownRevision
from rheostat.schedules.references import Lookup
from rheostat.schedules.written import Written
from rheostat.server.runs.barriers import Stop
from rheostat.server.runs.changes import Change, Changes, parse_changes
from rheostat.server.runs.fragments import Verbatim, dumps
from rheostat.server.runs.lineage import GenerationKey, OwnedSteps
from rheostat.server.runs.revision import (
    FIRST,
    FIXED,
    FOLDING,
    RETRACTABLE,
    SINCE,
    WAITING,
    Note,
    Placed,
    Revision,
    RevisionKind,
)
from rheostat.server.runs.settling import InForce
from rheostat.server.runs.signals import Signal
from rheostat.server.runs.timeline import Steps, Timelines
from rheostat.server.runs.validation import Units
from rheostat.server.store import replicas, statements, tables
from rheostat.server.store.caches import Caches, SignalsFrom
from rheostat.server.store.outside import Results
from rheostat.server.store.timelines import StoredTimelines
from rheostat.server.store.transaction import Transaction

BEYOND = 2**62
"""Past every step."""


class _StoredUnits(Units):
    """How definitions are read that are stored: they are in steps, with their words beside them."""

    def write(self, data: Any, field: str) -> Written:
        """Return the definition as it was stored."""
        return Written.from_json(data, None, field)


class StoredChanges(Changes):
    """
    Changes as they are stored, which are shown as they are, and read when a parameter is asked for.

    Those of a creation are the definitions as they were given. Nothing folds them, or reads them.
    """

    def __init__(self, text: str) -> None:
        self.document = Verbatim(text)

    @cached_property
    def _changes(self) -> Mapping[str, tuple[Change, ...]]:  # type: ignore[override]
        try:
            return parse_changes(self.document, self.document.keys(), _StoredUnits())
        except Invalid as error:
            message = "a newer release made a change that this one cannot read"
            raise Unavailable(message, reason="schema") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.document)

    def __len__(self) -> int:
        return len(self.document)

    def __bool__(self) -> bool:
        return bool(self.document)

    def __contains__(self, name: object) -> bool:
        return name in self.document

    def read(self) -> Changes:
        """Return the changes, read: this takes long if they are large."""
        return Changes(self._changes, self.document)


TAKES_BACK: Mapping[str, Any] = {"takes_back": True}
"""What is stored of a change by which a token with a limit takes back its own."""


def is_own(cause: str | None) -> bool:
    """Whether a revision's author did it alone, by its cause: else a proposal was accepted."""
    return cause is None or "proposal" not in orjson.loads(cause)


def takes_back(kind: str, data: str | None) -> bool:
    """Whether a revision, by its kind and its data, takes back its author's own."""
    return kind == RevisionKind.CHANGE and data is not None and orjson.loads(data) == TAKES_BACK


class Deed(NamedTuple):
    """A revision as far as it counts what somebody has done."""

    kind: RevisionKind
    generation: int
    effective: int
    created_at: str
    cancelled: bool
    own: bool
    """Whether its author did it; else a proposal of theirs was accepted."""
    takes_back: bool
    """Whether it takes back what its author had done, which counts as nothing."""


class Laid(NamedTuple):
    """A revision that is in force, or will be, as far as it says what stands on what."""

    number: int
    effective: int
    kind: RevisionKind
    author: str | None
    """Who did it; None also if a proposal was accepted, so that two people did."""
    takes_back: bool
    changes: Mapping[str, Any] | None
    """What it changed, by parameter, as it was asked for; None if that is long."""

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the order of folding."""
        return self.effective, self.number


class Which(NamedTuple):
    """Which revisions of a run are meant: all, those of a kind, or what somebody did."""

    kind: RevisionKind | None = None
    author: str | None = None


ALL = Which()


class Newest(NamedTuple):
    """The newest generation of a run, at its newest revision."""

    key: tuple[GenerationKey, int]
    goes_on: bool
    """Whether the next steps are likely to be asked for, too."""


class Revisions:
    """The revisions, as one transaction sees and changes them."""

    def __init__(self, transaction: Transaction, caches: Caches) -> None:
        self._transaction = transaction
        self._known = caches.in_force
        self._said = caches.signals
        self._timelines = StoredTimelines(transaction, caches.timelines)
        self.besides: dict[str, Any] = {}
        """What the operation says of the cause of all that it makes, such as who approved it."""

    def add(self, run_id: str, revision: Revision, event: int) -> None:
        """
        Store a revision, which is an event of this number, with its timelines.

        Raises `Unavailable` if its kind is newer than what a replica knows that serves, too.
        """
        since = SINCE[revision.kind]
        if since > FIRST:
            self._require_known_to_all(run_id, revision.kind, since)
        self._transaction.write()
        if self.besides:
            revision = replace(revision, cause={**(revision.cause or {}), **self.besides})
        self._transaction.connection.execute(
            insert(tables.revisions).values(
                run_id=run_id,
                revision=revision.number,
                generation=revision.generation,
                kind=revision.kind,
                effective=revision.effective,
                folds=revision.folds,
                changes=revision.changes.document.text,
                timelines=_text(self._timelines.store(run_id, revision.timelines)),
                author=revision.note.author,
                message=revision.note.message,
                created_at=revision.created_at,
                forced=revision.forced,
                cancelled=revision.cancelled,
                cancels=revision.cancels,
                total=revision.total,
                laid_for=revision.laid_for,
                cause=_optional(revision.cause),
                cause_by=revision.cause and revision.cause.get("controller"),
                cause_step=revision.cause and revision.cause.get("step"),
                data=_optional(revision.data),
                told=revision.told,
                event=event,
            )
        )
        self._transaction.news.append(lambda watcher: watcher.revised(revision.kind))

    def _require_known_to_all(self, run_id: str, kind: RevisionKind, since: str) -> None:
        """Let no older release move a run on past what it does not know."""
        connection, runs = self._transaction.connection, tables.runs
        replicas.require_known_to_all(connection, kind, since)
        older = or_(runs.c.needs.is_(None), runs.c.needs < since)
        needing = update(runs).where(runs.c.id == run_id, older).values(needs=since)
        connection.execute(needing)

    def update(self, run_id: str, revision: Revision) -> None:
        """Store what a pending revision now expands to."""
        stored = _text(self._timelines.store(run_id, revision.timelines))
        self._update(run_id, revision.number, timelines=stored, laid_for=revision.laid_for)

    def cancel(self, run_id: str, number: int) -> None:
        """Take a revision out of the folding, for good."""
        self._update(run_id, number, cancelled=True, folds=False)

    def tell(self, run_id: str, number: int) -> None:
        """Note that a worker has ended by a stop, or heard of a signal at an end or a pause."""
        self._update(run_id, number, told=True)

    def told(self, run_id: str, generation: int) -> Stop | None:
        """Return the first stop of a generation by which a worker has ended."""
        table = tables.revisions
        query = (
            select(table.c.revision, table.c.effective)
            .where(table.c.run_id == run_id, table.c.generation == generation)
            .where(table.c.told, table.c.kind == RevisionKind.STOP)
            .order_by(table.c.effective, table.c.revision)
            .limit(1)
        )
        row = self._transaction.connection.execute(query).one_or_none()
        return None if row is None else Stop(row.revision, row.effective, told=True)

    def _update(self, run_id: str, number: int, **values: Any) -> None:
        self._transaction.write()
        table = tables.revisions
        self._transaction.connection.execute(
            update(table)
            .where(table.c.run_id == run_id, table.c.revision == number)
            .values(**values)
        )

    def one(self, run_id: str, number: int) -> Revision:
        """Return one revision."""
        table = tables.revisions
        query = _revisions(run_id).where(table.c.revision == number)
        row = self._transaction.connection.execute(query).one_or_none()
        if row is None:
            raise UnknownRevision(f"the run has no revision {number}")
        return self._read(row)

    def deeds(
        self,
        run_id: str,
        author: str,
        kinds: Collection[RevisionKind],
        *,
        since: str | None,
        beyond: int | None,
    ) -> list[Deed]:
        """
        Return revisions of these kinds that stand under an author's name, oldest first.

        Those that were made after a time, or are effective past a step: None is no reason.
        """
        table = tables.revisions.c
        wanted = [] if since is None else [table.created_at > since]
        wanted += [] if beyond is None else [table.effective > beyond]
        if not wanted:
            return []
        query = (
            select(
                *(table.kind, table.generation, table.effective, table.created_at),
                *(table.cancelled, table.cause, table.data),
            )
            .where(table.run_id == run_id, table.author == author, table.kind.in_(kinds))
            .where(or_(*wanted))
            .order_by(table.revision)
        )
        return [
            Deed(
                *(RevisionKind(row.kind), row.generation, row.effective, row.created_at),
                cancelled=row.cancelled,
                own=is_own(row.cause),
                takes_back=takes_back(row.kind, row.data),
            )
            for row in self._transaction.connection.execute(query)
        ]

    def count_deeds(self, run_id: str, author: str, kinds: Collection[RevisionKind]) -> int:
        """Return how many revisions of these kinds an author has ever made, but to take back."""
        table = tables.revisions.c
        alone = or_(table.cause.is_(None), table.cause.not_like('%"proposal":%'))
        counts = or_(table.kind != RevisionKind.CHANGE, table.data.is_(None))
        query = (
            select(func.count())
            .where(table.run_id == run_id, table.author == author, table.kind.in_(kinds))
            .where(alone, counts)
        )
        return int(self._transaction.connection.execute(query).scalar_one())

    def laid(
        self, run_id: str, line: Mapping[int, int], first: int, limit: int, longest: int
    ) -> list[Laid]:
        """
        Return what puts something in force from a step on, in folding order, and few of them.

        ``line`` has the last step of each generation that counts; changes of more than ``longest``
        characters are not read.
        """
        table = tables.revisions.c
        short = case((func.length(table.changes) <= longest, table.changes), else_=None)
        query = (
            select(
                *(table.revision, table.generation, table.effective, table.kind, table.author),
                *(table.cause, table.data, short.label("changes")),
            )
            .where(table.run_id == run_id, table.generation.in_(line), table.folds)
            .where(table.effective >= first)
            .order_by(table.effective, table.revision)
            .limit(limit)
        )
        return [
            Laid(
                *(row.revision, row.effective, RevisionKind(row.kind)),
                row.author if is_own(row.cause) else None,
                takes_back=takes_back(row.kind, row.data),
                changes=None if row.changes is None else orjson.loads(row.changes),
            )
            for row in self._transaction.connection.execute(query)
            if row.effective <= line[row.generation]
        ]

    def caused(self, run_id: str, controller: str, step: int) -> list[Revision]:
        """
        Return the revisions that a controller, or a program, decided on a report.

        What they put in force is not read: an operation that looks at many would begin anew for
        each, and never end while others go on.
        """
        table = tables.revisions
        query = _revisions(run_id).where(table.c.cause_by == controller, table.c.cause_step == step)
        rows = self._transaction.connection.execute(query.order_by(table.c.revision))
        return [self._revision(row, Timelines({})) for row in rows.all()]

    def page(
        self,
        run_id: str,
        after: int,
        limit: int,
        which: Which = ALL,
        *,
        newest: bool = False,
    ) -> Generator[Revision]:
        """
        Yield revisions, all or some, past number ``after``, as they are asked for.

        With ``newest``, those before it, the newest first; from the newest one on if it is 0.
        """
        number = tables.revisions.c.revision
        query = _revisions(run_id).order_by(number.desc() if newest else number).limit(limit)
        if after or not newest:
            query = query.where(number < after if newest else number > after)
        for name, value in which._asdict().items():
            if value is not None:
                query = query.where(tables.revisions.c[name] == value)
        with self._transaction.connection.execute(query.execution_options(yield_per=16)) as rows:
            for row in rows:
                yield self._read(row)

    def placed(self, run_id: str, generations: Collection[int]) -> list[Placed]:
        """
        Return where the revisions of some generations stand that were not cancelled, the newest
        first: those that are about a step which a rewind may leave behind.
        """
        c = tables.revisions.c
        query = select(c.revision, c.generation, c.kind, c.effective).where(
            c.run_id == run_id,
            c.generation >= min(generations),
            c.kind.in_(FOLDING | RETRACTABLE),
            c.cancelled.is_(False),
        )
        rows = self._transaction.connection.execute(query.order_by(c.revision.desc()))
        found = (Placed(n, of, RevisionKind(kind), at) for n, of, kind, at in rows)
        return [each for each in found if each.generation in generations]

    def newest_of(
        self, run_id: str, kind: RevisionKind, limit: int
    ) -> list[tuple[str, str | None]]:
        """Return when, and by whom, the newest revisions of a kind were made, newest first."""
        table = tables.revisions.c
        query = (
            select(table.created_at, table.author)
            .where(table.run_id == run_id, table.kind == kind)
            .order_by(table.revision.desc())
            .limit(limit)
        )
        rows = self._transaction.connection.execute(query)
        return [(row.created_at, row.author) for row in rows]

    def heads(self, run_id: str, numbers: Collection[int]) -> Mapping[int, Row[Any]]:
        """
        Return number, step, author, message, time and cause of revisions, by number, all at once.

        What they change is not read: that may be all parameters for each of them.
        """
        table = tables.revisions
        columns = ("revision", "effective", "author", "message", "created_at", "cause")
        query = select(*(table.c[name] for name in columns))
        query = query.where(table.c.run_id == run_id, table.c.revision.in_(numbers))
        return {row.revision: row for row in self._transaction.connection.execute(query)}

    def in_force_at(self, owner: GenerationKey, step: int) -> Revision:
        """Return the revision in force at a step that the generation owns."""
        table = tables.revisions
        query = (
            _revisions(owner.run_id)
            .where(table.c.generation == owner.number, table.c.folds, table.c.effective <= step)
            .order_by(table.c.effective.desc(), table.c.revision.desc())
            .limit(1)
        )
        return self._read(self._transaction.connection.execute(query).one())

    def newest_in_force(self, owner: GenerationKey) -> Timelines:
        """Return what is in force in the end, once all that waits has taken effect."""
        where = {"run_id": owner.run_id, "generation": owner.number}
        text = self._transaction.connection.execute(statements.LAST_IN_FORCE, where).scalar_one()
        return self._timelines.load(owner.run_id, orjson.loads(text))

    def effective_from(self, owner: GenerationKey, step: int) -> list[Revision]:
        """Return the revisions that take effect at ``step`` or later, in folding order."""
        table = tables.revisions
        query = _revisions(owner.run_id).where(
            table.c.generation == owner.number, table.c.folds, table.c.effective >= step
        )
        query = query.order_by(table.c.effective, table.c.revision)
        rows = self._transaction.connection.execute(query).all()
        hashes = [orjson.loads(row.timelines) for row in rows]
        timelines = self._timelines.load_all(owner.run_id, hashes)
        return [self._revision(*both) for both in zip(rows, timelines, strict=True)]

    def places(self, owner: GenerationKey, step: int, limit: int) -> list[tuple[int, int, str]]:
        """Return number, step and kind of what workers come to at ``step`` or later, in order."""
        table = tables.revisions.c
        query = (
            select(table.revision, table.effective, table.kind)
            .where(table.run_id == owner.run_id, table.generation == owner.number)
            .where(table.effective >= step, ~table.cancelled, table.kind.not_in(FIXED))
            .where(or_(table.folds, table.kind.in_(statements.SAYING)))
            .order_by(table.effective, table.revision)
            .limit(limit)
        )
        rows = self._transaction.connection.execute(query)
        return [(row.revision, row.effective, row.kind) for row in rows]

    def read_changes(self, run_id: str, revisions: Sequence[Revision]) -> list[Revision]:
        """Return revisions with their changes read for their totals, so that they can be folded."""
        stored = {_changes_key(run_id, each): each for each in revisions if each.changes}

        def parsed(_lookup: Lookup) -> Results:
            return {
                key: StoredChanges(each.changes.document.text).read().laid_out(each.laid_for)
                for key, each in stored.items()
            }

        documents = [each.changes.document for each in stored.values()]
        read = {
            key: self._transaction.outside(key, parsed, documents, stored=True) for key in stored
        }
        return [
            replace(each, changes=read.get(_changes_key(run_id, each), each.changes))
            for each in revisions
        ]

    def count(self, owned: OwnedSteps) -> int:
        """Return how many revisions came into force at some steps of a generation."""
        where = statements.within(owned)
        return int(
            self._transaction.connection.execute(statements.COUNT_IN_FORCE, where).scalar_one()
        )

    def in_force(
        self, owned: OwnedSteps, head: int | None = None, at: Steps | None = None
    ) -> list[InForce]:
        """
        Return which revisions are in force at some steps of a generation, by rising step.

        ``head`` is the run's newest revision, if the steps belong to the newest generation and
        the next ones are likely to be asked for, too. ``at`` are rising steps at one of which it
        has to be: the others are not read.
        """
        owner, start, stop = owned.owner, owned.start, owned.stop
        rows = self._rows_in_force(owned, head)
        effective = [row.effective for row in rows]
        first, last = bisect_right(effective, start) - 1, bisect_right(effective, stop - 1)
        bounds = [start, *effective[first + 1 : last], stop]
        shown = [
            (row, begin, end)
            for row, (begin, end) in zip(rows[first:last], pairwise(bounds), strict=True)
            if begin < end
        ]
        if at is not None:
            there = np.maximum(at, start)  # the first cell may begin before the first step
            sooner = there.searchsorted([begin for _, begin, _ in shown])
            later = there.searchsorted([end for _, _, end in shown])
            shown = [each for each, has in zip(shown, sooner < later, strict=True) if has]
        hashes = [orjson.loads(row.timelines) for row, _, _ in shown]
        timelines = self._timelines.load_all(owner.run_id, hashes)
        return [
            InForce(
                begin,
                end,
                owner.run_id,
                row.revision,
                Note(row.author, row.message),
                loaded,
                row.created_at if row.effective == begin and row.kind in WAITING else None,
            )
            for (row, begin, end), loaded in zip(shown, timelines, strict=True)
        ]

    def _rows_in_force(self, owned: OwnedSteps, head: int | None) -> Sequence[Row[Any]]:
        """Return the revisions in force at these steps, and maybe some before and after."""
        if head is None:
            return self._read_in_force(owned)
        key = (owned.owner, head)
        rows = self._known.get(key)
        if rows is None:
            rows = self._read_in_force(replace(owned, stop=BEYOND))
            size = sum(1024 + len(row.message) + len(row.timelines) for row in rows)
            self._known.put(key, rows, size)
        earlier = owned.start < rows[0].effective
        return self._read_in_force(owned) if earlier else rows

    def marks(self, owned: OwnedSteps) -> Sequence[Row[Any]]:
        """
        Return step, number, author and message of the revisions in force at these steps.

        In folding order, from those on that took effect last at or before its start.
        """
        query = statements.IN_FORCE.with_only_columns(
            *(tables.revisions.c[name] for name in ("effective", "revision", "author", "message"))
        )
        return self._transaction.connection.execute(query, statements.within(owned)).all()

    def signals(self, line: Sequence[OwnedSteps], newest: Newest | None = None) -> list[Signal]:
        """
        Return the signals at some steps of a line, by rising step and revision.

        ``newest`` is there if the line is that of a run's newest generation: what comes after the
        steps may be remembered then, and what is remembered is asked first.
        """
        if not line:
            return []
        start, stop = line[0].start, line[-1].stop
        if newest is None:
            return self._read_signals(line)
        known = self._said.get(newest.key)
        if known is None and newest.goes_on:
            beyond = [*line[:-1], replace(line[-1], stop=BEYOND)]
            known = SignalsFrom(start, self._read_signals(beyond))
            self._said.put(newest.key, known, 512 + sum(map(_size, known.signals)))
        if known is None or start < known.start:
            return self._read_signals(line)
        return [signal for signal in known.signals if start <= signal.at < stop]

    def _read_signals(self, line: Sequence[OwnedSteps]) -> list[Signal]:
        rows = (
            row
            for owned in line
            for row in self._transaction.connection.execute(
                statements.SIGNALS, statements.within(owned)
            )
        )
        said = ((row, orjson.loads(row.data)) for row in rows if row.data is not None)
        return [
            Signal(row.effective, row.revision, data["signal"], data["arguments"], row.told)
            for row, data in said
            if "signal" in data
        ]

    def awaited(self, owner: GenerationKey, step: int) -> list[int]:
        """Return the steps at ``step`` or later for which revisions wait, one for each."""
        table = tables.revisions
        query = select(table.c.effective).where(
            table.c.run_id == owner.run_id,
            table.c.generation == owner.number,
            table.c.effective >= step,
            table.c.kind.in_(sorted(WAITING | RETRACTABLE)),
            ~table.c.cancelled,
        )
        return list(self._transaction.connection.execute(query).scalars())

    def waiting(self, owner: GenerationKey, step: int) -> list[Revision]:
        """Return what waits at ``step`` or later and folds nothing, such as signals."""
        table = tables.revisions
        query = _revisions(owner.run_id).where(
            table.c.generation == owner.number,
            table.c.effective >= step,
            table.c.kind.in_(sorted(RETRACTABLE - FOLDING)),
            ~table.c.cancelled,
        )
        query = query.order_by(table.c.effective, table.c.revision)
        return [self._read(row) for row in self._transaction.connection.execute(query)]

    def _read_in_force(self, owned: OwnedSteps) -> Sequence[Row[Any]]:
        return self._transaction.connection.execute(
            statements.IN_FORCE, statements.within(owned)
        ).all()

    def _read(self, row: Row[Any]) -> Revision:
        return self._revision(row, self._timelines.load(row.run_id, orjson.loads(row.timelines)))

    def _revision(self, row: Row[Any], timelines: Timelines) -> Revision:
        return Revision(
            number=row.revision,
            generation=row.generation,
            kind=_kind(row.kind),
            effective=row.effective,
            changes=StoredChanges(row.changes),
            note=Note(row.author, row.message),
            created_at=row.created_at,
            forced=row.forced,
            cancelled=row.cancelled,
            cancels=row.cancels,
            total=row.total,
            laid_for=row.laid_for,
            timelines=timelines,
            cause=row.cause and orjson.loads(row.cause),
            data=row.data and orjson.loads(row.data),
            told=row.told,
        )


def _size(signal: Signal) -> int:
    return 512 + sum(len(name) + len(str(value)) for name, value in signal.arguments.items())


def _changes_key(run_id: str, revision: Revision) -> tuple[str, str, int, int | None]:
    return "changes read", run_id, revision.number, revision.laid_for


def _kind(text: str) -> RevisionKind:
    try:
        return RevisionKind(text)
    except ValueError:
        message = f"a newer release made a revision of kind {text!r}, which this one does not know"
        raise Unavailable(message, reason="schema") from None


def _text(document: Any) -> str:
    return dumps(document).decode()


def _optional(document: Mapping[str, Any] | None) -> str | None:
    return None if document is None else _text(document)


def _revisions(run_id: str) -> Select[Any]:
    return select(tables.revisions).where(tables.revisions.c.run_id == run_id)
