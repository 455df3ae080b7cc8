"""The checkpoints of runs that are known, as one transaction sees and adds to them."""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, delete, insert, or_, select, update

from rheostat.server.runs.lineage import GenerationKey
from rheostat.server.store import tables

TABLE = tables.checkpoints
MADE_OF = ("uri", "bytes", "revision")
"""What may be said of a checkpoint later, if who spoke first did not know it."""


class Place(NamedTuple):
    """What names a checkpoint among those of its run."""

    generation: int
    step: int
    tag: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that a worker of a generation has saved; ``step`` is what it goes on with."""

    generation: GenerationKey
    step: int
    tag: str
    source: str
    uri: str | None = None
    bytes: int | None = None
    revision: int | None = None
    at: str = ""

    @property
    def place(self) -> Place:
        """What names it among those of its run."""
        return Place(self.generation.number, self.step, self.tag)

    def completed(self, other: Saved) -> Saved:
        """Return what is known once somebody else has spoken of it: the first word stays."""
        own = {name: getattr(self, name) for name in MADE_OF}
        return replace(
            self, **{n: getattr(other, n) if value is None else value for n, value in own.items()}
        )


class Checkpoints:
    """The checkpoints of runs; whoever adds to them has locked the run."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def one(self, run_id: str, place: Place) -> Saved | None:
        """Return a checkpoint, if it is known."""
        row = self._connection.execute(select(TABLE).where(*_at(run_id, place))).one_or_none()
        return None if row is None else _saved(row)

    def add(self, saved: Saved) -> None:
        """Store a checkpoint that was not known."""
        row = {name: getattr(saved, name) for name in ("step", "tag", "source", "at", *MADE_OF)}
        key = saved.generation
        self._connection.execute(
            insert(TABLE).values(run_id=key.run_id, generation=key.number, **row)
        )

    def complete(self, saved: Saved) -> None:
        """Store what was not known yet of a checkpoint."""
        where = _at(saved.generation.run_id, saved.place)
        values = {name: getattr(saved, name) for name in MADE_OF}
        self._connection.execute(update(TABLE).where(*where).values(**values))

    def is_full(self, run_id: str, limit: int) -> bool:
        """Whether ``limit`` checkpoints of a run are known, or more."""
        query = select(TABLE.c.step).where(TABLE.c.run_id == run_id).offset(limit - 1).limit(1)
        return self._connection.execute(query).first() is not None

    def forget_first(self, run_id: str) -> None:
        """Forget the first checkpoint of the oldest generation that has any."""
        c = TABLE.c
        query = select(c.generation, c.step, c.tag).where(c.run_id == run_id)
        row = self._connection.execute(query.order_by(c.generation, c.step, c.tag).limit(1)).one()
        self._connection.execute(delete(TABLE).where(*_at(run_id, Place(*row))))

    def newest(
        self, run_id: str, tag: str | None = None, before: Place | None = None
    ) -> Generator[Saved]:
        """
        Yield the checkpoints of a run, as they are asked for, those before a place of the list.

        The newest generation comes first, and in it the furthest step.
        """
        c = TABLE.c
        query = select(TABLE).where(c.run_id == run_id)
        if tag is not None:
            query = query.where(c.tag == tag)
        if before is not None:
            query = query.where(
                or_(
                    c.generation < before.generation,
                    and_(c.generation == before.generation, c.step < before.step),
                    and_(
                        c.generation == before.generation,
                        c.step == before.step,
                        c.tag > before.tag,
                    ),
                )
            )
        yield from self._stream(query.order_by(c.generation.desc(), c.step.desc(), c.tag))

    def down_from(self, run_id: str, step: int) -> Generator[Saved]:
        """Yield the checkpoints of a run at or below a step, the furthest and newest first."""
        c = TABLE.c
        query = select(TABLE).where(c.run_id == run_id, c.step <= step)
        yield from self._stream(query.order_by(c.step.desc(), c.at.desc(), c.tag))

    def any_of(self, run_ids: Collection[str]) -> bool:
        """Whether a checkpoint of one of these runs is known."""
        query = select(TABLE.c.step).where(TABLE.c.run_id.in_(run_ids)).limit(1)
        return self._connection.execute(query).first() is not None

    def _stream(self, query: Select[Any]) -> Generator[Saved]:
        with self._connection.execute(query.execution_options(yield_per=100)) as rows:
            yield from map(_saved, rows)


def _at(run_id: str, place: Place) -> tuple[Any, ...]:
    pairs = zip(("generation", "step", "tag"), place, strict=True)
    return TABLE.c.run_id == run_id, *(TABLE.c[name] == value for name, value in pairs)


def _saved(row: Row[Any]) -> Saved:
    known = {name: getattr(row, name) for name in ("step", "tag", "source", "at", *MADE_OF)}
    return Saved(GenerationKey(row.run_id, row.generation), **known)
