"""The rows of reports: each written once, numbered in the order in which they were kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import orjson
from sqlalchemy import ColumnElement, Select, and_, delete, false, func, insert, or_, select, update

from rheostat.controllers import value_of_bits
from rheostat.errors import UnknownRun
from rheostat.server.runs.control.places import Owner, Stretch
from rheostat.server.store import locks, tables
from rheostat.server.store.transaction import Transaction

TOGETHER: Final = 50
"""Stretches of a line that one query asks for: a run may have been rewound a thousand times."""


class ReportKey(NamedTuple):
    """Names a report among those of one source of a run."""

    owner: Owner
    metric: str
    step: int


@dataclass(frozen=True, slots=True)
class KeptMetric:
    """What is known of a metric of a run: how many reports are kept, and what was odd of them."""

    points: int = 0
    stride: int = 1
    cursor: int = 0
    differs: int = 0
    differing: Mapping[str, Any] | None = None


Reported = tuple[int, str, int, int]
"""A report as it is read: step, source, bits and number."""


class Reports:
    """The reports of runs, as one transaction sees and keeps them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def lock(self, run_id: str) -> int:
        """
        Keep others from giving numbers to reports of a run; return the newest number.

        So numbers are in the order of commits, and no follower misses a report.
        """
        query = select(_COUNTERS).where(_COUNTERS.c.run_id == run_id)
        row = locks.row(self._transaction.connection, query, {})
        if row is None:
            raise UnknownRun(f"there is no run {run_id!r}")
        return int(row.number)

    def newest(self, run_id: str) -> int:
        """Return the number of the newest report of a run, 0 if there is none."""
        query = select(_COUNTERS.c.number).where(_COUNTERS.c.run_id == run_id)
        return int(self._transaction.connection.execute(query).scalar_one())

    def begin(self, run_id: str) -> None:
        """Begin to count the reports of a new run."""
        self._transaction.write()
        self._transaction.connection.execute(insert(_COUNTERS).values(run_id=run_id, number=0))

    def metrics(self, run_id: str) -> dict[str, KeptMetric]:
        """Return what is known of each metric of a run."""
        query = select(_METRICS).where(_METRICS.c.run_id == run_id)
        return {
            row.metric: KeptMetric(
                row.points,
                row.stride,
                row.cursor,
                row.differs,
                row.differing and orjson.loads(row.differing),
            )
            for row in self._transaction.connection.execute(query)
        }

    def known(self, run_id: str, source: str, keys: Iterable[ReportKey]) -> dict[ReportKey, int]:
        """Return the bits of those reports of a source that are kept."""
        rows = self._at(run_id, keys, _REPORTS.c.source == source)
        return {_key(row): row.bits for row in rows}

    def by_source(
        self, run_id: str, keys: Iterable[ReportKey], most: int
    ) -> dict[ReportKey, dict[str, float]]:
        """Return what each source has reported, at most ``most`` reports in all."""
        found: dict[ReportKey, dict[str, float]] = {}
        for row in self._at(run_id, keys, most=most):
            found.setdefault(_key(row), {})[row.source] = value_of_bits(row.bits)
        return found

    def counts(self, run_id: str, keys: Collection[ReportKey]) -> dict[ReportKey, int]:
        """Return how many sources have reported each of these, of those that any has."""
        if not keys:
            return {}
        columns = (_REPORTS.c.forks, _REPORTS.c.owner, _REPORTS.c.metric, _REPORTS.c.step)
        query = select(*columns, func.count().label("sources"))
        query = query.where(_REPORTS.c.run_id == run_id, _among(keys))
        rows = self._transaction.connection.execute(query.group_by(*columns))
        return {_key(row): row.sources for row in rows}

    def _at(
        self,
        run_id: str,
        keys: Iterable[ReportKey],
        *where: ColumnElement[bool],
        most: int | None = None,
    ) -> Iterator[Any]:
        keys = list(keys)
        if not keys:
            return
        query = select(_REPORTS).where(_REPORTS.c.run_id == run_id, _among(keys), *where)
        yield from self._transaction.connection.execute(query.limit(most))

    def add(
        self,
        run_id: str,
        source: str,
        found: Sequence[tuple[ReportKey, int]],
        *,
        number: int,
        at: str,
    ) -> None:
        """Keep reports of a source, with their bits, numbered from after ``number`` on."""
        if not found:
            return
        self._transaction.write()
        rows = [
            {
                "run_id": run_id,
                "forks": key.owner.forks,
                "owner": key.owner.generation,
                "metric": key.metric,
                "step": key.step,
                "source": source,
                "bits": bits,
                "number": place,
                "at": at,
            }
            for place, (key, bits) in enumerate(found, number + 1)
        ]
        self._transaction.connection.execute(insert(_REPORTS), rows)
        counted = update(_COUNTERS).where(_COUNTERS.c.run_id == run_id)
        self._transaction.connection.execute(counted.values(number=number + len(rows)))

    def keep_metric(self, run_id: str, metric: str, kept: KeptMetric, *, new: bool) -> None:
        """Store what is known of a metric."""
        self._transaction.write()
        differing = None if kept.differing is None else orjson.dumps(kept.differing).decode()
        values = {
            "points": kept.points,
            "stride": kept.stride,
            "cursor": kept.cursor,
            "differs": kept.differs,
            "differing": differing,
        }
        if new:
            row = {"run_id": run_id, "metric": metric, **values}
            self._transaction.connection.execute(insert(_METRICS).values(**row))
            return
        where = (_METRICS.c.run_id == run_id, _METRICS.c.metric == metric)
        self._transaction.connection.execute(update(_METRICS).where(*where).values(**values))

    def thin(self, run_id: str, metric: str, cursor: int, count: int) -> tuple[int, int]:
        """
        Drop every second report past number ``cursor``, up to ``count`` of them.

        Return how many were dropped, and the number up to which it was done; 0 at the end.
        """
        where = (_REPORTS.c.run_id == run_id, _REPORTS.c.metric == metric)
        query = select(_REPORTS.c.number).where(*where, _REPORTS.c.number > cursor)
        query = query.order_by(_REPORTS.c.number).limit(2 * count)
        numbers = list(self._transaction.connection.execute(query).scalars())
        dropped = numbers[1::2]
        if dropped:
            self._transaction.write()
            gone = delete(_REPORTS).where(*where, _REPORTS.c.number.in_(dropped))
            self._transaction.connection.execute(gone)
        return len(dropped), numbers[-1] if len(numbers) == 2 * count else 0

    def on_line(
        self,
        run_id: str,
        metric: str,
        line: Sequence[Stretch],
        *,
        between: tuple[int, int],
        each: int = 1,
        limit: int | None = None,
    ) -> list[Reported]:
        """
        Return the reports of a metric that measure a line, by step and source.

        ``between`` bounds their steps, the first exclusive and the last inclusive; ``each`` takes
        one in so many, and ``limit`` the first ones.
        """
        found: list[Reported] = []
        for part in _parts(line):
            query: Select[Any] = self._measuring(run_id, metric, part)
            query = query.where(_REPORTS.c.step > between[0], _REPORTS.c.step <= between[1])
            if each > 1:
                order = func.row_number().over(order_by=(_REPORTS.c.step, _REPORTS.c.source))
                inner = query.add_columns(order.label("place")).subquery()
                columns = [inner.c[name] for name in ("step", "source", "bits", "number")]
                query = select(*columns).where(inner.c.place % each == 0)
                query = query.order_by(inner.c.step, inner.c.source)
            else:
                query = query.order_by(_REPORTS.c.step, _REPORTS.c.source)
            found += self._rows(query.limit(limit))
        if len(line) > TOGETHER:
            found.sort()
        return found[:limit]

    def last(
        self, run_id: str, metric: str, line: Sequence[Stretch], *, between: tuple[int, int]
    ) -> int | None:
        """Return the bits of the last report of a line past one step, up to another."""
        found: list[Reported] = []
        for part in _parts(line):
            query = self._measuring(run_id, metric, part)
            query = query.where(_REPORTS.c.step > between[0], _REPORTS.c.step <= between[1])
            order = _REPORTS.c.step.desc(), _REPORTS.c.source.desc()
            found += self._rows(query.order_by(*order).limit(1))
        return max(found)[2] if found else None

    def following(
        self,
        run_id: str,
        metric: str,
        line: Sequence[Stretch],
        *,
        between: tuple[int, int],
        after: int,
        limit: int,
    ) -> list[Reported]:
        """Return the first reports of a line past a number, in the order of their numbers."""
        found: list[Reported] = []
        for part in _parts(line):
            query = self._measuring(run_id, metric, part)
            query = query.where(_REPORTS.c.step > between[0], _REPORTS.c.step <= between[1])
            query = query.where(_REPORTS.c.number > after)
            query = query.order_by(_REPORTS.c.number).limit(limit)
            found += self._rows(query)
        return sorted(found, key=lambda row: row[3])[:limit]

    def _rows(self, query: Select[Any]) -> Sequence[Reported]:
        return cast("Sequence[Reported]", self._transaction.connection.execute(query).all())

    def _measuring(self, run_id: str, metric: str, part: Sequence[Stretch]) -> Select[Any]:
        columns = (_REPORTS.c[name] for name in ("step", "source", "bits", "number"))
        where = (_REPORTS.c.run_id == run_id, _REPORTS.c.metric == metric)
        return select(*columns).where(*where, _measuring(part))

    def incomplete(self, run_id: str, metric: str, after: int, below: int, limit: int) -> list[int]:
        """Return steps between two others at which a metric was reported, the last ones first."""
        query = select(_REPORTS.c.step).where(
            _REPORTS.c.run_id == run_id,
            _REPORTS.c.metric == metric,
            _REPORTS.c.step > after,
            _REPORTS.c.step < below,
        )
        query = query.distinct().order_by(_REPORTS.c.step.desc()).limit(limit)
        return list(self._transaction.connection.execute(query).scalars())


_REPORTS = tables.reports
_METRICS = tables.report_metrics
_COUNTERS = tables.report_counters


def _key(row: Any) -> ReportKey:
    return ReportKey(Owner(row.forks, row.owner), row.metric, row.step)


def _parts(line: Sequence[Stretch]) -> Iterator[Sequence[Stretch]]:
    for first in range(0, len(line), TOGETHER):
        yield line[first : first + TOGETHER]


def _among(keys: Iterable[ReportKey]) -> ColumnElement[bool]:
    places: dict[tuple[Owner, str], list[int]] = {}
    for key in keys:
        places.setdefault((key.owner, key.metric), []).append(key.step)
    return or_(
        false(),
        *(
            and_(
                _REPORTS.c.forks == owner.forks,
                _REPORTS.c.owner == owner.generation,
                _REPORTS.c.metric == metric,
                _REPORTS.c.step.in_(steps),
            )
            for (owner, metric), steps in places.items()
        ),
    )


def _measuring(line: Sequence[Stretch]) -> ColumnElement[bool]:
    return or_(
        false(),
        *(
            and_(
                _REPORTS.c.forks == stretch.owner.forks,
                _REPORTS.c.owner == stretch.owner.generation,
                _REPORTS.c.step > stretch.after,
                _REPORTS.c.step <= stretch.last,
            )
            for stretch in line
        ),
    )
