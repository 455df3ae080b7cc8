"""
JSON Schema of the answers: made of the types of `rheostat.wire`, which alone say what they are.

Pydantic would ask for another `TypedDict` than Python 3.11's, which the client would have to
depend on, and would say of each what it can read, not what is written: so this is our own.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from functools import cache
from inspect import getdoc, ismodule
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from rheostat import wire
from rheostat.server.docstrings import classes, field_docstrings

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"
OPEN = frozenset({wire.Problem})
"""Types of documents that may have further members."""

PLAIN: dict[Any, Schema] = {
    Any: {},
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}


@cache
def names() -> dict[Any, str]:
    """Return the name of each answer's type in `rheostat.wire`: a class, a page, or a choice."""
    return {
        kind: name
        for name, kind in vars(wire).items()
        if (is_typeddict(kind) and not getattr(kind, "__parameters__", ()))
        or get_origin(kind) is wire.Page
        or (isinstance(kind, types.UnionType) and all(map(is_typeddict, get_args(kind))))
    }


def reference(kind: Any) -> Schema:
    """Return the reference to the schema of one of the types that have `names`."""
    return {"$ref": REF.format(model=names()[kind])}


def schemas(document: Any) -> dict[str, Schema]:
    """Return the schemas of all answers that a document refers to, and of what is in them."""
    kinds = {name: kind for kind, name in names().items()}
    found: dict[str, Schema] = {}
    waiting = set(_references(document))
    while waiting:
        name = waiting.pop()
        if name in kinds and name not in found:
            found[name] = _named(kinds[name])
            waiting |= set(_references(found[name]))
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rpartition("/")[2]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _references(item)


def _named(kind: Any) -> Schema:
    if isinstance(kind, types.UnionType):
        return {"anyOf": [reference(item) for item in get_args(kind)]}
    origin = get_origin(kind) or kind
    filled = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=True))
    hints = get_type_hints(origin, include_extras=True)
    texts = _texts(origin.__name__)
    schema: Schema = {
        "type": "object",
        "description": getdoc(origin),
        "required": [name for name in hints if name in origin.__required_keys__],
        "properties": {
            name: _described(_schema(hint, filled), texts.get(name)) for name, hint in hints.items()
        },
    }
    return schema if origin in OPEN else {**schema, "additionalProperties": False}


def _described(schema: Schema, text: str | None) -> Schema:
    return schema if text is None else {**schema, "description": text}


@cache
def _texts(name: str) -> dict[str, str]:
    """Return what is said of the fields of a type, and of those that it has from others."""
    node = _classes().get(name)
    if node is None:
        return {}
    found: dict[str, str] = {}
    for base in node.bases:
        found |= _texts(base.id) if isinstance(base, ast.Name) else {}
    return found | field_docstrings(node)


@cache
def _classes() -> dict[str, ast.ClassDef]:
    # a TypedDict does not know what it inherits from, its source does
    modules = [each for each in vars(wire).values() if ismodule(each)]
    return {name: node for module in modules for name, node in classes(module).items()}


def _schema(hint: Any, filled: dict[Any, Any]) -> Schema:
    """Return the schema of a field's type; ``filled`` has what stands for type variables."""
    if hint in filled or hint in names():
        return reference(filled.get(hint, hint))
    if hint in PLAIN:
        return PLAIN[hint]
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Annotated:
        more = dict(hint.__metadata__)
        return more if "$ref" in more else {**_schema(hint.__origin__, filled), **more}
    if kind is Literal:
        return {"type": "string", "enum": list(inner)}
    each = [_schema(item, filled) for item in inner]
    if kind is NotRequired:
        return each[0]
    if kind in {Union, types.UnionType}:
        return {"anyOf": each}
    if kind is list:
        return {"type": "array", "items": each[0]}
    if kind is dict:
        return {"type": "object", "additionalProperties": each[1]}
    raise TypeError(f"no JSON Schema is known of {hint}")
