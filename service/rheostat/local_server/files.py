"""
The files beside a database by which processes of one machine find its local server.

``<db>.serving`` is locked (`flock`) by the server as long as it lives, and by nobody else: the
kernel lets go of it however a process ends. ``<db>.endpoint`` says where the server is and which
token it wants; it is written by the one who holds the lock, for its own user alone. What the
server logs is in ``<db>.log``. It is the standard library alone: the server and the client use it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

ATTACHED = "/v1/local/attached"
"""Where clients say that they are there."""
EVERY = 10.0
"""Seconds from one such word of a client to the next."""
GONE = 15.0
"""Seconds without one after which a client has gone."""
LONGEST = 4096
"""Bytes that the file of an endpoint may have."""
LONGEST_LOG = 1024 * 1024
"""Bytes of a log after which the next server begins it anew."""
OURS = 0o600
"""What others may do with these files: nothing."""

_locks: set[int] = set()
"""Descriptors that hold a lock until a server has it: no forked child shall keep them."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a local server is, who may use it, and which process it is."""

    url: str
    token: str
    pid: int
    started: str
    """When, ISO 8601, in UTC."""
    host: str
    """The machine's name."""

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, pid={self.pid})"


def lock_file(database: Path) -> Path:
    """Return the file that the server of a database holds locked."""
    return database.with_name(f"{database.name}.serving")


def endpoint_file(database: Path) -> Path:
    """Return the file that says where the server of a database is."""
    return database.with_name(f"{database.name}.endpoint")


def log_file(database: Path) -> Path:
    """Return the file that the server of a database logs to."""
    return database.with_name(f"{database.name}.log")


def take_lock(database: Path) -> int | None:
    """
    Return a descriptor that holds the lock of a database, or None if a server has it.

    Give it back by `let_go`, once the server has inherited it.
    """
    descriptor = os.open(lock_file(database), os.O_RDWR | os.O_CREAT, OURS)
    _locks.add(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        let_go(descriptor)
        return None
    except BaseException:
        let_go(descriptor)
        raise
    return descriptor


def let_go(descriptor: int) -> None:
    """Close a descriptor of a lock here, once; whoever has inherited it holds it on."""
    if descriptor in _locks:
        _locks.discard(descriptor)
        os.close(descriptor)


def name_holder(descriptor: int, pid: int) -> None:
    """Write into the file of a lock which process is going to hold it."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{pid}\n".encode(), 0)


def holder(database: Path) -> int | None:
    """Return the process that holds the lock of a database, as far as is known."""
    try:
        text = lock_file(database).read_bytes()[:32].strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def is_served(database: Path) -> bool:
    """Whether some process holds the lock of a database."""
    try:
        descriptor = os.open(lock_file(database), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_endpoint(database: Path) -> Endpoint | None:
    """Return what is written of the server of a database; None if that is nothing of ours."""
    try:
        descriptor = os.open(endpoint_file(database), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid != os.getuid():
            return None  # of somebody who wants to be told tokens
        text = file.read(LONGEST)
    try:
        return _endpoint(json.loads(text))
    except (ValueError, TypeError, KeyError):
        return None


def _endpoint(told: Any) -> Endpoint:
    texts = {name: str(told[name]) for name in ("url", "token", "started", "host")}
    return Endpoint(pid=int(told["pid"]), **texts)


def write_endpoint(database: Path, endpoint: Endpoint) -> None:
    """Write where the server is: whole, or not at all."""
    file = endpoint_file(database)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OURS)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump(asdict(endpoint), written)
    draft.replace(file)


def remove_endpoint(database: Path) -> None:
    """Say that there is no server any more, for the one who holds the lock."""
    with contextlib.suppress(FileNotFoundError):
        endpoint_file(database).unlink()


def opened_log(database: Path) -> IO[bytes]:
    """Open the log to write at its end; one that is too long begins anew."""
    file = log_file(database)
    log = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, OURS), "ab")
    if file.stat().st_size > LONGEST_LOG:
        log.truncate(0)
    log.seek(0, os.SEEK_END)
    return log


def last_words(database: Path, since: int, most: int) -> str:
    """Return the last line that a server logged, at most so many bytes from ``since`` on."""
    with log_file(database).open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(since, end - most))
        lines = log.read(most).decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("rheostat: ") if lines else "it ended without a word"


def known_servers() -> list[Path]:
    """Return the databases of this user that have a local server on this machine."""
    found = []
    for entry in _entries():
        database = Path(entry.read_text(encoding="utf-8").strip())
        if is_served(database):
            found.append(database)
        else:
            entry.unlink(missing_ok=True)
    return sorted(found)


def remember_server(database: Path) -> None:
    """Note that a database has a server here, for `known_servers`; if it can be noted."""
    import hashlib  # noqa: PLC0415 - it is of no use to whoever finds a server

    name = hashlib.sha256(os.fsencode(database)).hexdigest()[:32]
    with contextlib.suppress(OSError, RuntimeError):
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / f"{socket.gethostname()}-{name}").write_text(f"{database}\n", encoding="utf-8")


def _entries() -> list[Path]:
    try:
        mine = f"{socket.gethostname()}-"  # a home may be one on many machines
        return [entry for entry in _folder().iterdir() if entry.name.startswith(mine)]
    except (OSError, RuntimeError):
        return []


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "rheostat" / "local"


def _forget_locks() -> None:
    for descriptor in [*_locks]:
        with contextlib.suppress(OSError):
            let_go(descriptor)


os.register_at_fork(after_in_child=_forget_locks)
