"""``/v1/runs/{run}/values``: settled blocks for workers, and previews for everybody else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import Header, Query
from starlette.datastructures import Headers
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
from rheostat.server.http import problems
from rheostat.server.http.access import admit, may_settle, needs
from rheostat.server.http.answers import JsonAnswer, either
from rheostat.server.http.blocks import (
    ROUTE,
    SETTLED,
    BlockAnswer,
    BlockKey,
    preview,
)
from rheostat.server.http.holds import COME_BACK, REFUSED, WAITED, Heard, Holds, wait_of
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
    prefer: Annotated[
        str | None,
        Header(
            max_length=1024,
            description="`wait=30`: where the read is refused at a pause or a gate, hold it for so"
            " many seconds, at most 30, until that opens (RFC 7240).",
            examples=["wait=30"],
        ),
    ] = None,
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
    others workers wait. Who asks there with `Prefer: wait=30` is answered when that opens, or after
    so many seconds; where too many wait, at once, with `Retry-After`.
    """
    if generation is None or not re.fullmatch(RUN_ID, run) or not may_settle(request):
        block = await store.read(operations.preview, run, BlockRequest(0, start, count), generation)
        return preview(block, chosen)
    key = BlockKey(run, generation, start, count, chosen)
    waited, seconds = WAITED in request.scope, wait_of(prefer)
    holds: Holds = request.app.state.holds
    heard = await holds.read(
        key,
        seconds=0 if waited else seconds,
        scope=request.scope,
        # a token may be revoked while its request is held
        admitted=partial(admit, request, Role.WORKER),
    )
    applied = {"Preference-Applied": f"wait={seconds}"} if heard.held or waited else {}
    if isinstance(heard.found, Refusal):
        return _refuse(request, key, heard.found, heard, applied)
    store.sightings.note(*heard.found.cells)
    request.scope[SETTLED] = key
    return _respond(request, heard.found, applied)


def _refuse(
    request: Request, key: BlockKey, refusal: Refusal, heard: Heard, applied: Mapping[str, str]
) -> Response:
    """Return a refusal at a barrier: many are told the same, so that nothing is raised for each."""
    if refusal.opens:
        request.scope[REFUSED] = key
    response = problems.response(refusal.error, request.scope)
    response.headers.update(applied)
    if heard.crowded:
        response.headers["Retry-After"] = str(COME_BACK)
    return response


def _respond(request: Request, answer: BlockAnswer, applied: Mapping[str, str]) -> Response:
    sent = answer.to(header(request.scope, b"if-none-match"))
    response = Response(sent.body, sent.status)
    response.raw_headers = [*sent.headers, *Headers(applied).raw]
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
