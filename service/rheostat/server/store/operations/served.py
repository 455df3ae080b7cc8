"""The ledger as it is shown: what was really served."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from rheostat import wire
from rheostat.server.runs.fragments import by_name
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.settling import Segment
from rheostat.server.store import ledger
from rheostat.server.store.records import Records, RunRecord

PAGE = 200_000
"""How many values a page holds at most (and at least one cell)."""


def served(
    records: Records, ref: str, generation: int | None, start: int, stop: int | None
) -> tuple[wire.Served, int | None]:
    """
    Return what was served of a generation from ``start`` to ``stop``, and where to go on.

    That is a step, or None after the last page.
    """
    run = records.find(ref, settled=True)
    lineage = records.lineage(run)
    number = run.generation if generation is None else generation
    last = lineage[number].settled_until
    if stop is not None:  # the cell that holds the last step is shown whole
        last = min(last, run.spec.grid.floor(stop - 1) + run.spec.resolution)
    segments, following = _page(records, run, lineage, number, start, last)
    page: wire.Served = {
        "id": run.id,
        "generation": number,
        "resolution": run.spec.resolution,
        "parameters": run.spec.names,
        "segments": [
            {
                "start": segment.start,
                "count": segment.count,
                "values": by_name(run.spec.names, segment.values),
            }
            for segment in segments
        ],
    }
    return page, following


def _page(
    records: Records, run: RunRecord, lineage: Lineage, generation: int, start: int, stop: int
) -> tuple[list[Segment], int | None]:
    grid, room = run.spec.grid, max(PAGE // len(run.spec.names), 1)
    segments: list[Segment] = []
    with closing(_segments(records, run, lineage, generation, start, stop)) as found:
        for segment in found:
            if room == 0:
                return segments, segment.start
            fitting = segment.clipped(grid, segment.start, segment.start + room * grid.resolution)
            segments.append(fitting)
            room -= fitting.count
            if fitting.stop < segment.stop:
                return segments, fitting.stop
    return segments, None


def _segments(
    records: Records, run: RunRecord, lineage: Lineage, generation: int, start: int, stop: int
) -> Generator[Segment]:
    for owned in lineage.owners(generation, run.spec.grid.floor(start), stop):
        yield from ledger.read(records.connection, owned, run.spec.grid)
