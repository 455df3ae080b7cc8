"""The proposals of runs, as one transaction sees and changes them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import orjson
from sqlalchemy import Row, func, insert, select, update

from rheostat.errors import UnknownProposal
from rheostat.server.runs.fragments import Verbatim, dumps
from rheostat.server.runs.proposal import Proposal, ProposalState
from rheostat.server.runs.revision import Note
from rheostat.server.store import tables
from rheostat.server.store.transaction import Transaction

TABLE = tables.proposals


class Proposals:
    """The proposals, as one transaction sees and changes them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def next_number(self, run_id: str) -> int:
        """Return the number of a run's next proposal."""
        query = select(func.coalesce(func.max(TABLE.c.number), 0)).where(TABLE.c.run_id == run_id)
        return int(self._transaction.connection.execute(query).scalar_one()) + 1

    def add(self, run_id: str, proposal: Proposal, event: int) -> None:
        """Store an open proposal, which is an event of this number."""
        self._transaction.write()
        self._transaction.connection.execute(
            insert(TABLE).values(
                run_id=run_id,
                number=proposal.number,
                generation=proposal.generation,
                kind=proposal.kind,
                body=proposal.body.text,
                author=proposal.note.author,
                message=proposal.note.message,
                cause=None if proposal.cause is None else dumps(proposal.cause).decode(),
                created_at=proposal.created_at,
                state=proposal.state,
                reason="",
                event=event,
            )
        )

    def one(self, run_id: str, number: int) -> Proposal:
        """Return one proposal; raise `UnknownProposal` if there is none."""
        query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.number == number)
        row = self._transaction.connection.execute(query).one_or_none()
        if row is None:
            raise UnknownProposal(f"the run has no proposal {number}")
        return _proposal(row)

    def page(
        self, run_id: str, state: ProposalState | None, after: int, limit: int
    ) -> Generator[Proposal]:
        """Yield proposals by number, past ``after``, read as they are asked for."""
        query = select(TABLE).where(TABLE.c.run_id == run_id, TABLE.c.number > after)
        if state is not None:
            query = query.where(TABLE.c.state == state)
        query = query.order_by(TABLE.c.number).limit(limit).execution_options(yield_per=16)
        with self._transaction.connection.execute(query) as rows:
            for row in rows:
                yield _proposal(row)

    def open_numbers(self, run_id: str, limit: int) -> tuple[int, list[int]]:
        """Return how many are open in all, and the numbers of the newest ones, by number."""
        where = TABLE.c.run_id == run_id, TABLE.c.state == ProposalState.OPEN
        query = select(TABLE.c.number).where(*where).order_by(TABLE.c.number.desc())
        numbers = self._transaction.connection.execute(query.limit(limit)).scalars().all()
        if len(numbers) < limit:
            return len(numbers), sorted(numbers)
        count = select(func.count()).select_from(TABLE).where(*where)
        return self._transaction.connection.execute(count).scalar_one(), sorted(numbers)

    def open_of(self, run_id: str, author: str | None, limit: int) -> list[int]:
        """Return the numbers of at most ``limit`` open proposals of one author."""
        query = select(TABLE.c.number).where(
            TABLE.c.run_id == run_id,
            TABLE.c.state == ProposalState.OPEN,
            TABLE.c.author.is_(None) if author is None else TABLE.c.author == author,
        )
        return list(self._transaction.connection.execute(query.limit(limit)).scalars())

    def expire(self, run_id: str, at: str, reason: str, number: int | None = None) -> None:
        """Close all open proposals of a run, or one of them, undecided."""
        self._transaction.write()
        where = [TABLE.c.run_id == run_id, TABLE.c.state == ProposalState.OPEN]
        if number is not None:
            where.append(TABLE.c.number == number)
        values = {"state": ProposalState.EXPIRED, "decided_at": at, "reason": reason}
        self._transaction.connection.execute(update(TABLE).where(*where).values(**values))

    def decide(self, run_id: str, proposal: Proposal, event: int) -> None:
        """Store what somebody decided, which is an event of this number."""
        self._transaction.write()
        where = TABLE.c.run_id == run_id, TABLE.c.number == proposal.number
        self._transaction.connection.execute(
            update(TABLE)
            .where(*where)
            .values(
                state=proposal.state,
                revision=proposal.revision,
                decided_by=proposal.decided_by,
                decided_at=proposal.decided_at,
                reason=proposal.reason,
                decided_event=event,
            )
        )


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(
        number=row.number,
        generation=row.generation,
        kind=row.kind,
        body=Verbatim(row.body),
        note=Note(row.author, row.message),
        cause=None if row.cause is None else orjson.loads(row.cause),
        created_at=row.created_at,
        state=ProposalState(row.state),
        revision=row.revision,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reason=row.reason,
    )
