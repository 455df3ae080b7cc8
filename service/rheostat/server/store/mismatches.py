"""Values that workers applied and were not given, each once, as one transaction sees them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Row, func, insert, select, update

from rheostat import wire
from rheostat.controllers import json_of_value, value_of_bits
from rheostat.server.store import tables

TABLE = tables.mismatches


class Place(NamedTuple):
    """What a mismatch is known by: the same one may be told many times."""

    worker: str
    generation: int
    step: int
    parameter: str


class Mismatches:
    """The mismatches of runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def places(self, run_id: str) -> list[Place]:
        """Return where the run has mismatches, in the order of their numbers."""
        columns = [TABLE.c[name] for name in Place._fields]
        query = select(*columns).where(TABLE.c.run_id == run_id).order_by(TABLE.c.number)
        return [Place(*row) for row in self._connection.execute(query)]

    def touch(self, run_id: str, numbers: Collection[int], at: str) -> None:
        """Note that these were told again, at a time."""
        where = TABLE.c.run_id == run_id, TABLE.c.number.in_(numbers)
        self._connection.execute(update(TABLE).where(*where).values(told_at=at))

    def add(self, run_id: str, rows: Sequence[dict[str, Any]]) -> None:
        """Store mismatches: columns of the table, by name."""
        self._connection.execute(insert(TABLE), [{"run_id": run_id, **row} for row in rows])

    def page(self, run_id: str, after: int, limit: int) -> list[wire.Mismatch]:
        """Return the mismatches past a number."""
        query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.number > after)
        rows = self._connection.execute(query.order_by(TABLE.c.number).limit(limit))
        return [_mismatch(row) for row in rows]

    def of_generation(self, run_id: str, generation: int) -> tuple[int, wire.Mismatch | None]:
        """Return how many a generation has, and the one that was kept first."""
        where = TABLE.c.run_id == run_id, TABLE.c.generation == generation
        row = self._connection.execute(
            select(TABLE).where(*where).order_by(TABLE.c.number).limit(1)
        ).one_or_none()
        if row is None:
            return 0, None
        count = self._connection.execute(select(func.count()).select_from(TABLE).where(*where))
        return int(count.scalar_one()), _mismatch(row)

    def told(self, run_id: str, after: int, limit: int) -> list[wire.MismatchEvent]:
        """Return the next of them that are events past a number."""
        query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.event > after)
        rows = self._connection.execute(query.order_by(TABLE.c.event).limit(limit))
        return [_event(row) for row in rows]


def _mismatch(row: Row[Any]) -> wire.Mismatch:
    return {
        "number": row.number,
        "worker": row.worker,
        "generation": row.generation,
        "parameter": row.parameter,
        "step": row.step,
        "expected": _text(row.expected_bits),
        "found": _text(row.found_bits),
        "dtype": cast("wire.SlotType", row.dtype),
        "at": row.at,
    }


def _event(row: Row[Any]) -> wire.MismatchEvent:
    return {
        "number": row.event,
        "kind": "mismatch",
        "id": row.run_id,
        "created_at": row.at,
        "generation": row.generation,
        "mismatch": row.number,
        "worker": row.worker,
        "parameter": row.parameter,
        "step": row.step,
        "expected": _text(row.expected_bits),
        "found": _text(row.found_bits),
        "dtype": cast("wire.SlotType", row.dtype),
    }


def _text(bits: int) -> str:
    """Return the shortest text of a float64."""
    return str(json_of_value(value_of_bits(bits)))
