"""
Every failure as an RFC 9457 problem document: one table, one shape, one place.

Routes raise the classes of `rheostat.errors` and never name a status. What the framework raises
by itself (an unknown path, a wrong method, a parameter that does not parse) is translated here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, cast

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from rheostat import errors
from rheostat.errors import FieldError, Refused
from rheostat.schedules.field_errors import field_error, merged, shown

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "rheostat.request_id"
"""Key of the scope under which `Observer` leaves the request's id."""

REFUSED = "rheostat.refused"
"""Key of the scope under which the refusal stands with which a request was answered."""

MEMORY = 5
"""Seconds after which a request for which there was no memory may be sent again."""

MOST = 50
"""Wrong fields that one answer lists."""

log = logging.getLogger("rheostat.server")


def refusal(error: Exception, scope: Scope) -> Refused:
    """Return the problem that an exception stands for; what is not foreseen is `Internal`."""
    match error:
        case Refused():
            return error
        case RequestValidationError():
            return _invalid(request_errors(error))
        case HTTPException(status_code=404):
            return errors.NotFound(f"there is nothing under {scope['path']}")
        case HTTPException(status_code=405):
            return _wrong_method(scope)
        case HTTPException():
            return errors.Malformed(str(error.detail))
        case MemoryError():
            log.error("request %s found no memory", scope.get(REQUEST_ID))
            return errors.Unavailable(
                "there is no memory for this now; try again", reason="busy", retry_after=MEMORY
            )
    log.error("request %s failed", scope.get(REQUEST_ID), exc_info=error)
    return errors.Internal("the service failed; its log says why, under this request's id")


def response(error: Exception, scope: Scope) -> Response:
    """Return the whole answer for a failure: document, status and headers."""
    refused = scope[REFUSED] = refusal(error, scope)
    body = orjson.dumps(document(refused, scope), default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, refused.status, _headers(refused), MEDIA_TYPE)


def document(refused: Refused, scope: Scope) -> dict[str, Any]:
    """Return the document alone: it may be a part of an answer about many things."""
    problem = refused.to_problem()
    if wrong := problem.get("errors"):
        problem["errors"] = [{**item, "value": shown(item["value"])} for item in wrong[:MOST]]
    if request_id := scope.get(REQUEST_ID):
        problem["request_id"] = request_id
    return problem


def reason_of(refused: Refused) -> str:
    """Return why the service cannot answer, in one of few words; nothing for other refusals."""
    return str(refused.members.get("reason", "")) if isinstance(refused, errors.Unavailable) else ""


def request_errors(error: RequestValidationError) -> list[FieldError]:
    """
    Return what is wrong with a request.

    A field is named as the request writes it: ``changes.lr.factor`` in a body, and a parameter of
    the path, the query or the headers by its own name.
    """
    found = []
    for item in error.errors()[:MOST]:
        place, *path = item["loc"]
        data = error.body if place == "body" else None
        details = cast("ErrorDetails", {**item, "loc": tuple(path)})
        found.append(field_error(details, data, "" if path else str(place)))
    return merged(found)


async def answer(request: Request, error: Exception) -> Response:
    """Answer an exception inside the framework; the handler of all that it hands out."""
    return response(error, request.scope)


Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]
HANDLERS: dict[int | type[Exception], Handler] = dict.fromkeys(
    (Refused, HTTPException, RequestValidationError), answer
)
"""What the framework answers by itself; everything else reaches `Observer`."""


def _invalid(wrong: list[FieldError]) -> errors.Invalid:
    names = ", ".join(error.field for error in wrong[:3]) + (", …" if len(wrong) > 3 else "")
    return errors.Invalid(f"the request is wrong in {names}", errors=wrong)


def _wrong_method(scope: Scope) -> errors.MethodNotAllowed:
    path, method = scope["path"], scope["method"]
    matching = [route for route in scope["app"].routes if route.path_regex.match(path)]
    allowed = sorted({allowed for route in matching for allowed in route.methods})
    detail = f"{path} does not take {method}, only {', '.join(allowed)}"
    return errors.MethodNotAllowed(detail, allow=allowed)


def _headers(refused: Refused) -> Mapping[str, str]:
    headers = {"Cache-Control": "no-store"}
    match refused:
        case errors.MethodNotAllowed():
            headers["Allow"] = ", ".join(refused.members.get("allow", ()))
        case errors.Unauthenticated():
            headers["WWW-Authenticate"] = "Bearer"
        case errors.RateLimited() | errors.Unavailable():
            headers["Retry-After"] = str(refused.members.get("retry_after", 1))
    return headers


def documented(classes: Iterable[type[Refused]]) -> dict[int | str, dict[str, Any]]:
    """
    Return the ``responses=`` of a route that refuses requests by these classes, for OpenAPI.

    Classes of one status share an entry, which lists the codes and shows one example of each.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for cls in classes:
        entry = found.setdefault(cls.status, _entry())
        entry["description"] += f"\n- `{cls.code}`: {_sentence(cls)}"
        entry["content"][MEDIA_TYPE]["examples"][cls.code] = {"value": _example(cls)}
    return {status: found[status] for status in sorted(found, key=int)}


def _entry() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": "Refused:", "content": {MEDIA_TYPE: {"schema": schema, "examples": {}}}}


def _sentence(cls: type[Refused]) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def _example(cls: type[Refused]) -> dict[str, Any]:
    wrong = [FieldError("definition.steps", "must be at least 1", 0, "≥ 1")]
    example = cls(_sentence(cls), errors=wrong if issubclass(cls, errors.Invalid) else ())
    return {**example.to_problem(), "request_id": "6f1c2a90b7d34e58"}
