"""Ends of runs: finishing, which keeps everything, and deleting, which keeps nothing."""

from __future__ import annotations

from typing import Any

from rheostat.errors import Finished, TooLate
from rheostat.server.store.operations.show import show
from rheostat.server.store.records import Records, now


def finish(records: Records, ref: str, end: int | None) -> dict[str, Any]:
    """Close a run: no step from ``end`` on (by default, what is settled) will have a value."""
    run = records.find(ref, lock=True)
    settled = records.lineage(run.id)[run.generation].settled_until
    if run.end is not None:
        if end in {None, run.end}:
            return show(records, run.id)
        raise Finished(f"the run is finished already, at {run.end}", end=run.end)
    if end is not None and run.spec.grid.require("end", end) < settled:
        raise TooLate(
            f"step {end} is settled: workers may have its value; the earliest end is {settled}",
            earliest=settled,
        )
    records.advance(run.id, end=settled if end is None else end, finished_at=now())
    return show(records, run.id)


def delete(records: Records, ref: str) -> None:
    """Remove a run and everything of it; its id is never used again."""
    records.remove(records.find(ref, lock=True).id)
