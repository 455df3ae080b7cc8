"""
What each route's request is in the audit: said beside the role that it needs, by `@audited`.

A route that may change something says either its action, or, by `@unaudited`, why nobody has to
look for it there. One that says neither does not come into being.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from starlette.requests import Request

from rheostat.limits import MAX_AUTHOR
from rheostat.server.http.access import CALLER, READS
from rheostat.server.http.problems import REQUEST_ID
from rheostat.server.store.audit import Deed, doing

AUTHOR = "Rheostat-Author"
"""Header by which a caller says who makes a change; a token's own name goes before."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a route does, and the members of its result that the audit keeps; or why it has none."""

    name: str | None
    told: tuple[str, ...] = ()
    why: str | None = None


Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_actions: WeakKeyDictionary[Callable[..., Any], Action] = WeakKeyDictionary()


def audited(action: str, *told: str) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function with what it does, and which of its result's members say how."""
    return _marked(Action(action, told))


def unaudited(why: str) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function as one whose requests are no deeds of anybody's, and why."""
    return _marked(Action(None, why=why))


def _marked(action: Action) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        _actions[endpoint] = action
        return endpoint

    return mark


def action_of(endpoint: Callable[..., Any], methods: Collection[str] | None) -> Action | None:
    """Return what a route does; raise `TypeError` if it may change something and does not say."""
    action = _actions.get(endpoint)
    if action is None and not READS.issuperset(methods or ()):
        raise TypeError(
            f"{endpoint.__qualname__} must say what it is in the audit, by @audited(…) or"
            " @unaudited(…)"
        )
    return action


def begin(request: Request, action: Action | None) -> None:
    """Have what is written for a request from here on stand in the audit."""
    if action is None or action.name is None:
        return
    caller = request.scope.get(CALLER)
    who = None if caller is None else caller.name or author_sent(request)
    deed = Deed(
        action.name,
        who,
        None if request.client is None else request.client.host,
        _subject(request.path_params),
        request.scope.get(REQUEST_ID),
        action.told,
    )
    doing.set(deed)


def done_by(name: str | None) -> None:
    """Say who does what is being done, where that is known only now."""
    deed = doing.get()
    if deed is not None:
        doing.set(replace(deed, who=name))


def author_sent(request: Request) -> str | None:
    """Return who a caller says to be, as far as it could be an author."""
    sent = request.headers.get(AUTHOR)
    return utf8(sent)[:MAX_AUTHOR] if sent else None


def utf8(header: str) -> str:
    """Return a header's text: HTTP hands bytes on as Latin-1, and our clients send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header


def _subject(found: Mapping[str, Any]) -> str | None:
    named = [str(value) for name, value in found.items() if name != "run"]
    return named[0] if named else None
