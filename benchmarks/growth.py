"""
How the cost of an operation grows with what there is already.

    python benchmarks/growth.py docs/growth.svg [--small]

For each dimension a database grows by factors of ten, and at each size four operations of the store
are timed: ``settle`` the next block of 64 cells, ``replay`` a settled one from the ledger (no cache
of answers), ``preview`` open cells, ``revise`` at the settled end.

``runs``        runs with one settled block each
``revisions``   revisions of the run, each in force for one step
``steps``       steps served to the run, in blocks of 4,096
``rows``        rows of its ledger, blocks of 64
``ranks``       workers that read the same new block from a server over HTTP: the server's time for
                one read

Times are processor time of the whole process (for ``ranks``, of the server), per operation, the
best of five batches of twenty: other work on the machine hardly touches them. A line that is flat
means that the cost of all the work is linear in its amount. The exponent is that of the growth from
the first to the last size: 0 is flat, 1 is an operation that costs as much more as there is more.

The last table is a run with 10,000 revisions and 10 million served steps beside a new one, in one
database, taking turns.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import math
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from matplotlib.figure import Figure
from side_by_side import service

from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.validation import Limits
from rheostat.server.store import Store
from rheostat.server.store.operations import create, revise, values
from rheostat.server.store.operations.revise import RevisionRequest

LONGEST, BLOCK = 4096, 64
BATCHES, BATCH = 5, 20
PARAMETERS = {
    "lr": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 20_000_000},
    "weight_decay": {"kind": "constant", "value": 0.1},
}
Costs = dict[str, float]


class Life:
    """A run, and what has been done to it so far."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.id = run_id
        self.end = 0
        self._values = itertools.count(1)

    @classmethod
    async def new(cls, store: Store, name: str) -> Life:
        """Create a run."""
        body = {"name": name, "parameters": PARAMETERS}
        return cls(store, str((await store.write(create.create, body, Note("benchmark")))["id"]))

    def settle(self, count: int = BLOCK) -> Awaitable[Any]:
        """Settle the next cells."""
        ask = BlockRequest(1, self.end, count)
        self.end += count
        return self.store.write(values.settle, self.id, ask)

    def replay(self) -> Awaitable[Any]:
        """Read a block from the middle of what is settled."""
        start = max(0, self.end // 2 - BLOCK)
        return self.store.write(values.settle, self.id, BlockRequest(1, start, BLOCK))

    def preview(self) -> Awaitable[Any]:
        """Look at the open cells."""
        return self.store.read(values.preview, self.id, BlockRequest(0, self.end, BLOCK))

    def revise(self) -> Awaitable[Any]:
        """Set another weight decay from the settled end on."""
        value = {"kind": "constant", "value": 1 / next(self._values)}
        return self.store.write(
            revise.revise, self.id, RevisionRequest({"weight_decay": value}, "next")
        )

    async def add_revisions(self, number: int) -> None:
        """Add revisions that are in force for one step each."""
        for done in range(0, number, 200):
            pairs = [(self.settle(1), self.revise()) for _ in range(min(200, number - done))]
            await asyncio.gather(*itertools.chain.from_iterable(pairs))

    async def add_blocks(self, number: int, count: int) -> None:
        """Settle blocks."""
        for _ in range(number):
            await self.settle(count)

    async def costs(self) -> Costs:
        """Return the microseconds of each operation."""
        if self.end < 2 * BLOCK:
            await self.settle(2 * BLOCK)
        timed = {"settle": self.settle, "replay": self.replay, "preview": self.preview}
        found = {name: await cost(operation) for name, operation in timed.items()}
        return {**found, "revise": await cost(self._settle_and_revise) - found["settle"]}

    async def _settle_and_revise(self) -> None:
        await self.settle()
        await self.revise()


async def cost(operation: Callable[[], Awaitable[Any]]) -> float:
    """Return the microseconds of processor time of an operation, in the best batch."""
    batches = []
    for _ in range(BATCHES):
        began = time.process_time()
        for _ in range(BATCH):
            await operation()
        batches.append((time.process_time() - began) / BATCH * 1e6)
    return min(batches)


@contextmanager
def fresh() -> Iterator[Store]:
    """Yield a store on an empty SQLite database."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/rheostat.db", Limits())
        store.start()
        try:
            yield store
        finally:
            store.close()


async def runs(store: Store, sizes: list[int]) -> dict[int, Costs]:
    """Grow the number of runs."""
    life, found = await Life.new(store, "measured"), {}
    await life.add_blocks(4, BLOCK)
    made = 1
    for size in sizes:
        others = [await Life.new(store, f"run-{number}") for number in range(made, size)]
        await asyncio.gather(*(other.settle() for other in others))
        made = size
        found[size] = await life.costs()
    return found


async def revisions(store: Store, sizes: list[int]) -> dict[int, Costs]:
    """Grow the number of revisions of a run."""
    life, found, made = await Life.new(store, "measured"), {}, 1
    for size in sizes:
        await life.add_revisions(size - made)
        found[size] = await life.costs()
        made = size + BATCHES * BATCH
    return found


async def steps(store: Store, sizes: list[int]) -> dict[int, Costs]:
    """Grow the number of steps served."""
    life, found = await Life.new(store, "measured"), {}
    for size in sizes:
        while life.end < size:
            await life.settle(min(LONGEST, size - life.end))
        found[size] = await life.costs()
    return found


async def rows(store: Store, sizes: list[int]) -> dict[int, Costs]:
    """Grow the ledger by rows of one block."""
    life, found = await Life.new(store, "measured"), {}
    for size in sizes:
        await life.add_blocks(size - life.end // BLOCK, BLOCK)
        found[size] = await life.costs()
    return found


def ranks(sizes: list[int]) -> dict[int, Costs]:
    """Read new blocks over HTTP, as so many workers do, over one connection."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, service(folder) as server:
        made = httpx.post(
            f"{server.url}/v1/runs", json={"name": "measured", "parameters": PARAMETERS}
        )
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        blocks = itertools.count()
        for size in sizes:
            number = max(5, 500 // size)
            began = server.cpu()
            for start in itertools.islice(blocks, number):
                path = f"/v1/runs/{made.json()['id']}/values?generation=1&start={start * BLOCK}"
                for _ in range(size):
                    connection.request("GET", f"{path}&count={BLOCK}&format=f64")
                    connection.getresponse().read()
            found[size] = {"read": (server.cpu() - began) / number / size * 1e6}
    return found


async def side_by_side(store: Store, served: int, revised: int) -> dict[str, tuple[float, float]]:
    """Return the costs of a new run and of an old one; they take turns."""
    old, new = await Life.new(store, "old"), await Life.new(store, "new")
    await old.add_revisions(revised)
    while old.end < served:
        await old.settle(LONGEST)
    await new.settle(2 * BLOCK)
    turns = [(await new.costs(), await old.costs()) for _ in range(3)]
    return {
        name: (min(n[name] for n, _ in turns), min(o[name] for _, o in turns))
        for name in ("settle", "replay", "preview", "revise")
    }


def draw(found: dict[str, dict[int, Costs]], path: str) -> None:
    """Plot costs over sizes, both logarithmic."""
    figure = Figure(figsize=(3.2 * len(found), 3.4), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True)
    for axis, (dimension, costs) in zip(axes, found.items(), strict=True):
        for name in next(iter(costs.values())):
            axis.plot(list(costs), [c[name] for c in costs.values()], marker="o", label=name)
        axis.set(xscale="log", yscale="log", xlabel=dimension)
        axis.grid(visible=True, alpha=0.3)
        axis.legend(fontsize="small")
    axes[0].set_ylabel("processor time of one operation, µs")
    figure.savefig(path)


def exponent(costs: dict[int, Costs], name: str) -> float:
    """Return the power of the size that the cost has grown with."""
    first, *_, last = costs
    return math.log(costs[last][name] / costs[first][name]) / math.log(last / first)


def show(dimension: str, costs: dict[int, Costs]) -> None:
    """Print the costs of a dimension."""
    print(f"\n{dimension:12}" + "".join(f"{size:>12,}" for size in costs) + f"{'exponent':>12}")
    for name in next(iter(costs.values())):
        cells = "".join(f"{cost[name]:>12.0f}" for cost in costs.values())
        print(f"{name:12}{cells}{exponent(costs, name):>12.2f}", flush=True)


def main() -> None:
    """Measure, print the tables, and draw the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("picture")
    parser.add_argument("--small", action="store_true", help="a hundredth of everything")
    asked = parser.parse_args()
    most = 100 if asked.small else 10_000
    print(f"µs of processor time for one operation; load average {os.getloadavg()[0]:.1f}")
    grown: dict[str, tuple[Grow, list[int]]] = {
        "runs": (runs, [1, 10, 100, 1000]),
        "revisions": (revisions, [1, 10, 100, 1000, 10_000]),
        "steps": (steps, [10_000, 100_000, 1_000_000, 10_000_000]),
        "rows": (rows, [10, 100, 1000, 10_000]),
    }
    found: dict[str, dict[int, Costs]] = {}
    for dimension, (grow, sizes) in grown.items():
        with fresh() as store:
            reached = [size for size in sizes if size <= sizes[-1] // (10_000 // most)]
            found[dimension] = asyncio.run(grow(store, reached))
        show(dimension, found[dimension])
    found["ranks"] = ranks([1, 10, 100, 1000])
    show("ranks", found["ranks"])
    draw(found, asked.picture)
    with fresh() as store:
        both = asyncio.run(side_by_side(store, 1000 * most, most))
    print(f"\n{'':12}{'new':>12}{'old':>12}{'ratio':>12}")
    for name, (new, old) in both.items():
        print(f"{name:12}{new:>12.0f}{old:>12.0f}{old / new:>12.2f}")


Grow = Callable[[Store, list[int]], Coroutine[Any, Any, dict[int, Costs]]]

if __name__ == "__main__":
    main()
