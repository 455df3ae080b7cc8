"""``/v1/runs/{run}/outcomes`` and ``…/notes``: what workers say, which changes no value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    Finished,
    RateLimited,
    TooMany,
    UnknownGeneration,
    UnknownRevision,
    UnknownRun,
)
from rheostat.limits import MAX_NUMBER, MAX_SOURCE, MAX_STEP
from rheostat.server.http.access import free_of_limits, needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import free
from rheostat.server.http.auditing import audited, unaudited
from rheostat.server.http.requests import (
    Cursor,
    KeyDep,
    Limit,
    NoteDep,
    Number,
    RequestBody,
    Run,
    StoreDep,
    body_examples,
    cursor_of,
    place_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.runs.revision import Note
from rheostat.server.store.idempotency import once
from rheostat.server.store.operations import note as notes
from rheostat.server.store.operations import outcome as operations
from rheostat.server.tokens import Role

outcomes = router("revisions")

SAVED: wire.Outcome = {
    "revision": 2,
    "source": "rank-0",
    "generation": 1,
    "outcome": "done",
    "step": 4200,
    "data": {"path": "/ckpt/4200"},
    "error": None,
    "created_at": "2026-01-01T12:00:00.000000+00:00",
}
OUTCOME = JsonAnswer(wire.Outcome, SAVED)
OUTCOMES = JsonAnswer(wire.OutcomePage, {"items": [SAVED], "next": None})
NOTED = JsonAnswer(wire.Noted, {"revision": 3, "effective": 4208})


class OutcomeBody(RequestBody):
    """What became of a signal."""

    generation: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    """That of whoever says so."""

    revision: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    """Revision that sent the signal."""

    source: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)]
    """Who says so: each says it once, and the first word stays."""

    outcome: Literal["done", "failed"]
    """What became of it."""

    step: Annotated[int, Field(ge=0, le=MAX_STEP)]
    """Step at which it was told."""

    data: dict[str, Any] | None = None
    """What others should know, such as a path."""

    error: str | None = None
    """Why it failed."""


@outcomes.post(
    "/v1/runs/{run}/outcomes",
    summary="Say what became of a signal",
    status_code=201,
    responses={
        200: OUTCOME.shown("It was said before: what is kept."),
        201: OUTCOME.shown(),
    },
    openapi_extra=body_examples(
        saved={
            "generation": 1,
            "revision": 2,
            "source": "rank-0",
            "outcome": "done",
            "step": 4200,
            "data": {"path": "/ckpt/4200"},
        },
        failed={
            "generation": 1,
            "revision": 2,
            "source": "rank-1",
            "outcome": "failed",
            "step": 4200,
            "error": "No space left on device",
        },
    ),
)
@needs(Role.WORKER)
@unaudited("a worker says what became of a signal")
@free("a worker says what it did")
@refuses(UnknownRun, UnknownRevision, UnknownGeneration, TooMany)
async def tell_outcome(run: Run, told: OutcomeBody, store: StoreDep) -> Response:
    """
    Say what became of a signal, once for each revision and source.

    The same again answers 200 with what was said first, so it can be sent until it is answered.
    """
    report = operations.OutcomeReport(**dict(told))
    kept, new = await store.write(operations.tell, run, report)
    return OUTCOME.send(kept, 201 if new else 200)


@outcomes.get(
    "/v1/runs/{run}/revisions/{number}/outcomes",
    summary="List what became of a signal",
    responses={200: OUTCOMES.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownRevision)
async def list_outcomes(
    run: Run, number: Number, store: StoreDep, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Return what workers say, by the names of those who say it."""
    items, after = await store.read(operations.page, run, number, place_of(cursor), limit)
    return OUTCOMES.send({"items": items, "next": None if after is None else cursor_of(after)})


class NoteBody(RequestBody):
    """A note as it is left."""

    text: Annotated[str, Field(min_length=1)]
    """What is to be known."""

    step: Annotated[int, Field(ge=0, le=MAX_STEP)] | None = None
    """Step that it is about; by default the first that no worker has been given."""

    level: Literal["note", "warn", "error"] = "note"
    """How urgent it is."""


@outcomes.post(
    "/v1/runs/{run}/notes",
    summary="Leave a note",
    status_code=201,
    responses={201: NOTED.shown()},
    openapi_extra=body_examples(
        seen={"text": "NaN in layer 7", "level": "error"},
        earlier={"text": "new data from here on", "step": 4000},
    ),
)
@needs(Role.WORKER)
@free_of_limits
@audited("note", "revision", "effective")
@free("a note changes nothing")
@refuses(UnknownRun, Finished, RateLimited)
async def leave_note(
    run: Run, left: NoteBody, store: StoreDep, note: NoteDep, key: KeyDep
) -> Response:
    """Leave a note in a run's history, its events and its charts. It changes nothing."""
    request = notes.NoteRequest(Note(note.author, left.text), left.step, left.level)
    return NOTED.send(await store.write(once, key, lambda r: notes.leave(r, run, request)), 201)
