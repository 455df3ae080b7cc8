"""What routes ask for, as types: `Annotated` aliases of FastAPI's dependencies."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from pydantic import ConfigDict
from starlette.requests import Request

from rheostat.limits import MAX_AUTHOR, MAX_ITEMS, MAX_STEP, NAME
from rheostat.server.described import Described
from rheostat.server.http.access import caller_of
from rheostat.server.http.body import StrictRoute
from rheostat.server.settings import Settings


async def _settings(request: Request) -> Any:
    return request.app.state.settings


async def _author(
    request: Request,
    sent: Annotated[
        str | None,
        Header(
            alias="Rheostat-Author",
            min_length=1,
            max_length=MAX_AUTHOR,
            description="Who makes the change, for the record; a token's own name goes before.",
            examples=["ann"],
        ),
    ] = None,
) -> str | None:
    return caller_of(request).name or (None if sent is None else _utf8(sent))


def _utf8(header: str) -> str:
    """Return a header's text: HTTP hands bytes on as Latin-1, and our clients send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header


SettingsDep = Annotated[Settings, Depends(_settings)]

ScheduleName = Annotated[
    str, Path(pattern=f"^{NAME}$", description="Name of the schedule.", examples=["pretrain"])
]
Step = Annotated[int, Path(ge=0, le=MAX_STEP, description="Step, from 0.")]
Author = Annotated[str | None, Depends(_author)]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="Most items in one answer.")]
Cursor = Annotated[
    str | None, Query(max_length=1024, description="`next` of the answer before; opaque.")
]


class Wire(Described):
    """Base of request bodies: strict, closed, and described by their fields' docstrings."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def router(tag: str) -> APIRouter:
    """Return a router whose routes read requests strictly; paths are written out in full."""
    return APIRouter(
        route_class=StrictRoute,
        tags=[tag],
        generate_unique_id_function=lambda route: route.name,
    )
