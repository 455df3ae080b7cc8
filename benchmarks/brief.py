"""
What a brief costs, beside a read of the run itself.

    python benchmarks/brief.py

Two runs in one database: a new one, and one of 10,000,000 steps with 10,000 revisions, 64 metrics
and 27 parameters. Of each the service's brief and its plain read are timed, in turns: processor
time of the whole process for one, the best of five batches of twenty, and the ratio of both. The
last column is the brief's size, of which 4,096 bytes are the most.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import orjson
from growth import PARAMETERS, Life, cost, fresh

from rheostat.controllers import bits_of_value
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import Note
from rheostat.server.store import Store
from rheostat.server.store.operations import advance, brief, create, report, show
from rheostat.server.store.operations.advance import AdvanceRequest
from rheostat.server.store.operations.report import Point, ReportRequest

STEPS, REVISIONS, METRICS, WIDE = 10_000_000, 10_000, 64, 25
OTHERS = {f"lr/layer_{number}": 1e-3 for number in range(WIDE)}
AT_ONCE = 20
NOTE = Note("benchmark")


async def old(store: Store) -> str:
    """Return the id of a run that has had a long life."""
    body: dict[str, Any] = {"name": "old", "parameters": {**PARAMETERS, **OTHERS}}
    life = Life(store, str((await store.write(create.create, body, NOTE))["id"]))
    for _ in range(REVISIONS // AT_ONCE):
        await life.add_revisions(AT_ONCE)
    await store.write(advance.advance, life.id, AdvanceRequest(STEPS, note=NOTE))
    points = [
        Point(0, STEPS - 1, f"metric_{number}", bits_of_value(1.0)) for number in range(METRICS)
    ]
    await store.write(report.report, ReportRequest(1, "main", points), life.id)
    return life.id


async def measured(store: Store) -> None:
    """Print what both runs cost."""
    new = await Life.new(store, "new")
    await new.settle()
    runs = {"new": new.id, "old": await old(store)}
    roster = Roster()
    print(f"{'run':6}{'brief, ms':>12}{'read, ms':>12}{'ratio':>8}{'bytes':>8}")
    may = ["propose", "note"]
    for name, run in runs.items():
        told = await cost(partial(store.read, brief.brief, run, roster, may))
        read = await cost(partial(store.read, show.show, run))
        size = len(orjson.dumps(await store.read(brief.brief, run, roster, may)))
        print(f"{name:6}{told / 1e3:>12.2f}{read / 1e3:>12.2f}{told / read:>8.2f}{size:>8}")
        assert size <= brief.MOST_BYTES


if __name__ == "__main__":
    with fresh() as opened:
        asyncio.run(measured(opened))
