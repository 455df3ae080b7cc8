"""``/v1/runs/{run}/values``: settled blocks for workers, and previews for everybody else."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    AwaitingReport,
    Finished,
    PastTotal,
    Paused,
    StaleGeneration,
    StepJump,
    Stopped,
    UnknownGeneration,
    UnknownRun,
)
from rheostat.formats import Format
from rheostat.limits import MAX_BLOCK, MAX_STEP, RUN_ID
from rheostat.server.http.access import may_settle, needs
from rheostat.server.http.answers import JsonAnswer, either
from rheostat.server.http.blocks import (
    ROUTE,
    SETTLED,
    BlockAnswer,
    BlockCache,
    BlockKey,
    preview,
    settled,
)
from rheostat.server.http.middleware import header
from rheostat.server.http.negotiation import offers
from rheostat.server.http.requests import Generation, Run, Step, StoreDep
from rheostat.server.http.route import refuses, router
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.store.operations import values as operations
from rheostat.server.store.operations.refusals import Refusal
from rheostat.server.tokens import Role

values = router("values")

EXAMPLE: wire.Block = {
    "id": "run_1f0c9a3be5d24c77a8e1b20c94",
    "generation": 1,
    "start": 4096,
    "count": 2,
    "resolution": 1,
    "revisions": [{"from": 4096, "revision": 1}],
    "parameters": {"lr": [0.001, 0.001], "weight_decay": [0.1, 0.1]},
}
BLOCK = JsonAnswer(wire.Block, EXAMPLE)
PREVIEW = JsonAnswer(wire.Preview, {**EXAMPLE, "final": [True, False]})
STEP = JsonAnswer(
    wire.StepValues,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "generation": 1,
        "step": 500,
        "parameters": {"lr": 0.001},
        "final": True,
        "revision": 1,
    },
)
HEADERS = {
    "Rheostat-Run": "Id of the run.",
    "Rheostat-Generation": "The generation that was asked for.",
    "Rheostat-Start": "The first step of the block.",
    "Rheostat-Parameters": "SHA-256, in lower-case hexadecimal, of the names of the parameters,"
    " sorted and joined by line feeds: the join tells them, and the order of float64 is theirs.",
    "Rheostat-Revisions": "Which revision is in force from which step on: `3@4096,4@4120`.",
    "Rheostat-Signals": "Step and revision of each signal from `max_gap` cells before the block to"
    " its end: `4200#9,4210#11`. `*` where they are too many for a header: JSON lists them. Not"
    " there if there are none.",
    "Rheostat-Incarnation": "Which life of the database it comes from; the join tells it, too.",
    "Rheostat-Event": "The event of the run that settled it, where this answer did.",
    "ETag": "The first half of the SHA-256 of the body, in lower-case hexadecimal.",
}
"""What a settled block says of itself, in every format."""
Count = Annotated[int, Query(ge=1, le=MAX_BLOCK, description="How many cells.")]


@values.get(
    ROUTE,
    summary="Read a block of values",
    responses={
        200: {
            **either(
                BLOCK,
                PREVIEW,
                description="A settled block, or a preview.",
                formats=[Format.F64],
            ),
            "headers": {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in HEADERS.items()
            },
        },
    },
)
@needs(Role.VIEWER)
@refuses(
    UnknownRun,
    UnknownGeneration,
    StaleGeneration,
    Finished,
    Stopped,
    Paused,
    AwaitingReport,
    PastTotal,
    StepJump,
)
async def read_values(
    request: Request,
    run: Run,
    store: StoreDep,
    chosen: Annotated[Format, offers(Format.JSON, Format.F64)],
    start: Annotated[int, Query(ge=0, le=MAX_STEP, description="First step; starts a cell.")],
    count: Count,
    generation: Generation = None,
    *,
    resume: Annotated[bool, Query(description="Ignored.", deprecated=True)] = False,  # noqa: ARG001
) -> Response:
    """
    Settle a block and return it, if a worker asks by the run's id and with a generation.

    The values of such an answer never change, so caches may keep it for ever. Any other read, a
    viewer's among them, is a preview: it settles nothing, and `final` says which of its values
    are settled (in bytes: `Rheostat-Settled-Until`, the first step that is not).

    A read that settles begins at most `max_gap` and ends at most `max_jump` cells past what is
    settled, and ends at most one block past the run's `total`. One that reaches past a stop, a
    pause or a gate is refused, and says where that is: a stop ends the training there, and at the
    others workers wait.
    """
    if generation is None or not re.fullmatch(RUN_ID, run) or not may_settle(request):
        block = await store.read(operations.preview, run, BlockRequest(0, start, count), generation)
        return preview(block, chosen)
    key = BlockKey(run, generation, start, count, chosen)
    cache: BlockCache = request.app.state.block_cache
    answer = cache.get(key)
    if answer is None:
        asked = BlockRequest(generation, start, count)
        found = await store.write(operations.settle, run, asked)
        if isinstance(found, Refusal):
            raise found.error
        answer = settled(found, chosen)
        cache.put(key, answer)
    store.sightings.note(*answer.cells)
    request.scope[SETTLED] = key
    return _respond(request, answer)


def _respond(request: Request, answer: BlockAnswer) -> Response:
    sent = answer.to(header(request.scope, b"if-none-match"))
    response = Response(sent.body, sent.status)
    response.raw_headers = list(sent.headers)
    return response


@values.get(
    "/v1/runs/{run}/values/{step}",
    summary="Preview the values at one step",
    responses={
        200: STEP.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownGeneration)
async def read_value(
    run: Run, step: Step, store: StoreDep, generation: Generation = None
) -> Response:
    """Return each parameter's value at one step; nothing is settled by it."""
    block = await store.read(operations.preview_step, run, step, generation)
    return STEP.send(
        {
            "id": block.run_id,
            "generation": block.generation,
            "step": step,
            "parameters": dict(zip(block.names, block.values[:, 0].tolist(), strict=True)),
            "final": block.final[0],
            "revision": block.revisions[0][1],
        }
    )
