"""``POST /v1/control/simulate``: what a controller makes of reports, without keeping anything."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from pydantic import WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.controllers import parse_controller, reports_of_json, simulate
from rheostat.errors import UnknownSchedule
from rheostat.formats import Format
from rheostat.limits import MAX_SIMULATED, MAX_STEP
from rheostat.schedules import Definition
from rheostat.schedules.definition import REFERENCE
from rheostat.server.http.access import needs
from rheostat.server.http.answers import NO_STORE, JsonAnswer
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.curves import PartsResponse, reserve, write_json
from rheostat.server.http.definitions import DefinitionBody
from rheostat.server.http.requests import StoreDep, body_examples, refers
from rheostat.server.http.route import refuses, router
from rheostat.server.http.traffic import require_caller
from rheostat.server.tokens import Role

simulation = router("controllers")

REPORT: dict[str, Any] = {
    "type": "array",
    "prefixItems": [
        {"type": "integer", "minimum": 0, "maximum": MAX_STEP},
        {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
    ],
    "minItems": 2,
    "maxItems": 2,
}
REPORTS = {"type": "array", "maxItems": MAX_SIMULATED, "items": REPORT}

DEFINITION = {"anyOf": [{REFERENCE: "DefinitionOrNumber"}, {"type": "null"}]}

EXAMPLE: dict[str, Any] = {
    "controller": {"kind": "plateau", "metric": "val_loss", "factor": 0.5, "patience": 1},
    "reports": [[100, 2.0], [200, 1.5], [300, 1.6], [400, 1.7], [500, 1.4]],
    "definition": 0.1,
}
SIMULATED = JsonAnswer(
    wire.Simulated,
    {
        "decisions": [
            {
                "step": 400,
                "decision": "change",
                "effective": 400,
                "message": "val_loss has not been better than 1.5 (step 200) for 2 reports",
                "factor": 0.5,
            }
        ],
        "steps": [100, 200, 300, 400, 500],
        "values": [0.1, 0.1, 0.1, 0.05, 0.05],
        "warnings": [],
    },
)


class SimulationBody(DefinitionBody):
    """A controller, and what is reported to it; and the curve that it acts on."""

    controller: Annotated[Any, refers("ControllerConfig")]
    """The controller, as a run has it."""

    reports: Annotated[list[Any], WithJsonSchema(REPORTS)]
    """Pairs of a step and the metric's value there, in rising order of the steps."""

    definition: Annotated[Any, WithJsonSchema(DEFINITION)] = None
    """What the parameter follows; the constant 1 without it: values are then the factors in all."""

    def simulated(self, definition: Definition | None) -> wire.Simulated:
        """Return the answer; what is wrong is refused."""
        controller = parse_controller(self.controller)
        reports = reports_of_json(self.reports)
        found = simulate(controller, reports, definition=definition, total=self.total)
        return {
            "decisions": found.decisions,
            "steps": found.steps,
            "values": found.values,
            "warnings": found.warnings,
        }


@simulation.post(
    "/v1/control/simulate",
    summary="Show what a controller would decide",
    responses={200: SIMULATED.shown()},
    openapi_extra=body_examples(
        plateau=EXAMPLE,
        whole_curve={
            **EXAMPLE,
            "definition": {"kind": "cosine", "start": 0.1, "end": 0, "steps": "100%"},
            "total": 1000,
        },
        stop={
            "controller": {"kind": "stop", "reading": "keras", "metric": "loss", "patience": 1},
            "reports": [[1, 0.5], [2, "NaN"]],
        },
    ),
)
@needs(Role.VIEWER)
@unaudited("it only computes")
@refuses(UnknownSchedule)
async def simulate_controller(asked: SimulationBody, store: StoreDep, request: Request) -> Response:
    """
    Return the decisions of a controller on a series of reports, and the values that come of them.

    Nothing is stored. The values are those of the definition times all factors so far, at the steps
    of the reports; with `total` they are the whole curve, thinned to what a picture shows. Each
    decision lands at the step of its report, or as many steps later as the controller says. The
    first stop ends the simulation. What a guard or a rule changes is told, and not computed.
    """
    definition = None if asked.definition is None else await asked.read(request, store)
    holding = reserve(request, Format.JSON, 2 * len(asked.reports))

    def work() -> bytes:
        require_caller(request.scope)
        return write_json(asked.simulated(definition))

    limiter = request.app.state.conversion_limiter
    try:
        body = await anyio.to_thread.run_sync(work, limiter=limiter)
    except BaseException:
        if holding is not None:
            holding.release()
        raise
    if holding is not None:
        holding.shrink(len(body))
    return PartsResponse([body], NO_STORE, "application/json", holding)
