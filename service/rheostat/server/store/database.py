"""The database: an engine with the guarantees that the promises need, and its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.engine import URL, ExceptionContext

from rheostat.errors import FieldError, Invalid
from rheostat.server.store.failures import DatabaseFailure, Outage, reason_of
from rheostat.server.store.sqlite import Sqlite

if TYPE_CHECKING:
    from sqlalchemy.pool import QueuePool

POOL: dict[str, Any] = {"pool_size": 5, "max_overflow": 60, "pool_timeout": 5}
"""More connections than threads that read, so that the writer never waits for one."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """
    How long to wait for a database before saying that it is not to be had, in seconds.

    Each is longer than the one before, so that the clearest of the reasons is found first.

    A server whose callers wait has little, and a command that works through a whole database much.
    """

    connect: int = 3
    """Until a new connection is there."""
    statement: float = 5
    """For one statement of PostgreSQL's; 0 is no limit."""
    answer: float = 6
    """Without a word from PostgreSQL, after which the connection is dropped."""
    operation: float = 8
    """For an operation or a read in all, after which its caller is answered 503."""


LONG_TIMEOUTS = Timeouts(connect=10, statement=0, answer=3_600, operation=7_200)
"""Of commands that somebody waits for."""


class Database:
    """
    SQLite or PostgreSQL, by URL.

    A write transaction on SQLite is ``BEGIN IMMEDIATE`` under a fair write lock, with
    ``synchronous=FULL`` under WAL: a commit that returned survives power loss. On PostgreSQL it
    is READ COMMITTED with ``synchronous_commit=on``, and gives up on locks after seconds. Neither
    writes to a file that is not the database any more, nor waits for ever for an answer.
    """

    def __init__(self, url: str, timeouts: Timeouts | None = None) -> None:
        self.url = _require_known(url)
        self._sqlite = Sqlite(self.url, POOL) if self.is_sqlite else None
        self.engine = self._sqlite.engine if self._sqlite else self._postgresql(timeouts)
        event.listen(self.engine, "handle_error", _shorten)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self.url.get_backend_name() == "sqlite"

    def _postgresql(self, timeouts: Timeouts | None) -> Engine:
        from rheostat.server.store import postgres  # noqa: PLC0415 - SQLite needs no driver of it

        return postgres.engine(self.url, timeouts or Timeouts(), POOL)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; commit it on success."""
        if self._sqlite:
            with self._sqlite.write() as connection:
                yield connection
        else:
            with self.engine.begin() as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database throughout."""
        if self._sqlite:
            self._sqlite.require_readable()
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**level) as connection, connection.begin():
            yield connection

    def keep_open(self) -> None:
        """Open a file, and hold on to it; other processes may take no other one from then on."""
        if self._sqlite:
            self._sqlite.require_readable()
            self._sqlite.file.tell()

    def require_sessions(self) -> None:
        """Raise if connections do not keep a session of their own."""
        if not self.is_sqlite:
            from rheostat.server.store import postgres  # noqa: PLC0415 - as above

            postgres.require_no_pooler(self.engine)

    def quick_check(self) -> Outage | None:
        """Return what is wrong, as far as that is seen without asking the database."""
        try:
            if self._sqlite:
                self._sqlite.quick_check()
        except DatabaseFailure as failure:
            return failure.reason
        return None

    @property
    def pool(self) -> QueuePool:
        """The connections that there are."""
        return cast("QueuePool", self.engine.pool)

    def disk(self) -> tuple[int, int] | None:
        """Return the bytes of SQLite's files, and those that are free beside; of others, None."""
        return (self._sqlite.file.size, self._sqlite.file.room) if self._sqlite else None

    def probe(self, connection: Connection) -> None:
        """Find out within a write transaction, cheaply, whether the database can be written to."""
        connection.execute(text("SELECT version_num FROM alembic_version"))
        if self._sqlite:
            self._sqlite.probe(connection)
        elif connection.scalar(text("SHOW transaction_read_only")) == "on":
            raise DatabaseFailure(
                Outage.READ_ONLY, "the database takes no changes: it is a standby, or set so"
            )

    def reason_of(self, error: BaseException) -> Outage | None:
        """Return why an error of the database may pass, or None: it is a defect."""
        return self._sqlite.reason_of(error) if self._sqlite else reason_of(error)

    def is_undone(self, error: BaseException) -> bool:
        """Say whether a commit that failed by this error has left nothing behind, for certain."""
        # what SQLite found no room for, or no lock, it has rolled back
        return self.is_sqlite and reason_of(error) in {Outage.DISK_FULL, Outage.BUSY}

    def close(self) -> None:
        """Close every connection."""
        if self._sqlite:
            self._sqlite.close()
        else:
            self.engine.dispose()


def _shorten(context: ExceptionContext) -> None:
    """Leave statements, and links that explain SQLAlchemy, out of what errors say."""
    error = context.sqlalchemy_exception
    if error is not None:
        error.code = None
        if hasattr(error, "statement"):
            error.statement = None


def _require_known(url: str) -> URL:
    if url.startswith("postgres://"):  # libpq takes it, and SQLAlchemy does not
        url = url.replace("postgres", "postgresql", 1)
    try:
        parsed = make_url(url)
    except Exception:  # noqa: BLE001 - SQLAlchemy's errors here are of several classes
        parsed = None
    if parsed is None or parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        bound = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
        message = f"the database URL must be {bound}"
        raise Invalid(message, errors=[FieldError("database", message, None, bound)])
    forgets = parsed.database in {None, "", ":memory:"} or parsed.query
    if parsed.get_backend_name() == "sqlite" and forgets:
        message = (
            "an SQLite database must be a file, and takes no options: what is acknowledged has to"
            " survive"
        )
        raise Invalid(message, errors=[FieldError("database", message, url, "sqlite:///FILE")])
    return parsed
