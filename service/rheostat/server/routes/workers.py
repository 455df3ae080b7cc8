"""``/v1/runs/{run}/beats`` and ``…/workers``: who trains, as workers themselves say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import FailFast, Field
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.controllers import value_of_json
from rheostat.errors import (
    FieldError,
    Invalid,
    StaleGeneration,
    Unavailable,
    UnknownGeneration,
    UnknownRun,
    WentBack,
)
from rheostat.limits import (
    MAX_APPLIED,
    MAX_BEATING,
    MAX_COMPARED,
    MAX_NUMBER,
    MAX_PARAMETERS,
    MAX_STEP,
    MAX_STRETCHES,
    MAX_WINDOWS,
    MAX_WRONG,
    PARAMETER,
    WORKER,
)
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.approval import free
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.body import off_loop
from rheostat.server.http.proofs import Proofs
from rheostat.server.http.requests import (
    Cursor,
    Limit,
    RequestBody,
    Run,
    RunId,
    StoreDep,
    body_examples,
    cursor_of,
    place_of,
)
from rheostat.server.http.route import refuses, router
from rheostat.server.runs import beats, presence
from rheostat.server.runs.applied import Stretch, Window, Wrong
from rheostat.server.runs.presence import Roster
from rheostat.server.store.operations import workers as operations
from rheostat.server.tokens import Role
from rheostat.wire import SlotType, WorkerState

workers = router("workers")

BEATEN = JsonAnswer(wire.Beaten, {"again": 20.5, "compare": [{"worker": "17", "start": 81664}]})
WORKERS = JsonAnswer(
    wire.Workers,
    {
        "alive": 8,
        "silent": 1,
        "wrong": 0,
        "ended": 0,
        "behind": 0,
        "first": 81_920,
        "last": 81_912,
        "pace": 3.2,
        "proven_until": 81_664,
        "eta": [
            {
                "revision": 7,
                "effective": 90_112,
                "steps": 8_200,
                "seconds": 2562.5,
                "reached_by": 0,
                "workers": 8,
            }
        ],
        "items": [
            {
                "worker": "0",
                "host": "n03",
                "generation": 1,
                "step": 81_920,
                "pace": 3.21,
                "proven_until": 81_664,
                "seen_at": "2026-01-01T12:00:00.000000+00:00",
                "state": "training",
            }
        ],
        "next": None,
    },
)


@refuses(Invalid, Unavailable)
async def _proofs(request: Request) -> Any:
    return request.app.state.proofs


ProofsDep = Annotated[Proofs, Depends(_proofs)]
Name = Annotated[str, Field(pattern=f"^{WORKER}$")]
Step = Annotated[int, Field(ge=0, le=MAX_STEP)]
Parameter = Annotated[str, Field(max_length=128, pattern=f"^{PARAMETER}$")]
Number = Annotated[
    Any,
    Field(
        json_schema_extra={
            "anyOf": [
                {"type": "number"},
                {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
            ]
        }
    ),
]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Part = Annotated[int, Field(ge=0, le=MAX_STEP)]


class WindowBody(RequestBody):
    """Cells of which a worker says what it applied to them."""

    cells: Annotated[
        list[Annotated[list[Part], Field(min_length=3, max_length=3)]],
        Field(min_length=1, max_length=MAX_STRETCHES),
        FailFast(),
    ]
    """Stretches of cells by rising step: first coordinate, how many, and how many cells apart."""

    parameters: Annotated[dict[Parameter, SlotType], Field(min_length=1, max_length=MAX_PARAMETERS)]
    """What was applied, and what each was rounded to first."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    """BLAKE2b of 16 bytes, in hex, of a record for each cell: see the manual of workers."""

    values: dict[Parameter, Annotated[list[Number], Field(max_length=MAX_APPLIED)]] | None = None
    """The values by parameter, one for each cell, where the answer to a beat has asked for them."""

    def window(self, field: str) -> Window:
        """Return the window; raise `Invalid` for values that are no numbers."""
        cells = [Stretch(*each) for each in self.cells]
        values = self.values and {
            name: [
                value_of_json(value, f"{field}.values.{name}[{place}]")
                for place, value in enumerate(column)
            ]
            for name, column in self.values.items()
        }
        return Window(cells, self.parameters, self.digest, values)


class WrongBody(RequestBody):
    """A value that a worker found where it is applied, and that is not the one it was to be."""

    step: Step
    """Step of the update that was about to apply it."""

    parameter: Parameter
    """What it is a value of."""

    found: Number
    """The value: a number, or `NaN`, `Infinity` or `-Infinity` as text."""

    dtype: SlotType = "f64"
    """What values are rounded to there."""

    def wrong(self, field: str) -> Wrong:
        """Return it as a number."""
        found = value_of_json(self.found, f"{field}.found")
        return Wrong(self.step, self.parameter, found, self.dtype)


class WorkerBody(RequestBody):
    """What one worker says of itself."""

    worker: Name
    """Its rank, or its host and process."""

    session: Name
    """Its process, by a random word: another one begins anew."""

    step: Step
    """Updates done: the step that comes next."""

    host: Name | None = None
    """The machine that it runs on."""

    job: Name | None = None
    """The process group that it trains with, by a random word; a newer one retires older ones."""

    pace: Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)] | None = None
    """Steps in a second."""

    waited: Seconds = 0.0
    """Seconds for which it has waited for values since its last beat."""

    state: Literal["training", "waiting", "ended"] = "training"
    """What it does; it says that it has ended once, at its orderly end."""

    applied: Annotated[
        list[WindowBody], Field(max_length=MAX_WINDOWS, default_factory=list), FailFast()
    ]
    """Windows of what it has applied."""

    wrong: Annotated[list[WrongBody], Field(max_length=MAX_WRONG, default_factory=list), FailFast()]
    """Values that it found to be others than were to be applied."""

    def said(self, field: str) -> beats.Said:
        """Return it as the domain has it."""
        return beats.Said(
            worker=self.worker,
            session=self.session,
            step=self.step,
            host=self.host,
            job=self.job,
            pace=self.pace,
            waited=self.waited,
            state=self.state,
            applied=tuple(
                each.window(f"{field}.applied[{place}]") for place, each in enumerate(self.applied)
            ),
            wrong=tuple(
                each.wrong(f"{field}.wrong[{place}]") for place, each in enumerate(self.wrong)
            ),
        )


class BeatBody(RequestBody):
    """What workers say of themselves; one of a node may speak for all of it."""

    generation: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    """Generation that they train in."""

    workers: Annotated[
        list[WorkerBody], Field(min_length=1, max_length=MAX_BEATING), FailFast()
    ]  # of many that are wrong the first is told: to tell all would take seconds
    """The first of them is the one that sends."""

    def beat(self) -> beats.Beat:
        """Return it as the domain has it; raise `Invalid` for what cannot be."""
        names = [each.worker for each in self.workers]
        for place, name in enumerate(names):
            if name in names[:place]:
                message = f"the worker {name!r} is named twice"
                raise _refuse(f"workers[{place}].worker", message, name, "each once")
        listed = [window.values or {} for each in self.workers for window in each.applied]
        many = sum(len(column) for values in listed for column in values.values())
        if many > MAX_COMPARED:
            message = f"the beat lists {many} values, and at most {MAX_COMPARED} are taken"
            raise _refuse("workers", message, many, f"<= {MAX_COMPARED} values")
        said = (each.said(f"workers[{place}]") for place, each in enumerate(self.workers))
        return beats.Beat(self.generation, tuple(said))


def _refuse(field: str, message: str, value: Any, bound: str) -> Invalid:
    return Invalid(message, errors=[FieldError(field, message, value, bound)])


@workers.post(
    "/v1/runs/{run}/beats",
    summary="Say where workers are",
    responses={200: BEATEN.shown()},
    openapi_extra=body_examples(
        rank={
            "generation": 1,
            "workers": [
                {
                    "worker": "17",
                    "host": "n03",
                    "session": "9f2c41d08a6b",
                    "job": "4c1d0b7e22aa",
                    "step": 81_920,
                    "pace": 3.21,
                    "applied": [
                        {
                            "cells": [[81_664, 256, 1]],
                            "parameters": {"lr": "f64"},
                            "digest": "5d41402abc4b2a76b9719d911017c592",
                        }
                    ],
                }
            ],
        },
        node={
            "generation": 1,
            "workers": [
                {"worker": "0", "session": "9f2c41d08a6b", "step": 512},
                {
                    "worker": "1",
                    "session": "27be00ad1c93",
                    "step": 512,
                    "wrong": [{"step": 500, "parameter": "lr", "found": 0.01}],
                },
            ],
        },
    ),
)
@needs(Role.WORKER)
@unaudited("a worker says where it is")
@free("a worker says where it is")
@refuses(UnknownRun, UnknownGeneration, StaleGeneration, WentBack)
async def beat(
    run: RunId,
    body: BeatBody,
    proofs: ProofsDep,
    request: Request,
) -> Response:
    """
    Keep what workers say of themselves, and tell after how many seconds to say more.

    Who says nothing for three times as long counts as silent. What was applied is held against the
    ledger: of windows in `compare` the values are sent once. It changes no value of any run.
    """
    at = presence.now()
    roster: Roster = request.app.state.roster
    told = await off_loop(request, body.beat)
    try:
        held = await proofs.hold(run, told)
    except Unavailable:  # what was applied is listed again, and who says so is there meanwhile
        roster.go_on(run, told, at)
        raise
    again = roster.hear(held.run_id, told, at, held.proven)
    return BEATEN.send({"again": round(again, 3), "compare": held.compare})


@workers.get(
    "/v1/runs/{run}/workers",
    summary="List a run's workers",
    responses={200: WORKERS.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def list_workers(
    run: Run,
    store: StoreDep,
    request: Request,
    state: Annotated[
        WorkerState | None, Query(description="What they do, of those who are listed.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """
    Return who trains, by what workers themselves say: ranks by their number, then the others.

    How they are together comes first, and is of all of them. It may be a few seconds old, where
    several processes serve. A worker that is wrong is listed as that, whatever else it does.
    """
    wanted = operations.Wanted(state, place_of(cursor), limit)
    found = await store.read(operations.listed, run, wanted, request.app.state.roster)
    after = None if found.following is None else cursor_of(found.following)
    return WORKERS.send({**found.summary, "items": found.items, "next": after})
