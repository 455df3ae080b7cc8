"""
A fair turn between the processes that write to one SQLite file.

SQLite's own busy handler sleeps and tries again, so a process that commits without pause starves
the others. Two file locks make a turnstile instead: a writer takes ``queue``, then ``turn``, then
leaves ``queue``. Whoever waits for the turn holds the queue, so the one who just wrote must stand
behind it. The kernel drops both locks when a process dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turn:
    """The turnstile beside the database file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._queue = _open(path.with_name(path.name + "-queue"))
        self._turn = _open(path.with_name(path.name + "-turn"))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and hold it."""
        fcntl.flock(self._queue, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._queue, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close both files."""
        os.close(self._queue)
        os.close(self._turn)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
