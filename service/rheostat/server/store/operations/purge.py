"""
Purging: removing for good what ended long ago, a bounded number at a time.

Each run goes in a transaction of its own: its ledger may be large, and others wait meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, or_, select

from rheostat import wire
from rheostat.errors import HasForks, UnknownRun
from rheostat.server.runs.selector import EVERYTHING, Selector
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import close
from rheostat.server.store.records import Records
from rheostat.server.store.selecting import conditions

FORKED = "other runs were forked from it, and need its past"

ROWS = 10_000
"""Rows of the audit, or tokens, that one transaction removes."""


MOST_IN_ONE = 500
"""Names in one statement."""


@dataclass(frozen=True, slots=True)
class OldRuns:
    """Runs that were finished before a moment, and are meant by a selector."""

    before: datetime
    selector: Selector = EVERYTHING

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield what must hold of a row."""
        yield tables.runs.c.finished_at < clock.stored(self.before)
        yield from conditions(self.selector)


@dataclass(frozen=True, slots=True)
class Removed:
    """What one transaction has removed, as far as that is told, and how much in all."""

    what: str
    count: int
    items: list[wire.PurgedItem]
    more: bool


def old_runs(
    records: Records, old: OldRuns, after: str, limit: int
) -> tuple[list[wire.PurgedItem], str | None]:
    """
    Return runs that may go, the newest first, so that forks come before what they need.

    Those stay that a run needs which is not among them.
    """
    runs = tables.runs.c
    query = select(runs.id, runs.name, runs.finished_at, runs.created_at).where(*old.conditions())
    if after:
        created, _, run_id = after.partition(" ")
        earlier = (runs.created_at == created) & (runs.id < run_id)
        query = query.where(or_(runs.created_at < created, earlier))
    query = query.order_by(runs.created_at.desc(), runs.id.desc()).limit(limit + 1)
    rows = records.connection.execute(query).all()
    needed = _needed(records, old, [row.id for row in rows[:limit]])
    items: list[wire.PurgedItem] = [
        {
            "id": row.id,
            "name": row.name,
            "at": row.finished_at,
            "kept": FORKED if row.id in needed else None,
        }
        for row in rows[:limit]
    ]
    last = rows[limit - 1] if len(rows) > limit else None
    return items, None if last is None else f"{last.created_at} {last.id}"


def _needed(records: Records, old: OldRuns, run_ids: Collection[str]) -> set[str]:
    """Return which of these runs one needs that stays, be it by others between them."""
    forks: dict[str, set[str]] = {}
    asked: set[str] = set()
    wanted = set(run_ids)
    while wanted:
        for source, fork in _forks(records, wanted):
            forks.setdefault(source, set()).add(fork)
        asked |= wanted
        wanted = set().union(*forks.values()) - asked
    involved: set[str] = set().union(*forks.values())
    staying = involved - _fitting(records, old, involved)
    while more := {source for source, found in forks.items() if found & staying} - staying:
        staying |= more
    return staying.intersection(run_ids)


def _forks(records: Records, run_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield these runs, each with a run that was forked from it."""
    table = tables.generations.c
    for some in _batched(run_ids):
        between = (table.parent_run.in_(some), table.parent_run != table.run_id)
        query = select(table.parent_run, table.run_id).where(*between)
        yield from (tuple(row) for row in records.connection.execute(query))


def _fitting(records: Records, old: OldRuns, run_ids: Collection[str]) -> set[str]:
    """Return which of these runs may go."""
    runs, found = tables.runs.c, set[str]()
    for some in _batched(run_ids):
        query = select(runs.id).where(runs.id.in_(some), *old.conditions())
        found.update(records.connection.execute(query).scalars())
    return found


def _batched(names: Collection[str]) -> Iterator[list[str]]:
    """Yield names in lists that a statement takes."""
    ordered = sorted(names)
    for start in range(0, len(ordered), MOST_IN_ONE):
        yield ordered[start : start + MOST_IN_ONE]


def remove_run(
    records: Records, run_id: str, old: OldRuns, author: str | None = None
) -> str | None:
    """Remove a run if it may still go, as whoever deletes it; return why it stays, or None."""
    try:
        run = records.find(run_id, lock=True)
    except UnknownRun:
        return None  # somebody else was quicker
    finished = run.finished_at
    if finished is None or finished >= clock.stored(old.before):
        return "it is not finished any more"
    if not old.selector.matches(run.spec.labels):
        return "the selector does not mean it any more"
    try:
        close.delete(records, run.id, author)
    except HasForks:
        return FORKED
    return None


def remove_tokens(records: Records, before: datetime, limit: int, *, dry_run: bool) -> Removed:
    """Remove tokens that were revoked or expired before a moment: they are of no use to anybody."""
    table, moment = tables.tokens, clock.stored(before)
    ended = func.coalesce(table.c.revoked_at, table.c.expires_at)
    query = select(table.c.number, table.c.name, ended.label("at")).where(ended < moment)
    rows = records.connection.execute(query.order_by(table.c.number).limit(limit + 1)).all()
    found = rows[:limit]
    if found and not dry_run:
        records.write()
        gone = table.c.number.in_([row.number for row in found])
        records.connection.execute(delete(table).where(gone))
    items: list[wire.PurgedItem] = [
        {"id": None, "name": row.name, "at": row.at, "kept": None} for row in found
    ]
    return Removed("tokens", len(found), items, more=len(rows) > limit)


def remove_audit(records: Records, before: datetime, *, dry_run: bool) -> Removed:
    """Remove rows of the audit from before a moment, the oldest first."""
    table = tables.audit
    query = select(table.c.number).where(table.c.at < clock.stored(before))
    if dry_run:
        counting = select(func.count()).select_from(query.subquery())
        return Removed(
            "audit", int(records.connection.execute(counting).scalar_one()), [], more=False
        )
    some = query.order_by(table.c.at).limit(ROWS)
    gone = records.connection.execute(delete(table).where(table.c.number.in_(some)))
    if gone.rowcount:
        records.write()
    return Removed("audit", gone.rowcount, [], more=gone.rowcount == ROWS)
