"""The rows of controllers: what is armed, what was consumed, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Select, and_, false, insert, or_, select, union_all, update
from sqlalchemy import Row as DatabaseRow

from rheostat.controllers import Controller, State, bits_of_value, parse_controller, value_of_bits
from rheostat.errors import Invalid, Unavailable, UnknownController
from rheostat.server.runs.control.armed import Armed, Checkpoint, Consumed, Head, Made
from rheostat.server.runs.fragments import dumps
from rheostat.server.store import tables
from rheostat.server.store.transaction import Transaction

TOGETHER: Final = 50
"""Generations that one query asks for."""

NOTHING: Final = "nothing"
"""The decision of a report of which nothing came."""


class Controllers:
    """The controllers of runs, as one transaction sees and changes them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    # what is armed

    def armed(self, run_id: str) -> list[Armed]:
        """Return the controllers of a run, by name."""
        query = select(_CONTROLLERS).where(_CONTROLLERS.c.run_id == run_id)
        query = query.where(_CONTROLLERS.c.removed.is_(None)).order_by(_CONTROLLERS.c.name)
        rows = self._transaction.connection.execute(query).all()
        return sorted(map(_armed, rows), key=lambda each: each.name)

    def one(self, run_id: str, name: str) -> Armed:
        """Return one of them."""
        found = self.ever(run_id, name)
        if found is None or found.removed is not None:
            raise UnknownController(f"the run has no controller {name!r}")
        return found

    def ever(self, run_id: str, name: str) -> Armed | None:
        """Return one of this name, though it may be disarmed."""
        query = select(_CONTROLLERS).where(_CONTROLLERS.c.run_id == run_id)
        row = self._transaction.connection.execute(query.where(_CONTROLLERS.c.name == name))
        found = row.one_or_none()
        return None if found is None else _armed(found)

    def arm(self, run_id: str, armed: Armed, *, new: bool) -> None:
        """Store a controller, in place of one that had its name unless it is ``new``."""
        values = {
            "config": dumps(armed.controller.document).decode(),
            "changes": armed.changes,
            "since": armed.since,
            "epoch": armed.epoch,
            "removed": armed.removed,
            "armed_at": armed.armed_at,
            "base": dumps([_dumped(armed.controller, each) for each in armed.base]).decode(),
            "off_gate": armed.off_gate,
        }
        if not new:
            self.change(run_id, armed.name, **values)
            return
        self._transaction.write()
        row = {"run_id": run_id, "name": armed.name, **values}
        self._transaction.connection.execute(insert(_CONTROLLERS).values(**row))

    def change(self, run_id: str, name: str, **values: Any) -> None:
        """Change the row of one."""
        self._transaction.write()
        where = (_CONTROLLERS.c.run_id == run_id, _CONTROLLERS.c.name == name)
        self._transaction.connection.execute(update(_CONTROLLERS).where(*where).values(**values))

    # what they remember

    def heads(self, run_id: str, generation: int, armed: Iterable[Armed]) -> dict[str, Head]:
        """Return what each of them remembers in a generation."""
        known = {each.name: each.controller for each in armed}
        query = select(_HEADS).where(
            _HEADS.c.run_id == run_id,
            _HEADS.c.generation == generation,
            _HEADS.c.controller.in_(known),
        )
        rows = self._transaction.connection.execute(query).all()
        return {row.controller: _head(row, known[row.controller]) for row in rows}

    def newest_step(self, run_id: str, name: str, generation: int) -> int | None:
        """Return the newest step that a controller of this name has consumed in a generation."""
        query = select(_HEADS.c.step).where(
            _HEADS.c.run_id == run_id,
            _HEADS.c.controller == name,
            _HEADS.c.generation == generation,
        )
        found: int | None = self._transaction.connection.execute(query).scalar_one_or_none()
        return found

    def keep_head(self, run_id: str, generation: int, armed: Armed, head: Head) -> None:
        """Store what a controller remembers in a generation."""
        self._transaction.write()
        values = {
            "step": head.step,
            "bits": None if head.value is None else bits_of_value(head.value),
            "state": _text(armed.controller, head.state),
            "decisions": head.decisions,
            "unkept": head.unkept,
            "warned": head.warned,
        }
        key = {"run_id": run_id, "controller": armed.name, "generation": generation}
        where = (_HEADS.c[name] == value for name, value in key.items())
        changed = update(_HEADS).where(*where).values(**values)
        if self._transaction.connection.execute(changed).rowcount == 0:
            self._transaction.connection.execute(insert(_HEADS).values(**key, **values))

    # what they have consumed

    def consume(self, run_id: str, armed: Mapping[str, Armed], rows: Sequence[Consumed]) -> None:
        """Store what was consumed."""
        if not rows:
            return
        self._transaction.write()
        self._transaction.connection.execute(
            insert(_CONSUMED),
            [_consumed_row(run_id, armed[row.controller].controller, row) for row in rows],
        )

    def keep_state(self, run_id: str, generation: int, armed: Armed, head: Head) -> None:
        """Store the state with the newest report that was consumed in a generation, if one was."""
        self._transaction.write()
        self._transaction.connection.execute(
            update(_CONSUMED)
            .where(
                _CONSUMED.c.run_id == run_id,
                *_of(armed),
                _CONSUMED.c.generation == generation,
                _CONSUMED.c.step == head.step,
            )
            .values(state=_text(armed.controller, head.state))
        )

    def decided(
        self, run_id: str, names: Collection[str], steps: Collection[int], line: Mapping[int, int]
    ) -> list[DatabaseRow[Any]]:
        """Return the decisions on reports at these steps, on a line, by step and name."""
        found: list[DatabaseRow[Any]] = []
        if not names:
            return found
        for there in _chunks(line):
            query = select(_CONSUMED).where(
                _CONSUMED.c.run_id == run_id,
                _CONSUMED.c.controller.in_(names),
                _CONSUMED.c.step.in_(steps),
                _CONSUMED.c.decision != NOTHING,
                there,
            )
            found += self._transaction.connection.execute(query).all()
        return sorted(found, key=lambda row: (row.step, row.controller))

    def decisions(
        self, run_id: str, name: str, after: int, limit: int
    ) -> Sequence[DatabaseRow[Any]]:
        """Return the decisions of a controller past an event, in the order of their events."""
        query = select(_CONSUMED).where(
            _CONSUMED.c.run_id == run_id,
            _CONSUMED.c.controller == name,
            _CONSUMED.c.event > after,
        )
        query = query.order_by(_CONSUMED.c.event).limit(limit)
        return self._transaction.connection.execute(query).all()

    def blocked(self, run_id: str, line: Mapping[int, int], limit: int) -> list[DatabaseRow[Any]]:
        """Return the newest decisions that were refused, of the newest generations of a line."""
        there = next(_chunks(line))
        query = select(_CONSUMED).where(
            _CONSUMED.c.run_id == run_id, _CONSUMED.c.event > 0, _CONSUMED.c.decision == "blocked"
        )
        query = query.where(there).order_by(_CONSUMED.c.event.desc()).limit(limit)
        return list(self._transaction.connection.execute(query))

    def made(self, run_id: str, line: Mapping[int, int], past: int) -> list[DatabaseRow[Any]]:
        """
        Return the decisions on a line that wait, but for what was cancelled since.

        Their effect lies at or past a step, or they are proposals that are still open.
        """
        table = tables.proposals
        is_open = select(table.c.number).where(table.c.run_id == run_id, table.c.state == "open")
        waits = or_(
            and_(_CONSUMED.c.revision.is_not(None), _CONSUMED.c.effective >= past),
            _CONSUMED.c.proposal.in_(is_open),
        )
        query = select(_CONSUMED).where(_CONSUMED.c.run_id == run_id, _CONSUMED.c.event > 0, waits)
        rows = self._transaction.connection.execute(query)
        found = (row for row in rows if row.step <= line.get(row.generation, -1))
        return sorted(found, key=lambda row: (row.step, row.controller))

    def remembered(self, run_id: str, armed: Armed, line: Mapping[int, int]) -> Head | None:
        """
        Return what a controller remembers at the end of a line; None if it has consumed nothing.

        The newest state that was kept is folded on by the reports after it, no more than
        `armed.KEPT_EACH`. Reports that it consumed before its state began do not count.
        """
        kept = self._newest(run_id, line, *_of(armed), _CONSUMED.c.state.is_not(None))
        later = self._since(run_id, armed, line, kept)
        newest = later[-1] if later else kept
        if newest is None:
            return None
        base = armed.base[-1]
        state = (
            base.state if kept is None else armed.controller.load_state(orjson.loads(kept.state))
        )
        for row in later:
            state = armed.controller.step(state, row.step, value_of_bits(row.bits)).state
        return Head(
            step=newest.step,
            state=state,
            value=value_of_bits(newest.bits),
            decisions=base.decisions + self._count(run_id, armed, line),
            unkept=len(later),
        )

    def _newest(
        self, run_id: str, line: Mapping[int, int], *where: ColumnElement[bool]
    ) -> DatabaseRow[Any] | None:
        """Return the newest row of a line: it is looked for in one generation after the other."""
        items = iter(line.items())
        together = 1  # the newest one mostly has it
        while part := list(islice(items, together)):
            # each is a step down an index, where a condition about all of them would read all rows
            newest = (_newest_of(run_id, *each, *where).subquery() for each in part)
            query = union_all(*(select(each) for each in newest))
            found = self._transaction.connection.execute(query).all()
            if found:
                return max(found, key=lambda row: row.step)
            together = TOGETHER
        return None

    def _since(
        self, run_id: str, armed: Armed, line: Mapping[int, int], kept: DatabaseRow[Any] | None
    ) -> list[DatabaseRow[Any]]:
        """Return the rows of a line past one of them, or all: none is left out between."""
        numbers = list(line)
        if kept is not None:
            numbers = numbers[: numbers.index(kept.generation) + 1]
        step = -1 if kept is None else kept.step
        found: list[DatabaseRow[Any]] = []
        for there in _chunks({number: line[number] for number in numbers}):
            query = select(_CONSUMED).where(
                _CONSUMED.c.run_id == run_id, *_of(armed), there, _CONSUMED.c.step > step
            )
            found += self._transaction.connection.execute(query).all()
        return sorted(found, key=lambda row: row.step)

    def _count(self, run_id: str, armed: Armed, line: Mapping[int, int]) -> int:
        """Return how many decisions were made on a line, in the present epoch."""
        columns = _CONSUMED.c.generation, _CONSUMED.c.step
        query = select(*columns).where(
            _CONSUMED.c.run_id == run_id, _CONSUMED.c.event > 0, *_of(armed)
        )
        rows = self._transaction.connection.execute(query)
        return sum(row.step <= line.get(row.generation, -1) for row in rows)

    def consumed_until(self, run_id: str, name: str, line: Mapping[int, int]) -> int | None:
        """Return the newest step that was consumed on a line, in whatever epoch."""
        found = self._newest(run_id, line, _CONSUMED.c.controller == name)
        return None if found is None else int(found.step)


_CONTROLLERS = tables.controllers
_CONSUMED = tables.consumed
_HEADS = tables.heads


def _of(armed: Armed) -> tuple[ColumnElement[bool], ...]:
    return _CONSUMED.c.controller == armed.name, _CONSUMED.c.epoch == armed.epoch


def _newest_of(run_id: str, generation: int, last: int, *where: ColumnElement[bool]) -> Select[Any]:
    """Return what asks for the newest row of a generation, up to a step."""
    there = (_CONSUMED.c.run_id == run_id, _CONSUMED.c.generation == generation)
    query = select(_CONSUMED).where(*there, _CONSUMED.c.step <= last, *where)
    return query.order_by(_CONSUMED.c.step.desc()).limit(1)


def _chunks(line: Mapping[int, int]) -> Iterator[ColumnElement[bool]]:
    """Yield what holds of the rows of a line, for some generations at a time, the newest first."""
    items = iter(line.items())
    while part := list(islice(items, TOGETHER)):
        yield or_(
            false(),
            *(
                and_(_CONSUMED.c.generation == generation, _CONSUMED.c.step <= last)
                for generation, last in part
            ),
        )


@lru_cache(maxsize=1024)
def _controller(text: str) -> Controller:
    try:
        return parse_controller(orjson.loads(text))
    except Invalid as error:
        message = "a newer release armed a controller that this one cannot read"
        raise Unavailable(message, reason="schema") from error


def _armed(row: DatabaseRow[Any]) -> Armed:
    controller = _controller(row.config)
    return Armed(
        name=row.name,
        controller=controller,
        changes=row.changes,
        since=row.since,
        epoch=row.epoch,
        armed_at=row.armed_at,
        base=tuple(_loaded(controller, each) for each in orjson.loads(row.base)),
        removed=row.removed,
        off_gate=row.off_gate,
    )


def _dumped(controller: Controller, checkpoint: Checkpoint) -> list[Any]:
    state = controller.dump_state(checkpoint.state)
    bits = [] if checkpoint.value is None else [bits_of_value(checkpoint.value)]
    return [checkpoint.step, state, checkpoint.decisions, *bits]


def _loaded(controller: Controller, document: list[Any]) -> Checkpoint:
    step, state, decisions, *bits = document
    value = value_of_bits(bits[0]) if bits else None
    return Checkpoint(step, controller.load_state(state), decisions, value)


def _head(row: DatabaseRow[Any], controller: Controller) -> Head:
    return Head(
        step=row.step,
        state=controller.load_state(orjson.loads(row.state)),
        value=None if row.bits is None else value_of_bits(row.bits),
        decisions=row.decisions,
        unkept=row.unkept,
        warned=row.warned,
    )


def _consumed_row(run_id: str, controller: Controller, row: Consumed) -> dict[str, Any]:
    made = row.made or Made(NOTHING)
    return {
        "run_id": run_id,
        "controller": row.controller,
        "generation": row.generation,
        "step": row.step,
        "epoch": row.epoch,
        "bits": bits_of_value(row.value),
        "decision": made.decision,
        "revision": made.revision,
        "proposal": made.proposal,
        "effective": made.effective,
        "data": dumps(made.data).decode() if made.data else None,
        "at": row.at,
        "event": row.event,
        "state": None if row.state is None else _text(controller, row.state),
    }


def _text(controller: Controller, state: State) -> str:
    return dumps(controller.dump_state(state)).decode()
