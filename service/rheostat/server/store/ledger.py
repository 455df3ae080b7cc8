"""
The ledger's rows: what was handed out, bit for bit.

A settling read appends what it hands out as it is. Once `PACKED` values follow each other they are
packed into one row: smooth curves have bit patterns whose second differences are small, so these
are deflated, their bytes in planes. Unpacking gives the same bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, delete, select

from rheostat.server.runs.grid import Grid
from rheostat.server.runs.lineage import GenerationKey, OwnedSteps
from rheostat.server.runs.packed import BITS, FLOAT, unpacked
from rheostat.server.runs.settling import Segment
from rheostat.server.store import statements, tables

PACKED = 4096
"""Values of one packed row: enough to pack well, and few enough to unpack for one block."""


@dataclass(frozen=True, slots=True)
class LedgerLayout:
    """How the cells of a run are laid out: its grid, and how many parameters each cell has."""

    grid: Grid
    width: int

    @property
    def span(self) -> int:
        """The coordinates of one packed row."""
        return max(PACKED // self.width, 1) * self.grid.resolution

    def floor(self, step: int) -> int:
        """Return where the span that holds ``step`` begins."""
        return step - step % self.span


def read(connection: Connection, owned: OwnedSteps, grid: Grid) -> Generator[Segment]:
    """Yield what is known of these steps, by rising step, read as it is asked for."""
    with connection.execute(statements.SEGMENTS, statements.within(owned)) as rows:
        for row in rows:
            segment = _segment(row, grid)
            if segment.stop > owned.start:
                yield segment.clipped(grid, owned.start, owned.stop)


def pack(
    connection: Connection, owner: GenerationKey, layout: LedgerLayout, start: int, stop: int
) -> None:
    """Pack the rows that begin from ``start`` to ``stop``, where they follow each other."""
    table = tables.ledger
    there = (
        table.c.run_id == owner.run_id,
        table.c.generation == owner.number,
        table.c.start >= start,
        table.c.start < stop,
        table.c.packed.is_(False),
    )
    rows = connection.execute(select(*statements.SEGMENT).where(*there).order_by(table.c.start))
    # not "row", which is a function here: CPython 3.12.1 takes one for the other
    segments = [_segment(found, layout.grid) for found in rows]
    if segments:
        connection.execute(delete(table).where(*there))
        groups = _groups(segments, layout.span)
        packed = [row(owner, _joined(group), packed=True) for group in groups]
        connection.execute(statements.APPEND, packed)


def _groups(segments: list[Segment], span: int) -> list[list[Segment]]:
    """Return the segments, those together that follow each other and begin in one span."""
    groups: list[list[Segment]] = []
    for segment in segments:
        last = groups[-1] if groups else None
        if last and last[-1].stop == segment.start and segment.start % span:
            last.append(segment)
        else:
            groups.append([segment])
    return groups


def _joined(group: list[Segment]) -> Segment:
    values = np.concatenate([segment.values for segment in group], axis=1)
    return Segment(group[0].start, group[-1].stop, values)


def row(owner: GenerationKey, segment: Segment, *, packed: bool = False) -> dict[str, object]:
    """Return a segment as it is stored."""
    return {
        "run_id": owner.run_id,
        "generation": owner.number,
        "start": segment.start,
        "count": segment.count,
        "packed": packed,
        "values": _pack(segment.values) if packed else _raw(segment.values),
    }


def _segment(row: Row[Any], grid: Grid) -> Segment:
    start, count, packed, values = tuple(row)
    flat = _unpack(values, count) if packed else np.frombuffer(values, dtype=FLOAT)
    return Segment(start, start + count * grid.resolution, flat.reshape(-1, count))


def _raw(values: NDArray[np.float64]) -> bytes:
    return values.astype(FLOAT, copy=False).tobytes()


def _pack(values: NDArray[np.float64]) -> bytes:
    bits = values.astype(FLOAT).view(BITS)
    for _ in range(2):
        bits = np.diff(bits, axis=1, prepend=np.zeros((len(bits), 1), BITS))  # modulo 2^64
    planes = bits.astype(BITS).view(np.uint8).reshape(-1, BITS.itemsize).T
    return zlib.compress(planes.tobytes(), level=1)


def _unpack(packed: bytes, count: int) -> NDArray[np.float64]:
    return unpacked(zlib.decompress(packed), count)
