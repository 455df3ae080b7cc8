"""
The writer: one thread per process that commits the waiting operations of all runs together.

A commit costs a flush to disk. While one is under way, further operations queue up, and the next
transaction takes them all: group commit. An operation decides first and writes last, so that one
that refuses has written nothing and the others of its group are not disturbed. So has one that
finds its run held by another replica: it joins the next group. If a group fails by a defect, each
of its operations is run again alone, once.

Nothing begins before there is a transaction to do it in, and until it begins an operation can be
given up for certain: whoever has been refused, or has left, finds nothing of it later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection

from rheostat.errors import Unavailable
from rheostat.server.store import locks
from rheostat.server.store.database import Database
from rheostat.server.store.failures import (
    NOTHING_DONE,
    UNKNOWN,
    Outage,
    StoreHealth,
    is_schema,
    unavailable,
)
from rheostat.server.store.outside import HalfDone
from rheostat.server.store.waiting import ALL, Queue, Waiting, always
from rheostat.server.store.watching import Nobody, StoreWatcher

T = TypeVar("T")


class Session(Protocol):
    """What the operations of one transaction share."""

    def expect(self, run_ids: Collection[str]) -> None:
        """Lock and read what these runs' operations will need."""

    def flush(self) -> None:
        """Write what was kept back."""

    def committed(self) -> None:
        """Tell whoever waits for it that this is durable."""


S = TypeVar("S", bound=Session)

GROUP = 512
"""The most operations in one transaction: bounds how long the first of them waits."""

HELD_SECONDS = 7
"""How long an operation tries to get a lock; the database ends a frozen holder before that."""

DEFECT = "defect"
"""What a failure is called that no other time would mend."""

CLOSING = 10
"""Seconds for which whoever stops waits for the operations that were accepted."""


class _Abandoned(Exception):
    """Somebody whose operation is in the transaction was told that nothing is known of it."""


class Writer(Generic[S]):
    """
    Runs operations on a database, many in one transaction.

    ``begin`` makes the session of a transaction; ``on_failure`` is told when one failed, and
    whoever is the ``watcher`` then, how each went.
    """

    def __init__(
        self,
        database: Database,
        begin: Callable[[Connection], S],
        on_failure: Callable[[], None],
        health: StoreHealth | None = None,
        watcher: Callable[[], StoreWatcher] = Nobody,
    ) -> None:
        self._watcher = watcher
        self._database = database
        self._begin = begin
        self._on_failure = on_failure
        self._health = health or StoreHealth()
        self._queue: Queue[S] = Queue()
        self._busy: float | None = None
        self._thread = threading.Thread(target=self._loop, name="rheostat-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(
        self,
        operation: Callable[[S], T],
        run_id: str | None = None,
        is_wanted: Callable[[], bool] = always,
        *,
        large: bool = False,
    ) -> Future[T]:
        """Queue an operation, about a run maybe; the future resolves once its effect is durable."""
        return self.enqueue(operation, run_id, is_wanted, large=large).future

    def enqueue(
        self,
        operation: Callable[[S], T],
        run_id: str | None = None,
        is_wanted: Callable[[], bool] = always,
        *,
        large: bool = False,
    ) -> Waiting[S, T]:
        """
        Queue an operation, and return it while it waits.

        A ``large`` one has a transaction of its own, after which the others get their turn.
        """
        waiting: Waiting[S, Any] = Waiting(operation, run_id, is_wanted, large)
        self._queue.put(waiting)
        return waiting

    def oldest(self) -> float:
        """Return for how many seconds the oldest operation has waited that is not answered."""
        found = [since for since in (self._busy, self._queue.oldest()) if since is not None]
        return time.monotonic() - min(found) if found else 0.0

    @property
    def waiting(self) -> int:
        """How many operations have not begun."""
        return len(self._queue)

    def close(self) -> None:
        """Finish what is queued, and stop; after `CLOSING` seconds, leave it undone."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(CLOSING)

    def _loop(self) -> None:
        held: list[Waiting[S, Any]] = []
        while held or self._queue.wait():
            held = self._still_waiting(self._commit(held, self._take))
            self._busy = min((waiting.since for waiting in held), default=None)

    def _take(self, most: int) -> list[Waiting[S, Any]]:
        group = self._queue.take(most)
        if self._busy is None and group:
            self._busy = group[0].since
        return group

    def _commit(
        self,
        held: list[Waiting[S, Any]],
        more: Callable[[int], list[Waiting[S, Any]]] = lambda _: [],
        *,
        final: bool = False,
    ) -> list[Waiting[S, Any]]:
        """Run and answer what was held, and what waits; return those that could not get a lock."""
        group, begun, sure = held, False, True
        since = time.monotonic()
        try:
            with self._database.write() as connection:
                group, begun = [*held, *more(GROUP)], True
                if not group:
                    return []
                session = self._run(connection, group)
                sure = False  # from here on a failure may leave something behind
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting caller is told
            self._on_failure()
            self._watcher().failed(self._database.reason_of(error) or DEFECT)
            if not begun:  # without a transaction nobody can be helped
                group = [*held, *more(ALL)]
            if final or not begun or not sure or not self._may_pass_alone(error):
                self._fail(group, error, sure=sure or self._database.is_undone(error))
                return []
            alone = [waiting for waiting in group if self._goes_on(waiting)]
            return [late for waiting in alone for late in self._commit([waiting], final=True)]
        self._health.worked()
        self._watcher().committed(time.monotonic() - since, len(group))
        session.committed()
        for waiting in group:
            if waiting.held is None:
                waiting.answer()
        return [waiting for waiting in group if waiting.held]

    def _run(self, connection: Connection, group: list[Waiting[S, Any]]) -> S:
        if held := group[0].held:
            locks.wait(connection, held.waiting)
        session = self._begin(connection)
        session.expect({waiting.run_id for waiting in group if waiting.run_id})
        for waiting in group:
            waiting.run(session)
        session.flush()
        if any(waiting.abandoned for waiting in group):
            raise _Abandoned
        return session

    def _may_pass_alone(self, error: Exception) -> bool:
        """Say whether the operations of a group that failed may work by themselves."""
        return self._database.reason_of(error) in {None, Outage.BUSY}

    def _still_waiting(self, held: list[Waiting[S, Any]]) -> list[Waiting[S, Any]]:
        """Return those that may go on waiting, the one that has just waited last."""
        now = time.monotonic()
        patient = [
            waiting
            for waiting in held
            if waiting.since + HELD_SECONDS > now and self._goes_on(waiting)
        ]
        for waiting in held:
            if waiting not in patient and not waiting.future.done():
                waiting.future.set_exception(_HELD)
        return [*patient[1:], *patient[:1]]

    def _goes_on(self, waiting: Waiting[S, Any]) -> bool:
        """Say whether an operation is still to be done; tell whoever gave it up that it is not."""
        if waiting.goes_on:
            return True
        waiting.future.set_exception(Unavailable("given up: nothing was changed"))
        return False

    def _fail(self, group: list[Waiting[S, Any]], error: Exception, *, sure: bool) -> None:
        """Tell everybody in a group why it failed, and whether it is sure that it did."""
        reason = self._database.reason_of(error)
        if isinstance(error, HalfDone):
            error = error.error
        elif reason is not None:
            self._health.reporter.tell("a transaction", reason, error)
            self._health.failed(reason)
            error = unavailable(reason, error, outcome=NOTHING_DONE if sure else UNKNOWN)
        elif is_schema(error):
            self._health.hold(Outage.SCHEMA)
        for waiting in group:
            waiting.future.set_exception(error)


_HELD = Unavailable("another replica holds it: nothing was changed; try again", reason="busy")
