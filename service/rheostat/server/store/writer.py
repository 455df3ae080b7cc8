"""
The writer: one thread per process that commits the waiting operations of all runs together.

A commit costs a flush to disk. While one is under way, further operations queue up, and the next
transaction takes them all: group commit. An operation decides first and writes last, so that one
that refuses has written nothing and the others of its group are not disturbed. If a group
fails for any other reason, each of its operations is run again alone, once: whoever lost a race
for a name finds it taken then.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, ProgrammingError

from rheostat.errors import Refused, Unavailable
from rheostat.server.store.database import Database

T = TypeVar("T")
Operation = Callable[[Connection], T]

GROUP = 512
"""The most operations in one transaction: bounds how long the first of them waits."""

logger = logging.getLogger(__name__)


@dataclass
class _Waiting(Generic[T]):
    operation: Operation[T]
    future: Future[T] = field(default_factory=Future)
    result: T | None = None
    refusal: Refused | None = None

    def run(self, connection: Connection) -> None:
        self.result, self.refusal = None, None
        try:
            self.result = self.operation(connection)
        except Refused as refusal:
            self.refusal = refusal

    def answer(self) -> None:
        if self.refusal is not None:
            self.future.set_exception(self.refusal)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Writer:
    """Runs operations on a database, many in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[_Waiting[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="rheostat-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Future[T]:
        """Queue an operation; the future resolves once its effect is durable."""
        waiting = _Waiting(operation)
        self._queue.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Finish what is queued, and stop."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = self._gather(first)
            self._commit([w for w in group if w.future.set_running_or_notify_cancel()])
            if last:
                return

    def _gather(self, first: _Waiting[Any]) -> tuple[list[_Waiting[Any]], bool]:
        group = [first]
        while len(group) < GROUP:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                return group, True
            group.append(waiting)
        return group, False

    def _commit(self, group: list[_Waiting[Any]], *, final: bool = False) -> None:
        committing = False
        try:
            with self._database.write() as connection:
                for waiting in group:
                    waiting.run(connection)
                committing = True
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting caller is told
            # The outcome of a failed commit is unknown: what may have happened is not repeated.
            if committing or final:
                self._fail(group, error)
            else:
                for waiting in group:
                    self._commit([waiting], final=True)
            return
        for waiting in group:
            waiting.answer()

    def _fail(self, group: list[_Waiting[Any]], error: Exception) -> None:
        if isinstance(error, DBAPIError) and not isinstance(error, ProgrammingError):
            logger.warning("the database failed an operation: %s", error)
            error = Unavailable("the database is away, or did not confirm; try again")
        for waiting in group:
            waiting.future.set_exception(error)
