"""``/v1/controllers``: every kind of controller in each reading, described by its own class."""

from __future__ import annotations

from functools import cache
from inspect import getdoc
from typing import Any

from starlette.responses import Response

from rheostat import wire
from rheostat.controllers.controller import Controller
from rheostat.controllers.parse import KINDS
from rheostat.controls import CONTROLS
from rheostat.schedules.introspection import inlined_schema
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.route import router
from rheostat.server.tokens import Role

controller_kinds = router("controllers")

PLATEAU: wire.ControllerKind = {
    "kind": "plateau",
    "reading": "torch",
    "summary": "multiply parameters when a metric has stopped getting better",
    "text": "`torch.optim.lr_scheduler.ReduceLROnPlateau`, which most other libraries wrap.",
    "schema": {
        "type": "object",
        "required": ["kind", "metric"],
        "properties": {
            "kind": {"const": "plateau"},
            "reading": {"const": "torch"},
            "metric": {"type": "string"},
            "factor": {"type": "number", "default": 0.1},
        },
    },
}
ALL = JsonAnswer(wire.ControllerKindPage, {"items": [PLATEAU], "next": None})


@controller_kinds.get(
    "/v1/controllers",
    summary="List the kinds of controllers",
    responses={200: ALL.shown()},
)
@needs(Role.VIEWER)
async def list_controller_kinds() -> Response:
    """
    Return every kind of controller, in each reading, with the JSON Schema of its fields.

    A reading says whose meaning the words have; the first of a kind is its default.
    """
    items = [_described(kind, cls) for kind, readings in KINDS.items() for cls in readings]
    return ALL.send({"items": items, "next": None}, headers={})


@cache
def _described(kind: str, cls: type[Controller]) -> wire.ControllerKind:
    reading = cls.model_fields.get("reading")
    schema: dict[str, Any] = inlined_schema(cls)
    return {
        "kind": kind,
        "reading": None if reading is None else str(reading.default),
        "summary": CONTROLS[kind].sentence,
        "text": (getdoc(cls) or "").split("\n\n")[0].replace("``", "`"),
        "schema": schema,
    }
