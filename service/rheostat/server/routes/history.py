"""What a run has done and will do: its plan, its reasons, and its ledger."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import numpy as np
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.curve_files import Annotations, Curves, LeftCurves, Mark, mark_label
from rheostat.errors import (
    TooLarge,
    UnknownGeneration,
    UnknownRun,
)
from rheostat.formats import Format
from rheostat.limits import MAX_STEP
from rheostat.server.http.access import needs
from rheostat.server.http.answers import NO_STORE, JsonAnswer
from rheostat.server.http.curves import QUICK, answer, reserve
from rheostat.server.http.negotiation import most_values, offers
from rheostat.server.http.requests import (
    Cursor,
    Generation,
    Run,
    SettingsDep,
    Start,
    Stop,
    StoreDep,
    cursor_of,
    number_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import explain, plan, served
from rheostat.server.tokens import Role

history = router("history")

PLAN = JsonAnswer(
    wire.Plan,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "name": "gpt-7b",
        "axis": "step",
        "generation": 1,
        "settled_until": 4096,
        "steps": [0, 50_000],
        "parameters": {"lr": [3e-4, 1.65e-4]},
        "left": [],
        "revisions": [{"from": 0, "revision": 1, "author": "ann", "message": ""}],
        "signals": [{"at": 4200, "signal": "checkpoint", "revision": 9}],
    },
)
EXPLANATION = JsonAnswer(
    wire.Explanation,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "step": 5000,
        "generation": 1,
        "revision": 2,
        "final": False,
        "parameters": {
            "lr": {
                "value": 1.5e-4,
                "revision": 2,
                "effective": 4096,
                "author": "ann",
                "message": "loss spike",
                "cause": None,
                "created_at": "2026-01-01T12:00:00.000000+00:00",
                "definition": {"kind": "constant", "value": 1.5e-4},
                "origin": 0,
            }
        },
    },
)
LEDGER = JsonAnswer(
    wire.Ledger,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "generation": 1,
        "resolution": 1,
        "parameters": ["lr"],
        "segments": [{"start": 0, "count": 2, "values": {"lr": [3e-4, 3e-4]}}],
        "next": None,
    },
)


@history.get(
    "/v1/runs/{run}/plan",
    summary="Show a run's curves, past and future",
    responses={
        200: PLAN.shown("The curves.", formats=tuple(Format)),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun, TooLarge)
async def read_plan(
    request: Request,
    run: Run,
    store: StoreDep,
    settings: SettingsDep,
    chosen: Annotated[Format, offers(*Format)],
    start: Start = 0,
    stop: Stop = None,
    points: Annotated[int, Query(ge=2, le=10_000_000, description="The most steps.")] = 1000,
) -> Response:
    """
    Return the run's curves with the revisions that shaped them; nothing is settled by it.

    The steps are common to all parameters. They are at most `points`: spread evenly, and besides
    where a parameter goes beyond its values on both sides, so that short excursions and each
    parameter's extremes are among them. All cells are looked at for that, up to two million values
    in all; of a longer range so many at even distances, and where changes, holds and parts of
    definitions begin and end. Of more revisions than `points` (and than 200), those are read and
    listed that are in force at one of the steps, which are then spread evenly. A range without
    `stop` ends with a finished run, and else at its `total` or where its curves end, whichever is
    later.
    """
    if chosen.picture:
        points = min(points, settings.max_picture_points)
    most = most_values(chosen, settings)
    few = nullcontext() if points <= QUICK else request.app.state.curve_limiter
    async with few:
        found = await store.read(plan.plan, run, start, stop, points, most)
    marks = tuple(
        Mark(item["from"], mark_label(item)) for item in found["revisions"] if item["from"]
    )
    left = tuple(
        LeftCurves(
            each["generation"],
            np.asarray(each["steps"]),
            {name: np.asarray(column) for name, column in each["parameters"].items()},
        )
        for each in found["left"]
    )
    notes = Annotations(found["name"], found["axis"], marks, found["settled_until"], left=left)
    columns = {name: np.asarray(column) for name, column in found["parameters"].items()}
    curves = Curves(np.asarray(found["steps"]), columns, found, notes)
    holding = reserve(request, chosen, len(curves.places) * len(curves.columns))
    return await answer(request, chosen, lambda: curves, holding=holding, headers=NO_STORE)


@history.get(
    "/v1/runs/{run}/explain",
    summary="Say why the values at a step are what they are",
    responses={
        200: EXPLANATION.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def read_explanation(
    run: Run,
    store: StoreDep,
    step: Annotated[int, Query(ge=0, le=MAX_STEP, description="The step.")],
) -> Response:
    """Return each parameter's value, and the revision, author, message and definition behind it."""
    return EXPLANATION.send(await store.read(explain.explain, run, step))


@history.get(
    "/v1/runs/{run}/ledger",
    summary="Read what was served",
    responses={
        200: LEDGER.shown(),
    },
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownGeneration)
async def read_ledger(
    run: Run,
    store: StoreDep,
    generation: Generation = None,
    start: Start = 0,
    stop: Stop = None,
    cursor: Cursor = None,
) -> Response:
    """Return the values that were handed out, bit for bit, by page."""
    first = max(start, number_of(cursor))
    found, following = await store.read(served.served, run, generation, first, stop)
    after = None if following is None else cursor_of(str(following))
    return LEDGER.send({**found, "next": after})
