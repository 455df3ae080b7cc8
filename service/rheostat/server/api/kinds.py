"""``/v1/kinds``: every kind of definition, described by its own class."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from starlette.responses import Response

from rheostat.errors import UnknownKind
from rheostat.schedules import KINDS, Definition
from rheostat.server.api import examples
from rheostat.server.api.deps import router
from rheostat.server.api.problems import refuses
from rheostat.server.api.render import write_json

kinds = router("definitions")

BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {} items",
    "enum": "one of {}",
}
"""How a bound of JSON Schema reads."""


@kinds.get(
    "/v1/kinds",
    summary="List the kinds of definitions",
    response_class=Response,
    responses={200: examples.document({"items": [{"kind": "constant"}], "next": None})},
)
async def list_kinds() -> Response:
    """Return every kind with its formula, its fields with their bounds, and an example."""
    items = [described(kind) for kind in KINDS]
    return Response(write_json({"items": items, "next": None}), media_type="application/json")


@kinds.get(
    "/v1/kinds/{kind}",
    summary="Describe a kind of definition",
    response_class=Response,
    responses={200: examples.document({"kind": "constant"}), **refuses(UnknownKind)},
)
async def get_kind(kind: str) -> Response:
    """Return a kind with its formula, its fields with their bounds, and an example."""
    if kind not in KINDS:
        raise UnknownKind(f"there is no kind {kind[:100]!r}; there are {', '.join(KINDS)}")
    return Response(write_json(described(kind)), media_type="application/json")


@cache
def described(kind: str) -> dict[str, Any]:
    """Return a kind's formula, fields with their bounds, example, and schema."""
    cls = KINDS[kind]
    schema = cls.model_json_schema()
    return {
        "kind": kind,
        "summary": (inspect.getdoc(cls) or "").splitlines()[0],
        "formula": cls.formula,
        "after": cls.after,
        "fields": [_field(cls, schema, name) for name in cls.model_fields if name != "kind"],
        "example": cls.example,
        "names": dict(cls.names),
        "schema": schema,
    }


def _field(cls: type[Definition], schema: dict[str, Any], name: str) -> dict[str, Any]:
    info = cls.model_fields[name]
    wire_name = info.serialization_alias or name
    described = schema["properties"][wire_name]
    item = {
        "name": wire_name,
        "description": info.description or "",
        "type": _type(described),
        "bounds": _bounds(described),
        "required": info.is_required(),
    }
    return item if info.is_required() else {**item, "default": described.get("default")}


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(choice) for choice in schema["anyOf"]))
    if "$ref" in schema or "oneOf" in schema:
        return "definition"
    return str(schema.get("type", "any"))


def _bounds(schema: dict[str, Any]) -> list[str]:
    choices = schema.get("anyOf", [schema])
    return [
        text.format(", ".join(choice[key]) if key == "enum" else choice[key])
        for choice in choices
        for key, text in BOUNDS.items()
        if key in choice
    ]
