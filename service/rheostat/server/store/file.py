"""
The SQLite file under a service: whether it is still the one that was opened, and can be written.

A process that has a file open goes on reading and writing it after it was deleted, and would
acknowledge what is lost when it ends. And a file that was copied over by another one is a history
of its own, of which the pages, and the caches, of the first one know nothing. SQLite notices
neither, so this looks: at the path before and after each transaction, and at what others wrote to
the file, by the note that each holder of the lock leaves (see `WriteLock`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from rheostat.server.store.failures import DatabaseFailure, Outage
from rheostat.server.store.write_lock import UNKNOWN, WriteLock

FILE, LOG, INDEX = "", "-wal", "-shm"
"""The file, and what SQLite keeps beside it while anybody has it open: parts of one whole."""

SERVED = "_RHEOSTAT_SERVED_FILE"
"""Variable by which a supervisor tells its workers which file it holds on to."""

ROOM = 64 * 1024
"""Bytes that a file system has left if a write may have failed for another reason than space."""


class Look(NamedTuple):
    """A file as it stands at a path: two that exist at the same time differ in ``identity``."""

    identity: str
    """Device and inode."""
    written: str
    """Length, and when it was last written to."""


Looks = Sequence[Look | None]
"""The three parts, each None if there is nothing at its path."""


class SqliteFile:
    """
    The file at ``path``, kept open by a connection of its own.

    As long as that is open, the numbers of its inodes are not given to other files, and no other
    connection is the last to close, which would write to the file.
    """

    def __init__(self, path: Path, lock: WriteLock) -> None:
        self.path = path
        self._names = [f"{path}{end}" for end in (FILE, LOG, INDEX)]
        self._lock = lock
        self._keeper: sqlite3.Connection | None = None
        self._entered = False
        self._alone = False
        self._known: list[str | None] = [None] * 3
        """Identities of the parts that were opened."""
        self._lost: DatabaseFailure | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is kept open."""
        return self._keeper is not None

    @property
    def uri(self) -> str:
        """What SQLite opens: the file if it exists, so that none is made where one was deleted."""
        return f"file:{quote(str(self.path))}?mode=rw"

    def open(self) -> None:
        """Open the file under the write lock; who is alone takes it as it is, or makes it."""
        served = self._served()
        if not self._entered:
            self._entered, self._alone = True, self._lock.enter() and not served
        looks = self._look()
        if served and _identity(looks[0]) != served:
            raise self._gone(0)
        note = self._lock.take_note()
        try:
            if self._alone:
                self._require_its_own_log(looks, note)
            else:
                self._compare(looks, note)
            mode = "rwc" if self._alone else "rw"
            self._alone = False  # whatever happens to it from now on, it is not made again
            self._keeper = self._opened(mode)
        except BaseException:
            self._lock.put_back()
            raise
        self._known = [_identity(look) for look in self._look()]
        if looks[0] is not None:  # it may have been replaced while it was opened
            self._known[0] = looks[0].identity
        self.sign()

    def _opened(self, mode: str) -> sqlite3.Connection:
        keeper = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode={mode}", uri=True, check_same_thread=False
        )
        try:
            keeper.execute("PRAGMA journal_mode=WAL").fetchone()
            keeper.execute("PRAGMA schema_version").fetchone()  # opens the log
        except BaseException:
            keeper.close()
            raise
        return keeper

    def reopen(self) -> None:
        """Open it again under the write lock, if it is still the same: its state was not good."""
        if self._known[0] is not None and _identity(self._look()[0]) != self._known[0]:
            raise self._gone(0)
        self._known[1:] = [None, None]
        self.close()
        self.open()

    def begin(self) -> None:
        """Raise `DatabaseFailure` unless the file may be written now."""
        looks = self._look()
        self._require_known(looks)
        self._compare(looks, self._lock.take_note())
        self.require_writable()

    def require_writable(self) -> None:
        """Raise `DatabaseFailure` if the file's mode, flags or mount forbid to write to it."""
        if not os.access(self._names[0], os.W_OK):
            raise DatabaseFailure(
                Outage.READ_ONLY, f"the database file {self.path} may not be written to"
            )

    def sign(self) -> None:
        """Leave a note of what the file looks like, before releasing; raise as `check` does."""
        looks = self._look()
        try:
            self._require_known(looks)
        except DatabaseFailure:
            self._lock.put_back()  # those who come next shall see it, too
            raise
        self._lock.leave_note(_note(looks))

    def check(self) -> None:
        """Raise `DatabaseFailure` unless the file is the one that was opened."""
        self._require_known(self._look())

    def reason_of(self, reason: Outage) -> Outage:
        """Return what an error of SQLite's really means: it reports a full disk as several."""
        if reason is not Outage.DATABASE_AWAY:
            return reason
        try:
            self.check()
            room = self.room
        except (DatabaseFailure, OSError):
            return Outage.FILE_REPLACED
        return Outage.DISK_FULL if room < ROOM else reason

    @property
    def room(self) -> int:
        """Bytes that are free where the file is."""
        found = os.statvfs(self.path.parent)
        return found.f_bavail * found.f_frsize

    @property
    def size(self) -> int:
        """Bytes of the file, and of what stands beside it."""
        return sum(os.stat(name).st_size for name in self._names if _look(name))  # noqa: PTH116

    def tell(self) -> None:
        """Tell the processes that are started from now on that they are to use this very file."""
        os.environ[SERVED] = f"{self._known[0]} {self.path}"

    def close(self) -> None:
        """Let go of it, under the write lock."""
        if self._keeper is None:
            return
        self._keeper.close()
        self._keeper = None
        looks = self._look()
        for part in (1, 2):  # the last one to close has deleted them
            if looks[part] is None:
                self._known[part] = None
        try:
            self.sign()
        except DatabaseFailure:
            return  # it is said whenever somebody asks

    def _served(self) -> str | None:
        """Return the identity of the file that a supervisor holds on to, if it is at this path."""
        told, _, path = os.environ.get(SERVED, "").partition(" ")
        return told if path == str(self.path) else None

    def _look(self) -> Looks:
        return [_look(name) for name in self._names]

    def _require_known(self, looks: Looks) -> None:
        if self._lost is not None:
            raise self._lost
        for part, known in enumerate(self._known):
            if known is not None and _identity(looks[part]) != known:
                raise self._gone(part)

    def _compare(self, looks: Looks, note: bytes) -> None:
        """Raise `DatabaseFailure` if anybody but us has written to the file."""
        if note == UNKNOWN:
            return
        now, then = _note(looks).split(), note.split()
        for part in range(3):
            if now[part] != then[part]:
                raise self._gone(part)
        # others may write to the log, as long as they do it by SQLite's rules
        if now[3] != then[3]:
            self._lost = DatabaseFailure(
                Outage.FILE_REPLACED,
                f"something else has written to the database file {self.path}, so it is used no"
                " more until the service is restarted",
            )
            raise self._lost

    def _require_its_own_log(self, looks: Looks, note: bytes) -> None:
        """
        Raise if the file was replaced, but not the log beside it.

        SQLite would read the one as a part of the other, and make a third history of the two. A log
        that did not end with its process stays, and belongs to what it was written for.
        """
        if note == UNKNOWN or looks[1] is None:
            return
        now, then = _note(looks).split(), note.split()
        same_log, same_file = (
            (now[part], now[part + 3]) == (then[part], then[part + 3]) for part in (1, 0)
        )
        if same_log and not same_file:
            log, index = (self.path.name + end for end in (LOG, INDEX))
            raise DatabaseFailure(
                Outage.FILE_REPLACED,
                f"{self.path} was replaced, but {log} beside it is a part of the file before:"
                f" delete {log} and {index} to use the new one, or put the old one back",
            )

    def _gone(self, part: int) -> DatabaseFailure:
        name = self._names[part]
        if _look(name) is not None:
            message = f"{name} is not the file that this service opened; restart it to use that one"
        else:
            message = f"the database file {name} was deleted or moved away"
        return DatabaseFailure(Outage.FILE_REPLACED, message)


def _look(name: str) -> Look | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - several times for each commit: a Path takes longer
    except OSError:
        return None
    return Look(f"{found.st_dev}:{found.st_ino}", f"{found.st_size}:{found.st_mtime_ns}")


def _identity(look: Look | None) -> str | None:
    return None if look is None else look.identity


def _note(looks: Looks) -> bytes:
    """Return the identities of the parts, and when the first two were written to."""
    words = [look.identity if look else "-" for look in looks]
    words += [look.written if look else "-" for look in looks[:2]]
    return " ".join(words).encode()
