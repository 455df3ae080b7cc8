"""
Conversations with the service, written once for both clients.

A flow is a generator. It yields a `Call`, and is sent the `httpx.Response` or the error that there
was instead of one; or it yields a number of seconds to sleep, and is sent None. It returns its
result. What sends and sleeps, blocking or not, is in ``link.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from rheostat.client import wire
from rheostat.client.retry import Patience, Trouble
from rheostat.client.wire import Broken, Call, Document

Result = TypeVar("Result")
Outcome = httpx.Response | httpx.RequestError | None
Flow = Generator[Call | float, Any, Result]
"""A conversation with a result; what is sent into it is an `Outcome`."""
Parse = Callable[[httpx.Response], Result]


def exchange(call: Call, patience: Patience, parse: Parse[Result]) -> Flow[Result]:
    """Send the call until it is answered; return the parsed answer, or raise the refusal."""
    while True:
        outcome = yield replace(call, seconds=patience.left)
        answer = _judged(outcome, parse)
        if not isinstance(answer, Trouble):
            return answer
        if answer.passes(repeatable=call.repeatable):
            yield patience.pause(answer)
        else:
            raise patience.farewell(answer) if answer.status is None else answer.error


def _judged(outcome: httpx.Response | httpx.RequestError, parse: Parse[Result]) -> Result | Trouble:
    if isinstance(outcome, httpx.RequestError):
        return Trouble(outcome)
    if not outcome.is_success:
        return Trouble(wire.refusal(outcome), outcome.status_code, wire.retry_after(outcome))
    try:
        return parse(outcome)
    except Broken as error:
        return Trouble(error)


def pages(call: Call, key: str, patience: Callable[[], Patience]) -> Flow[list[Document]]:
    """Return the items of a list that comes in pages, all of them."""
    items: list[Document] = []
    while True:
        page = yield from exchange(call, patience(), wire.document)
        items += page[key]
        if not page.get("next"):
            return items
        call = replace(call, params={**call.params, "cursor": page["next"]})
