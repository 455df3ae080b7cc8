"""
The statements of settling reads.

They run for every block that a worker gets, so they are put together once: SQLAlchemy takes
longer to build one than SQLite takes to run it.
"""

from __future__ import annotations

from sqlalchemy import BindParameter, bindparam, func, insert, or_, select, update

from rheostat.server.runs.lineage import OwnedSteps
from rheostat.server.store.tables import generations, ledger, revisions, runs

_OF_RUN: BindParameter[str] = bindparam("run_id")
_OF_GENERATION: BindParameter[int] = bindparam("generation")

RUN_BY_ID = select(runs).where(runs.c.id == bindparam("ref"))
RUN_BY_NAME = select(runs).where(runs.c.name == bindparam("ref"))

RUNS = select(runs).where(runs.c.id.in_(bindparam("ids", expanding=True)))
NEWEST = (
    select(generations)
    .join(runs, runs.c.id == generations.c.run_id)
    .where(runs.c.id.in_(bindparam("ids", expanding=True)))
    .where(runs.c.generation == generations.c.generation)
)
"""The newest generation of each run."""

_of_run = select(generations).where(generations.c.run_id == _OF_RUN)
GENERATIONS = _of_run.order_by(generations.c.generation)
GENERATION = _of_run.where(generations.c.generation == _OF_GENERATION)

SETTLE = (
    update(generations)
    .where(generations.c.run_id == bindparam("of_run"))
    .where(generations.c.generation == bindparam("of_generation"))
    .values(
        settled_until=bindparam("until"),
        event=bindparam("number"),
        settled_at=bindparam("at"),
        read_from=bindparam("since"),
        read_until=bindparam("read"),
        read_at=bindparam("seen"),
    )
)

_in_force = (revisions.c.run_id == _OF_RUN, revisions.c.generation == _OF_GENERATION)
_first = select(func.max(revisions.c.effective)).where(
    *_in_force, revisions.c.folds, revisions.c.effective <= bindparam("start")
)
IN_FORCE = (
    select(
        *(
            revisions.c[name]
            for name in ("effective", "revision", "author", "message", "timelines")
        ),
        *(revisions.c[name] for name in ("kind", "created_at")),
    )
    .where(*_in_force, revisions.c.folds)
    .where(revisions.c.effective >= _first.scalar_subquery())
    .where(revisions.c.effective < bindparam("stop"))
    .order_by(revisions.c.effective, revisions.c.revision)
)
"""The revision in force at ``start``, and those that follow before ``stop``, in folding order."""

COUNT_IN_FORCE = (
    select(func.count())
    .where(*_in_force, revisions.c.folds)
    .where(revisions.c.effective > bindparam("start"))
    .where(revisions.c.effective < bindparam("stop"))
)

LAST_IN_FORCE = (
    select(revisions.c.timelines)
    .where(*_in_force, revisions.c.folds)
    .order_by(revisions.c.effective.desc(), revisions.c.revision.desc())
    .limit(1)
)
"""What is in force in the end."""

SAYING = ("signal", "stop", "pause")
"""Kinds of revisions whose data may be a signal."""

SIGNALS = (
    select(*(revisions.c[name] for name in ("effective", "revision", "data", "told")))
    .where(*_in_force, revisions.c.kind.in_(SAYING))
    .where(or_(~revisions.c.cancelled, revisions.c.told))
    .where(revisions.c.effective >= bindparam("start"))
    .where(revisions.c.effective < bindparam("stop"))
    .order_by(revisions.c.effective, revisions.c.revision)
)
"""
The signals from ``start`` to ``stop``, some of them none.

That of a pause that was taken back stays if a worker was told of it: others are not there yet.
"""

SEGMENT = tuple(ledger.c[name] for name in ("start", "count", "packed", "values"))
_in_ledger = (ledger.c.run_id == _OF_RUN, ledger.c.generation == _OF_GENERATION)
_reaching = (
    select(func.max(ledger.c.start))
    .where(*_in_ledger, ledger.c.start <= bindparam("start"))
    .scalar_subquery()
)
SEGMENTS = (
    select(*SEGMENT)
    .where(*_in_ledger, ledger.c.start >= func.coalesce(_reaching, bindparam("start")))
    .where(ledger.c.start < bindparam("stop"))
    .order_by(ledger.c.start)
    .execution_options(yield_per=64)
)
"""Segments do not overlap, so only the last that begins by ``start`` can reach past it."""

APPEND = insert(ledger)


def within(owned: OwnedSteps) -> dict[str, str | int]:
    """Return the parameters of `IN_FORCE`, `SIGNALS` and `SEGMENTS`."""
    owner = owned.owner
    return {
        "run_id": owner.run_id,
        "generation": owner.number,
        "start": owned.start,
        "stop": owned.stop,
    }
