"""``/v1/runs/{run}/total``: a training that is longer, or shorter, than planned."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from rheostat.errors import (
    Finished,
    GuardViolated,
    IdempotencyMismatch,
    Invalid,
    Malformed,
    RevisionMismatch,
    TooLarge,
    TooLate,
    Unavailable,
    UnknownRun,
    UnsupportedMediaType,
)
from rheostat.limits import MAX_STEP
from rheostat.server.http import examples
from rheostat.server.http.access import needs
from rheostat.server.http.deps import Wire, router
from rheostat.server.http.problems import refuses
from rheostat.server.http.run_deps import KeyDep, NoteDep, Run, StoreDep
from rheostat.server.routes.revisions import POINTS, REVISION, Expected
from rheostat.server.routes.runs import document
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations.total import TotalRequest, make_total, rehearse_total
from rheostat.server.store.records import Records
from rheostat.server.tokens import Role

totals = router("revisions")

EXTENDED = {
    **REVISION,
    "kind": "total",
    "effective": 100_000,
    "changes": {},
    "total": 120_000,
    "message": "two more epochs",
}


REHEARSED = {
    "effective": 100_000,
    "total": 120_000,
    "steps": [100_000, 119_999],
    "before": {"lr": [3e-5, 3e-5]},
    "after": {"lr": [4.8e-5, 3e-5]},
    "pending": [],
}


class Total(Wire):
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
    response_class=Response,
    responses={
        200: examples.document(
            {"revision": 2, "effective": 100_000, "pending": [], "total": 120_000},
            REHEARSED,
            description="It is the total in force, and nothing was made; or a rehearsal"
            " (`dry_run`): `effective`, `total`, `steps`, the curves `before` and `after`, and what"
            " would be `pending`.",
        ),
        201: examples.document(
            {"revision": 2, "effective": 100_000, "pending": [EXTENDED], "total": 120_000}
        ),
        **refuses(
            Malformed,
            UnknownRun,
            TooLarge,
            UnsupportedMediaType,
            Finished,
            RevisionMismatch,
            TooLate,
            Invalid,
            GuardViolated,
            IdempotencyMismatch,
            Unavailable,
        ),
    },
    openapi_extra=examples.body(longer={"total": 120_000, "message": "two more epochs"}),
)
@needs(Role.OPERATOR)
async def set_total(
    run: Run,
    wanted: Total,
    store: StoreDep,
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
        return document(await store.read(rehearse_total, run, requested, POINTS))

    def make(records: Records) -> dict[str, Any]:
        answer, made = make_total(records, run, requested)
        return {"answer": answer, "made": made}

    found = await store.write(once, key, make)
    return document(found["answer"], 201 if found["made"] else 200)
