"""The library of schedules in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict

import orjson
from sqlalchemy import and_, delete, func, insert, select, update

from rheostat.errors import UnknownSchedule
from rheostat.schedules import Definition, parse
from rheostat.schedules.references import Lookup
from rheostat.server.library import Check, Entry, Reference, Schedule
from rheostat.server.store import locks
from rheostat.server.store.operations import library
from rheostat.server.store.records import Records, now
from rheostat.server.store.store import Store
from rheostat.server.store.tables import schedule_versions, schedules

ENTRY = tuple(schedules.c[name] for name in Entry.__dataclass_fields__)


class StoredLibrary:
    """Keeps schedules in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(
        self, name: str, definition: Definition, author: str | None, check: Check
    ) -> tuple[Entry, bool]:
        """Make a new version, unless the newest has the same definition."""
        return await self._store.write(_put, name, definition, author, check)

    async def get(self, name: str, version: int | None = None) -> Schedule:
        """Return a version, the newest by default."""
        return await self._store.read(_get, name, version)

    async def find(self, references: Collection[Reference]) -> Lookup:
        """Return what looks up these schedules, which are read now, at once."""
        return await self._store.read(library.find, references)

    async def page(self, after: str, limit: int) -> Sequence[Entry]:
        """Return the newest versions of the first names that sort after ``after``."""
        return await self._store.read(_page, after, limit)

    async def delete(self, name: str, check: Check) -> None:
        """Remove all versions."""
        await self._store.write(_delete, name, check)


def _put(
    records: Records, name: str, definition: Definition, author: str | None, check: Check
) -> tuple[Entry, bool]:
    locks.word(records.connection, f"schedule {name}")
    newest = _newest(records, name)
    check(newest)
    if newest and newest.content_hash == definition.content_hash:
        return newest, False
    version = _next(records, name)
    entry = Entry(name, version, definition.content_hash, author, now())
    text = definition.canonical.decode()
    records.connection.execute(insert(schedules).values(**asdict(entry), definition=text))
    return entry, True


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
    query = select(*ENTRY).where(schedules.c.name == name)
    row = records.connection.execute(query.order_by(schedules.c.version.desc()).limit(1)).first()
    return Entry(*row) if row else None


def _get(records: Records, name: str, version: int | None) -> Schedule:
    query = select(schedules.c.definition, *ENTRY).where(schedules.c.name == name)
    if version is not None:
        query = query.where(schedules.c.version == version)
    row = records.connection.execute(query.order_by(schedules.c.version.desc()).limit(1)).first()
    if row is None:
        what = name if version is None else f"{name} in version {version}"
        raise UnknownSchedule(f"the library has no schedule {what}")
    text, *entry = row
    return Schedule(Entry(*entry), parse(orjson.loads(text)))


def _page(records: Records, after: str, limit: int) -> list[Entry]:
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


def _delete(records: Records, name: str, check: Check) -> None:
    locks.word(records.connection, f"schedule {name}")
    newest = _newest(records, name)
    if newest is None:
        raise UnknownSchedule(f"the library has no schedule {name}")
    check(newest)
    records.connection.execute(delete(schedules).where(schedules.c.name == name))
