"""What there is to know about each kind, for the manual, the API and the command line."""

from __future__ import annotations

from functools import cache
from inspect import getdoc
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rheostat import wire
from rheostat.limits import MAX_STEP
from rheostat.schedules.definition import REFERENCE
from rheostat.schedules.field_types import LENGTH_TEXT
from rheostat.schedules.parse import parse
from rheostat.schedules.union import KINDS

BEFORE: Final = "the value at step 0"
"""What every kind holds before its start."""

_BOUNDS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {} item",
    "maxLength": "at most {} characters",
    "pattern": "matches {}",
}
"""How the bounds of JSON Schema read."""
_A_DEFINITION: Final = {
    "type": "object",
    "description": "A definition of any kind.",
    "required": ["kind"],
    "properties": {"kind": {"enum": [*KINDS, "schedule"]}},
}


@cache
def describe(kind: str) -> wire.Kind:
    """
    Return all about a kind, as JSON.

    ``fields`` has name, type, unit, bounds, description, and either ``required`` or a default;
    ``expansion`` is what the example of a preset is made of, else null.
    """
    cls = KINDS[kind]
    schema = inlined_schema(cls)
    expansion = parse(cls.about.example).expansion()
    return {
        "kind": kind,
        "family": cls.family,
        "summary": (getdoc(cls) or "").split("\n\n")[0],
        "formula": cls.about.formula,
        "before": BEFORE,
        "after": cls.about.after,
        "fields": _fields(cls, schema),
        "example": cls.about.example,
        "expansion": None if expansion is None else expansion.to_json(),
        "names": dict(cls.about.names),
        "schema": schema,
    }


def inlined_schema(cls: type[BaseModel]) -> dict[str, Any]:
    """Return a class's JSON Schema, in which any definition inside is not described again."""
    schema = cls.model_json_schema()
    return dict(_flat({key: schema[key] for key in schema if key != "$defs"}, schema.get("$defs")))


def _flat(schema: Any, parts: Any) -> Any:
    """Return a schema without titles, and with what it refers to in place of the references."""
    if isinstance(schema, list):
        return [_flat(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if REFERENCE in schema:
        rest = {key: schema[key] for key in ("description", "default") if key in schema}
        return {**_A_DEFINITION, **rest}
    if "$ref" in schema:
        return _flat(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _flat(value, parts) for key, value in schema.items() if key != "title"}


def _fields(cls: type[BaseModel], schema: dict[str, Any], prefix: str = "") -> list[wire.KindField]:
    items = []
    for name, info in cls.model_fields.items():
        wire_name = info.alias or name
        if wire_name == "kind":
            continue
        here = schema["properties"][wire_name]
        items.append(_field(prefix + wire_name, info, here))
        part = _part(info)
        if part is not None:
            items += _fields(part, here["items"], f"{prefix}{wire_name}[].")
    return items


def _part(info: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a list of models, such as the parts of a sequence."""
    if get_origin(info.annotation) is not tuple:
        return None
    item = get_args(info.annotation)[0]
    return item if isinstance(item, type) and issubclass(item, BaseModel) else None


def _field(name: str, info: FieldInfo, schema: dict[str, Any]) -> wire.KindField:
    item: wire.KindField = {
        "name": name,
        "type": _type(schema),
        "unit": next((unit for choice in _choices(schema) if (unit := _unit(choice))), None),
        "bounds": [text for choice in _choices(schema) for text in _bounds(choice)],
        "description": info.description or "",
        "required": info.is_required(),
    }
    return item if info.is_required() else {**item, "default": schema.get("default")}


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of a schema, flat; those inside inherit the unit."""
    if "anyOf" not in schema:
        return [schema]
    outer = {key: schema[key] for key in ("unit",) if key in schema}
    return [inner for choice in schema["anyOf"] for inner in _choices({**outer, **choice})]


def _type(schema: dict[str, Any]) -> str:
    choices = _choices(schema)
    if len(choices) > 1:
        return " or ".join(_type(choice) for choice in choices)
    if _is_definition(schema):
        return "definition"
    if schema.get("pattern") == LENGTH_TEXT:
        return "text"
    if schema["type"] == "array" and "items" in schema:
        return f"list of {_plural(schema['items'])}"
    return str(schema["type"])


def _plural(schema: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(item) for item in schema['prefixItems'])}]"
    return f"{_type(schema).removesuffix(' or text')}s"


def _unit(schema: dict[str, Any]) -> str | None:
    unit = schema.get("unit", schema.get("items", {}).get("unit"))
    return None if unit in {None, "none"} else str(unit)


def _bounds(schema: dict[str, Any]) -> list[str]:
    if _is_definition(schema):
        return ["a definition"]
    if "enum" in schema:
        return [f"one of {', '.join(schema['enum'])}"]
    if schema["type"] == "boolean":
        return ["true or false"]
    texts = [
        text.format("2^53 − 1" if schema[key] == MAX_STEP else schema[key])
        for key, text in _BOUNDS.items()
        if key in schema and schema[key] != LENGTH_TEXT
    ]
    if "items" in schema and "prefixItems" not in schema["items"]:
        inner = [text for choice in _choices(schema["items"]) for text in _bounds(choice)]
        texts += [f"each {text}" for text in inner]
    return texts or (["finite"] if schema["type"] == "number" else [])


def _is_definition(schema: dict[str, Any]) -> bool:
    return "kind" in schema.get("properties", {})
