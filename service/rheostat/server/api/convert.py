"""``POST /v1/convert``: another library's scheduler as a definition."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from rheostat.errors import Invalid, Malformed, TooLarge, UnsupportedMediaType
from rheostat.schedules import convert
from rheostat.schedules.convert.case import Context
from rheostat.server.api import examples
from rheostat.server.api.access import needs
from rheostat.server.api.deps import router
from rheostat.server.api.problems import refuses
from rheostat.server.api.render import write_json
from rheostat.server.roles import Role

conversion = router("definitions")

COSINE = {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 100, "periodic": True}


class Conversion(Context):
    """A scheduler as its own library configures it."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    library: str
    """The library, by its import name or its package's name."""

    name: str
    """The scheduler's name there."""

    params: dict[str, Any]
    """What its constructor is given; a scheduler inside is ``{"name", "params"}``."""

    base_value: float | None = None
    """The value that the optimizer starts from, for libraries that take it from there."""

    hyperparameter: str = "lr"
    """The field that is wanted of a scheduler that sets several."""

    def convert(self) -> dict[str, Any]:
        """Return the definition as JSON; what the library does not know is refused."""
        return convert(**self.model_dump(exclude_unset=True)).to_json()


@conversion.post(
    "/v1/convert",
    summary="Convert another library's scheduler",
    response_class=Response,
    responses={
        200: examples.document({"definition": COSINE}),
        **refuses(Malformed, TooLarge, UnsupportedMediaType, Invalid),
    },
    openapi_extra=examples.body(
        torch={
            "library": "torch",
            "name": "CosineAnnealingLR",
            "params": {"T_max": 100},
            "base_value": 0.1,
        },
        nested={
            "library": "torch",
            "name": "SequentialLR",
            "params": {
                "schedulers": [
                    {"name": "LinearLR", "params": {"total_iters": 5}},
                    {"name": "CosineAnnealingLR", "params": {"T_max": 95}},
                ],
                "milestones": [5],
            },
            "base_value": 0.1,
        },
        momentum={
            "library": "torch",
            "name": "OneCycleLR",
            "params": {"max_lr": 0.1, "total_steps": 1000},
            "hyperparameter": "momentum",
        },
    ),
)
@needs(Role.VIEWER)
async def convert_scheduler(asked: Conversion, request: Request) -> Response:
    """
    Return the definition that gives the values of another library's scheduler.

    Nothing is stored. What has no definition, as a function, is refused with the way out.
    """
    limiter = request.app.state.curve_limiter
    definition = await anyio.to_thread.run_sync(asked.convert, limiter=limiter)
    return Response(write_json({"definition": definition}), media_type="application/json")
