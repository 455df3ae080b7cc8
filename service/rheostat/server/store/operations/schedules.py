"""
The library of schedules: definitions under names, in versions that never change.

A definition in a request may refer to one of them. What is referred to is looked up before, all at
once (`find`), and parsed where the definition is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, func, insert, select, update
from sqlalchemy import delete as sql_delete

from rheostat import wire
from rheostat.errors import FieldError, Invalid, UnknownSchedule
from rheostat.limits import MAX_NODES
from rheostat.schedules import Definition, parse
from rheostat.schedules.references import Lookup
from rheostat.server.store import locks
from rheostat.server.store.records import Records, now
from rheostat.server.store.tables import schedule_versions, schedules

MOST_CHARACTERS = 64 * 1024 * 1024
"""Of all schedules that one request refers to: more than any definition may have."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a name, without what it defines. It never changes."""

    name: str
    version: int
    content_hash: str
    author: str | None
    created_at: str
    """ISO 8601, in UTC."""

    def to_json(self) -> wire.ScheduleVersion:
        """Return the wire form."""
        return {
            "name": self.name,
            "version": self.version,
            "content_hash": self.content_hash,
            "author": self.author,
            "created_at": self.created_at,
        }

    @property
    def tag(self) -> str:
        """The entity tag: another one for each version, and for a name that was made anew."""
        return f'"{self.version}-{self.content_hash[:16]}"'


@dataclass(frozen=True, slots=True)
class Schedule:
    """One version of a name, and its definition."""

    entry: Entry
    definition: Definition


Reference = tuple[str, int | None]
"""A schedule's name, and its version, None for the newest."""

Check = Callable[[Entry | None], None]
"""Raises if the newest version, None if there is none, is not as the caller expects."""


ENTRY = tuple(schedules.c[name] for name in Entry.__dataclass_fields__)


def put(
    records: Records, name: str, definition: Definition, author: str | None, check: Check
) -> tuple[Entry, bool]:
    """
    Make a new version, and return it and True.

    A definition equal to the newest version's makes none; that version and False are returned.
    """
    locks.advisory(records.connection, f"schedule {name}")
    newest = _newest(records, name)
    check(newest)
    if newest and newest.content_hash == definition.content_hash:
        return newest, False
    records.write()
    version = _next(records, name)
    entry = Entry(name, version, definition.content_hash, author, now())
    text = definition.canonical.decode()
    records.connection.execute(insert(schedules).values(**asdict(entry), definition=text))
    return entry, True


def get(records: Records, name: str, version: int | None = None) -> Schedule:
    """Return a version, the newest by default; raise `UnknownSchedule` if there is none."""
    query = _version((schedules.c.definition, *ENTRY), name, version)
    row = records.connection.execute(query).first()
    if row is None:
        what = name if version is None else f"{name} in version {version}"
        raise UnknownSchedule(f"the library has no schedule {what}")
    text, *entry = row
    return Schedule(Entry(*entry), parse(orjson.loads(text)))


def page(records: Records, after: str, limit: int) -> list[Entry]:
    """Return the newest versions of the first ``limit`` names that sort after ``after``."""
    newest = (
        select(schedules.c.name, func.max(schedules.c.version).label("version"))
        .where(schedules.c.name > after)
        .group_by(schedules.c.name)
        .order_by(schedules.c.name)
        .limit(limit)
        .subquery()
    )
    same = and_(schedules.c.name == newest.c.name, schedules.c.version == newest.c.version)
    query = select(*ENTRY).join(newest, same).order_by(schedules.c.name)
    return [Entry(*row) for row in records.connection.execute(query)]


def delete(records: Records, name: str, check: Check) -> None:
    """Remove all versions; raise `UnknownSchedule` if there are none."""
    locks.advisory(records.connection, f"schedule {name}")
    newest = _newest(records, name)
    if newest is None:
        raise UnknownSchedule(f"the library has no schedule {name}")
    check(newest)
    records.write()
    records.connection.execute(sql_delete(schedules).where(schedules.c.name == name))


def find(records: Records, wanted: Collection[Reference]) -> Lookup:
    """
    Return what looks up these schedules, as they are now: nothing is parsed yet.

    It raises `UnknownSchedule` when it is asked for one that there is not.
    """
    if len(wanted) > MAX_NODES:
        raise _too_much(f"{len(wanted)} schedules", f"≤ {MAX_NODES} schedules")
    texts: dict[Reference, str] = {}
    length = 0
    for reference in wanted:
        query = _version((schedules.c.definition,), *reference)
        text = records.connection.execute(query).scalar_one_or_none()
        if text is not None:
            length += len(text)
            texts[reference] = text
        if length > MOST_CHARACTERS:
            raise _too_much(
                "schedules that are too large together", f"≤ {MOST_CHARACTERS} characters"
            )

    return lookup(texts)


def lookup(texts: Mapping[Reference, str]) -> Lookup:
    """Return what looks up schedules that were read; their JSON is parsed when it is asked for."""

    def found(name: str, version: int | None) -> Any:
        text = texts.get((name, version))
        if text is None:
            which = "" if version is None else f", version {version}"
            raise UnknownSchedule(f"there is no schedule {name!r}{which}")
        return orjson.loads(text)

    return found


def _next(records: Records, name: str) -> int:
    """Return the next version of a schedule; what was deleted counts, too."""
    table, connection = schedule_versions, records.connection
    named = table.c.name == name
    known: int = connection.execute(select(table.c.newest).where(named)).scalar() or 0
    if known:
        connection.execute(update(table).where(named).values(newest=known + 1))
    else:
        connection.execute(insert(table).values(name=name, newest=1))
    return known + 1


def _newest(records: Records, name: str) -> Entry | None:
    row = records.connection.execute(_version(ENTRY, name)).first()
    return Entry(*row) if row else None


def _version(
    columns: Sequence[ColumnElement[Any]], name: str, version: int | None = None
) -> Select[Any]:
    """Return what selects columns of a version, by default the newest."""
    query = select(*columns).where(schedules.c.name == name)
    if version is not None:
        query = query.where(schedules.c.version == version)
    return query.order_by(schedules.c.version.desc()).limit(1)


def _too_much(what: str, bound: str) -> Invalid:
    message = f"the request refers to {what}"
    return Invalid(message, errors=[FieldError("body", message, None, bound)])
