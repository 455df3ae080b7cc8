"""
A fair turn between the processes that write to one SQLite file, and what they tell each other.

SQLite's own busy handler sleeps and tries again, so a process that commits without pause starves
the others. Two file locks make a turnstile instead: a writer takes ``queue``, then ``turn``, then
leaves ``queue``. Whoever waits for the turn holds the queue, so the one who just wrote must stand
behind it. The kernel drops both locks when a process dies.

Nobody else of ours writes to the file meanwhile, so that whoever ends a turn can leave a note of
what the file looks like, and whoever takes the next one sees whether somebody else has written to
it. A third lock is shared by all who have the file open: who finds it free is alone with the file.
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
"""The note of a turn that has not ended, or that nobody has left."""

NOTE = 192
"""Bytes of a note: always as many, so that one is written over the other and takes no space."""

GRACE = 2.0
"""Seconds for which whoever stops waits for the turn."""


class Turn:
    """The turnstile beside the database file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + "-turn")
        self._name = str(self._path)
        self._threads = threading.Lock()  # a file lock is the process's
        self._locks: list[int] = []
        self._taken: bytes | None = None

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
    def _turn(self) -> int:
        return self._locks[1]

    @property
    def _open(self) -> int:
        return self._locks[2]

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and hold it."""
        with self._threads:
            self._ready()
            fcntl.flock(self._queue, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._queue, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    @contextmanager
    def last(self) -> Iterator[None]:
        """Take the turn before an end, or go on without it: whoever has it may be frozen."""
        if not self._locks:
            yield
            return
        until = time.monotonic() + GRACE
        while not (taken := self._try()) and time.monotonic() < until:
            time.sleep(0.02)
        yield
        if taken:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        """Return the note of the turn before, and withdraw it until this turn has ended well."""
        note = os.pread(self._turn, NOTE, 0).strip() if self._is_shared() else UNKNOWN
        self._write(UNKNOWN)
        self._taken = note
        return note

    def put_back(self) -> None:
        """Leave the note that was taken for whoever comes next."""
        if self._taken is not None:
            self.leave_note(self._taken)

    def leave_note(self, note: bytes) -> None:
        """Leave a note for whoever takes the next turn; on a full disk there may be none."""
        self._taken = None
        self._write(note)

    def _write(self, note: bytes) -> None:
        try:
            os.pwrite(self._turn, note.ljust(NOTE), 0)
        except OSError:
            os.ftruncate(self._turn, 0)

    def _is_shared(self) -> bool:
        """Whether the others still have the same lock file: it may have been deleted."""
        try:
            found = os.stat(self._name)  # noqa: PTH116 - for each commit: a Path takes longer
        except OSError:
            return False
        mine = os.fstat(self._turn)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._locks:
            os.close(descriptor)
        self._locks = []


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
