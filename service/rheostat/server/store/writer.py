"""
The writer: one thread per process that commits the waiting operations of all runs together.

A commit costs a flush to disk. While one is under way, further operations queue up, and the next
transaction takes them all: group commit. An operation decides first and writes last, so that one
that refuses has written nothing and the others of its group are not disturbed. So has one that
finds its run held by another replica: it joins the next group. If a group fails for any other
reason, each of its operations is run again alone, once.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from rheostat.errors import Refused, Unavailable
from rheostat.server.store import locks
from rheostat.server.store.aside import Aside
from rheostat.server.store.database import Database
from rheostat.server.store.locks import Held

T = TypeVar("T")


class Session(Protocol):
    """What the operations of one transaction share."""

    def expect(self, run_ids: Collection[str]) -> None:
        """Lock and read what these runs' operations will need."""

    def flush(self) -> None:
        """Write what was kept back."""


S = TypeVar("S", bound=Session)

GROUP = 512
"""The most operations in one transaction: bounds how long the first of them waits."""

HELD_SECONDS = 10
"""How long an operation tries to get a lock; the database ends a frozen holder before that."""

DEFECTS = (ProgrammingError, IntegrityError, DataError)
"""Errors of the database that no other time would mend."""

logger = logging.getLogger(__name__)


@dataclass
class _Waiting(Generic[S, T]):
    operation: Callable[[S], T]
    run_id: str | None
    large: bool = False
    future: Future[T] = field(default_factory=Future)
    deadline: float = field(default_factory=lambda: time.monotonic() + HELD_SECONDS)
    result: T | None = None
    refusal: Refused | Aside | None = None
    held: Held | None = None

    def run(self, session: S) -> None:
        self.result, self.refusal, self.held = None, None, None
        try:
            self.result = self.operation(session)
        except (Refused, Aside) as refusal:
            self.refusal = refusal
        except Held as held:
            self.held = held

    def answer(self) -> None:
        if self.refusal is not None:
            self.future.set_exception(self.refusal)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Writer(Generic[S]):
    """
    Runs operations on a database, many in one transaction.

    ``begin`` makes the session of a transaction; ``on_failure`` is told when one failed.
    """

    def __init__(
        self,
        database: Database,
        begin: Callable[[Connection], S],
        on_failure: Callable[[], None],
    ) -> None:
        self._database = database
        self._begin = begin
        self._on_failure = on_failure
        self._queue: queue.SimpleQueue[_Waiting[S, Any] | None] = queue.SimpleQueue()
        self._closing = False
        self._large: deque[_Waiting[S, Any]] = deque()
        self._thread = threading.Thread(target=self._loop, name="rheostat-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(
        self, operation: Callable[[S], T], run_id: str | None = None, *, large: bool = False
    ) -> Future[T]:
        """
        Queue an operation, about a run maybe; the future resolves once its effect is durable.

        A ``large`` one has a transaction of its own, after which the others get their turn.
        """
        waiting = _Waiting(operation, run_id, large)
        self._queue.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Finish what is queued, and stop."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        held: list[_Waiting[S, Any]] = []
        while held or self._large or not self._closing:
            new = self._gather(wait=not held and not self._large)
            held = self._patient(self._commit([*held, *new]))
            if self._large:
                held += self._patient(self._commit([self._large.popleft()]))

    def _gather(self, *, wait: bool) -> list[_Waiting[S, Any]]:
        """Return the operations that are queued, and wait for one if asked to."""
        group: list[_Waiting[S, Any]] = []
        while not self._closing and len(group) < GROUP:
            try:
                waiting = self._queue.get(block=wait and not group and not self._large)
            except queue.Empty:
                break
            if waiting is None:
                self._closing = True
            elif waiting.future.set_running_or_notify_cancel():
                (self._large if waiting.large else group).append(waiting)
        return group

    def _commit(
        self, group: list[_Waiting[S, Any]], *, final: bool = False
    ) -> list[_Waiting[S, Any]]:
        """Run and answer a group; return those that could not get a lock."""
        if not group:
            return []
        undone = False  # whether a failure leaves nothing behind, so that it may be tried again
        try:
            with self._database.write() as connection:
                undone = True
                if held := group[0].held:
                    locks.wait(connection, held.waiting)
                session = self._begin(connection)
                session.expect({waiting.run_id for waiting in group if waiting.run_id})
                for waiting in group:
                    waiting.run(session)
                session.flush()
                undone = False
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting caller is told
            self._on_failure()
            # Without a database nobody can be helped; and the outcome of a failed commit is
            # unknown: what may have happened is not repeated.
            if final or not undone:
                self._fail(group, error)
                return []
            return [held for waiting in group for held in self._commit([waiting], final=True)]
        for waiting in group:
            if waiting.held is None:
                waiting.answer()
        return [waiting for waiting in group if waiting.held]

    def _patient(self, held: list[_Waiting[S, Any]]) -> list[_Waiting[S, Any]]:
        """Return those that may go on waiting, the one that has just waited last."""
        patient = [waiting for waiting in held if waiting.deadline > time.monotonic()]
        for waiting in held:
            if waiting not in patient:
                waiting.future.set_exception(Unavailable("another replica holds it; try again"))
        return [*patient[1:], *patient[:1]]

    def _fail(self, group: list[_Waiting[S, Any]], error: Exception) -> None:
        if isinstance(error, DBAPIError) and not isinstance(error, DEFECTS):
            logger.warning("the database failed an operation: %s", error)
            error = Unavailable("the database is away, or did not confirm; try again")
        for waiting in group:
            waiting.future.set_exception(error)
