"""The OpenAPI document: FastAPI's, with the shapes that it cannot derive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from rheostat import __version__
from rheostat.controllers import CONTROLLER
from rheostat.errors import Forbidden, Unauthenticated
from rheostat.schedules.definition import REFERENCE
from rheostat.schedules.references import Reference
from rheostat.schedules.union import ADAPTER, KINDS
from rheostat.server.http.problems import MEDIA_TYPE, documented
from rheostat.server.http.requests import by_parameter
from rheostat.server.http.route import StrictRoute
from rheostat.server.runs.edits import EDIT
from rheostat.server.runs.spec import SPEC
from rheostat.server.store.operations.fork import FORK
from rheostat.server.wire_schemas import REF, schemas

SCHEMAS: dict[str, TypeAdapter[Any]] = {
    "ControllerConfig": CONTROLLER,
    "Definition": ADAPTER,
    "Edit": EDIT,
    "Fork": FORK,
    "Reference": TypeAdapter(Reference),
    "Run": SPEC,
}
"""What routes refer to by name, for they read it themselves."""

REPLACEMENT = {
    "description": "A definition that replaces what is in force: the fields of its kind, as in"
    " `Definition`, and `clock`. The edit `replace` does the same, with the definition apart.",
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": {"enum": [*KINDS, "schedule"]},
        "clock": {
            "enum": ["run", "change"],
            "description": "Whether it counts from step 0 or from the effective step;"
            " required unless it is constant.",
        },
    },
}

ARMING = {
    "description": "A controller: the fields of its kind, as `POST /v1/control/simulate` takes them"
    " too, and beside them how it is armed.",
    "type": "object",
    "required": ["kind", "metric"],
    "properties": {
        "kind": {"enum": ["plateau", "stop", "guard", "rule"]},
        "metric": {"type": "string", "description": "The metric that it reads."},
        "keep_state": {
            "type": "boolean",
            "default": False,
            "description": "Whether best and counters of the one before are carried over.",
        },
        "replay": {
            "type": "boolean",
            "default": False,
            "description": "Whether it first takes in the reports so far, without deciding on any.",
        },
        "force": {
            "type": "boolean",
            "default": False,
            "description": "Arm gates on a run that is under way.",
        },
        "unapproved": {
            "type": "boolean",
            "default": False,
            "description": "Of an admin: arm it on a protected run without a second person.",
        },
    },
}

NUMBER = {"type": "number", "description": "a constant"}

ANSWER = "#/components/responses/{name}"
OTHER = {
    "description": "Any other failure.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}},
}
TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "The secret of a token. Each operation names the role that it needs: viewer,"
    " proposer, worker, operator or admin, of which each may do what those before it may.",
}
REFUSALS = (Unauthenticated, Forbidden)
"""What every operation that needs a role may answer."""

INTRODUCTION = """\
Serves hyperparameter schedules to distributed trainings, and changes them at the same step on
every worker. Every failure is an `application/problem+json` document. Every answer has an
`X-Request-Id`."""


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application."""
    document = get_openapi(
        title="Rheostat", version=__version__, description=INTRODUCTION, routes=app.routes
    )
    components = document["components"]["schemas"]
    for derived in ("HTTPValidationError", "ValidationError"):
        components.pop(derived, None)
    components |= requests()
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    for route, operation in _operations(document, app):
        _show_answers(operation, route)
        if app.state.settings.tokens_required:
            _require_token(operation, route)
    if app.state.settings.tokens_required:
        document["components"] |= {
            "securitySchemes": {"token": TOKEN},
            "responses": {cls.__name__: documented([cls])[cls.status] for cls in REFUSALS},
        }
    components |= schemas(document)
    document["components"]["schemas"] = dict(sorted(components.items()))
    return {key: _resolved(value) for key, value in document.items()}


def requests() -> dict[str, Any]:
    """Return the schemas that routes refer to by name, since they read such bodies themselves."""
    found: dict[str, Any] = {}
    for name, adapter in SCHEMAS.items():
        schema = adapter.json_schema(ref_template=REF)
        found |= schema.pop("$defs", {})
        found[name] = schema
    changes = by_parameter("Edit", "Replacement", "Number").json_schema
    nameless = {**found["Run"], "required": ["parameters"]}
    return {
        **found,
        "Arming": ARMING,
        "Changes": changes,
        "Definition": _with_references(found["Definition"]),
        "DefinitionOrNumber": {"anyOf": [{"$ref": REF.format(model="Definition")}, NUMBER]},
        "Number": NUMBER,
        "Replacement": REPLACEMENT,
        "RunAtPath": {**nameless, "description": "A run; its name, if it is here, is the path's."},
    }


def _with_references(union: dict[str, Any]) -> dict[str, Any]:
    reference = REF.format(model="Reference")
    kinds = {**union["discriminator"]["mapping"], "schedule": reference}
    return {
        "discriminator": {**union["discriminator"], "mapping": kinds},
        "oneOf": [*union["oneOf"], {"$ref": reference}],
    }


def _resolved(node: Any) -> Any:
    """Return the document with the references that fields left in it."""
    if isinstance(node, list):
        return [_resolved(item) for item in node]
    if not isinstance(node, dict):
        return node
    if REFERENCE in node:
        rest = {key: value for key, value in node.items() if key == "description"}
        return {"$ref": REF.format(model=node[REFERENCE]), **rest}
    if "patternProperties" in node:
        node = {**node, "additionalProperties": False}
    return {key: _resolved(value) for key, value in node.items()}


def _operations(
    document: dict[str, Any], app: FastAPI
) -> Iterator[tuple[StrictRoute, dict[str, Any]]]:
    """Yield each route that the document tells of, with what it tells."""
    for route in app.routes:
        if isinstance(route, StrictRoute) and route.include_in_schema:
            for method in route.methods or ():
                yield route, document["paths"][route.path][method.lower()]


def _show_answers(operation: dict[str, Any], route: StrictRoute) -> None:
    """Show answers as the route gives them: FastAPI leaves out of examples what is null."""
    for status, response in route.responses.items():
        if "content" in response:
            operation["responses"][str(status)]["content"] = response["content"]


def _require_token(operation: dict[str, Any], route: StrictRoute) -> None:
    if route.role is not None:
        shared = {str(cls.status): {"$ref": ANSWER.format(name=cls.__name__)} for cls in REFUSALS}
        operation["security"] = [{"token": [route.role.value]}]
        operation["responses"] |= shared


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    responses["default"] = OTHER
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is left out where its value would be null."""
    if "anyOf" not in schema:
        return schema
    (present,) = (choice for choice in schema["anyOf"] if choice != {"type": "null"})
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**present, **rest}
