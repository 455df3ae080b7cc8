"""The store: what the rest of the service holds of the database."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from rheostat.errors import NeedsApproval, Refused, Unavailable
from rheostat.limits import RUN_ID
from rheostat.schedules.references import Lookup, references
from rheostat.server.runs.sightings import Sightings
from rheostat.server.runs.validation import Limits
from rheostat.server.store import audit
from rheostat.server.store.acting import NOBODY, Acting, acting
from rheostat.server.store.caches import CacheFigures, Caches, CacheSizes
from rheostat.server.store.database import Database, Timeouts
from rheostat.server.store.failures import (
    NOTHING_DONE,
    UNKNOWN,
    WORDS,
    Outage,
    StoreHealth,
    is_schema,
    line,
    logger,
    unavailable,
)
from rheostat.server.store.migrate import migrate
from rheostat.server.store.operations import schedules
from rheostat.server.store.outside import HalfDone, Results, WorkNeeded, WorkThreads
from rheostat.server.store.records import Records
from rheostat.server.store.waiting import Waiting, always
from rheostat.server.store.watching import Nobody, StoreWatcher
from rheostat.server.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Operation = Callable[Concatenate[Records, P], T]
"""What is done within one transaction, by the rules of the domain."""

READERS = min(32, (os.cpu_count() or 1) + 4)
"""Threads that read at the same time; what else waits for them has a deadline."""

ABSENT_SECONDS = 1.0
"""Between two attempts to open a database that was not to be had at the start."""

ATTEMPTS = 3
"""Times ``timeouts.operation`` that an operation begins anew: what it needs may keep changing."""

PROBE_SECONDS = 2.0
"""How long readiness waits for the writer to write something; most callers wait little longer."""

PROBED_SECONDS = 0.25
"""How long a probe's result is believed: whoever asks often does not write as often."""

is_wanted: ContextVar[Callable[[], bool]] = ContextVar("is_wanted", default=always)
"""Says, of the request that is being answered, whether its caller is still there."""


def work_for_all() -> None:
    """Say, in a task that one request started and others rely on, that it outlives its caller."""
    is_wanted.set(always)
    audit.doing.set(None)
    acting.set(NOBODY)


class Attempt(Protocol[T_co]):
    """One attempt at an operation, with the work done for it, which may have been large."""

    def __call__(self, done: Results, *, large: bool) -> Awaitable[T_co]:
        """Return the operation's result, or raise `WorkNeeded`."""


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What a store holds, and what waits for it."""

    queued: int
    oldest: float
    """Seconds for which the oldest operation has waited."""
    used: int
    """Connections to the database that are in use."""
    idle: int
    caches: Mapping[str, CacheFigures]


class Store:
    """
    Runs operations on the database at ``url``.

    `write` groups them into transactions of one writer thread; `read` gives each a transaction
    of its own, which sees one state of the database throughout. Both are answered within
    ``timeouts.operation`` seconds, if need be by `Unavailable`, whose ``reason`` says why.
    """

    def __init__(
        self,
        url: str,
        limits: Limits,
        timeouts: Timeouts | None = None,
        caches: CacheSizes | None = None,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._database = Database(url, self._timeouts)
        self._limits = limits
        self._caches = Caches(caches)
        self._workers = WorkThreads()
        self.sightings = Sightings()
        """Where workers read, as far as this process has seen: the routes note it."""
        self.on_change: Callable[[Collection[str]], None] = _nobody_minds
        """Told which runs this process has changed, after the commit, in the writer's thread."""
        self.watcher: StoreWatcher = Nobody()
        """Told how the writer does, in its thread."""
        self.health = StoreHealth()
        self._writer = Writer(
            self._database,
            self._records,
            on_failure=self._caches.doubt,
            health=self.health,
            watcher=lambda: self.watcher,
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="rheostat-reader")
        self._quick_readers = ThreadPoolExecutor(1, thread_name_prefix="rheostat-quick-reader")
        self._probe: asyncio.Future[None] | None = None
        self._probed = 0.0
        self._absent: Outage | None = None
        self._closing = threading.Event()

    def start(self, *, anyway: bool = False) -> None:
        """
        Bring the tables up to date, and begin to accept operations.

        With ``anyway``, a database that is not to be had now is no error: everything is refused
        until it is. So a process that is started in the place of another one can wait for it.
        """
        try:
            migrate(self._database)
        except Exception as error:
            self._absent = self._database.reason_of(error)
            if self._absent is None or not anyway:
                raise
            logger.error("started without a database (%s): %s", self._absent, line(error))
            threading.Thread(target=self._wait_for_it, daemon=True).start()
        self._writer.start()

    def _wait_for_it(self) -> None:
        """Look at the database when it is to be had, and let it be used if it is the right one."""
        while not self._closing.wait(ABSENT_SECONDS):
            try:
                migrate(self._database)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing is served from it
                reason = self._database.reason_of(error)
                self._absent = reason or Outage.SCHEMA
                if reason is None:
                    logger.error("the database cannot be used: %s", line(error))
                    return
            else:
                self._absent = None
                return

    def _require_present(self) -> None:
        if self._absent is not None:
            raise unavailable(self._absent)

    def require_usable(self) -> None:
        """Raise unless the database can be written to, and keeps what a session is told."""
        self._database.require_sessions()
        with self._database.write() as connection:
            self._database.probe(connection)

    def close(self) -> None:
        """Finish what was accepted, and let go of the database."""
        self._closing.set()
        self._writer.close()
        self._workers.close()
        for threads in (self._readers, self._quick_readers):
            threads.shutdown(wait=False, cancel_futures=True)
        self._database.close()

    async def write(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run an operation that may write; return once its effect is durable.

        If its first argument is the id of a run, the run is read together with those of the other
        operations that share its transaction. One that has not begun when its caller has left, or
        has been refused, is not done. What is done on behalf of a deed leaves a row of it.
        """
        self._require_present()
        if (deed := audit.doing.get()) is not None:
            operation = audit.audited(operation, deed)
        about = (
            args[0] if args and isinstance(args[0], str) and re.fullmatch(RUN_ID, args[0]) else None
        )
        wanted, behalf = is_wanted.get(), acting.get()

        def write(done: Results, *, large: bool) -> Awaitable[T]:
            run = _begun(operation, done, behalf, *args, **kwargs)
            return self._written(self._writer.enqueue(run, about, wanted, large=large))

        return await self._with_help(write, wanted)

    async def _written(self, waiting: Waiting[Records, T]) -> T:
        try:
            async with asyncio.timeout(self._timeouts.operation):
                return await asyncio.wrap_future(waiting.future)
        except TimeoutError:
            outcome = NOTHING_DONE if waiting.give_up() else UNKNOWN
            raise unavailable(self._why(self._slow()), outcome=outcome) from None
        except asyncio.CancelledError:
            waiting.give_up()
            raise

    async def read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that only reads."""
        self._require_present()
        wanted, behalf = is_wanted.get(), acting.get()

        def read(done: Results, **_large: bool) -> Awaitable[T]:
            run = _begun(operation, done, behalf, *args, **kwargs)
            return self._found(self._readers, partial(self._read, run, wanted))

        return await self._with_help(read, wanted)

    async def quick_read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short read that other requests wait for: it does not wait behind long ones."""
        self._require_present()
        run = _begun(operation, {}, acting.get(), *args, **kwargs)
        return await self._found(self._quick_readers, partial(self._read, run, always))

    def _read(self, run: Callable[[Records], T], wanted: Callable[[], bool]) -> T:
        _require_wanted(wanted)
        with self._database.read() as connection:
            return run(Records(connection, self._limits, self._caches, self.sightings))

    async def _found(self, threads: ThreadPoolExecutor, read: Callable[[], T]) -> T:
        future: Future[T] = threads.submit(read)
        try:
            async with asyncio.timeout(self._timeouts.operation):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise unavailable(self._why(Outage.BUSY)) from None
        except WorkNeeded:
            raise
        except Exception as error:
            reason = self._database.reason_of(error)
            if reason is not None:
                self.health.reporter.tell("a read", reason, error)
                raise unavailable(reason, error) from error
            if is_schema(error):
                self.health.hold(Outage.SCHEMA)
            raise

    async def _with_help(self, attempt: Attempt[T], wanted: Callable[[], bool]) -> T:
        """Attempt an operation until all the work that it needs has been done, outside of it."""
        done: dict[Hashable, Any] = {}
        large = False
        until = asyncio.get_running_loop().time() + ATTEMPTS * self._timeouts.operation
        while True:
            try:
                return await attempt(done, large=large)
            except WorkNeeded as needed:
                try:  # a run that goes on meanwhile may need it done again, but not for ever
                    async with asyncio.timeout_at(until):
                        done |= await self._done(needed, wanted)
                except TimeoutError:
                    raise unavailable(self._why(Outage.BUSY)) from None
                large |= not needed.small

    async def _done(self, needed: WorkNeeded, wanted: Callable[[], bool]) -> Results:
        """Do work outside of the transaction, with the schedules that its data refers to."""
        threads, loop = self._workers.for_(needed), asyncio.get_running_loop()

        def work(lookup: Lookup) -> Results:
            _require_wanted(wanted)
            return needed.work(lookup)

        named = await loop.run_in_executor(threads, references, needed.data)
        lookup = await self.read(schedules.find, named) if named else schedules.lookup({})
        return await loop.run_in_executor(threads, work, lookup)

    def _slow(self) -> Outage:
        """Return what it means that the writer has not come to something: load, or a standstill."""
        moving = self.health.worked_within(PROBE_SECONDS)
        return Outage.BUSY if moving else Outage.WRITER_STUCK

    def _why(self, otherwise: Outage) -> Outage:
        """Return what is known to be wrong."""
        return next(iter(self.health.reasons()), otherwise)

    def _records(self, connection: Connection) -> Records:
        return Records(
            *(connection, self._limits, self._caches, self.sightings),
            shared=True,
            on_change=self.on_change,
            watcher=self.watcher,
        )

    @property
    def kind(self) -> str:
        """What its database is: ``sqlite`` or ``postgresql``."""
        return self._database.url.get_backend_name()

    def known_reasons(self) -> Sequence[Outage]:
        """Return why the store cannot do its work, as far as that is known without asking."""
        found = {self._absent, self._database.quick_check(), *self.health.reasons()}
        if self._writer.oldest() > PROBE_SECONDS:
            found |= {self._slow()} - {Outage.BUSY}
        return sorted(reason for reason in found if reason is not None)

    def figures(self) -> StoreFigures:
        """Return what the store holds and what waits for it, at no cost."""
        pool = self._database.pool
        return StoreFigures(
            queued=self._writer.waiting,
            oldest=self._writer.oldest(),
            used=pool.checkedout(),
            idle=pool.checkedin(),
            caches=self._caches.figures(),
        )

    def disk(self) -> tuple[int, int] | None:
        """Return the bytes of SQLite's files, and those that are free beside; of others, None."""
        return self._database.disk()

    async def reasons(self) -> Sequence[Outage]:
        """
        Return why the store cannot do its work; nothing if it can.

        Asks the writer to write something, behind all that waits, unless a commit has just
        worked.
        """
        if (seen := self._absent or self._database.quick_check()) is not None:
            return sorted({seen, *self.health.reasons()})
        if not self.health.reasons() and self.health.worked_within(PROBED_SECONDS):
            return []
        probe = self._probing()
        late = self._writer.oldest() > PROBE_SECONDS
        await asyncio.wait([probe], timeout=0 if late else PROBE_SECONDS)
        found = set(self.health.reasons())
        if not probe.done():
            found |= {self._slow()} - {Outage.BUSY}
        elif (error := probe.exception()) is not None:
            found.add(_reason(error))
        return sorted(found)

    def _probing(self) -> asyncio.Future[None]:
        """Return the probe that is under way, or has just ended, or else a new one."""
        probe = self._probe
        old = time.monotonic() > self._probed + PROBED_SECONDS
        if probe is None or (probe.done() and old):
            waiting = self._writer.enqueue(lambda records: self._database.probe(records.connection))
            self._probe = probe = asyncio.wrap_future(waiting.future)
            probe.add_done_callback(self._note)
        return probe

    def _note(self, probe: asyncio.Future[Any]) -> None:
        self._probed = time.monotonic()
        if not probe.cancelled():
            probe.exception()  # it is told to whoever asks


def _begun(
    operation: Operation[P, T], done: Results, behalf: Acting, *args: P.args, **kwargs: P.kwargs
) -> Callable[[Records], T]:
    def run(records: Records) -> T:
        records.begin(done, behalf)
        try:
            return operation(records, *args, **kwargs)
        except (Refused, NeedsApproval, WorkNeeded) as error:
            if records.has_written:
                raise HalfDone(error) from error
            raise

    return run


def _nobody_minds(_run_ids: Collection[str]) -> None:
    """Do nothing: nobody waits for a change."""


def _require_wanted(wanted: Callable[[], bool]) -> None:
    if not wanted():
        raise Unavailable("the caller has gone")


def _reason(error: BaseException) -> Outage:
    found = error.members.get("reason") if isinstance(error, Unavailable) else None
    reason = Outage.DATABASE_AWAY if found is None else Outage(found)
    return Outage.WRITER_STUCK if reason is Outage.BUSY else reason


def sentence(reasons: Sequence[Outage]) -> str:
    """Return reasons as people say them."""
    return "; ".join(WORDS[reason] for reason in reasons)
