"""The ledger's rows: what was handed out, bit for bit."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

from rheostat.server.runs.grid import Grid
from rheostat.server.runs.lineage import Key, Stretch
from rheostat.server.runs.settling import Segment
from rheostat.server.runs.spec import LONGEST_BLOCK
from rheostat.server.store import tables

FLOAT = np.dtype("<f8")


def read(connection: Connection, stretch: Stretch, grid: Grid) -> Generator[Segment]:
    """Yield what is known of a stretch, by rising step, read as it is asked for."""
    table = tables.ledger
    # no segment is longer than the longest block, so those that begin earlier end before it
    earliest = max(stretch.start - LONGEST_BLOCK * grid.resolution, -1)
    query = (
        select(table.c.start, table.c.count, table.c["values"])
        .where(table.c.run_id == stretch.owner.run_id)
        .where(table.c.generation == stretch.owner.number)
        .where(table.c.start > earliest, table.c.start < stretch.stop)
        .order_by(table.c.start)
    )
    with connection.execute(query.execution_options(yield_per=64)) as rows:
        for start, count, values in rows:
            segment = Segment(start, start + count * grid.resolution, _decode(values, count))
            if segment.stop > stretch.start:
                yield segment.clipped(grid, stretch.start, stretch.stop)


def append(connection: Connection, owner: Key, segments: list[Segment]) -> None:
    """Add segments, of cells that the ledger lacks."""
    if not segments:
        return
    rows = [
        {
            "run_id": owner.run_id,
            "generation": owner.number,
            "start": segment.start,
            "count": segment.count,
            "values": segment.values.astype(FLOAT, copy=False).tobytes(),
        }
        for segment in segments
    ]
    connection.execute(insert(tables.ledger), rows)


def _decode(values: bytes, count: int) -> NDArray[np.float64]:
    return np.frombuffer(values, dtype=FLOAT).reshape(-1, count)
