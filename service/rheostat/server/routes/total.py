"""``/v1/runs/{run}/total``: a training that is longer, or shorter, than planned."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Finished,
    GuardViolated,
    RevisionMismatch,
    TooLate,
    UnknownRun,
)
from rheostat.limits import MAX_STEP
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer, either
from rheostat.server.http.approval import acts
from rheostat.server.http.arrival import ArrivalsDep
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import ActBody, KeyDep, NoteDep, Run, StoreDep, body_examples
from rheostat.server.http.route import refuses, router
from rheostat.server.routes.revisions import HALVED, LANDS, POINTS, Expected
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations.total import TotalRequest, make_total, rehearse_total
from rheostat.server.tokens import Role

totals = router("revisions")

EXTENDED: wire.Revision = {
    **HALVED,
    "kind": "total",
    "effective": 100_000,
    "changes": {},
    "total": 120_000,
    "parameters": {},
    "message": "two more epochs",
}
SET = JsonAnswer(
    wire.TotalRevised,
    {
        "revision": 2,
        "effective": 100_000,
        "pending": [EXTENDED],
        "beyond": 64,
        "warnings": [],
        "total": 120_000,
        "eta": [{**LANDS, "effective": 100_000}],
    },
)
REHEARSED = JsonAnswer(
    wire.TotalRehearsal,
    {
        "effective": 100_000,
        "steps": [100_000, 119_999],
        "before": {"lr": [3e-5, 3e-5]},
        "after": {"lr": [4.8e-5, 3e-5]},
        "pending": [EXTENDED],
        "beyond": 64,
        "warnings": [],
        "total": 120_000,
        "eta": [{**LANDS, "revision": None, "effective": 100_000}],
    },
)


class Total(ActBody):
    """A total as it is asked for."""

    total: Annotated[int, Field(ge=1, le=MAX_STEP)]
    """How long the run is planned to be; not below the step from which it holds."""

    effective: Literal["next"] | Annotated[int, Field(ge=0, le=MAX_STEP)] = "next"
    """Step from which curves follow it; `next` is the first that no worker has been given."""

    message: str = ""
    """Why."""

    expected_revision: Expected = None
    """Newest revision that the author has seen; another one is refused."""

    force: bool = False
    """Accept it though a curve breaks a guard, as a jump back to the peak does."""

    def requested_by(self, note: Note) -> TotalRequest:
        """Return what the author in ``note`` asks for."""
        return TotalRequest(
            self.total,
            self.effective,
            self.expected_revision,
            self.force,
            Note(note.author, self.message),
        )


@totals.post(
    "/v1/runs/{run}/total",
    summary="Train longer",
    status_code=201,
    responses={
        200: either(
            SET,
            REHEARSED,
            description="It is the total in force, and nothing was made; or a rehearsal"
            " (`dry_run`): `effective`, `total`, `steps`, the curves `before` and `after`, and what"
            " would be `pending`.",
        ),
        201: SET.shown(),
    },
    openapi_extra=body_examples(longer={"total": 120_000, "message": "two more epochs"}),
)
@needs(Role.OPERATOR, rehearsal=Role.VIEWER)
@audited("total", "revision", "effective", "total")
@acts("total")
@refuses(UnknownRun, Finished, RevisionMismatch, TooLate, GuardViolated)
async def set_total(
    run: Run,
    wanted: Total,
    store: StoreDep,
    arrivals: ArrivalsDep,
    note: NoteDep,
    key: KeyDep,
    *,
    dry_run: Annotated[bool, Query(description="Only show what would happen.")] = False,
) -> Response:
    """
    Set the run's total, also after its end was reached.

    From the effective step on, definitions whose lengths are shares of the total, or its rest, end
    where their words put it now; what has passed stays. It cannot be cancelled, and a rewind keeps
    it: set another total instead.
    """
    requested = wanted.requested_by(note)
    if dry_run:
        tried = await store.read(rehearse_total, run, requested, POINTS)
        return REHEARSED.send(await arrivals.with_eta(run, tried))

    made, new = await store.write(once, key, lambda r: make_total(r, run, requested))
    return SET.send(await arrivals.with_eta(run, made), 201 if new else 200)
