"""What the routes of runs ask for, as types."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query
from starlette.requests import Request

from rheostat.limits import MAX_NUMBER, MAX_STEP
from rheostat.server.http.deps import Author
from rheostat.server.runs.revision import Note
from rheostat.server.store import Store
from rheostat.server.store.idempotency import IdempotencyKey


async def _store(request: Request) -> Any:
    return request.app.state.store


async def _note(author: Author) -> Note:
    return Note(author)


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
    digest = hashlib.sha256("\n".join(words).encode() + b"\n" + await request.body())
    return IdempotencyKey(idempotency_key, digest.hexdigest())


StoreDep = Annotated[Store, Depends(_store)]
NoteDep = Annotated[Note, Depends(_note)]
KeyDep = Annotated[IdempotencyKey | None, Depends(_key)]

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
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="A revision's number.")]
Start = Annotated[int, Query(ge=0, le=MAX_STEP, description="First step.")]
Stop = Annotated[int | None, Query(ge=1, le=MAX_STEP + 1, description="End, exclusive.")]
Generation = Annotated[
    int | None, Query(ge=1, le=MAX_NUMBER, description="Generation; the current one by default.")
]
