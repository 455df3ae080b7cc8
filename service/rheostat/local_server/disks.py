"""
Which file systems a database may be on: SQLite's log needs locks and shared memory of one machine.

What other machines mount, or a program serves, keeps neither: databases there fail, or are spoilt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from rheostat.errors import FieldError, Invalid

FOREIGN: Final = {
    0x6969: "NFS",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x19830326: "BeeGFS",
    0x65735546: "FUSE",
    0xFF534D42: "SMB",
    0xFE534D42: "SMB",
    0x517B: "SMB",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x01021997: "9P",
}
"""What ``statfs`` says of file systems that are not of this machine alone."""

ADVICE = "put it on a local disk, and save `run.export()` with each checkpoint"


def statfs(folder: Path) -> int:
    """Return the type of the file system of a folder, as Linux numbers them; 0 if unknown."""
    import ctypes  # noqa: PLC0415 - it takes milliseconds

    if sys.platform != "linux":
        return 0
    found = (ctypes.c_long * 64)()  # the type comes first; all of it has 120 bytes
    library = ctypes.CDLL(None, use_errno=True)
    if library.statfs(os.fsencode(folder), found) != 0:
        return 0
    return found[0] & 0xFFFFFFFF


def require_local_disk(database: Path) -> None:
    """Raise `Invalid` for a database on a file system that is not of this machine alone."""
    kind = FOREIGN.get(statfs(database.parent))
    if kind is None:
        return
    message = f"{database} is on {kind}, where SQLite fails or corrupts its file: {ADVICE}"
    wrong = FieldError("path", message, str(database), "on a local disk")
    raise Invalid(message, errors=[wrong])
