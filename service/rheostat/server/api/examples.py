"""Pieces of OpenAPI that FastAPI does not derive: examples, and answers in several formats."""

from __future__ import annotations

from typing import Any

from pydantic import WithJsonSchema

from rheostat.server.api.formats import MEDIA_TYPES, Format

REFERENCE = "x-reference"
"""Key under which `refers` leaves a name, until the whole document is put together."""

BINARY = {"type": "string", "format": "binary"}


def refers(*schemas: str) -> WithJsonSchema:
    """Return what makes a field's schema a reference to one (any) of `openapi.SCHEMAS`."""
    found = [{REFERENCE: schema} for schema in schemas]
    return WithJsonSchema({"anyOf": found} if len(found) > 1 else found[0])


def by_parameter(*schemas: str) -> WithJsonSchema:
    """Return the schema of an object with one (any) of `openapi.SCHEMAS`, or a list, by name."""
    one = [{REFERENCE: schema} for schema in schemas]
    each = {"anyOf": [*one, {"type": "array", "minItems": 1, "items": {"anyOf": one}}]}
    return WithJsonSchema({"type": "object", "minProperties": 1, "additionalProperties": each})


def body(**examples: Any) -> dict[str, Any]:
    """Return the ``openapi_extra`` that shows examples of a JSON body."""
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": shown}}}}


def curves(example: Any, *, description: str = "The values.") -> dict[str, Any]:
    """Return the description of an answer that comes in all formats of curves."""
    content: dict[str, Any] = {MEDIA_TYPES[item]: {"schema": BINARY} for item in Format}
    content[MEDIA_TYPES[Format.CSV]] = {"schema": {"type": "string"}}
    return {"description": description, "content": {**content, **document(example)["content"]}}


def document(example: Any, *, description: str = "The answer.") -> dict[str, Any]:
    """Return the description of a JSON answer by an example."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"description": description, "content": content}
