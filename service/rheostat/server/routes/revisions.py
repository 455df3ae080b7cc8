"""``/v1/runs/{run}/revisions`` and ``…/rewind``: changes of a live run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from rheostat.errors import (
    Finished,
    GenerationMismatch,
    GuardViolated,
    IdempotencyMismatch,
    Invalid,
    Malformed,
    NotPending,
    PastTotal,
    RevisionMismatch,
    TooLarge,
    TooLate,
    Unavailable,
    UnknownGeneration,
    UnknownRevision,
    UnknownRun,
    UnknownSchedule,
    UnsupportedMediaType,
)
from rheostat.limits import MAX_NUMBER, MAX_STEP
from rheostat.server.http import examples
from rheostat.server.http.access import needs
from rheostat.server.http.deps import Cursor, Limit, Wire, router
from rheostat.server.http.pages import cursor_of, number_of
from rheostat.server.http.problems import refuses
from rheostat.server.http.run_deps import KeyDep, NoteDep, Number, Run, StoreDep
from rheostat.server.routes.runs import document
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import advance, revise, rewind, show
from rheostat.server.tokens import Role

revisions = router("revisions")

POINTS = 200
"""How many points of the curves before and after a rehearsal shows."""

Expected = Annotated[int, Field(ge=1, le=MAX_NUMBER)] | None
Changes = Annotated[Any, examples.refers("Changes")]
LANDING: dict[str, Any] = {"beyond": 64, "warnings": []}
REVISION = {
    "revision": 2,
    "generation": 1,
    "kind": "change",
    "effective": 4096,
    "changes": {"lr": [{"edit": "scale", "factor": 0.5}]},
    "total": None,
    "author": "ann",
    "message": "loss spike",
    "created_at": "2026-01-01T12:00:00.000000+00:00",
    "forced": False,
    "cancelled": False,
    "pending": True,
}


class Change(Wire):
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

    def requested_by(self, note: Note) -> revise.RevisionRequest:
        """Return what the author in ``note`` asks for."""
        return revise.RevisionRequest(
            self.changes,
            self.effective,
            self.expected_revision,
            self.force,
            Note(note.author, self.message),
        )


@revisions.post(
    "/v1/runs/{run}/revisions",
    summary="Change a run",
    response_class=Response,
    responses={
        200: examples.document(
            {
                "effective": 8,
                "steps": [8],
                "before": {"lr": [0.1]},
                "after": {"lr": [0.05]},
                **LANDING,
            },
            description="A rehearsal (`dry_run`): nothing has changed.",
        ),
        201: examples.document(
            {"revision": 2, "effective": 4096, "pending": [REVISION], **LANDING}
        ),
        **refuses(
            Malformed,
            UnknownRun,
            UnknownSchedule,
            UnknownRevision,
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
    openapi_extra=examples.body(
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
@needs(Role.OPERATOR)
async def revise_run(
    run: Run,
    change: Change,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    *,
    dry_run: Annotated[bool, Query(description="Only show what would happen.")] = False,
) -> Response:
    """
    Accept a change of parameters, all of them at one step that no worker has been given.

    `beyond` says how far past the fastest worker that is (null: none was seen), by the start of
    the block that it was last seen to read, and `warnings` has a sentence if that is far.
    """
    requested = change.requested_by(note)
    if dry_run:
        return document(await store.read(revise.rehearse, run, requested, POINTS))
    return document(await store.write(once, key, lambda r: revise.revise(r, run, requested)), 201)


class Move(Wire):
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
    response_class=Response,
    responses={
        201: examples.document(
            {
                "revision": 2,
                "effective": 20_000,
                "settled_until": 20_000,
                "generation": 1,
                **LANDING,
            }
        ),
        **refuses(
            Malformed,
            UnknownRun,
            TooLarge,
            UnsupportedMediaType,
            Finished,
            RevisionMismatch,
            TooLate,
            PastTotal,
            Invalid,
            IdempotencyMismatch,
            Unavailable,
        ),
    },
    openapi_extra=examples.body(
        restored={"to": 20_000, "message": "the backup was of step 12,000"},
    ),
)
@needs(Role.OPERATOR)
async def advance_run(
    run: Run, move: Move, store: StoreDep, note: NoteDep, key: KeyDep
) -> Response:
    """
    Settle a run up to a step, by the revisions in force, though nobody has read so far.

    For a training that is really there: after a restored backup, a smoke test, a skipped stretch
    of data. No later change can touch the steps below; whoever reads them is given their values.
    """
    requested = move.requested_by(note)
    return document(await store.write(once, key, lambda r: advance.advance(r, run, requested)), 201)


class Return(Wire):
    """A rewind as it is asked for."""

    to: Annotated[int, Field(ge=0, le=MAX_STEP)]
    """Step at which the new generation branches: the first that is open again."""

    from_generation: Expected = None
    """Generation to branch from; by default the current one."""

    expected_generation: Expected = None
    """Current generation, as the author has seen it; another one is refused."""

    changes: Changes | None = None
    """What to change at that step."""

    message: str = ""
    """Why."""

    force: bool = False
    """Accept it though it breaks a guard."""

    def requested_by(self, note: Note) -> rewind.RewindRequest:
        """Return what the author in ``note`` asks for."""
        return rewind.RewindRequest(
            self.to,
            self.from_generation,
            self.expected_generation,
            self.changes,
            self.force,
            Note(note.author, self.message),
        )


@revisions.post(
    "/v1/runs/{run}/rewind",
    summary="Rewind a run",
    status_code=201,
    response_class=Response,
    responses={
        201: examples.document(
            {"generation": 2, "parent": 1, "from": 30_500, "ended": 31_040, "revision": 3}
        ),
        **refuses(
            Malformed,
            UnknownRun,
            UnknownGeneration,
            UnknownSchedule,
            UnknownRevision,
            TooLarge,
            UnsupportedMediaType,
            Finished,
            GenerationMismatch,
            Invalid,
            GuardViolated,
            IdempotencyMismatch,
            Unavailable,
        ),
    },
    openapi_extra=examples.body(
        checkpoint={"to": 30_500, "message": "loss diverged"},
        halved={"to": 30_500, "changes": {"lr": {"edit": "scale", "factor": 0.5}}},
    ),
)
@needs(Role.OPERATOR)
async def rewind_run(
    run: Run, wanted: Return, store: StoreDep, note: NoteDep, key: KeyDep
) -> Response:
    """Start a new generation from an earlier step; workers of the old one are fenced off."""
    requested = wanted.requested_by(note)
    return document(await store.write(once, key, lambda r: rewind.rewind(r, run, requested)), 201)


@revisions.get(
    "/v1/runs/{run}/revisions",
    summary="List a run's revisions",
    response_class=Response,
    responses={
        200: examples.document({"items": [REVISION], "next": None}),
        **refuses(UnknownRun, Invalid, Unavailable),
    },
)
@needs(Role.VIEWER)
async def list_revisions(
    run: Run, store: StoreDep, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Return the revisions, oldest first: who changed what, when, why, and from which step."""
    items, after = await store.read(show.revisions, run, number_of(cursor), limit)
    return document({"items": items, "next": None if after is None else cursor_of(str(after))})


@revisions.get(
    "/v1/runs/{run}/revisions/{number}",
    summary="Read a revision",
    response_class=Response,
    responses={
        200: examples.document(REVISION),
        **refuses(UnknownRun, UnknownRevision, Invalid, Unavailable),
    },
)
@needs(Role.VIEWER)
async def read_revision(run: Run, number: Number, store: StoreDep) -> Response:
    """Return one revision."""
    return document(await store.read(show.revision, run, number))


@revisions.delete(
    "/v1/runs/{run}/revisions/{number}",
    summary="Cancel a pending revision",
    response_class=Response,
    responses={
        200: examples.document({"revision": 3, "cancelled": 2, "pending": [], **LANDING}),
        **refuses(
            UnknownRun,
            UnknownRevision,
            NotPending,
            RevisionMismatch,
            GuardViolated,
            Invalid,
            IdempotencyMismatch,
            Unavailable,
        ),
    },
)
@needs(Role.OPERATOR)
async def cancel_revision(
    run: Run,
    number: Number,
    store: StoreDep,
    note: NoteDep,
    key: KeyDep,
    expected_revision: Annotated[
        int | None, Query(ge=1, le=MAX_NUMBER, description="Newest revision that was seen.")
    ] = None,
    message: Annotated[str, Query(description="Why.")] = "",
) -> Response:
    """Take back a revision before it takes effect; the history keeps it and its cancellation."""
    why = Note(note.author, message)
    return document(
        await store.write(
            once, key, lambda r: revise.cancel(r, run, number, expected_revision, why)
        )
    )
