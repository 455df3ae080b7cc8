"""The store: what the rest of the service holds of the database."""

from __future__ import annotations

import asyncio
import re
from asyncio import Future
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rheostat.errors import Unavailable
from rheostat.schedules.references import references
from rheostat.server.runs.limits import Limits
from rheostat.server.runs.spec import ID
from rheostat.server.store.aside import Aside, Desks, Results
from rheostat.server.store.caches import Caches
from rheostat.server.store.database import Database
from rheostat.server.store.migrate import incarnation, migrate
from rheostat.server.store.operations import library
from rheostat.server.store.records import Records
from rheostat.server.store.sightings import Sightings
from rheostat.server.store.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Operation = Callable[Concatenate[Records, P], T]
"""What is done within one transaction, by the rules of the domain."""


class Attempt(Protocol[T_co]):
    """One attempt at an operation, with what was done for it aside, which may have been large."""

    def __call__(self, done: Results, *, large: bool) -> Awaitable[T_co]:
        """Return the operation's result, or raise `Aside`."""


class Store:
    """
    Runs operations on the database at ``url``.

    `write` groups them into transactions of one writer thread; `read` gives each a transaction
    of its own, which sees one state of the database throughout.
    """

    def __init__(self, url: str, limits: Limits) -> None:
        self._database = Database(url)
        self._limits = limits
        self._caches = Caches()
        self._desks = Desks()
        self.sightings = Sightings()
        """Where workers read, as far as this process has seen: the routes note it."""
        self._writer = Writer(self._database, self._records, on_failure=self._caches.doubt)
        self.incarnation = ""
        """Which life of the database this is: another one after a backup was restored."""

    def start(self) -> None:
        """Bring the tables up to date, and begin to accept operations."""
        migrate(self._database)
        with self._database.read() as connection:
            self.incarnation = incarnation(connection)
        self._writer.start()

    def close(self) -> None:
        """Finish what was accepted, and let go of the database."""
        self._writer.close()
        self._desks.close()
        self._database.close()

    async def write(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run an operation that may write; return once its effect is durable.

        If its first argument is the id of a run, the run is read together with those of the other
        operations that share its transaction.
        """
        about = args[0] if args and isinstance(args[0], str) and re.match(ID, args[0]) else None

        def write(done: Results, *, large: bool) -> Future[T]:
            def run(records: Records) -> T:
                records.begin(done)
                return operation(records, *args, **kwargs)

            return asyncio.wrap_future(self._writer.submit(run, about, large=large))

        return await self._with_help(write)

    async def read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that only reads."""

        def read(done: Results) -> T:
            with self._database.read() as connection:
                records = Records(connection, self._limits, self._caches, self.sightings)
                records.begin(done)
                return operation(records, *args, **kwargs)

        return await self._with_help(lambda done, **_: self._reading(partial(read, done)))

    async def _with_help(self, attempt: Attempt[T]) -> T:
        """Attempt an operation until all that it needs has been done aside; much of it is large."""
        done: dict[Hashable, Any] = {}
        large = False
        while True:
            try:
                return await attempt(done, large=large)
            except Aside as aside:
                done |= await self._done(aside)
                large |= not aside.small

    async def _done(self, aside: Aside) -> Results:
        """Do work aside, with the schedules that its data refers to."""
        threads, loop = self._desks.for_(aside), asyncio.get_running_loop()
        wanted = await loop.run_in_executor(threads, references, aside.data)
        lookup = await self.read(library.find, wanted) if wanted else library.lookup({})
        return await loop.run_in_executor(threads, aside.work, lookup)

    async def _reading(self, read: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(read)
        except ProgrammingError:
            raise
        except (DBAPIError, PoolTimeout) as error:
            raise Unavailable("the database is away; try again") from error

    def _records(self, connection: Connection) -> Records:
        return Records(connection, self._limits, self._caches, self.sightings, shared=True)

    async def ping(self) -> bool:
        """Say whether the database answers."""
        try:
            await asyncio.to_thread(self._database.ping)
        except (DBAPIError, OSError):
            return False
        return True
