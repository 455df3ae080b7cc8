"""``/v1/runs/{run}/revisions``: changes of a live run, and how far it is settled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Finished,
    GuardViolated,
    NotPending,
    PastTotal,
    Paused,
    RateLimited,
    RevisionMismatch,
    Stopped,
    TooLate,
    UnknownRevision,
    UnknownRun,
    UnknownSchedule,
)
from rheostat.limits import MAX_AUTHOR, MAX_NUMBER, MAX_STEP, NAME
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import acts
from rheostat.server.http.arrival import ArrivalsDep
from rheostat.server.http.auditing import audited
from rheostat.server.http.requests import (
    ActBody,
    Cursor,
    KeyDep,
    Limit,
    NoteDep,
    Number,
    RequestBody,
    Run,
    StoreDep,
    Unapproved,
    body_examples,
    cursor_of,
    number_of,
    refers,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.http.waits import Watch, wait_for
from rheostat.server.runs.revision import Note, RevisionKind
from rheostat.server.runs.revision_state import Front
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import advance, revise, show
from rheostat.server.store.operations.acts import Cancellation
from rheostat.server.store.revisions import Which
from rheostat.server.tokens import Role

revisions = router("revisions")

POINTS = 200
"""How many points of the curves before and after a rehearsal shows."""

Expected = Annotated[int, Field(ge=1, le=MAX_NUMBER)] | None
Changes = Annotated[Any, refers("Changes")]
HALVED: wire.Revision = {
    "revision": 2,
    "generation": 1,
    "kind": "change",
    "effective": 4096,
    "changes": {"lr": [{"edit": "scale", "factor": 0.5}]},
    "total": None,
    "parameters": {
        "lr": [
            {
                "from": 4096,
                "origin": 0,
                "definition": {
                    "kind": "scale",
                    "of": {"kind": "cosine", "start": 3e-4, "end": 3e-5, "steps": 100_000},
                    "factor": 0.5,
                },
                "revision": 2,
            }
        ]
    },
    "author": "ann",
    "message": "loss spike",
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "forced": False,
    "cancelled": False,
    "cancels": None,
    "cause": None,
    "data": None,
    "pending": True,
    "state": "pending",
    "left_by": None,
}
LANDS: wire.Eta = {
    "revision": 2,
    "effective": 4096,
    "steps": 64,
    "seconds": 20.0,
    "reached_by": 0,
    "workers": 8,
}
NOTHING_SAID: wire.Outcomes = {"done": 0, "failed": 0, "items": []}
REVISION = JsonAnswer(wire.ShownRevision, {**HALVED, "outcomes": NOTHING_SAID, "eta": [LANDS]})
REVISIONS = JsonAnswer(wire.RevisionPage, {"items": [HALVED], "next": None})
REVISED = JsonAnswer(
    wire.Revised,
    {
        "revision": 2,
        "effective": 4096,
        "pending": [HALVED],
        "beyond": 64,
        "warnings": [],
        "eta": [LANDS],
    },
)
REHEARSED = JsonAnswer(
    wire.Rehearsal,
    {
        "effective": 8,
        "steps": [8],
        "before": {"lr": [0.1]},
        "after": {"lr": [0.05]},
        "pending": [HALVED],
        "beyond": 64,
        "warnings": [],
        "eta": [{**LANDS, "revision": None, "effective": 8}],
    },
)
ADVANCED = JsonAnswer(
    wire.Advanced,
    {
        "revision": 2,
        "effective": 20_000,
        "settled_until": 20_000,
        "generation": 1,
        "beyond": 64,
        "warnings": [],
        "eta": [{**LANDS, "effective": 20_000, "steps": 15_968, "seconds": 4980.0}],
    },
)
CANCELLED = JsonAnswer(
    wire.Cancelled,
    {
        "revision": 3,
        "cancelled": 2,
        "effective": 4096,
        "pending": [],
        "beyond": 64,
        "warnings": [],
        "eta": [{**LANDS, "revision": 3}],
    },
)


class Cause(RequestBody):
    """What made a program decide: its name among the controllers, and the step of the report."""

    controller: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Name of the program; no controller of the run should have it."""

    step: Annotated[int, Field(ge=0, le=MAX_STEP)]
    """Step of the report."""


class Change(ActBody):
    """A revision as it is asked for."""

    changes: Changes
    """What to do to which parameter: an edit, or a definition with the clock that it counts by."""

    effective: Literal["next"] | Annotated[int, Field(ge=0, le=MAX_STEP)] = "next"
    """Step from which it holds; `next` is the first that no worker has been given."""

    message: str = ""
    """Why."""

    expected_revision: Expected = None
    """Newest revision that the author has seen; another one is refused."""

    force: bool = False
    """Accept it though it breaks a guard."""

    cause: Cause | None = None
    """The report that a program decided it on: a second revision for it answers the first one."""

    def requested_by(self, note: Note) -> revise.RevisionRequest:
        """Return what the author in ``note`` asks for."""
        return revise.RevisionRequest(
            self.changes,
            self.effective,
            self.expected_revision,
            self.force,
            Note(note.author, self.message),
            None if self.cause is None else self.cause.model_dump(),
        )


@revisions.post(
    "/v1/runs/{run}/revisions",
    summary="Change a run",
    responses={
        200: REHEARSED.shown("A rehearsal (`dry_run`): nothing has changed."),
        201: REVISED.shown(),
    },
    openapi_extra=body_examples(
        halve={"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "loss spike"},
        replace={
            "changes": {
                "lr": {
                    "kind": "linear",
                    "start": 1e-4,
                    "end": 0,
                    "steps": 5000,
                    "clock": "change",
                }
            },
            "effective": 90_000,
        },
    ),
)
@needs(Role.OPERATOR, rehearsal=Role.VIEWER)
@audited("change", "revision", "effective")
@acts("change")
@refuses(
    UnknownRun, UnknownSchedule, UnknownRevision, Finished, RevisionMismatch, TooLate, GuardViolated
)
async def revise_run(
    run: Run,
    change: Change,
    store: StoreDep,
    arrivals: ArrivalsDep,
    note: NoteDep,
    key: KeyDep,
    *,
    dry_run: Annotated[bool, Query(description="Only show what would happen.")] = False,
) -> Response:
    """
    Accept a change of parameters, all of them at one step that no worker has been given.

    `beyond` says how far past the fastest worker that is (null: none was seen), by the start of
    the block that it was last seen to read, and `warnings` has a sentence if that is far. `eta`
    says when the last worker comes to it, if one is alive that says where it is.
    """
    requested = change.requested_by(note)
    if dry_run:
        tried = await store.read(revise.rehearse, run, requested, POINTS)
        return REHEARSED.send(await arrivals.with_eta(run, tried))
    made = await store.write(once, key, lambda r: revise.revise(r, run, requested))
    return REVISED.send(await arrivals.with_eta(run, made), 201)


class Move(ActBody):
    """An advance as it is asked for."""

    to: Annotated[int, Field(ge=0, le=MAX_STEP)]
    """First step that is open from then on; starts a cell."""

    message: str = ""
    """Why."""

    expected_revision: Expected = None
    """Newest revision that the author has seen; another one is refused."""

    def requested_by(self, note: Note) -> advance.AdvanceRequest:
        """Return what the author in ``note`` asks for."""
        return advance.AdvanceRequest(
            self.to, self.expected_revision, Note(note.author, self.message)
        )


@revisions.post(
    "/v1/runs/{run}/advance",
    summary="Move a run on",
    status_code=201,
    responses={
        201: ADVANCED.shown(),
    },
    openapi_extra=body_examples(
        restored={"to": 20_000, "message": "the backup was of step 12,000"},
    ),
)
@needs(Role.OPERATOR)
@audited("advance", "revision", "effective")
@acts("advance")
@refuses(UnknownRun, Finished, Stopped, Paused, RevisionMismatch, TooLate, PastTotal)
async def advance_run(
    run: Run, move: Move, store: StoreDep, arrivals: ArrivalsDep, note: NoteDep, key: KeyDep
) -> Response:
    """
    Settle a run up to a step, by the revisions in force, though nobody has read so far.

    For a training that is really there: after a restored backup, a smoke test, a skipped stretch
    of data. No later change can touch the steps below; whoever reads them is given their values.
    """
    requested = move.requested_by(note)
    made = await store.write(once, key, lambda r: advance.advance(r, run, requested))
    return ADVANCED.send(await arrivals.with_eta(run, made), 201)


@revisions.get(
    "/v1/runs/{run}/revisions",
    summary="List a run's revisions",
    responses={
        200: REVISIONS.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def list_revisions(
    run: Run,
    store: StoreDep,
    arrivals: ArrivalsDep,
    kind: Annotated[wire.RevisionKind | None, Query(description="Only those of this kind.")] = None,
    author: Annotated[
        str | None,
        Query(min_length=1, max_length=MAX_AUTHOR, description="Only those of this author."),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    order: Annotated[
        Literal["oldest", "newest"], Query(description="Which of them come first.")
    ] = "oldest",
) -> Response:
    """Return the revisions, oldest first: who changed what, when, why, and from which step."""
    which = Which(None if kind is None else RevisionKind(kind), author)
    front = await arrivals.front(run)
    place, newest = number_of(cursor), order == "newest"
    items, after = await store.read(show.revisions, run, place, limit, which, front, newest=newest)
    return REVISIONS.send(
        {"items": items, "next": None if after is None else cursor_of(str(after))}
    )


@revisions.get(
    "/v1/runs/{run}/revisions/{number}",
    summary="Read a revision",
    responses={
        200: REVISION.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownRevision, RateLimited)
async def read_revision(
    request: Request,
    run: Run,
    number: Number,
    store: StoreDep,
    arrivals: ArrivalsDep,
    wait: Annotated[
        wire.RevisionGoal | None, Query(description="What to wait for before it is answered.")
    ] = None,
    seconds: Annotated[
        float, Query(alias="timeout", ge=0, le=60, description="Seconds to wait for that at most.")
    ] = 30,
) -> Response:
    """
    Return one revision, with what workers say became of it.

    With `wait` it is answered as soon as it has come to that, or cannot any more, or the time is
    over; `waited` says which, and which worker holds it back. Where no worker says where it is,
    `settled` is the most that can be waited for, and is answered then.
    """
    if wait is None:
        front = await arrivals.front(run)
        found = await store.read(show.revision, run, number, front)
        return REVISION.send(await arrivals.with_eta_to_come(run, found))

    async def read(front: Front) -> show.Watched:
        return await store.read(show.watched, run, number, front)

    watch = Watch(wait, read, arrivals.seen)
    found = await wait_for(request, watch, seconds)
    return REVISION.send(await arrivals.with_eta_to_come(run, found))


class CancelBody(RequestBody):
    """A cancellation as a proposal says it."""

    revision: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    """Revision that is to be taken back."""

    message: str = ""
    """Why."""

    expected_revision: Expected = None
    """Newest revision that the author has seen; another one is refused."""

    def requested_by(self, note: Note) -> Cancellation:
        """Return what the author in ``note`` asks for."""
        return Cancellation(self.revision, self.expected_revision, Note(note.author, self.message))


def cancelling(request: Request) -> dict[str, Any]:
    """Return a request to take a revision back as a proposal says it."""
    query = request.query_params
    said: dict[str, Any] = {"revision": int(request.path_params["number"])}
    if "expected_revision" in query:
        said["expected_revision"] = int(query["expected_revision"])
    return said | {"message": query.get("message", "")}


@revisions.delete(
    "/v1/runs/{run}/revisions/{number}",
    summary="Cancel a pending revision",
    responses={
        200: CANCELLED.shown(),
    },
)
@needs(Role.OPERATOR)
@audited("cancel", "revision")
@acts("cancel", cancelling)
@refuses(UnknownRun, UnknownRevision, NotPending, RevisionMismatch, GuardViolated)
async def cancel_revision(
    run: Run,
    number: Number,
    store: StoreDep,
    arrivals: ArrivalsDep,
    note: NoteDep,
    key: KeyDep,
    expected_revision: Annotated[
        int | None, Query(ge=1, le=MAX_NUMBER, description="Newest revision that was seen.")
    ] = None,
    message: Annotated[str, Query(description="Why.")] = "",
    *,
    unapproved: Unapproved = False,  # noqa: ARG001 - `perform` reads it
) -> Response:
    """
    Take back a revision before it takes effect; the history keeps it and its cancellation.

    A stop by which a worker has ended is not taken back, but lifted by the rewind that the refusal
    tells; a pause always is.
    """
    why = Note(note.author, message)
    made = await store.write(
        once, key, lambda r: revise.cancel(r, run, number, expected_revision, why)
    )
    return CANCELLED.send(await arrivals.with_eta(run, made))
