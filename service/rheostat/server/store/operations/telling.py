"""
Telling hooks: from the events of runs, which are numbered, to the messages that wait to be sent.

Nothing is stored of it while an event is made: what hooks were told of a run is a number, `told`,
and what comes after it is read by the one process that sends (`hook_sender`). It looks at what is
there in a snapshot, and then writes messages and the new number in one transaction, if the number
is still the one that it has seen. So each event becomes one message for each hook.

Settles are not told: they come every second or two, and whoever wants them follows the events.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import func, insert, select, update

from rheostat import wire
from rheostat.errors import Unavailable
from rheostat.limits import MAX_WAITING
from rheostat.server.hooks import messages
from rheostat.server.hooks.hook import Hook
from rheostat.server.hooks.messages import Notice
from rheostat.server.store import clock, locks, tables
from rheostat.server.store.operations import events, hooks
from rheostat.server.store.records import Records, RunRecord, now

RUNS_AT_ONCE = 50
"""Runs of which news are read at a time."""

MESSAGES_AT_ONCE = 500
"""Messages that are written in one transaction, after which others get their turn; and some more,
for what one event says to all hooks stays together."""

LEASE = 30.0
"""Seconds for which a process sends unless it says so again; then another one does."""

DELIVERIES = tables.deliveries
TOLD = tables.told
SENDER = tables.hook_sender


@dataclass(frozen=True, slots=True)
class News:
    """What has happened to a run that hooks were told of up to a number; None: of nothing yet."""

    run_id: str
    known: int | None
    until: int
    notices: Sequence[Notice]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What there is to do for hooks."""

    hooks: Sequence[Hook]
    taken: bool
    """Whether another process sends."""
    lease: float
    """Seconds for which this one may send still."""
    news: Sequence[News]
    more: bool
    """Whether there are more news than these."""
    unread: Sequence[str] = ()
    """Runs whose news this release cannot read: a newer one has written them, and tells them."""


def look(records: Records, holder: str) -> Outlook:
    """Return what there is to do for a process, in a snapshot."""
    found = hooks.every(records)
    if not found:
        return Outlook((), taken=False, lease=0.0, news=(), more=False)
    other, left = _sender(records, holder)
    if other:
        return Outlook(found, taken=True, lease=0.0, news=(), more=False)
    changed = _changed(records)
    news: list[News] = []
    room = MESSAGES_AT_ONCE
    unread: list[str] = []
    for run_id, known, head in changed[:RUNS_AT_ONCE]:
        try:
            each = _news(records, run_id, known, head, found, room)
        except (Unavailable, ValueError, KeyError):
            unread.append(run_id)
            continue
        room -= sum(len(_meant(found, notice)) for notice in each.notices)
        news.append(each)
        if room <= 0:
            break
    heads = {run_id: head for run_id, _, head in changed}
    rest = len(news) + len(unread) < len(changed)
    more = bool(news) and (rest or any(each.until < heads[each.run_id] for each in news))
    return Outlook(found, taken=False, lease=left, news=news, more=more, unread=unread)


def take(records: Records, holder: str) -> bool:
    """Say that a process sends from now on; return False if another one does."""
    locks.advisory(records.connection, "hook sender")
    other, _ = _sender(records, holder)
    if other:
        return False
    until = clock.text(clock.read(records.connection) + LEASE)
    values = {"holder": holder, "until": until}
    changed = records.connection.execute(update(SENDER).values(**values))
    if not changed.rowcount:
        records.connection.execute(insert(SENDER).values(id=1, **values))
    return True


def leave(records: Records, holder: str) -> None:
    """Let another process send at once."""
    gone = {"until": clock.text(0)}
    records.connection.execute(update(SENDER).where(SENDER.c.holder == holder).values(**gone))


def sends(records: Records, holder: str) -> bool:
    """Whether this process may still send: another one takes over from one that was frozen."""
    query = select(SENDER.c.holder)
    found = locks.rows(records.connection, query, {})
    return [row.holder for row in found] == [holder]


def tell(records: Records, holder: str, news: Sequence[News]) -> None:
    """Write the messages of what has happened, of runs of which nothing else was told meanwhile."""
    if not sends(records, holder):
        return
    free = _free(records, [each.run_id for each in news])
    known = _known(records, free)
    found = hooks.every(records)
    notices: list[Notice] = []
    for each in news:
        if each.run_id in free and known.get(each.run_id) == each.known:
            _note(records, each)
            notices += each.notices
    write(records, found, notices)


def farewell(records: Records, run: RunRecord, author: str | None) -> None:
    """
    Tell of a run that is about to be deleted what was not told yet, and that it is.

    Its row is locked: nothing happens to it meanwhile.
    """
    if not hooks.are_there(records):
        return
    found, told = hooks.every(records), told_of(run)
    at = _known(records, [run.id]).get(run.id)
    notices: list[Notice] = []
    while at != run.event:
        each = _news(records, run.id, at, run.event, found, MAX_WAITING)
        notices += each.notices
        at = each.until
    fields = {"generation": run.generation, "author": author}
    notices.append(Notice("deleted", "deleted", now(), told, fields))
    write(records, found, notices)


def write(records: Records, found: Sequence[Hook], notices: Iterable[Notice]) -> None:
    """Write messages for all hooks that are to be told, and drop what is too much for one."""
    moment = now()
    rows: list[dict[str, Any]] = []
    for notice in notices:
        told = _meant(found, notice)
        if not told:
            continue
        body = orjson.dumps(messages.message(notice)).decode()
        rows += [
            {
                "id": f"msg_{secrets.token_hex(16)}",
                "hook": hook.name,
                "run_id": notice.run["id"],
                "event": notice.key,
                "body": body,
                "state": "waiting",
                "attempts": 0,
                "created_at": moment,
                "next_at": moment,
            }
            for hook in told
        ]
    if rows:
        records.connection.execute(insert(DELIVERIES), rows)
        _drop_some(records, {row["hook"] for row in rows}, moment)


def _meant(found: Sequence[Hook], notice: Notice) -> list[Hook]:
    labels = notice.run["labels"]
    return [hook for hook in found if hook.wants(notice.event, notice.at, labels)]


def _sender(records: Records, holder: str) -> tuple[bool, float]:
    """Return whether another process sends, and for how many seconds this one does still."""
    row = records.connection.execute(select(SENDER)).one_or_none()
    if row is None:
        return False, 0.0
    left = clock.seconds(row.until) - clock.read(records.connection)
    # further than it can be: the clock was set back
    holds = 0 < left <= 2 * LEASE
    return holds and row.holder != holder, left if holds else 0.0


def _changed(records: Records) -> list[tuple[str, int | None, int]]:
    """Return runs with news: their ids, the numbers up to which was told, and their newest."""
    runs = tables.runs
    query = (
        select(runs.c.id, TOLD.c.event.label("known"), runs.c.event)
        .join_from(runs, TOLD, runs.c.id == TOLD.c.run_id, isouter=True)
        .where(TOLD.c.event.is_(None) | (runs.c.event > TOLD.c.event))
        .limit(RUNS_AT_ONCE + 1)
    )
    return [(row.id, row.known, row.event) for row in records.connection.execute(query)]


def _news(
    records: Records,
    run_id: str,
    known: int | None,
    head: int,
    found: Sequence[Hook],
    room: int,
) -> News:
    """Return the next events of a run, for about so many messages."""
    run = records.find(run_id)
    of_run = told_of(run)
    notices: list[Notice] = []
    if known is None:
        fields = {"generation": 1, "revision": 1, "author": run.author}
        notices.append(Notice("created", "created", run.created_at, of_run, fields))
    after = known or 0
    page = events.page(records, run_id, after).events if head > after else ()
    until = page[-1]["number"] if len(page) == events.PAGE else head
    for event in page:
        if room <= 0:
            until = event["number"] - 1
            break
        # of an imported run, what happened before it was here is told to nobody
        if event["kind"] == "settled" or (event["created_at"] or "") < run.created_at:
            continue
        notices.append(messages.of_event(event, of_run))
        room -= len(_meant(found, notices[-1]))
    return News(run_id, known, min(until, head), notices)


def told_of(run: RunRecord) -> wire.HookRun:
    """Return a run as hooks are told of it."""
    return {"id": run.id, "name": run.spec.name, "labels": dict(run.spec.labels)}


def _free(records: Records, run_ids: Collection[str]) -> set[str]:
    """Return those of some runs that are there, and stay until the transaction ends."""
    runs = tables.runs.c
    query = select(runs.id).where(runs.id.in_(sorted(run_ids))).order_by(runs.id)
    if locks.is_shared(records.connection):
        query = query.with_for_update(key_share=True, read=True, skip_locked=True)
    return set(records.connection.execute(query).scalars())


def _known(records: Records, run_ids: Collection[str]) -> dict[str, int]:
    query = select(TOLD.c.run_id, TOLD.c.event).where(TOLD.c.run_id.in_(sorted(run_ids)))
    return {row.run_id: row.event for row in records.connection.execute(query)}


def _note(records: Records, news: News) -> None:
    """Note up to where was told of a run."""
    if news.known is None:
        row = {"run_id": news.run_id, "event": news.until, "silent_until": ""}
        records.connection.execute(insert(TOLD).values(**row))
    else:
        where = TOLD.c.run_id == news.run_id
        records.connection.execute(update(TOLD).where(where).values(event=news.until))


def _drop_some(records: Records, names: Iterable[str], moment: str) -> None:
    """Drop what has waited longest, of hooks that have too much waiting."""
    for name in sorted(names):
        waits = DELIVERIES.c.hook == name, DELIVERIES.c.state == "waiting"
        count = select(func.count()).select_from(DELIVERIES).where(*waits)
        too_many = records.connection.execute(count).scalar_one() - MAX_WAITING
        if too_many <= 0:
            continue
        oldest = select(DELIVERIES.c.number).where(*waits).order_by(DELIVERIES.c.number)
        last = records.connection.execute(oldest.offset(too_many - 1).limit(1)).scalar_one()
        values = {"state": "dropped", "next_at": None, "ended_at": moment}
        why = f"more than {MAX_WAITING} messages waited"
        dropped = records.connection.execute(
            update(DELIVERIES)
            .where(*waits, DELIVERIES.c.number <= last)
            .values(**values, error=why)
        )
        all_in_all = tables.hooks.c.dropped + dropped.rowcount
        where = tables.hooks.c.name == name
        records.connection.execute(update(tables.hooks).where(where).values(dropped=all_in_all))
