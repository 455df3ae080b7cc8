"""
The route class of every router: who may come in, what is read, and all that may be refused.

A route names the role that it needs, and the refusals that are its own. What comes with reading a
body, with calling the store and with other dependencies is added here, so the OpenAPI document has
it of every route that does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary, WeakSet

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from rheostat.errors import (
    FieldError,
    Invalid,
    LimitReached,
    Malformed,
    Refused,
    TooLarge,
    UnknownRun,
    UnsupportedMediaType,
    refusals,
)
from rheostat.server.http import auditing
from rheostat.server.http.access import (
    admit,
    is_left,
    require_known,
    require_reach,
    role_for,
    role_needed,
)
from rheostat.server.http.approval import PROPOSED, Act, act_of, perform
from rheostat.server.http.body import JsonRequest
from rheostat.server.http.problems import MOST, documented
from rheostat.server.runs.token_limit import COUNTED, FREE
from rheostat.server.tokens import Role

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Function = TypeVar("Function", bound=Callable[..., Any])

OF_BODIES = (Malformed, TooLarge, UnsupportedMediaType, Invalid)
"""What every route with a body may refuse."""

_refusals: WeakKeyDictionary[Callable[..., Any], tuple[type[Refused], ...]] = WeakKeyDictionary()
_any_query: WeakSet[Callable[..., Any]] = WeakSet()


def refuses(*classes: type[Refused]) -> Callable[[Function], Function]:
    """Mark a route's function, or a dependency's, with what it may refuse."""

    def mark(function: Function) -> Function:
        _refusals[function] = classes
        return function

    return mark


def any_query(function: Function) -> Function:
    """Mark a route's function that leaves the query to the page that it answers."""
    _any_query.add(function)
    return function


class StrictRoute(APIRoute):
    """A route for a role, which reads JSON strictly and refuses unknown query parameters."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.responses = {**self.responses, **documented(self.refusals())}
        if isinstance(act_of(self.endpoint), Act):
            self.responses[202] = PROPOSED.shown(
                "The run is protected: nothing was done, and a proposal waits for another person."
            )

    @property
    def role(self) -> Role | None:
        """Return the role that callers need, None if whoever asks is let in."""
        return role_needed(self.endpoint)

    def refusals(self) -> list[type[Refused]]:
        """Return what the route may refuse, in the order of the tree of errors."""
        found = {cls for call in _calls(self.dependant) for cls in _refusals.get(call, ())}
        if self.body_field is not None:
            found.update(OF_BODIES)
        act = act_of(self.endpoint)
        if isinstance(act, Act) and act.kind in {*COUNTED, *FREE}:
            found.add(LimitReached)
        return [cls for cls in refusals() if cls in found]

    def get_route_handler(self) -> Handler:
        """Return FastAPI's handler behind the checks."""
        inner = super().get_route_handler()
        role, checked = self.role, self.endpoint not in _any_query
        action = auditing.action_of(self.endpoint, self.methods)
        act = act_of(self.endpoint)
        left = partial(is_left, self.endpoint, act.kind if isinstance(act, Act) else None)
        named = "run" in self.param_convertors and UnknownRun in self.refusals()
        repeatable = {
            field.alias: _is_list(field.field_info.annotation)
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, Query)
        }

        async def handle(request: Request) -> Response:
            if role is None:  # nobody is known there who might have a limit
                return await answer(request)
            with request.app.state.refused.counted(request):
                return await answer(request)

        async def answer(request: Request) -> Response:
            await admit(request, role_for(request, self.endpoint), left)
            auditing.begin(request, action)
            if role is not None:
                require_reach(request, self.endpoint)
                if named:
                    await require_known(request, request.path_params["run"])
            if checked:
                check_query(request, repeatable)
            if self.body_field is not None:
                request = JsonRequest(request.scope, request.receive)
                await request.read(required=self.body_field.field_info.is_required())
            if isinstance(act, Act):
                return await perform(request, act, inner)
            return await inner(request)

        return handle


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    """Yield a route's function, and those of all that it depends on."""
    if dependant.call is not None:
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def check_query(request: Request, repeatable: dict[str, bool]) -> None:
    """Refuse unknown query parameters, and those that are given twice but stand for one value."""
    seen: set[str] = set()
    wrong: list[FieldError] = []
    for name, value in request.query_params.multi_items():
        if len(wrong) == MOST:
            break
        if name not in repeatable:
            bound = f"one of {', '.join(sorted(repeatable))}" if repeatable else "no parameters"
            wrong.append(FieldError(name, "is not a parameter here", value, bound))
        elif name in seen and not repeatable[name]:
            wrong.append(FieldError(name, "is given more than once", value, "once"))
        seen.add(name)
    if wrong:
        raise Invalid(f"the query is wrong in {wrong[0].field[:100]}", errors=wrong)


def router(tag: str) -> APIRouter:
    """Return a router whose routes read requests strictly; paths are written out in full."""
    return APIRouter(
        route_class=StrictRoute,
        tags=[tag],
        default_response_class=Response,
        generate_unique_id_function=lambda route: route.name,
    )
