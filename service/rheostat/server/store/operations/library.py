"""Looking schedules up in the library, for the definitions that refer to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson
from sqlalchemy import select

from rheostat.errors import FieldError, Invalid, UnknownSchedule
from rheostat.limits import MAX_NODES
from rheostat.schedules.references import Lookup
from rheostat.server.library import Reference
from rheostat.server.store import tables
from rheostat.server.store.records import Records

MOST_CHARACTERS = 64 * 1024 * 1024
"""Of all schedules that one request refers to: more than any definition may have."""


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
        text = _text(records, *reference)
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


def _text(records: Records, name: str, version: int | None) -> str | None:
    table = tables.schedules
    query = select(table.c.definition).where(table.c.name == name)
    if version is not None:
        query = query.where(table.c.version == version)
    query = query.order_by(table.c.version.desc()).limit(1)
    return records.connection.execute(query).scalar_one_or_none()


def _too_much(what: str, bound: str) -> Invalid:
    message = f"the request refers to {what}"
    return Invalid(message, errors=[FieldError("body", message, None, bound)])
