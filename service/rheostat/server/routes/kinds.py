"""``/v1/kinds``: every kind of definition, described by its own class."""

from __future__ import annotations

from starlette.responses import Response

from rheostat.errors import UnknownKind
from rheostat.schedules import KINDS
from rheostat.schedules.introspection import describe
from rheostat.server.http import examples
from rheostat.server.http.access import needs
from rheostat.server.http.curves import write_json
from rheostat.server.http.deps import router
from rheostat.server.http.problems import refuses
from rheostat.server.tokens import Role

kinds = router("definitions")


@kinds.get(
    "/v1/kinds",
    summary="List the kinds of definitions",
    response_class=Response,
    responses={200: examples.document({"items": [{"kind": "constant"}], "next": None})},
)
@needs(Role.VIEWER)
async def list_kinds() -> Response:
    """Return every kind with its formula, its fields with their bounds, and an example."""
    items = [describe(kind) for kind in KINDS]
    return Response(write_json({"items": items, "next": None}), media_type="application/json")


@kinds.get(
    "/v1/kinds/{kind}",
    summary="Describe a kind of definition",
    response_class=Response,
    responses={200: examples.document({"kind": "constant"}), **refuses(UnknownKind)},
)
@needs(Role.VIEWER)
async def get_kind(kind: str) -> Response:
    """Return a kind with its formula, its fields with their bounds, and an example."""
    if kind not in KINDS:
        raise UnknownKind(f"there is no kind {kind[:100]!r}; there are {', '.join(KINDS)}")
    return Response(write_json(describe(kind)), media_type="application/json")
