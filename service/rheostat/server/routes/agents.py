"""``/v1/runs/{run}/allowances``: what tokens with a limit may do to a run, and have done."""

from __future__ import annotations

from starlette.responses import Response

from rheostat import wire
from rheostat.errors import UnknownRun
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.requests import Run, StoreDep
from rheostat.server.http.route import refuses, router
from rheostat.server.store.operations import limiting
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
