"""
What the processes of a host keep in common of a run: settled blocks as files in memory, and locks.

::

    /dev/shm/rheostat-<uid>/<id>-<generation>-<key>/
        run.json                whose blocks these are: id, generation, resolution, parameters
        <start>-<count>.f64     a block as it was served, and
        <start>-<count>.json    the headers that prove it, which come last
        reader-<lane>.lock      kept (``flock``) by the process that asks the service

The key is of the service's address and of the incarnation of its database, so that neither another
service with a run of this id nor a database before its restore has the same folder. What lies here
is believed no more than what comes over a network: `JoinedRun.block` proves each block again, and a
file that is not what it says is removed. Nobody but this user can write here; the folder is used
only if that is so.

Files are read, and not mapped: a mapping of a file that somebody truncates ends the training by a
signal, and a block is some kilobytes, which are indexed anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from rheostat.client.after_fork import renew_in_children
from rheostat.client.answers import Answer, Broken
from rheostat.client.blocks import Block, BlockRequest
from rheostat.client.joined import JoinedRun
from rheostat.saying import log

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

BASE = Path("/dev/shm")  # noqa: S108 - only a folder in it that is nobody else's is used
"""Where memory is that looks like files, and is gone with the machine."""
MOST_BLOCKS = 64
"""Blocks of a run that are kept, the newest by when they came; at most twice as many lie there."""
MOST_BYTES = 32 * 1024 * 1024
"""Bytes of a run's files, beyond which old ones go, but for the newest block."""
LONGEST_META = 256 * 1024
OLD = 3600.0
"""Seconds after the last block of a run when its folder is taken for left over."""
OFF = 60.0
"""Seconds for which a process reads by itself after the folder could not be used."""

_BLOCK = re.compile(r"([0-9]{1,16})-([0-9]{1,7})\.json")
_KEPT = re.compile(r"content-type|etag|rheostat-.*", re.IGNORECASE)
_turns = itertools.count()
_said: set[str] = set()


def will_do(found: BlockRequest, asked: BlockRequest, cell: int) -> bool:
    """
    Say whether a settled block has the cell that is needed, and half of what would be asked for.

    >>> will_do(BlockRequest(0, 16), BlockRequest(0, 32), 0)
    True
    >>> will_do(BlockRequest(0, 16), BlockRequest(0, 32), 4)
    False
    """
    has_it = found.start <= cell < found.stop
    return has_it and 2 * (found.stop - cell) >= asked.stop - cell


@dataclass(frozen=True, slots=True)
class Kept(Answer):
    """The answer of a block that lies in the folder, and the block, which it proves."""

    block: Block | None = None


@dataclass(slots=True)
class Turn:
    """A lock that this process keeps while it asks the service."""

    folder: NodeFolder
    descriptor: int

    def release(self) -> None:
        """Let others ask: also where a forked child has the lock's file open, too."""
        if self.descriptor in self.folder.locked:
            self.folder.locked.discard(self.descriptor)
            with contextlib.suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            os.close(self.descriptor)


class NodeFolder:
    """The folder of one generation of a run. Where it cannot be used, `is_off` says so."""

    def __init__(self, joined: JoinedRun, address: str) -> None:
        self._joined = joined
        key = f"{address.rstrip('/')}\n{joined.incarnation}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        self._name = f"{joined.id}-{joined.generation}-{digest}"
        self._safe = False
        self._off_until = float("-inf")
        self.locked: set[int] = set()
        """The descriptors of locks that this process keeps."""
        renew_in_children(self)

    def _renew(self) -> None:
        """Let go in a forked child of locks that are its parent's: they stay kept there."""
        for descriptor in self.locked:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.locked = set()

    def is_off(self) -> bool:
        """Whether this process reads by itself for now."""
        return time.monotonic() < self._off_until

    @property
    def path(self) -> Path:
        """Where the folder is."""
        return _home() / self._name

    def find(self, asked: BlockRequest, cell: int | None) -> Kept | None:
        """
        Return a block that lies here in place of one that is to be asked for, and is proven.

        Args:
            asked: What would be asked for.
            cell: That which is needed. Any settled block with it will do that has half of what was
                asked for from there on; None: no other than the one asked for.

        """
        try:
            self._make()
            for request in self._candidates(asked, cell):
                if (found := self._read(request)) is not None:
                    return found
                self._remove(request)
        except FileNotFoundError:
            log.debug("the folder %s is gone", self._name)
        except OSError as error:
            self.fails(error)
        return None

    def keep(self, asked: BlockRequest, answer: Answer) -> Answer:
        """Put the answer of a read here if it is proven; return it, with its block."""
        try:
            kept = self._proven(asked, answer)
        except Broken:
            return answer  # whoever asked judges it once more, and says what is wrong
        if answer.headers.get("Rheostat-Incarnation", self._joined.incarnation) != (
            self._joined.incarnation
        ):
            return kept  # the database was restored: each process is to hear of it
        headers = {name: text for name, text in answer.headers.items() if _KEPT.fullmatch(name)}
        try:
            self._make()
            stem = self._stem(asked)
            self._write(f"{stem}.f64", answer.body)
            self._write(f"{stem}.json", json.dumps({"headers": headers}).encode())
            self._sweep()
        except FileNotFoundError:  # somebody has cleared the folder away meanwhile
            log.debug("the folder %s is gone", self._name)
        except OSError as error:
            self.fails(error)
        return kept

    def take(self, lane: int) -> Turn | bytes:
        """
        Return the turn to ask the service, or who has it: words that no other holding repeats.

        Raises:
            OSError: There can be no such lock.

        """
        self._make()
        path = self.path / f"reader-{lane}.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                return os.pread(descriptor, 64, 0)
            finally:
                os.close(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self.locked.add(descriptor)
        turn = Turn(self, descriptor)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {next(_turns)} {time.time_ns()}".encode(), 0)
        except OSError:
            turn.release()
            raise
        return turn

    def fails(self, error: OSError) -> None:
        """Have this process read by itself for a while; say so once."""
        self._off_until = time.monotonic() + OFF
        said = f"{error.strerror or error}"
        if said not in _said:
            _said.add(said)
            log.warning(
                "this process reads by itself, and not with the others of this host: %s: %s",
                *(error.filename or self._name, said),
            )

    def _candidates(self, asked: BlockRequest, cell: int | None) -> list[BlockRequest]:
        """Return which blocks lie here that would do, the best first."""
        if cell is None:
            return [asked] if (self.path / f"{self._stem(asked)}.json").exists() else []
        resolution, longest = self._joined.resolution, self._joined.longest
        found = []
        for path in self.path.iterdir():
            if (match := _BLOCK.fullmatch(path.name)) is None:
                continue
            step, size = int(match[1]), int(match[2])
            request = BlockRequest(step // resolution, size)
            on_grid = step % resolution == 0 and 0 < size <= longest
            if on_grid and will_do(request, asked, cell):
                found.append(request)
        return sorted(found, key=lambda request: (request.stop, request.start), reverse=True)

    def _stem(self, request: BlockRequest) -> str:
        """Return how the files of a block begin: as its address has it."""
        return f"{request.start * self._joined.resolution}-{request.size}"

    def _read(self, request: BlockRequest) -> Kept | None:
        """Return the block of a file, if it is proven."""
        stem = self._stem(request)
        try:
            told = json.loads(_content(self.path / f"{stem}.json", LONGEST_META))
            headers = httpx.Headers({str(k): str(v) for k, v in told["headers"].items()})
            size = 8 * request.size * len(self._joined.parameters)
            body = _content(self.path / f"{stem}.f64", size)
            return self._proven(request, Answer(httpx.codes.OK, headers, body))
        except FileNotFoundError:
            return None  # it is cleared away just now
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
            Broken,
        ) as error:
            log.debug("a file that is not what it says: %s: %s", stem, error)
            return None

    def _proven(self, request: BlockRequest, answer: Answer) -> Kept:
        block = self._joined.block(request, answer)
        return Kept(answer.status, answer.headers, answer.body, answer.over, block)

    def _make(self) -> None:
        """Make the folder, unless it is there; whoever makes one clears old ones away."""
        if not self._safe:
            _require_own_home()
            self._safe = True
        if self.path.is_dir():
            return
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(0o700)
        joined = self._joined
        names = ("id", "generation", "resolution", "parameters", "incarnation")
        about = {name: getattr(joined, name) for name in names}
        self._write("run.json", json.dumps(about).encode())
        _clear_left_over(self._name)

    def _write(self, name: str, content: bytes) -> None:
        """Write a file that is there whole, or not at all."""
        temporary = self.path / f".{os.getpid()}-{next(_turns)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            temporary.rename(self.path / name)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _remove(self, request: BlockRequest) -> None:
        stem = self._stem(request)
        for ending in ("json", "f64"):  # what commits a block goes first
            (self.path / f"{stem}.{ending}").unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove the oldest files where there are too many, those of killed writers among them."""
        files = [
            (path.lstat(), path)
            for path in self.path.iterdir()
            if path.suffix != ".lock" and path.name != "run.json"
        ]
        left, size = len(files), sum(status.st_size for status, _ in files)
        if left <= 4 * MOST_BLOCKS and size <= MOST_BYTES:
            return
        files.sort(key=lambda file: file[0].st_mtime_ns)
        for status, path in files[:-2]:
            if left <= 2 * MOST_BLOCKS and size <= MOST_BYTES // 2:
                break
            path.unlink(missing_ok=True)
            left, size = left - 1, size - status.st_size


def _home() -> Path:
    """Return the folder of this user; raise `OSError` where there can be none."""
    if not HAS_LOCKS:
        raise OSError("this system has no locks of the kind that is needed (flock)")
    return BASE / f"rheostat-{os.geteuid()}"


def _require_own_home() -> None:
    """Make the folder of this user; raise `OSError` unless nobody else can write there."""
    home = _home()
    with contextlib.suppress(FileExistsError):
        home.mkdir(0o700)
    found, base = home.lstat(), BASE.stat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(
            None, "it is not a folder of this user's alone (mode 0700)", str(home)
        )
    if base.st_mode & 0o022 and not base.st_mode & stat.S_ISVTX:
        raise PermissionError(
            None, "others can replace what lies in it (it is not sticky)", str(BASE)
        )


def _content(path: Path, most: int) -> bytes:
    """Return what is in a file that is no link, and no longer than it may be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("no file")
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"more than {most} bytes")
    return content


def _clear_left_over(but: str) -> None:
    """Remove the folders of runs that nobody reads any more."""
    before = time.time() - OLD
    for path in _home().iterdir():
        with contextlib.suppress(OSError):  # others clear, or fill it, at the same time
            if path.name != but and path.lstat().st_mtime < before:
                shutil.rmtree(path)
