"""``/v1/kinds``: every kind of definition, described by its own class."""

from __future__ import annotations

from starlette.responses import Response

from rheostat import wire
from rheostat.errors import UnknownKind
from rheostat.schedules import KINDS
from rheostat.schedules.introspection import describe
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.http.route import refuses, router
from rheostat.server.tokens import Role
from rheostat.suggestions import did_you_mean

kinds = router("definitions")

CONSTANT: wire.Kind = {
    "kind": "constant",
    "family": "Base curves",
    "summary": "The same value at every step.",
    "formula": "value",
    "before": "the value at step 0",
    "after": "the value",
    "fields": [
        {
            "name": "value",
            "type": "number",
            "unit": "value",
            "bounds": ["finite"],
            "description": "the value at every step",
            "required": True,
        }
    ],
    "example": {"kind": "constant", "value": 0.1},
    "expansion": None,
    "names": {"optax": "constant_schedule"},
    "schema": {
        "type": "object",
        "required": ["kind", "value"],
        "properties": {"kind": {"const": "constant"}, "value": {"type": "number"}},
    },
}
KIND = JsonAnswer(wire.Kind, CONSTANT)
ALL_KINDS = JsonAnswer(wire.KindPage, {"items": [CONSTANT], "next": None})


@kinds.get(
    "/v1/kinds",
    summary="List the kinds of definitions",
    responses={200: ALL_KINDS.shown()},
)
@needs(Role.VIEWER)
async def list_kinds() -> Response:
    """Return every kind with its formula, its fields with their bounds, and an example."""
    items = [describe(kind) for kind in KINDS]
    return ALL_KINDS.send({"items": items, "next": None}, headers={})


ALL = f"; there are {', '.join(KINDS)}"


@kinds.get(
    "/v1/kinds/{kind}",
    summary="Describe a kind of definition",
    responses={200: KIND.shown()},
)
@needs(Role.VIEWER)
@refuses(UnknownKind)
async def get_kind(kind: str) -> Response:
    """Return a kind with its formula, its fields with their bounds, and an example."""
    if kind not in KINDS:
        raise UnknownKind(f"there is no kind {kind[:100]!r}{did_you_mean(kind, KINDS) or ALL}")
    return KIND.send(describe(kind), headers={})
