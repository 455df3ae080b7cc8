"""
Start and size: how long until the service is ready, and how much memory it holds then.

    python benchmarks/start.py

``serve``     ``rheostat serve`` on a database that is up to date, until it says that it serves
``imports``   ``python -c 'import fastapi, numpy, sqlalchemy'``, the least that it is made of

The two take turns; times are the best ones, in seconds, once by the clock and once as processor
time, which other work on the machine disturbs less. Memory is resident, of one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from side_by_side import service

TURNS = 6
IMPORTS = "import fastapi, numpy, sqlalchemy"


def taken(action: Callable[[], float]) -> tuple[float, float]:
    """Return the seconds of an action by the clock, and those that it computed in all."""
    began = time.perf_counter()
    cpu = action()
    return time.perf_counter() - began, cpu


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        memory: list[float] = []

        def imports() -> float:
            before = os.times()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
            after = os.times()
            spent = after.children_user - before.children_user
            return spent + after.children_system - before.children_system

        def serve() -> tuple[float, float]:
            began = time.perf_counter()
            with service(folder) as process:
                clock = time.perf_counter() - began
                memory.append(process.memory("VmRSS"))
                return clock, process.cpu()

        serve()
        turns = [(serve(), taken(imports)) for _ in range(TURNS)]
    own, least = (
        [min(column) for column in zip(*way, strict=True)] for way in zip(*turns, strict=True)
    )
    print(f"{'':12}{'clock s':>10}{'cpu s':>10}")
    print(f"{'serve':12}{own[0]:10.2f}{own[1]:10.2f}")
    print(f"{'imports':12}{least[0]:10.2f}{least[1]:10.2f}")
    print(f"{'ratio':12}{own[0] / least[0]:10.2f}{own[1] / least[1]:10.2f}")
    print(f"\nresident memory: {min(memory):.0f} MiB")


if __name__ == "__main__":
    main()
