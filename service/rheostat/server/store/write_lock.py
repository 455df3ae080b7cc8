"""
The write lock of an SQLite file: fair between processes, with a note from each holder to the next.

SQLite's own busy handler sleeps and tries again, so a process that commits without pause starves
the others. Here two locks on files beside the database are taken instead: ``-queue``, then
``-turn``, which is the write lock itself; then ``-queue`` is released. Whoever waits for the write
lock holds the queue, so the process that just wrote must stand behind it. The kernel releases both
when a process dies.

No other process of ours writes to the database meanwhile, so whoever releases the lock can leave a
note of what the file looks like, and the next holder sees whether anything else has written to it.
A third lock, ``-open``, is shared by all who have the database open: who finds it free is alone.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNKNOWN = b""
"""The note while the lock is held, or when nobody has left one."""

NOTE = 192
"""Bytes of a note: always as many, so that one is written over the other and takes no space."""

GRACE = 2.0
"""Seconds for which whoever stops waits for the lock."""


class WriteLock:
    """The write lock of the database file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + "-turn")
        self._name = str(self._path)
        self._threads = threading.Lock()  # a file lock is the process's
        self._locks: list[int] = []
        self._note: bytes | None = None

    def _ready(self) -> None:
        """Open the files, when they are first needed: their folder may be missing by then."""
        if not self._locks:
            beside = ("-queue", "-turn", "-open")
            name = self._path.name.removesuffix("-turn")
            self._locks = [_open(self._path.with_name(name + end)) for end in beside]

    @property
    def _queue(self) -> int:
        return self._locks[0]

    @property
    def _lock(self) -> int:
        return self._locks[1]

    @property
    def _open(self) -> int:
        return self._locks[2]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock, and hold it."""
        with self._threads:
            self._ready()
            fcntl.flock(self._queue, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._queue, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def held_at_the_end(self) -> Iterator[None]:
        """Hold the lock while closing, or go on without it: whoever has it may be frozen."""
        if not self._locks:
            yield
            return
        until = time.monotonic() + GRACE
        while not (taken := self._try()) and time.monotonic() < until:
            time.sleep(0.02)
        yield
        if taken:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def enter(self) -> bool:
        """Say from now on that this process has the file open; return whether it is alone."""
        alone = True
        try:
            fcntl.flock(self._open, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        fcntl.flock(self._open, fcntl.LOCK_SH)
        return alone

    def take_note(self) -> bytes:
        """Return the note of the holder before, and withdraw it until this one has ended well."""
        note = os.pread(self._lock, NOTE, 0).strip() if self._is_shared() else UNKNOWN
        self._write(UNKNOWN)
        self._note = note
        return note

    def put_back(self) -> None:
        """Leave the note that was taken for whoever comes next."""
        if self._note is not None:
            self.leave_note(self._note)

    def leave_note(self, note: bytes) -> None:
        """Leave a note for whoever holds the lock next; on a full disk there may be none."""
        self._note = None
        self._write(note)

    def _write(self, note: bytes) -> None:
        try:
            os.pwrite(self._lock, note.ljust(NOTE), 0)
        except OSError:
            os.ftruncate(self._lock, 0)

    def _is_shared(self) -> bool:
        """Whether the others still have the same lock file: it may have been deleted."""
        try:
            found = os.stat(self._name)  # noqa: PTH116 - for each commit: a Path takes longer
        except OSError:
            return False
        mine = os.fstat(self._lock)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._locks:
            os.close(descriptor)
        self._locks = []


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
