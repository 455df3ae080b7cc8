"""Lists of runs: which are meant, in which order, and where a page of them ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from rheostat import wire
from rheostat.server.runs.selector import EVERYTHING, Selector
from rheostat.server.store import tables
from rheostat.server.store.selecting import conditions

RUNS = tables.runs.c
SORTED_BY: dict[wire.RunSort, ColumnElement[str]] = {
    "name": RUNS.name,
    "created": RUNS.created_at,
    "finished": func.coalesce(RUNS.finished_at, ""),
    "author": func.coalesce(RUNS.author, ""),
}
"""What lists are sorted by: texts, of which what a run lacks is the first."""


@dataclass(frozen=True, slots=True)
class WantedRuns:
    """Which runs to list, in which order, after which place, and how many."""

    selector: Selector = EVERYTHING
    states: frozenset[wire.RunStatus] = frozenset()
    """Any of them; without any, all runs."""
    prefix: str = ""
    """How their names begin."""
    name: str = ""
    """A part of their names, in whatever case."""
    author: str | None = None
    created_after: str | None = None
    """ISO 8601, as it is stored: those that were created then or later."""
    created_before: str | None = None
    sort: wire.RunSort = "name"
    descending: bool = False
    after: str = ""
    """A `place`, after which the list goes on; the empty text is its beginning."""
    limit: int = 100

    def place(self, row: Row[Any]) -> str:
        """Return where a run stands in this order: a list goes on there, whatever comes or goes."""
        return orjson.dumps([self._order, row.sorted_by, row.name]).decode()

    @property
    def _order(self) -> str:
        return f"-{self.sort}" if self.descending else self.sort

    def last(self) -> tuple[str, str] | None:
        """Return by what, and by which name, the list goes on; raise `ValueError` for no place."""
        if not self.after:
            return None
        place = orjson.loads(self.after)
        match place:
            case [self._order, str(value), str(name)]:
                return value, name
        raise ValueError(f"{self.after!r} is no place in a list by {self._order}")


def page(
    connection: Connection,
    wanted: WantedRuns,
    known: Selector,
    fitting: Sequence[ColumnElement[bool]] = (),
) -> tuple[Sequence[Row[Any]], str | None]:
    """Return the rows of runs, of those that are known to the caller, and where to go on."""
    column = SORTED_BY[wanted.sort]
    query = select(tables.runs, column.label("sorted_by"))
    query = query.where(*_meant(wanted), *conditions(known), *fitting)
    order = (column, RUNS.name)
    if wanted.descending:
        query = query.order_by(*(each.desc() for each in order))
    else:
        query = query.order_by(*order)
    rows = connection.execute(query.limit(wanted.limit + 1)).all()
    following = wanted.place(rows[wanted.limit - 1]) if len(rows) > wanted.limit else None
    return rows[: wanted.limit], following


def _meant(wanted: WantedRuns) -> Iterator[ColumnElement[bool]]:
    yield from conditions(wanted.selector)
    if wanted.prefix:
        yield func.substr(RUNS.name, 1, len(wanted.prefix)) == wanted.prefix
    if wanted.name:
        yield func.lower(RUNS.name).contains(wanted.name.lower(), autoescape=True)
    if wanted.author is not None:
        yield RUNS.author == wanted.author
    if wanted.created_after is not None:
        yield RUNS.created_at >= wanted.created_after
    if wanted.created_before is not None:
        yield RUNS.created_at < wanted.created_before
    if (last := wanted.last()) is not None:
        yield _beyond(wanted, *last)


def _beyond(wanted: WantedRuns, value: str, name: str) -> ColumnElement[bool]:
    column = SORTED_BY[wanted.sort]
    if wanted.descending:
        return or_(column < value, and_(column == value, RUNS.name < name))
    return or_(column > value, and_(column == value, RUNS.name > name))
