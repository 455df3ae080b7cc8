"""A rank of `test_node_kills.py`, in a process of its own, and what it writes down."""

from __future__ import annotations

import struct
import time
from pathlib import Path

from rheostat import Client
from rheostat.client import node_files

RECORD = struct.Struct("<Qdd")
"""A step, the value that was read there, and the seconds that reading it took."""
PACE = 200.0


def train(url: str, run: str, folder: Path, output: Path) -> None:
    """Read on from where the run is settled, until this is killed; write each step down at once."""
    node_files.BASE = folder
    client = Client(url, read="node", lookahead=0.1, beats=False)
    joined = client.run(run)
    with output.open("ab", buffering=0) as file:
        step = joined.show()["settled_until"]
        while True:
            began = time.monotonic()
            value = joined.value("lr", step)
            file.write(RECORD.pack(step, value, time.monotonic() - began))
            step += 1
            time.sleep(1 / PACE)


def records(output: Path) -> list[tuple[int, float, float]]:
    """Return what a rank has written so far; a kill may have cut off the last."""
    content = output.read_bytes() if output.exists() else b""
    whole = len(content) - len(content) % RECORD.size
    return list(RECORD.iter_unpack(content[:whole]))
