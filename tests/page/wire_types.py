"""The service's OpenAPI document as TypeScript, so that the page's types are those of the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
PLAIN = {
    "integer": "number",
    "number": "number",
    "string": "string",
    "boolean": "boolean",
    "null": "null",
}


def written(document: Schema) -> str:
    """Return a declaration of each schema of the document."""
    schemas = document["components"]["schemas"].items()
    return "".join(f"export type {name} = {type_of(schema)};\n" for name, schema in schemas)


def type_of(schema: Any) -> str:
    """Return the type of what a schema describes."""
    match schema:
        case {"$ref": ref}:
            return str(ref).rpartition("/")[2]
        case {"const": value}:
            return json.dumps(value)
        case {"enum": values}:
            return " | ".join(map(json.dumps, values))
        case {"anyOf": choices} | {"oneOf": choices}:
            return _joined(choices, " | ")
        case {"allOf": parts}:
            return _joined(parts, " & ")
        case {"type": [*kinds]}:
            return _joined([{**schema, "type": kind} for kind in kinds], " | ")
        case {"type": "object"} | {"properties": _}:
            return _object(schema)
    return "any" if isinstance(schema, bool) else _plain(schema)


def _plain(schema: Schema) -> str:
    kind = schema.get("type", "")
    return (
        f"({type_of(schema.get('items', True))})[]" if kind == "array" else PLAIN.get(kind, "any")
    )


def _joined(parts: list[Schema], by: str) -> str:
    return by.join(f"({type_of(each)})" for each in parts)


def _object(schema: Schema) -> str:
    properties = schema.get("properties", {})
    if not properties:
        values = schema.get("additionalProperties", next(iter(_patterns(schema)), True))
        return f"Record<string, {type_of(values)}>"
    needed = schema.get("required", [])
    fields = (
        f"{json.dumps(name)}{'' if name in needed else '?'}: {type_of(each)}"
        for name, each in properties.items()
    )
    return f"{{ {'; '.join(fields)} }}"


def _patterns(schema: Schema) -> list[Schema]:
    return list(schema.get("patternProperties", {}).values())
