"""Hooks in the database: set, listed and removed by admins, and read by who sends to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, delete, func, insert, literal, select, update

from rheostat import wire
from rheostat.errors import FieldError, Invalid, UnknownHook
from rheostat.limits import MAX_HOOKS
from rheostat.server.hooks import signing
from rheostat.server.hooks.hook import OVERLAP, Hook, NewHook, shown_url
from rheostat.server.runs.selector import Selector
from rheostat.server.store import clock, locks, tables
from rheostat.server.store.records import Records, now

TABLE = tables.hooks
MESSAGES = tables.deliveries


def put(records: Records, name: str, new: NewHook, author: str | None) -> tuple[wire.SetHook, bool]:
    """
    Set a hook, and return it, with its secret if one was made, and whether it is a new one.

    It is told of what happens from now on. One that was there keeps its messages: they are tried
    again at once, whether it was disabled, or its receiver was not there.

    Raises:
        Invalid: There are as many hooks as there may be.

    """
    locks.advisory(records.connection, "hooks")
    records.write()
    row = _row(records, name)
    made = _new_secret(new, None if row is None else row.secret)
    if "silent" in new.events and not any("silent" in each.events for each in every(records)):
        # nobody has listened: who is silent already is no news
        records.connection.execute(update(tables.told).values(silent_until=now()))
    values: dict[str, Any] = {
        "url": new.url,
        "events": orjson.dumps(new.events).decode(),
        "selector": new.selector,
        "format": new.format,
        **_secrets(new, made, row),
        **dict.fromkeys(("disabled_at", "disabled_why", "failing_since", "rests_until")),
        "failures": 0,
    }
    if row is None:
        _make(records, {"name": name, "created_at": now(), "created_by": author, **values})
    else:
        records.connection.execute(update(TABLE).where(TABLE.c.name == name).values(**values))
        waits = MESSAGES.c.hook == name, MESSAGES.c.state == "waiting"
        records.connection.execute(update(MESSAGES).where(*waits).values(next_at=now()))
    return {**get(records, name), "secret": made}, row is None


def get(records: Records, name: str) -> wire.Hook:
    """Return a hook; raise `UnknownHook` if there is none of this name."""
    found = _shown(records, TABLE.c.name == name)
    if not found:
        raise UnknownHook(f"there is no hook {name!r}")
    return found[0]


def page(records: Records, after: str, limit: int) -> tuple[list[wire.Hook], str | None]:
    """Return the hooks past a name, by name, and where to go on."""
    found = _shown(records, TABLE.c.name > after, limit + 1)
    following = found[limit - 1]["name"] if len(found) > limit else None
    return found[:limit], following


def remove(records: Records, name: str) -> None:
    """Remove a hook with all of its messages; raise `UnknownHook` if there is none."""
    require(records, name)
    records.write()
    records.connection.execute(delete(TABLE).where(TABLE.c.name == name))


def require(records: Records, name: str) -> Hook:
    """Return a hook as it is kept; raise `UnknownHook` if there is none of this name."""
    row = _row(records, name)
    if row is None:
        raise UnknownHook(f"there is no hook {name!r}")
    return _hook(row, now())


def every(records: Records) -> list[Hook]:
    """Return all hooks."""
    moment = now()
    return [_hook(row, moment) for row in records.connection.execute(select(TABLE))]


def are_there(records: Records) -> bool:
    """Whether there is any hook: if not, nobody is told anything."""
    return records.connection.execute(select(literal(1)).select_from(TABLE)).first() is not None


def _row(records: Records, name: str) -> Row[Any] | None:
    query = select(TABLE).where(TABLE.c.name == name)
    return records.connection.execute(query).one_or_none()


def _make(records: Records, row: dict[str, Any]) -> None:
    connection = records.connection
    many = connection.execute(select(func.count()).select_from(TABLE)).scalar_one()
    if many >= MAX_HOOKS:
        message = f"there are {many} hooks, and no more may be set"
        wrong = [FieldError("name", message, row["name"], f"<= {MAX_HOOKS} hooks")]
        raise Invalid("The hook is refused.", errors=wrong)
    if not many:  # nobody was told, and nobody has noted up to where
        runs, told = tables.runs, tables.told
        heads = select(runs.c.id, runs.c.event, literal(row["created_at"]))
        connection.execute(delete(told))
        connection.execute(insert(told).from_select(["run_id", "event", "silent_until"], heads))
    connection.execute(insert(TABLE).values(**row))


def _new_secret(new: NewHook, known: str | None) -> str | None:
    """Return the secret that is made for a hook, if it needs one and none is given."""
    if new.format != "standard" or new.secret is not None:
        return None
    return signing.new_secret() if new.renew or known is None else None


def _secrets(new: NewHook, made: str | None, row: Row[Any] | None) -> dict[str, Any]:
    """Return what becomes of the secrets of a hook."""
    if new.format != "standard":
        return dict.fromkeys(("secret", "old_secret", "old_until"))
    secret = new.secret or made
    if row is None or row.secret is None:
        return {"secret": secret}
    if secret is None or secret == row.secret:
        return {}
    until = clock.text(clock.seconds(now()) + OVERLAP)
    return {"secret": secret, "old_secret": row.secret, "old_until": until}


def _hook(row: Row[Any], moment: str) -> Hook:
    secrets = [row.secret]
    if row.old_until is not None and row.old_until > moment:
        secrets.append(row.old_secret)
    return Hook(
        name=row.name,
        url=row.url,
        events=_events(row.events),
        selector=_selector(row.selector),
        format=row.format,
        secrets=tuple(each for each in secrets if each is not None),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


@lru_cache(maxsize=2 * MAX_HOOKS)
def _events(text: str) -> frozenset[wire.HookEvent]:
    return frozenset(orjson.loads(text))


@lru_cache(maxsize=2 * MAX_HOOKS)
def _selector(text: str) -> Selector:
    return Selector.parse(text)


def _shown(records: Records, which: ColumnElement[bool], limit: int = 1) -> list[wire.Hook]:
    waiting = (
        select(func.count())
        .select_from(MESSAGES)
        .where(MESSAGES.c.hook == TABLE.c.name, MESSAGES.c.state == "waiting")
        .scalar_subquery()
    )
    query = select(TABLE, waiting.label("waiting")).where(which).order_by(TABLE.c.name)
    rows: Sequence[Row[Any]] = records.connection.execute(query.limit(limit)).all()
    return [
        {
            "name": row.name,
            "url": shown_url(row.url, row.format),
            "events": orjson.loads(row.events),
            "selector": row.selector,
            "format": row.format,
            "secret_set": row.secret is not None,
            "created_at": row.created_at,
            "created_by": row.created_by,
            "disabled_at": row.disabled_at,
            "disabled_why": row.disabled_why,
            "delivered_at": row.delivered_at,
            "failing_since": row.failing_since,
            "failures": row.failures,
            "waiting": row.waiting,
            "dropped": row.dropped,
        }
        for row in rows
    ]
