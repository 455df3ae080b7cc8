"""The OpenAPI document: FastAPI's, with the shapes that it cannot derive."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from rheostat import __version__
from rheostat.schedules.union import ADAPTER
from rheostat.server.api.examples import REFERENCE
from rheostat.server.api.problems import MEDIA_TYPE

SCHEMAS: dict[str, TypeAdapter[Any]] = {"Definition": ADAPTER}
"""What routes refer to by name, for they read it themselves."""

REF = "#/components/schemas/{model}"
OTHER = {
    "description": "Any other failure.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}},
}
TEXT = {"type": "string"}
FIELD_ERROR = {
    "type": "object",
    "required": ["field", "message", "value"],
    "properties": {
        "field": {**TEXT, "description": "Path in the body, or the parameter's name."},
        "message": {**TEXT, "description": "What is wrong, as a sentence."},
        "value": {"description": "What was sent; a long value is cut short."},
        "bound": {**TEXT, "description": "What it should have been."},
    },
}
PROBLEM = {
    "type": "object",
    "description": "Every failure (RFC 9457). Some have further members, such as `earliest`.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {**TEXT, "description": "`urn:rheostat:problem:` and a code that never changes."},
        "title": {**TEXT, "description": "The code as words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**TEXT, "description": "What happened, as a sentence."},
        "errors": {"type": "array", "items": {"$ref": REF.format(model="FieldError")}},
        "request_id": {**TEXT, "description": "Leads to the service's log."},
    },
}
INTRODUCTION = """\
Serves hyperparameter schedules to distributed trainings, and changes them at the same step on
every worker. Every failure is an `application/problem+json` document. Every answer has an
`X-Request-Id`."""


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application."""
    document = get_openapi(
        title="Rheostat", version=__version__, description=INTRODUCTION, routes=app.routes
    )
    schemas = document["components"]["schemas"]
    schemas |= {"FieldError": FIELD_ERROR, "Problem": PROBLEM}
    for name, adapter in SCHEMAS.items():
        schema = adapter.json_schema(ref_template=REF)
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    for derived in ("HTTPValidationError", "ValidationError"):
        schemas.pop(derived, None)
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation["responses"])
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return {key: _resolved(value) for key, value in document.items()}


def _resolved(node: Any) -> Any:
    """Return the document with the references that `examples.refers` left in it."""
    if isinstance(node, dict):
        if REFERENCE in node:
            rest = {key: value for key, value in node.items() if key == "description"}
            return {"$ref": REF.format(model=node[REFERENCE]), **rest}
        return {key: _resolved(value) for key, value in node.items()}
    return [_resolved(item) for item in node] if isinstance(node, list) else node


def _complete(responses: dict[str, Any]) -> None:
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    responses["default"] = OTHER
