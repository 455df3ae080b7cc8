"""
What routes take: bodies, parameters and dependencies, as types to annotate them with.

A dependency says what it may refuse, so that a route need not.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query
from pydantic import ConfigDict, WithJsonSchema
from starlette.requests import Request

from rheostat.errors import FieldError, IdempotencyMismatch, Invalid, Unavailable
from rheostat.limits import (
    CONTROLLER_AUTHOR,
    MAX_AUTHOR,
    MAX_ITEMS,
    MAX_NAME,
    MAX_NUMBER,
    MAX_STEP,
    NAME,
    PARAMETERS,
)
from rheostat.schedules.definition import REFERENCE
from rheostat.server.docstrings import Documented
from rheostat.server.http.access import caller_of
from rheostat.server.http.auditing import AUTHOR, utf8
from rheostat.server.http.route import refuses
from rheostat.server.runs.revision import Note
from rheostat.server.settings import Settings
from rheostat.server.store import Store, clock
from rheostat.server.store.idempotency import IdempotencyKey

# --- bodies ---------------------------------------------------------------------------------------


class RequestBody(Documented):
    """Base of request bodies: strict, closed, and described by the texts below their fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ActBody(RequestBody):
    """Base of bodies by which an operator acts on a run."""

    unapproved: bool = False
    """Of an admin: do it to a protected run without a second person; the history records it."""


def refers(*schemas: str) -> WithJsonSchema:
    """Return what makes a field's schema a reference to one (any) of `openapi.SCHEMAS`."""
    found = [{REFERENCE: schema} for schema in schemas]
    return WithJsonSchema({"anyOf": found} if len(found) > 1 else found[0])


def by_parameter(*schemas: str) -> WithJsonSchema:
    """Return the schema of an object with one (any) of `openapi.SCHEMAS`, or a list, by name."""
    one = [{REFERENCE: schema} for schema in schemas]
    each = {"anyOf": [*one, {"type": "array", "minItems": 1, "items": {"anyOf": one}}]}
    return WithJsonSchema(
        {
            "type": "object",
            "description": "By parameter; `lr/*` is `lr` and all of its groups.",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{PARAMETERS}$", "maxLength": MAX_NAME},
            "additionalProperties": each,
        }
    )


def body_examples(**examples: Any) -> dict[str, Any]:
    """Return the ``openapi_extra`` that shows examples of a JSON body."""
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": shown}}}}


# --- dependencies ---------------------------------------------------------------------------------


async def _settings(request: Request) -> Any:
    return request.app.state.settings


@refuses(Invalid, Unavailable)
async def _store(request: Request) -> Any:
    return request.app.state.store


@refuses(Invalid)
async def _author(
    request: Request,
    sent: Annotated[
        str | None,
        Header(
            alias=AUTHOR,
            min_length=1,
            max_length=MAX_AUTHOR,
            description="Who makes the change, for the record; a token's own name goes before.",
            examples=["ann"],
        ),
    ] = None,
) -> str | None:
    author = None if sent is None else utf8(sent)
    if author is not None and author.startswith(CONTROLLER_AUTHOR):
        message = (
            f"no author may begin with {CONTROLLER_AUTHOR}: what controllers decide is named so"
        )
        wrong = [FieldError(AUTHOR, message, author, f"not {CONTROLLER_AUTHOR}…")]
        raise Invalid("The author is refused.", errors=wrong)
    return caller_of(request).name or author


async def _note(author: Annotated[str | None, Depends(_author)]) -> Note:
    return Note(author)


@refuses(IdempotencyMismatch)
async def _key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="A request that is sent again with its key has its effect once.",
        ),
    ] = None,
) -> IdempotencyKey | None:
    if idempotency_key is None:
        return None
    words = [request.method, request.url.path, request.url.query]
    caller = caller_of(request)
    if caller.bounded:  # they are not told what was answered to somebody who knows of other runs
        words += [caller.name or "", str(caller.runs)]
    digest = hashlib.sha256("\n".join(words).encode() + b"\n" + await request.body())
    return IdempotencyKey(idempotency_key, digest.hexdigest())


SettingsDep = Annotated[Settings, Depends(_settings)]
StoreDep = Annotated[Store, Depends(_store)]
Author = Annotated[str | None, Depends(_author)]
NoteDep = Annotated[Note, Depends(_note)]
KeyDep = Annotated[IdempotencyKey | None, Depends(_key)]

Unapproved = Annotated[
    bool,
    Query(description="Of an admin: do it to a protected run without a second person; recorded."),
]


async def author_of(request: Request) -> str | None:
    """Return who makes the change that a request asks for, as `Author` does."""
    return await _author(request, request.headers.get(AUTHOR))


async def key_of(request: Request) -> IdempotencyKey | None:
    """Return the key of a request, as `KeyDep` does."""
    return await _key(request, request.headers.get("idempotency-key"))


MOMENT = "an ISO 8601 time with its offset from UTC"


def moment_of(field: str, text: str | None) -> str | None:
    """Return a time as it is stored; raise `Invalid` for what is none."""
    if text is None:
        return None
    try:
        return clock.written(text)
    except (ValueError, OverflowError):
        message = f"{field} must be {MOMENT}"
        raise Invalid(message, errors=[FieldError(field, message, text, MOMENT)]) from None


# --- parameters -----------------------------------------------------------------------------------

Run = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00]+$",
        description="A run's name or id.",
        examples=["gpt-7b"],
    ),
]
RunId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00]+$",
        description="The run's id.",
        examples=["run_1f0c9a3be5d24c77a8e1b20c94"],
    ),
]
ScheduleName = Annotated[
    str, Path(pattern=f"^{NAME}$", description="Name of the schedule.", examples=["pretrain"])
]
Step = Annotated[int, Path(ge=0, le=MAX_STEP, description="Step, from 0.")]
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="A revision's number.")]
Start = Annotated[int, Query(ge=0, le=MAX_STEP, description="First step.")]
Stop = Annotated[int | None, Query(ge=1, le=MAX_STEP + 1, description="End, exclusive.")]
Generation = Annotated[
    int | None, Query(ge=1, le=MAX_NUMBER, description="Generation; the current one by default.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Most items in one answer.")]
Cursor = Annotated[
    str | None, Query(max_length=1024, description="`next` of the answer before; opaque.")
]


def cursor_of(place: str) -> str:
    """Return the cursor of a place in a list."""
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> str:
    """Return the place that a cursor stands for, the empty text for none."""
    if cursor is None:
        return ""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = urlsafe_b64decode(padded.encode("ascii")).decode()
    except ValueError:
        place = None
    if place is None or "\0" in place or cursor_of(place) != cursor:
        raise no_cursor(cursor[:100])
    return place


def number_of(cursor: str | None) -> int:
    """Return the number that a cursor stands for, 0 for none."""
    place = place_of(cursor) or "0"
    if not place.isdecimal() or len(place) > 16:
        raise no_cursor(cursor)
    return int(place)


def no_cursor(cursor: str | None) -> Invalid:
    """Return the refusal of what is no cursor of this list."""
    bound = "`next` of an earlier answer"
    wrong = [FieldError("cursor", f"cursor must be {bound}", cursor, bound)]
    return Invalid("The cursor is refused.", errors=wrong)
