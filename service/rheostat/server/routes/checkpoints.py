"""``/v1/runs/{run}/checkpoints``: what workers have saved, and what of it can be resumed."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import RheostatError, UnknownGeneration, UnknownRevision, UnknownRun
from rheostat.limits import MAX_NUMBER, MAX_SOURCE, MAX_STEP, MAX_TAG, MAX_URI
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import free
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.requests import (
    Cursor,
    Generation,
    Limit,
    RequestBody,
    Run,
    RunId,
    StoreDep,
    body_examples,
    cursor_of,
    no_cursor,
    place_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.store import Store
from rheostat.server.store.checkpoints import Place
from rheostat.server.store.operations import checkpoint as operations
from rheostat.server.tokens import Role

checkpoints = router("revisions")

PLACE = r"([0-9]{1,9}):([0-9]{1,10}):([0-9]{1,16}):(.+)"
"""What cursors stand for: which run, counted from this one back, generation, step, tag."""

SAVED: wire.Checkpoint = {
    "generation": 1,
    "step": 30_000,
    "tag": "before-decay",
    "uri": "s3://ckpt/gpt-7b/30000",
    "bytes": 84_113_620_992,
    "source": "rank-0",
    "revision": None,
    "at": "2026-01-01T12:00:00.000000+00:00",
    "on_line": True,
}
CHECKPOINT = JsonAnswer(wire.Checkpoint, SAVED)
CHECKPOINTS = JsonAnswer(wire.CheckpointPage, {"items": [SAVED], "next": None})


class SavedBody(RequestBody):
    """A checkpoint that was saved."""

    generation: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    """That of whoever saved it."""

    step: Annotated[int, Field(ge=0, le=MAX_STEP)]
    """Step that a training which resumes from it reads first."""

    tag: Annotated[str, Field(min_length=1, max_length=MAX_TAG)]
    """What people call it; several may be called so."""

    uri: Annotated[str, Field(min_length=1, max_length=MAX_URI)] | None = None
    """Where it is: the service never opens it."""

    bytes: Annotated[int, Field(ge=0, le=MAX_STEP)] | None = None
    """How large it is."""

    source: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)]
    """Who says so."""

    revision: Annotated[int, Field(ge=1, le=MAX_NUMBER)] | None = None
    """Signal that asked for it."""


@checkpoints.post(
    "/v1/runs/{run}/checkpoints",
    summary="Say that a checkpoint was saved",
    status_code=201,
    responses={
        200: CHECKPOINT.shown("It was said before: what is known of it."),
        201: CHECKPOINT.shown(),
    },
    openapi_extra=body_examples(
        saved={
            "generation": 1,
            "step": 30_000,
            "tag": "before-decay",
            "uri": "s3://ckpt/gpt-7b/30000",
            "bytes": 84_113_620_992,
            "source": "rank-0",
        },
        short={"generation": 1, "step": 30_000, "tag": "last", "source": "rank-0"},
    ),
)
@needs(Role.WORKER)
@unaudited("a worker says what it saved")
@free("a worker says what it has saved")
@refuses(UnknownRun, UnknownGeneration, UnknownRevision)
async def save_checkpoint(run: RunId, saved: SavedBody, store: StoreDep) -> Response:
    """
    Say that a checkpoint was saved, in a generation that may have been left since.

    It is named by generation, step and tag. What was said of it first stays, and a later word adds
    what is missing, so it can be sent until it is answered, and by every rank. A run's oldest
    checkpoints are forgotten where there are too many.
    """
    report = operations.CheckpointReport(**dict(saved))
    kept, new = await store.write(operations.save, run, report)
    return CHECKPOINT.send(kept, 201 if new else 200)


@checkpoints.get(
    "/v1/runs/{run}/checkpoints",
    summary="List checkpoints",
    responses={200: CHECKPOINTS.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownGeneration)
async def list_checkpoints(
    run: Run,
    store: StoreDep,
    tag: Annotated[
        str | None, Query(max_length=MAX_TAG, description="Only those that are called so.")
    ] = None,
    generation: Generation = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """
    Return what was saved: the newest generation first, and in it the furthest step.

    Those of the runs from which it was forked follow, as far as they are its past. `on_line` is
    about the past of `generation`: a checkpoint off that line lies beyond a rewind, and joining
    with it is refused.
    """
    wanted = operations.Wanted(tag, generation, _place(cursor))
    items, after = await store.read(operations.page, run, wanted, limit)
    return CHECKPOINTS.send({"items": items, "next": None if after is None else _cursor(*after)})


def _cursor(run: int, place: Place) -> str:
    return cursor_of(f"{run}:{place.generation}:{place.step}:{place.tag}")


def _place(cursor: str | None) -> tuple[int, Place] | None:
    if cursor is None:
        return None
    found = re.fullmatch(PLACE, place_of(cursor), re.DOTALL)
    if found is None or int(found[2]) > MAX_NUMBER:
        raise no_cursor(cursor)
    return int(found[1]), Place(int(found[2]), int(found[3]), found[4])


async def resumable(
    store: Store, run: str, to: int, generation: int | None = None
) -> wire.Resumable:
    """
    Return from which checkpoint a generation can go on at a step, for an answer about that step.

    Whatever the answer is about was done by then, so that nothing is refused here: if it cannot be
    looked up, nothing is said.
    """
    try:
        found, warnings = await store.read(operations.nearest, run, to, generation)
    except RheostatError:
        return {}
    return {"checkpoint": found, "warnings": warnings}
