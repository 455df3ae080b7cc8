"""
Backups of an SQLite database, made while it is served, and put back while it is not.

A backup is made by SQLite's online backup in one read transaction: one state of the database, which
keeps no writer waiting. It is restored beside the database, brought up to date, and given a new
life (see `operations.recover`) before it takes the database's place by one rename.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote

from sqlalchemy import Connection, delete
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from rheostat import __version__
from rheostat.errors import RheostatError
from rheostat.server.runs.validation import Limits
from rheostat.server.store import tables
from rheostat.server.store.addresses import without_secrets
from rheostat.server.store.database import LONG_TIMEOUTS, Database
from rheostat.server.store.failures import DatabaseFailure, line
from rheostat.server.store.file import FILE, INDEX, LOG
from rheostat.server.store.migrate import WrongSchema, version_of
from rheostat.server.store.operations import recover as operations
from rheostat.server.store.records import Records, now
from rheostat.server.store.seal import NoBackup, Seal, copy_sealed, seal
from rheostat.server.store.store import Store
from rheostat.server.store.write_lock import WriteLock

LOCKS = ("-queue", "-turn", "-open")
"""What `WriteLock` leaves beside a file."""

HOLDS = {
    "runs": "SELECT count(*) FROM runs",
    "tokens": "SELECT count(*) FROM tokens",
    "schedules": "SELECT count(*) FROM schedules",
}
"""What a database has none of that may be written over."""


FAILURES = (OSError, sqlite3.Error, SQLAlchemyError, DatabaseFailure)
"""What a disk or a damaged database may bring about."""


class BackupFailed(RheostatError):
    """A backup was not made, or not restored; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in the place of a database."""

    seal: Seal
    replaced: Path | None
    """Where the database of before is now, if it held anything."""
    runs: Sequence[Mapping[str, str]]
    """Each run's name, old and new id."""


def back_up(url: str, file: Path, *, force: bool = False) -> Seal:
    """
    Write one state of the database into a file, which is there once it is whole.

    Raises:
        BackupFailed: The database is not SQLite, or is not there, or is damaged; or the file is
            there already, and ``force`` does not allow to replace it.

    """
    path = _file_of(url, "pg_dump --format=custom --file={file} {url}", file)
    if not path.exists():
        raise BackupFailed(f"there is no database {path}")
    if file.exists() and not force:
        raise BackupFailed(f"{file} exists: take another name, or replace it by --force")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    database = Database(url, LONG_TIMEOUTS)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        made_at = now()
        with database.read() as connection:
            schema = _schema(connection, path)
            _copy(connection, part)
        made = seal(part, __version__, schema, made_at)
        part.replace(file)
        _sync(file.parent)
    except FAILURES as error:
        raise BackupFailed(f"cannot back {path} up into {file}: {line(error)}") from error
    finally:
        database.close()
        part.unlink(missing_ok=True)
    return made


def _schema(connection: Connection, path: Path) -> str:
    found = version_of(connection)
    if found is None or not found.isdecimal():
        raise BackupFailed(f"{path} is not a database of Rheostat")
    return found


def _copy(connection: Connection, part: Path) -> None:
    """Copy what a transaction sees into a file, as one file, and look at every page of it."""
    source = cast("sqlite3.Connection", connection.connection.driver_connection)
    with closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()
        wrong = [row[0] for row in copy.execute("PRAGMA quick_check(3)")]
    if wrong != ["ok"]:
        raise BackupFailed(f"the database is damaged, and was not backed up: {'; '.join(wrong)}")


def restore(url: str, file: Path, limits: Limits, *, force: bool = False) -> Restored:
    """
    Put a backup in the place of a database, as another incarnation of it.

    What was there before is kept beside it. A service that serves from it, and any other command
    that has it open, is noticed by the lock that each holds.

    Raises:
        NoBackup: The file is no whole backup of ours, or of a newer release.
        BackupFailed: The database is served, or holds something and ``force`` does not allow to
            replace it.

    """
    named = _file_of(url, "pg_restore --clean --if-exists --dbname={url} {file}", file)
    lock = WriteLock(named)  # by the name that a service has it by
    path = named.resolve()
    new = path.with_name(f"{path.name}.restoring")
    try:
        with lock.held():
            _require_unused(lock, path)
            holds = _holds(path)
        if holds and not force:
            raise BackupFailed(f"{path} has {holds}: it is replaced by --force, and kept beside it")
        with _written(new) as copy:
            found = copy_sealed(file, copy)
        try:
            runs = _renewed(new, limits)
        except WrongSchema as error:
            raise NoBackup(
                f"{file} cannot be served here, as release {found.release} made it: {error}"
            ) from error
        with lock.held():
            _require_unused(lock, path)
            lock.take_note()  # whoever comes next takes the file as it is
            replaced = _exchange(path, new, keep=bool(holds))
    except FAILURES as error:
        raise BackupFailed(f"cannot restore {file}: {line(error)}") from error
    finally:
        lock.close()
        for end in (FILE, LOG, INDEX, *LOCKS):
            new.with_name(new.name + end).unlink(missing_ok=True)
    return Restored(found, replaced, runs)


def _file_of(url: str, instead: str, file: Path) -> Path:
    """Return the database's file; of another database, say what is used instead."""
    database = Database(url)
    database.close()
    if not database.is_sqlite:
        address = without_secrets(database.url.render_as_string()).replace(":***@", "@")
        words = instead.format(url=f"'{address}'", file=file)
        more = ", and then `rheostat recover`" if "restore" in words else ""
        raise BackupFailed(f"PostgreSQL does that itself, or your platform: {words}{more}")
    return Path(str(database.url.database)).absolute()


def _require_unused(lock: WriteLock, path: Path) -> None:
    """Raise unless nobody else has the database open; the lock is held."""
    if not lock.enter():
        raise BackupFailed(f"something serves from {path}, or has it open: stop it first")


def _holds(path: Path) -> str:
    """Say what a database holds that would be missed; nothing if it is empty, or not there."""
    log = path.with_name(path.name + LOG)
    if not path.exists():
        return f"a log without its file, {log.name}" if log.exists() else ""
    if not path.stat().st_size:
        return ""
    how = "mode=ro" if log.exists() else "immutable=1"  # which leaves no log where there is none
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)) as old:
            counts = {name: old.execute(query).fetchone() for name, query in HOLDS.items()}
    except sqlite3.Error as error:
        return f"content that cannot be read ({error})"
    return ", ".join(f"{count} {name}" for name, (count,) in counts.items() if count)


@contextmanager
def _written(new: Path) -> Iterator[BinaryIO]:
    """Yield a file to be written, all of which reaches the disk."""
    with new.open("wb") as opened:
        yield opened
        opened.flush()
        os.fsync(opened.fileno())


def _renewed(new: Path, limits: Limits) -> Sequence[Mapping[str, str]]:
    """Bring a restored database up to date, give it a new life, and leave it as one file."""
    address = URL.create("sqlite", database=str(new)).render_as_string()
    store = Store(address, limits, LONG_TIMEOUTS)
    try:
        store.start()
        return asyncio.run(store.write(_renew))
    finally:
        store.close()


def _renew(records: Records) -> list[dict[str, str]]:
    """Forget who served from the database that was backed up, and what was decided there since."""
    renewed = operations.recover(records)
    records.connection.execute(delete(tables.replicas))
    return renewed


def _exchange(path: Path, new: Path, *, keep: bool) -> Path | None:
    """Put the new file in the place of the old one; return where that is now, if it is kept."""
    if new.with_name(new.name + LOG).exists():  # it is a part of the file, and has another name
        raise BackupFailed(f"{new} was not closed: try again")
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}.replaced-{stamp}")
    if path.exists():
        _like(path, new)
    for end in (FILE, LOG, INDEX):  # what is left of the old one must not be read with the new one
        part = path.with_name(path.name + end)
        if part.exists() and keep:
            part.rename(aside.with_name(aside.name + end))
        else:
            part.unlink(missing_ok=True)
    new.rename(path)
    _sync(path.parent)
    return aside if keep else None


def _like(path: Path, new: Path) -> None:
    """Give a file the mode, and if possible the owner, of another one."""
    shutil.copymode(path, new)
    with suppress(PermissionError):
        shutil.chown(new, path.stat().st_uid, path.stat().st_gid)


def _sync(folder: Path) -> None:
    """Have the names of a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
