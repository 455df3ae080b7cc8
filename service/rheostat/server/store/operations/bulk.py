"""
Changing many runs by one request, each in a transaction of its own.

A rehearsal says which runs are meant, and at which revision each is: that is the plan. It is kept
for a day under its digest, and whoever then wants it done names that, so that no run is changed
which nobody has seen, and none that has moved on since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import orjson
from sqlalchemy import delete, insert, select

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_ITEMS
from rheostat.server.runs.selector import Selector
from rheostat.server.store import clock, locks, tables
from rheostat.server.store.idempotency import KEPT
from rheostat.server.store.operations import revise
from rheostat.server.store.operations.revise import RevisionRequest
from rheostat.server.store.records import Records, now
from rheostat.server.store.selecting import conditions

Plan = Mapping[str, int]
"""The newest revisions of runs, by their ids."""


@dataclass(frozen=True, slots=True)
class Meant:
    """A run that is meant."""

    id: str
    name: str


def meant(records: Records, selector: Selector) -> list[Meant]:
    """
    Return the runs that a selector means and that are not finished, by name.

    Raises:
        Invalid: These are more than one request may change.

    """
    runs = tables.runs.c
    query = select(runs.id, runs.name).where(runs.end.is_(None))
    query = query.where(*conditions(selector), *conditions(records.acting.runs))
    rows = records.connection.execute(query.order_by(runs.name).limit(MAX_ITEMS + 1)).all()
    if len(rows) > MAX_ITEMS:
        message = f"selector means more than {MAX_ITEMS} runs that are not finished"
        wrong = [FieldError("selector", message, str(selector), f"<= {MAX_ITEMS} runs")]
        raise Invalid("These are too many runs for one change.", errors=wrong, limit=MAX_ITEMS)
    return [Meant(row.id, row.name) for row in rows]


def names(records: Records, ids: Collection[str]) -> dict[str, str]:
    """Return the names of runs that are there, by their ids."""
    runs = tables.runs.c
    query = select(runs.id, runs.name).where(runs.id.in_(sorted(ids)))
    rows = records.connection.execute(query.where(*conditions(records.acting.runs)))
    return {row.id: row.name for row in rows}


def rehearse(records: Records, run_id: str, request: RevisionRequest) -> wire.PlannedRun:
    """Return what would become of one run; raise what `change` would raise."""
    folded = revise.tried(records, run_id, request)
    run = folded.run
    return {
        "id": run.id,
        "name": run.spec.name,
        "revision": run.revision,
        "effective": folded.revision.effective,
        "protected": run.protect is not None and run.protect.holds("change"),
    }


def change(
    records: Records, run_id: str, revision: int, selector: Selector, request: RevisionRequest
) -> wire.Revised:
    """Change one run of a plan, if it is as the plan has it."""
    run = records.find(run_id, lock=True)
    if not selector.matches(run.spec.labels):
        message = "the plan has this run, and the selector does not mean it"
        wrong = [FieldError("selector", message, str(selector), "the selector of the plan")]
        raise Invalid(message, errors=wrong)
    return revise.revise(records, run.id, replace(request, expected_revision=revision))


def digest(plan: Plan) -> str:
    """Return what names a plan."""
    lines = sorted(f"{run_id} {revision}" for run_id, revision in plan.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def keep(records: Records, plan: Plan) -> str:
    """Keep a plan for a day, and return what names it."""
    named, connection, table = digest(plan), records.connection, tables.plans
    locks.advisory(connection, f"plan {named}")
    old = clock.from_now(-KEPT)
    gone = select(table.c.digest).where(table.c.created_at < old)
    gone = gone.with_for_update(skip_locked=True)  # another replica is deleting the others
    connection.execute(delete(table).where(table.c.digest.in_(gone)))
    connection.execute(delete(table).where(table.c.digest == named))
    row = {"digest": named, "runs": orjson.dumps(plan).decode(), "created_at": now()}
    connection.execute(insert(table).values(**row))
    return named


def kept(records: Records, named: str) -> Plan:
    """Return a plan; raise `Invalid` if there is none of this name, or not any more."""
    query = select(tables.plans.c.runs).where(tables.plans.c.digest == named)
    found = records.connection.execute(query).scalar_one_or_none()
    if found is None:
        message = "there is no such plan: rehearse the change again"
        wrong = [FieldError("plan", message, named, "`plan` of a rehearsal of the last 24 hours")]
        raise Invalid(message, errors=wrong)
    plan: Plan = orjson.loads(found)
    return plan
