"""
What agents ask for: a run in short, to wait for what comes, and what tokens with a limit have left.

``/v1/runs/{run}/brief``, ``…/wait`` and ``…/allowances``.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import (
    FieldError,
    Invalid,
    RateLimited,
    UnknownProposal,
    UnknownRevision,
    UnknownRun,
)
from rheostat.limits import MAX_STEP
from rheostat.server.http.access import caller_of, needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.requests import Run, StoreDep
from rheostat.server.http.route import refuses, router
from rheostat.server.http.waits import wait_until
from rheostat.server.runs.presence import Roster
from rheostat.server.store.operations import brief, limiting, look
from rheostat.server.tokens import Role

agents = router("agents")

ALLOWANCE: wire.Allowance = {
    "token": "tuner",
    "limit": "changes=20/day, gap=500, edits=scale|hold, ratio=2",
    "acts": ["change", "stop", "signal", "pause", "resume", "cancel"],
    "parameters": ["lr"],
    "edits": ["scale", "hold"],
    "ratio": 2.0,
    "left": 18,
    "again_at": None,
    "from_step": 4596,
    "made": 2,
    "refused": 1,
    "refused_at": "2026-01-01T12:05:00.000000+00:00",
    "refusal": "the token tuner is limited: its edits are scale|hold",
}
BRIEF = JsonAnswer(
    wire.Brief,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "name": "gpt-7b",
        "state": "live",
        "axis": "step",
        "total": 100_000,
        "end": None,
        "resolution": 1,
        "generation": 1,
        "revision": 2,
        "settled_until": 4160,
        "about": "The 7B model on the second half of the data.",
        "goal": {"metric": "loss", "direction": "min"},
        "ahead": [4160, 28_119, 52_079, 76_038, 99_999],
        "parameters": [
            {
                "name": "lr",
                "value": 1.5e-4,
                "ahead": [1.5e-4, 1.231e-4, 8.06e-5, 3.51e-5, 1.5e-5],
                "text": "",
                "guard": {"min": 0.0, "max": None, "max_ratio": None},
            }
        ],
        "more_parameters": 0,
        "metric": "loss",
        "newest": 2.91,
        "changes": [
            {
                "revision": 2,
                "kind": "change",
                "effective": 4096,
                "state": "reached",
                "changes": {"lr": [{"edit": "scale", "factor": 0.5}]},
                "author": "tuner",
                "message": "loss spike",
                "before": 3.4,
                "after": 2.91,
            }
        ],
        "workers": "8 alive; at step 4130 to 4131; 3.2 steps/s",
        "proposals": 0,
        "attention": [],
        "may": ["propose", "note", "change", "stop", "signal", "pause", "resume", "cancel"],
        "allowance": ALLOWANCE,
    },
)
WAITED = JsonAnswer(
    wire.WaitedFor,
    {
        "id": "run_1f0c9a3be5d24c77a8e1b20c94",
        "until": "revision",
        "held": True,
        "over": True,
        "detail": "revision 2: all 8 workers are past it; the last, worker 3 at step 4130",
        "state": "live",
        "generation": 1,
        "revision": 2,
        "settled_until": 4160,
        "step": 4130,
        "reports": 310,
    },
)
ALLOWANCES = JsonAnswer(wire.Allowances, {"items": [ALLOWANCE]})


@agents.get(
    "/v1/runs/{run}/allowances",
    summary="List what tokens with a limit may do",
    responses={200: ALLOWANCES.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def list_allowances(run: Run, store: StoreDep) -> Response:
    """
    Return the tokens with a limit that know of the run: what they have done, and have left.

    So an operator sees what an agent is up to, and an agent what it may still do. Tokens that were
    revoked are not among them; what they did is in the history.
    """
    return ALLOWANCES.send(await store.read(limiting.allowances, run))


@agents.get(
    "/v1/runs/{run}/brief",
    summary="Tell of a run in short",
    responses={200: BRIEF.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun)
async def read_brief(request: Request, run: Run, store: StoreDep) -> Response:
    """
    Return a run in at most 4 KB: its goal, the plan at five steps, the last changes, who trains.

    Each change has the metric before it and after it. `may` and `allowance` say what the caller can
    do. What is too long is cut, and ends with an ellipsis; parameters that are left out are
    counted.
    """
    roster: Roster = request.app.state.roster
    may = caller_of(request).may
    return BRIEF.send(await store.read(brief.brief, run, roster, may))


@agents.get(
    "/v1/runs/{run}/wait",
    summary="Wait for something of a run",
    responses={200: WAITED.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownRun, UnknownRevision, UnknownProposal, RateLimited)
async def wait_for_run(
    request: Request,
    run: Run,
    store: StoreDep,
    until: Annotated[wire.Until, Query(description="What to wait for.")],
    number: Annotated[
        int | None,
        Query(
            ge=0,
            le=MAX_STEP,
            description="Of a step, a revision or a proposal: which. Of a report: the newest that"
            " was seen; by default the newest there is.",
        ),
    ] = None,
    seconds: Annotated[
        float, Query(alias="timeout", ge=0, le=60, description="Seconds to wait at most.")
    ] = 30,
) -> Response:
    """
    Answer once something has come (`held`), or cannot come any more (`over`), or the time is up.

    `report` is a report with a greater number, `step` that the last worker is past a step,
    `revision` that all workers have reached one, `proposal` that one was decided, and `end` that
    the run is finished, stopped or at its total. Where no worker says where it is, what is settled
    stands for it.
    """
    if number is None and until in look.NUMBERED:
        message = f"number is required: which {until} to wait for"
        raise Invalid(message, errors=[FieldError("number", message, None, "required")])
    roster: Roster = request.app.state.roster

    async def read(before: int | None) -> look.Looked:
        return await store.read(look.look, run, roster, until, before)

    return WAITED.send(await wait_until(request, read, number, seconds))
