"""Pieces of OpenAPI that FastAPI does not derive: examples, and answers in several formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import WithJsonSchema

from rheostat.formats import Format
from rheostat.schedules.definition import REFERENCE

BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}

NULLABLE = frozenset({"author", "beyond", "created_by", "expires_at", "parent", "total"})
"""Fields of answers that may be null, though they are not in the examples."""


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


def curves(*examples: Any, description: str = "The values.") -> dict[str, Any]:
    """Return the description of an answer that comes in all formats of curves."""
    content: dict[str, Any] = {
        item.media_type: {"schema": TEXT if item.content == "text" else BINARY} for item in Format
    }
    content |= document(*examples)["content"]
    return {"description": description, "content": content}


def document(
    *examples: Any, description: str = "The answer.", also: Sequence[Format] = ()
) -> dict[str, Any]:
    """
    Return the description of a JSON answer by examples: it is like one of them, or has more.

    ``also`` has the binary formats in which it comes as well.
    """
    shapes = [shape(example) for example in examples]
    schema = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    content: dict[str, Any] = {item.media_type: {"schema": BINARY} for item in also}
    content |= {"application/json": {"schema": schema, "example": examples[0]}}
    return {"description": description, "content": content}


def shape(example: Any) -> dict[str, Any]:
    """
    Return the schema of what has all the fields of an example, of their types.

    The objects in it are by parameter or definitions, whose fields are not the same everywhere.
    """
    fields = {name: _type(value) for name, value in example.items()}
    for name in NULLABLE & fields.keys():
        fields[name] = {}
    return {"type": "object", "required": [*fields], "properties": fields}


def _type(value: Any) -> dict[str, Any]:
    if isinstance(value, list) and value:
        first = value[0]
        return {"type": "array", "items": shape(first) if isinstance(first, dict) else _type(first)}
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object"}
    return {"type": names[type(value)]} if type(value) in names else {}
