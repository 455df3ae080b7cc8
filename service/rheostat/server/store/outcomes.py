"""What workers say became of signals, as one transaction sees and adds to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from sqlalchemy import Row, Select, func, insert, select

from rheostat import wire
from rheostat.server.runs.fragments import dumps
from rheostat.server.runs.revision_state import Tally
from rheostat.server.store import tables
from rheostat.server.store.transaction import Transaction

TABLE = tables.outcomes


class Outcomes:
    """The outcomes, each of which is written once."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, run_id: str, outcome: wire.Outcome, event: int | None) -> None:
        """Store an outcome, which is an event of this number, if it is one."""
        self._transaction.write()
        data = outcome["data"]
        row = {**outcome, "data": None if data is None else dumps(data).decode()}
        row["at"] = row.pop("created_at")
        self._transaction.connection.execute(
            insert(TABLE).values(run_id=run_id, event=event, **row)
        )

    def one(self, run_id: str, revision: int, source: str) -> wire.Outcome | None:
        """Return what a worker has said of a revision, if it has."""
        query = _of(run_id, revision).where(TABLE.c.source == source)
        row = self._transaction.connection.execute(query).one_or_none()
        return None if row is None else _outcome(row)

    def first(self, run_id: str, revision: int, limit: int) -> list[wire.Outcome]:
        """Return the first outcomes of a revision, those that failed before the others."""
        query = _of(run_id, revision).order_by(TABLE.c.outcome.desc(), TABLE.c.source).limit(limit)
        return [_outcome(row) for row in self._transaction.connection.execute(query)]

    def page(self, run_id: str, revision: int, after: str, limit: int) -> list[wire.Outcome]:
        """Return the outcomes of a revision by source, past ``after``."""
        query = _of(run_id, revision).where(TABLE.c.source > after)
        rows = self._transaction.connection.execute(query.order_by(TABLE.c.source).limit(limit))
        return [_outcome(row) for row in rows]

    def tallies(self, run_id: str, revisions: Collection[int]) -> dict[int, Tally]:
        """Return how many outcomes of each kind these revisions have, of those that have any."""
        if not revisions:
            return {}
        query = (
            select(TABLE.c.revision, TABLE.c.outcome, func.count().label("many"))
            .where(TABLE.c.run_id == run_id, TABLE.c.revision.in_(revisions))
            .group_by(TABLE.c.revision, TABLE.c.outcome)
        )
        counts: dict[int, dict[str, int]] = {}
        for row in self._transaction.connection.execute(query):
            counts.setdefault(row.revision, {})[row.outcome] = row.many
        return {number: Tally(**each) for number, each in counts.items()}

    def is_full(self, run_id: str, revision: int, limit: int) -> bool:
        """Whether a revision has ``limit`` outcomes, or more."""
        where = TABLE.c.run_id == run_id, TABLE.c.revision == revision
        query = select(TABLE.c.source).where(*where).offset(limit - 1).limit(1)
        return self._transaction.connection.execute(query).first() is not None

    def told(self, run_id: str, after: int, limit: int) -> Sequence[Row[Any]]:
        """Return the next rows that are events past a number."""
        query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.event > after)
        return self._transaction.connection.execute(
            query.order_by(TABLE.c.event).limit(limit)
        ).all()


def _of(run_id: str, revision: int) -> Select[Any]:
    return select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.revision == revision)


def _outcome(row: Row[Any]) -> wire.Outcome:
    return {
        "revision": row.revision,
        "source": row.source,
        "generation": row.generation,
        "outcome": row.outcome,
        "step": row.step,
        "data": None if row.data is None else orjson.loads(row.data),
        "error": row.error,
        "created_at": row.at,
    }
