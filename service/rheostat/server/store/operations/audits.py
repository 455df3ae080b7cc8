"""Looking into the audit: by run, by who, by what they did and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row, or_, select

from rheostat import wire
from rheostat.server.store.records import Records
from rheostat.server.store.tables import audit


@dataclass(frozen=True, slots=True)
class WantedDeeds:
    """Which rows are asked for: all that fit everything that is given."""

    run: str | None = None
    """A run's id or name; of a name, all runs that ever had it."""
    who: str | None = None
    actions: Sequence[str] = ()
    since: str | None = None
    """A time as it is stored, and so is the next."""
    until: str | None = None
    newest_first: bool = True


def page(
    records: Records, wanted: WantedDeeds, place: int, limit: int
) -> tuple[list[wire.Audited], int | None]:
    """Return the rows past the number ``place`` (0: from the first on), and where to go on."""
    column, query = audit.c, select(audit)
    if wanted.run is not None:
        query = query.where(or_(column.run_id == wanted.run, column.run_name == wanted.run))
    if wanted.who is not None:
        query = query.where(column.who == wanted.who)
    if wanted.actions:
        query = query.where(column.action.in_(wanted.actions))
    if wanted.since is not None:
        query = query.where(column.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(column.at < wanted.until)
    if place:
        past = column.number < place if wanted.newest_first else column.number > place
        query = query.where(past)
    order = column.number.desc() if wanted.newest_first else column.number
    rows = records.connection.execute(query.order_by(order).limit(limit + 1)).all()
    following = rows[limit - 1].number if len(rows) > limit else None
    return [_audited(row) for row in rows[:limit]], following


def _audited(row: Row[Any]) -> wire.Audited:
    return {
        "number": row.number,
        "at": row.at,
        "who": row.who,
        "address": row.address,
        "action": row.action,
        "run_id": row.run_id,
        "run_name": row.run_name,
        "subject": row.subject,
        "request_id": row.request_id,
        "outcome": orjson.loads(row.outcome),
    }
