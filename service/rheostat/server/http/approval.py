"""
What a route does to a run that may be protected: each that writes to one says so, or why not.

A run may be protected against what an operator does to it alone (`runs.protection`). The request
runs as always, and finds that under the run's lock; then what it asks for becomes a proposal, and
the answer is 202. So no route, and no operation, has a second way through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.errors import NeedsApproval
from rheostat.server.http.access import require
from rheostat.server.http.answers import JsonAnswer
from rheostat.server.store.acting import acting
from rheostat.server.tokens import Role

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Any], Awaitable[Response]]

UNAPPROVED = "unapproved"
"""The field, or the query parameter, by which an admin does without the second person."""

PROPOSED = JsonAnswer(
    wire.Proposed,
    {
        "proposal": 4,
        "kind": "change",
        "run": "gpt-7b",
        "effective": "next",
        "steps": [8],
        "before": {"lr": [0.1]},
        "after": {"lr": [0.05]},
    },
)


def sent(request: Any) -> Mapping[str, Any]:
    """Return the body of a request as a proposal has it."""
    content = getattr(request, "content", None) or {}
    return {key: value for key, value in content.items() if key != UNAPPROVED}


@dataclass(frozen=True, slots=True)
class Act:
    """What a route does to a run, and how a request says it as a proposal does."""

    kind: wire.ProposalKind
    body: Callable[[Any], Mapping[str, Any]] = sent


_acts: WeakKeyDictionary[Callable[..., Any], Act | str] = WeakKeyDictionary()


def acts(
    kind: wire.ProposalKind, body: Callable[[Any], Mapping[str, Any]] = sent
) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function with what it does to a run; ``body`` says that as a proposal does."""

    def mark(endpoint: Endpoint) -> Endpoint:
        _acts[endpoint] = Act(kind, body)
        return endpoint

    return mark


def free(why: str) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function that writes to runs, protected or not, and say why it may."""

    def mark(endpoint: Endpoint) -> Endpoint:
        _acts[endpoint] = why
        return endpoint

    return mark


def act_of(endpoint: Callable[..., Any]) -> Act | str | None:
    """Return what a route does to a run, or why that needs nobody else; None if it said neither."""
    return _acts.get(endpoint)


async def perform(request: Request, act: Act, handle: Handler) -> Response:
    """
    Answer a request by which somebody acts on a run; if that is protected, by a proposal.

    Raises `Forbidden` if somebody wants to do without that who is no admin.
    """
    unapproved = _is_unapproved(request)
    if unapproved:
        require(request, Role.ADMIN)
    behalf = acting.get()
    acting.set(replace(behalf, act=act.kind, approved=unapproved))
    try:
        return await handle(request)
    except NeedsApproval:
        acting.set(behalf)
        propose: Callable[[Request, Act], Awaitable[Response]] = request.app.state.propose
        return await propose(request, act)


def _is_unapproved(request: Any) -> bool:
    content = getattr(request, "content", None)
    if isinstance(content, dict) and content.get(UNAPPROVED) is True:
        return True
    return request.query_params.get(UNAPPROVED) in {"true", "1", "yes", "on"}
