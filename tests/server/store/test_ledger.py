"""The ledger's rows: packed when they are many, and the same bits again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sqlalchemy import func, select

from rheostat.server.runs.grid import Grid
from rheostat.server.runs.lineage import GenerationKey, OwnedSteps
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import Segment
from rheostat.server.store import ledger, tables
from rheostat.server.store.operations import advance, close, rewind, served
from rheostat.server.store.records import Records

COSINE = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 100_000}
SETTINGS = {"parameters": {"lr": COSINE, "wd": {"kind": "constant", "value": 0.1}}}


def rows(desk: Any) -> list[Any]:
    """Return the rows of the ledger, without their values, by rising generation and start."""
    table = tables.ledger
    size = func.length(table.c["values"]).label("size")
    query = select(table.c.generation, table.c.start, table.c.count, table.c.packed, size)
    query = query.order_by(table.c.generation, table.c.start)
    found: list[Any] = desk.read(lambda records: records.connection.execute(query).all())
    return found


ANY_BITS = arrays.arrays(np.uint64, st.tuples(st.integers(1, 3), st.integers(1, 40)))


@given(ANY_BITS)
def test_packing_keeps_every_bit(bits: Any) -> None:
    """P1: whatever the values are, zeros of either sign and denormal ones among them."""
    values = bits.view(np.float64)
    packed = ledger._pack(values)
    unpacked = ledger._unpack(packed, values.shape[1])
    assert unpacked.view(np.uint64).tolist() == bits.tolist()


def test_full_spans_are_packed_as_they_settle(desk: Any) -> None:
    """A row for each 4,096 values, of less than half their size; the newest stay as they are."""
    run = desk.create(**SETTINGS)
    blocks = [desk.settle(run, start, 64)[0] for start in range(0, 4160, 64)]
    first, second, last = rows(desk)
    assert [(row.start, row.count, row.packed) for row in (first, second)] == [
        (0, 2048, True),
        (2048, 2048, True),
    ]
    assert (last.start, last.count, last.packed) == (4096, 64, False)
    assert first.size < 2048 * 2 * 8 / 2
    desk.restart()
    assert [desk.settle(run, start, 64)[0] for start in range(0, 4160, 64)] == blocks


def test_holes_stay_holes(desk: Any) -> None:
    """P9: what nobody asked for is not in the ledger, and is computed when it is asked for."""
    run = desk.create(**SETTINGS)
    desk.settle(run, 0, 8)
    desk.join(start=1000)
    desk.settle(run, 1000, 16)
    desk.settle(run, 1200, 16)
    desk.write(advance.advance, run, advance.AdvanceRequest(to=2040))
    desk.settle(run, 2040, 16)
    found = [(row.start, row.count) for row in rows(desk)]
    assert found == [(0, 8), (1000, 16), (1200, 16), (2040, 16)]
    assert len(desk.settle(run, 0, 2048)[0]) == 2048
    assert sum(row.count for row in rows(desk)) == 2056


@pytest.mark.parametrize("end", ["finished", "rewound"])
def test_what_has_ended_is_packed_to_its_end(desk: Any, end: str) -> None:
    """A finished run, and a generation that a rewind has left, keep no loose blocks."""
    run = desk.create(**SETTINGS)
    blocks = [desk.settle(run, start, 8)[0] for start in range(0, 80, 8)]
    if end == "finished":
        desk.write(close.finish, run, None, Note("ann"))
    else:
        desk.write(rewind.rewind, run, rewind.RewindRequest(to=40))
    assert [(row.start, row.count, row.packed) for row in rows(desk)] == [(0, 80, True)]
    assert desk.settle(run, 8, 8)[0] == blocks[1]
    shown = desk.read(served.served, run, 1, 0, None)[0]["segments"]
    assert [value for each in shown for value in each["values"]["lr"]] == [
        x for b in blocks for x in b
    ]


def test_reading_a_block_reads_the_rows_that_hold_it(desk: Any) -> None:
    """However many blocks come before it: the cost of a read does not grow with the run."""
    run = desk.create()
    for step in range(40):
        desk.settle(run, step, 1)

    def read(records: Records) -> list[Segment]:
        stretch = OwnedSteps(GenerationKey(run, 1), 30, 33)
        return list(ledger.read(records.connection, stretch, Grid()))

    assert [segment.start for segment in desk.read(read)] == [30, 31, 32]
