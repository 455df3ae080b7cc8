"""
Start and size: how long until the service is ready, and how much memory it holds then.

    python benchmarks/start.py

``serve``     ``rheostat serve`` on a database that is up to date, until it says that it serves
``imports``   ``python -c 'import fastapi, numpy, sqlalchemy'``, the least that it is made of

The two take turns, with bytecode, as installed; times are the best ones, in seconds, once by the
clock and once as processor time, which other work on the machine disturbs less. Memory is resident,
of one process, in MiB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from side_by_side import service

TURNS = 10
IMPORTS = """
import fastapi, numpy, sqlalchemy
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


class Start(NamedTuple):
    """What a start takes: seconds by the clock, those that were computed, and MiB of memory."""

    clock: float
    cpu: float
    memory: float


def imports() -> Start:
    """Import, and end."""
    began, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True)
    clock, after = time.perf_counter() - began, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return Start(clock, cpu, int(done.stdout) / 1024)


def serve(folder: str) -> Start:
    """Start a service, and stop it when it is ready."""
    began = time.perf_counter()
    with service(folder) as process:
        clock = time.perf_counter() - began
        return Start(clock, process.cpu(), process.memory("VmRSS"))


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        starts = [(serve(folder), imports()) for _ in range(1 + TURNS)][1:]
    own, least = (Start(*map(min, *way)) for way in zip(*starts, strict=True))
    ratios = Start(*(a / b for a, b in zip(own, least, strict=True)))
    print(f"{'':12}{'clock s':>10}{'cpu s':>10}{'MiB':>10}")
    for name, row in (("serve", own), ("imports", least), ("ratio", ratios)):
        print(f"{name:12}" + "".join(f"{figure:10.3g}" for figure in row))


if __name__ == "__main__":
    main()
