"""How many statements an operation takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from sqlalchemy import event

from rheostat.server.store.records import Records

P = ParamSpec("P")


def statements(
    records: Records,
    operation: Callable[Concatenate[Records, P], object],
    *args: P.args,
    **kwargs: P.kwargs,
) -> int:
    """Run an operation, and return how many statements it sends to the database."""
    seen = []

    def note(*sent: Any) -> None:
        seen.append(sent[2])

    connection = records.connection
    event.listen(connection, "before_cursor_execute", note)
    try:
        operation(records, *args, **kwargs)
    finally:
        event.remove(connection, "before_cursor_execute", note)
    return len(seen)
