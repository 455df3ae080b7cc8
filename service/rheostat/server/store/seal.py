"""
The seal of a backup: a block at the end of the file that says what the file is, and proves it.

Before it lies a plain SQLite database, which other programs can open as it is. A file that was cut
off, or of which a bit has changed, does not have the digest that its seal tells.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from rheostat.errors import RheostatError

MAGIC = b"rheostat-backup "
SIZE = 512
"""Bytes of a seal."""

FORMAT = 1
CHUNK = 1 << 20


class NoBackup(RheostatError):
    """The file is no backup that can be restored."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What a backup says of itself."""

    release: str
    schema: str
    made_at: str
    length: int
    """Bytes of the database before the seal."""
    sha256: str
    """Of the same, in hexadecimal digits."""
    format: int = FORMAT

    def block(self) -> bytes:
        """Return it as it is written."""
        return (MAGIC + json.dumps(asdict(self)).encode()).ljust(SIZE - 1) + b"\n"


def seal(file: Path, release: str, schema: str, made_at: str) -> Seal:
    """Seal a database file, and have all of it reach the disk."""
    with file.open("r+b") as opened:
        length = opened.seek(0, os.SEEK_END)
        opened.seek(0)
        made = Seal(release, schema, made_at, length, _digest(opened, length))
        opened.seek(length)
        opened.write(made.block())
        opened.flush()
        os.fsync(opened.fileno())
    return made


def copy_sealed(file: Path, copy: BinaryIO) -> Seal:
    """
    Write the database of a backup into another file, and return what its seal says.

    Raises:
        NoBackup: It is none, is not whole, or is of a newer form.

    """
    with file.open("rb") as opened:
        found = _read(file, opened)
        opened.seek(0)
        if _digest(opened, found.length, copy) != found.sha256:
            raise NoBackup(f"{file} was damaged after it was made: its digest is another one")
    return found


def _read(file: Path, opened: BinaryIO) -> Seal:
    length = opened.seek(0, os.SEEK_END)
    opened.seek(max(length - SIZE, 0))
    block = opened.read()
    if len(block) < SIZE or not block.startswith(MAGIC):
        raise NoBackup(
            f"{file} is no backup that `rheostat backup` has made, or its end is missing. To use a"
            " database that was copied otherwise, put it in its place while nothing serves from"
            " it, and run `rheostat recover`"
        )
    try:
        said = json.loads(block[len(MAGIC) :])
        if said["format"] != FORMAT:
            raise NoBackup(f"{file} is of a form that a newer release made: restore it with that")
        found = Seal(**said)
    except (ValueError, TypeError, KeyError) as error:
        raise NoBackup(f"{file} was damaged after it was made: {error}") from error
    if found.length != length - SIZE:
        raise NoBackup(
            f"{file} is not whole: it has {length - SIZE} bytes of a database, and should have"
            f" {found.length}"
        )
    return found


def _digest(source: BinaryIO, length: int, copy: BinaryIO | None = None) -> str:
    """Return the digest of the next bytes of a file, which are copied on the way."""
    digest = hashlib.sha256()
    while length and (chunk := source.read(min(CHUNK, length))):
        digest.update(chunk)
        length -= len(chunk)
        if copy is not None:
            copy.write(chunk)
    return digest.hexdigest()
