"""
Conversations with the service, written once for both clients.

A flow is a generator. It yields a `Call`, and is sent the `Answer` or the error that there was
instead of one; or it yields a number of seconds to sleep, and is sent None. It returns its result.
What sends and sleeps, blocking or not, is in ``link.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar

from rheostat.client import answers
from rheostat.client.answers import LONGEST_WAIT_FOR_OTHERS, Answer, Broken, Document
from rheostat.client.retry import Patience, Trouble
from rheostat.client.wire import MIB, Call

Result = TypeVar("Result")
Outcome = Answer | Exception | None
Flow = Generator[Call | float, Any, Result]
"""A conversation with a result; what is sent into it is an `Outcome`."""
Parse = Callable[[Answer], Result]

LONGEST_LIST = 1024 * MIB
"""Bytes that all pages of a list may have together."""
EMPTY_PAGES = 100
"""Pages without an item, one after the other, after which a list is taken for endless."""


def exchange(call: Call, patience: Patience, parse: Parse[Result]) -> Flow[Result]:
    """Send the call until it is answered; return the parsed answer, or raise the refusal."""
    while True:
        outcome = yield replace(call, seconds=patience.left)
        answer = _judged(outcome, parse)
        if not isinstance(answer, Trouble):
            return answer
        patience.require_passing(answer, repeatable=call.repeatable)
        yield patience.pause(answer)


def trouble_of(outcome: Answer | Exception) -> Trouble | None:
    """Return what is wrong with an outcome, as far as its head says; None for a success."""
    if isinstance(outcome, Exception):
        return Trouble(outcome)
    if outcome.is_success:
        return None
    refusal, asked = answers.refusal(outcome), answers.retry_after(outcome)
    if refusal is not None:
        return Trouble(refusal, outcome.status, asked)
    return Trouble(answers.foreign(outcome), asked=min(asked, LONGEST_WAIT_FOR_OTHERS))


def _judged(outcome: Answer | Exception, parse: Parse[Result]) -> Result | Trouble:
    trouble = trouble_of(outcome)
    if trouble is not None:
        return trouble
    assert isinstance(outcome, Answer)  # noqa: S101 - whatever else is trouble
    try:
        return parse(outcome)
    except Broken as error:
        return Trouble(error)


def pages(call: Call, key: str, patience: Callable[[], Patience]) -> Flow[list[Document]]:
    """Return the items of a list that comes in pages, all of them."""
    pages = Pages(key)
    while True:
        yield from exchange(call, patience(), pages.take)
        if pages.next is None:
            return pages.items
        call = replace(call, params={**call.params, "cursor": pages.next})


class Pages:
    """The pages of one list so far."""

    def __init__(self, key: str) -> None:
        self.items: list[Document] = []
        self.next: str | None = None
        self._key = key
        self._left = LONGEST_LIST
        self._empty = 0
        self._seen: set[str] = set()

    def take(self, answer: Answer) -> None:
        """Take in the next page; raise `Broken` if it can be none."""
        page = answers.document(answer)
        items, following = page.get(self._key), page.get("next")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Broken(f"expected a list of objects under {self._key!r}, got {answer}")
        if not isinstance(following, str | None) or following in self._seen:
            raise Broken("a list whose next page is no text, or one that has been read")
        left, empty = self._left - len(answer.body), 0 if items else self._empty + 1
        if left < 0 or empty > EMPTY_PAGES:
            raise Broken("a list that does not end")
        self.items += items
        self.next = following or None
        self._left, self._empty = left, empty
        self._seen.add(following or "")
