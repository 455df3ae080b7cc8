"""
Messages to hooks: taken to be sent, what came of it, and what is kept for a while.

A message is taken before it is sent: its next attempt is written down, as if this one had failed.
So whoever dies while sending loses nothing, and the next one sends it again, under the same id.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, Row, delete, exists, func, or_, select, update

from rheostat import wire
from rheostat.errors import Conflict, UnknownDelivery
from rheostat.limits import MAX_DELIVERIES
from rheostat.server.hooks import schedule
from rheostat.server.hooks.hook import Hook
from rheostat.server.hooks.posting import Posted
from rheostat.server.store import clock, tables
from rheostat.server.store.operations import hooks
from rheostat.server.store.operations.telling import sends
from rheostat.server.store.records import Records, now

TABLE = tables.deliveries
HOOKS = tables.hooks

KEPT = 7 * 24 * 3600.0
"""Seconds for which a message is kept that does not wait any more."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that is to be sent now."""

    number: int
    id: str
    hook: Hook
    content: wire.HookMessage
    attempts: int
    """This one among them."""
    created_at: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many messages wait, and for how many seconds the oldest has."""

    waiting: int
    oldest: float


def due(records: Records) -> list[str]:
    """Return the hooks for which something is to be sent now."""
    moment = now()
    query = select(HOOKS.c.name).where(_open(moment), _has_due(moment)).order_by(HOOKS.c.name)
    return [*records.connection.execute(query).scalars()]


def take(records: Records, holder: str, names: Collection[str]) -> list[Taken]:
    """Take one message for each of some hooks, if this process may still send."""
    if not sends(records, holder):
        return []
    moment = now()
    query = select(HOOKS.c.name).where(HOOKS.c.name.in_(sorted(names)), _open(moment))
    found = [*records.connection.execute(query).scalars()]
    taken = (_take(records, name, moment) for name in sorted(found))
    return [each for each in taken if each is not None]


def settle(records: Records, holder: str, taken: Taken, posted: Posted) -> Taken | None:
    """Write down what came of an attempt; return the hook's next message, if this one arrived."""
    moment = now()
    values: dict[str, Any] = {"status": posted.status, "error": posted.error}
    again = None if posted.gone else schedule.retry(taken.attempts)
    if posted.delivered:
        values |= {"state": "delivered", "next_at": None, "ended_at": moment}
    elif again is None:
        values |= {"state": "failed", "next_at": None, "ended_at": moment}
    else:
        later = max(again, min(posted.retry_after or 0.0, schedule.LONGEST_ASKED))
        values |= {"next_at": _after(moment, later)}
    where = TABLE.c.number == taken.number, TABLE.c.id == taken.id
    changed = records.connection.execute(update(TABLE).where(*where).values(**values))
    if not changed.rowcount:  # the hook was removed meanwhile
        return None
    _judge(records, taken.hook.name, posted, moment)
    if not posted.delivered or not sends(records, holder):
        return None
    return _take(records, taken.hook.name, moment)


def backlog(records: Records) -> Backlog:
    """Return how much waits for hooks that take anything."""
    enabled = select(HOOKS.c.name).where(HOOKS.c.disabled_at.is_(None))
    waits = TABLE.c.state == "waiting", TABLE.c.hook.in_(enabled)
    query = select(func.count(), func.min(TABLE.c.created_at)).select_from(TABLE).where(*waits)
    count, oldest = records.connection.execute(query).one()
    age = 0.0 if oldest is None else clock.seconds(now()) - clock.seconds(oldest)
    return Backlog(count, max(age, 0.0))


def old(records: Records) -> dict[str, str]:
    """Return up to when messages of hooks ended that need not be kept, where there are any."""
    found: dict[str, str] = {}
    ended = TABLE.c.ended_at
    for name in records.connection.execute(select(HOOKS.c.name)).scalars():
        mine = select(ended).where(TABLE.c.hook == name, ended.is_not(None))
        many = mine.order_by(ended.desc()).offset(MAX_DELIVERIES).limit(1)
        until = records.connection.execute(many).scalar()
        until = max(until or "", clock.text(clock.seconds(now()) - KEPT))
        if records.connection.execute(mine.where(ended <= until).limit(1)).first() is not None:
            found[name] = until
    return found


def forget(records: Records, holder: str, until: dict[str, str]) -> None:
    """Forget messages of hooks that ended up to a time each."""
    if not sends(records, holder):
        return
    for name, ended in sorted(until.items()):
        mine = TABLE.c.hook == name, TABLE.c.ended_at <= ended
        records.connection.execute(delete(TABLE).where(*mine))


def page(
    records: Records, name: str, state: wire.DeliveryState | None, before: int, limit: int
) -> tuple[list[wire.Delivery], int | None]:
    """Return messages of a hook, newest first, before a number, if any; and where to go on."""
    hooks.require(records, name)
    query = select(TABLE).where(TABLE.c.hook == name).order_by(TABLE.c.number.desc())
    if state is not None:
        query = query.where(TABLE.c.state == state)
    if before:
        query = query.where(TABLE.c.number < before)
    rows = records.connection.execute(query.limit(limit + 1)).all()
    following = rows[limit - 1].number if len(rows) > limit else None
    return [_shown(row) for row in rows[:limit]], following


def retry(records: Records, name: str, number: int) -> wire.Delivery:
    """
    Have a message sent again, and at once, whatever became of it; return it.

    Raises:
        UnknownDelivery: The hook has none of this number.
        Conflict: The hook is disabled.

    """
    hook = hooks.require(records, name)
    if hook.disabled_at is not None:
        raise Conflict(f"the hook {name!r} is disabled: set it again, and then send this")
    records.write()
    where = TABLE.c.hook == name, TABLE.c.number == number
    values = {"state": "waiting", "attempts": 0, "next_at": now(), "ended_at": None}
    changed = records.connection.execute(update(TABLE).where(*where).values(**values))
    if not changed.rowcount:
        raise UnknownDelivery(f"the hook {name!r} has no message {number}, or none any more")
    awake = update(HOOKS).where(HOOKS.c.name == name).values(rests_until=None)
    records.connection.execute(awake)
    return _shown(records.connection.execute(select(TABLE).where(*where)).one())


def _open(moment: str) -> ColumnElement[bool]:
    rested = or_(HOOKS.c.rests_until.is_(None), HOOKS.c.rests_until <= moment)
    return HOOKS.c.disabled_at.is_(None) & rested


def _has_due(moment: str) -> ColumnElement[bool]:
    mine = TABLE.c.hook == HOOKS.c.name, TABLE.c.state == "waiting", TABLE.c.next_at <= moment
    return exists().where(*mine)


def _take(records: Records, name: str, moment: str) -> Taken | None:
    waits = TABLE.c.hook == name, TABLE.c.state == "waiting", TABLE.c.next_at <= moment
    query = select(TABLE).where(*waits).order_by(TABLE.c.next_at, TABLE.c.number).limit(1)
    row = records.connection.execute(query).one_or_none()
    if row is None:
        return None
    attempts = row.attempts + 1
    again = _after(moment, schedule.retry(attempts) or schedule.FIRST)
    values = {"attempts": attempts, "next_at": again}
    records.connection.execute(update(TABLE).where(TABLE.c.number == row.number).values(**values))
    hook, content = hooks.require(records, name), orjson.loads(row.body)
    return Taken(row.number, row.id, hook, content, attempts, row.created_at)


def _judge(records: Records, name: str, posted: Posted, moment: str) -> None:
    """Write down how a hook does."""
    mine = update(HOOKS).where(HOOKS.c.name == name)
    if posted.delivered:
        well = {"delivered_at": moment, "failures": 0, "failing_since": None, "rests_until": None}
        records.connection.execute(mine.values(**well))
        return
    query = select(HOOKS.c.failures, HOOKS.c.failing_since).where(HOOKS.c.name == name)
    failures, since = records.connection.execute(query).one()
    rest = schedule.rest(failures + 1, posted.retry_after)
    ill: dict[str, Any] = {
        "failures": failures + 1,
        "failing_since": since or moment,
        "rests_until": _after(moment, rest),
    }
    if posted.gone:
        ill |= {"disabled_at": moment, "disabled_why": posted.error}
        waits = TABLE.c.hook == name, TABLE.c.state == "waiting"
        dropped = {"state": "dropped", "next_at": None, "ended_at": moment}
        why = "the hook was disabled"
        records.connection.execute(update(TABLE).where(*waits).values(**dropped, error=why))
    records.connection.execute(mine.values(**ill))


def _after(moment: str, seconds: float) -> str:
    return clock.text(clock.seconds(moment) + seconds)


def _shown(row: Row[Any]) -> wire.Delivery:
    body = cast("wire.HookMessage", orjson.loads(row.body))
    return {
        "number": row.number,
        "id": row.id,
        "run": row.run_id,
        "event": body["data"]["event"],
        "state": row.state,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "next_at": row.next_at,
        "ended_at": row.ended_at,
        "status": row.status,
        "error": row.error,
        "body": body,
    }
