"""Ending a local server, and what is known of those that run: for the command line."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from rheostat.errors import NotServed
from rheostat.local_server import files

PATIENCE = 20.0
"""Seconds that a server has to end; open answers take up to 10."""


class Served(TypedDict):
    """A database of this user that has a local server on this machine."""

    database: str
    url: str | None
    """Where it is; null while it starts."""
    pid: int | None
    """The process that serves it."""
    started: str | None


def served(database: Path) -> Served:
    """Return what is written of the server of a database."""
    there = files.read_endpoint(database)
    holder = files.holder(database)
    if there is None or there.pid != holder:
        return {"database": str(database), "url": None, "pid": holder, "started": None}
    known = {"url": there.url, "pid": there.pid, "started": there.started}
    return {"database": str(database), **known}  # type: ignore[typeddict-item]


def stop(database: Path) -> Served:
    """
    End the server of a database, and return what it was.

    Raises:
        NotServed: There is none, or it does not end.

    """
    if not files.is_served(database):
        raise NotServed(f"{database} has no local server here")
    found = served(database)
    pid = found["pid"]
    if pid is None:
        raise NotServed(f"{database} is served by a process that is not known")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while files.is_served(database):
        if time.monotonic() > until:
            raise NotServed(f"process {pid} serves {database}, and did not end in {PATIENCE:g} s")
        time.sleep(0.05)
    return found
