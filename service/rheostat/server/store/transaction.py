"""One transaction of a process: its connection, and what it has yet to write."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from sqlalchemy import Connection

from rheostat.schedules import Definition
from rheostat.server.store import statements
from rheostat.server.store.outside import Results, Work, WorkNeeded
from rheostat.server.store.watching import StoreWatcher


class Transaction:
    """
    A connection, and what settling writes: kept back, to be written at once for many runs.

    It is written when the transaction ends, or as soon as anybody asks for the connection.
    In a ``shared`` one the operations of others wait for each.
    """

    def __init__(self, connection: Connection, *, shared: bool) -> None:
        self._connection = connection
        self._shared = shared
        self._done: dict[Hashable, Any] = {}
        self._written = False
        self.settled: list[dict[str, Any]] = []
        self.served: list[dict[str, Any]] = []
        self.news: list[Callable[[StoreWatcher], None]] = []
        """What whoever watches the store is told once this is committed."""

    def begin(self, done: Results) -> None:
        """Begin an operation, for which this was done outside of the transaction."""
        self._done, self._written = dict(done), False

    def write(self) -> None:
        """Note that the operation has begun to write: it can no longer wait for anything."""
        self._written = True

    @property
    def has_written(self) -> bool:
        """Whether the operation has begun to write."""
        return self._written

    def keep(self, key: Hashable, result: Any) -> None:
        """Have the result of some work at hand for the rest of the operation."""
        self._done[key] = result

    def known(self, key: Hashable) -> Any:
        """Return the result that is known by a key, or None."""
        return self._done.get(key)

    def outside(self, key: Hashable, work: Work, data: Any, *, stored: bool = False) -> Any:
        """
        Return the result that is known by a key; if there is none, have the work done.

        It is done outside of the transaction, and the operation begins anew. What is stored is
        read at once if nobody waits for the operation, or it has begun to write.
        """
        if key not in self._done:
            if not stored or (self._shared and not self._written):
                raise WorkNeeded(work, data, stored=stored)
            self._done.update(work(_no_library))
        return self._done[key]

    @property
    def connection(self) -> Connection:
        """The connection, with everything written that was kept back."""
        self.flush()
        return self._connection

    def flush(self) -> None:
        """Write what was kept back."""
        if self.settled:
            self._connection.execute(statements.SETTLE, self.settled)
            self.settled = []
        if self.served:
            self._connection.execute(statements.APPEND, self.served)
            self.served = []


def _no_library(name: str, _version: int | None) -> Definition:
    raise LookupError(name)
