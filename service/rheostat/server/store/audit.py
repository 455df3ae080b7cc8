"""
Audit: who did what, written in the transaction that did it.

So what was acknowledged is in it, and nothing that was not done stands in it as done. A row is kept
of each operation that wrote, on behalf of the deed that it runs for (`doing`): one that is repeated
with its key, or that changed nothing, leaves none, and one that is refused has written nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from sqlalchemy import insert

from rheostat.limits import MAX_NAME
from rheostat.server.store import tables
from rheostat.server.store.records import Records, now

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 256
"""Characters of any text that a row keeps."""

ALWAYS = ("proposal",)
"""What is told of every outcome that has it: it was not done, but proposed."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody does, as far as it is known before it is done."""

    action: str
    """A word of the table in docs/backup.md, such as ``revise``."""
    who: str | None
    """The name of a token, or the author that a caller without one gave."""
    address: str | None = None
    subject: str | None = None
    """What else it is done to than a run: a token, a schedule, a revision."""
    request_id: str | None = None
    told: tuple[str, ...] = ()
    """The members of the result that the row keeps; a secret is never one of them."""


doing: ContextVar[Deed | None] = ContextVar("doing", default=None)
"""For which deed operations run; nobody's if none: a worker's traffic, or the service's own."""


@contextmanager
def deed(done: Deed | None) -> Iterator[None]:
    """Run the operations inside on behalf of a deed, or of none."""
    token = doing.set(done)
    try:
        yield
    finally:
        doing.reset(token)


def audited(
    operation: Callable[Concatenate[Records, P], T], done: Deed
) -> Callable[Concatenate[Records, P], T]:
    """Return the operation, with a row of what it did in the same transaction."""

    def run(records: Records, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result = operation(records, *args, **kwargs)
        if records.has_written:
            _add(records, done, result)
        return result

    return run


def _add(records: Records, done: Deed, result: Any) -> None:
    told = _told(result, (*done.told, *ALWAYS))
    run = records.about
    subject = done.subject if run or done.subject else told.get("name")
    row = {
        "at": now(),
        "who": _short(done.who),
        "address": done.address and done.address[:64],
        "action": done.action,
        "run_id": run and run.id,
        "run_name": run and run.spec.name,
        "subject": subject and str(subject)[:MAX_NAME],
        "request_id": _short(done.request_id),
        "outcome": orjson.dumps(told).decode(),
    }
    records.connection.execute(insert(tables.audit).values(**row))


def _told(result: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return these members of a result, as far as they are numbers and short texts."""
    if isinstance(result, tuple) and result:  # beside it is whether it is new
        result = result[0]
    if isinstance(result, Mapping):
        found = {name: result.get(name) for name in names}
    else:
        found = {name: getattr(result, name, None) for name in names}
    return {
        name: _short(value) if isinstance(value, str) else value
        for name, value in found.items()
        if isinstance(value, bool | int | float | str)
    }


def _short(text: str | None) -> str | None:
    return text and text[:LONGEST]
