"""
What the calls of both clients need of a link, and what they return.

``One``, ``Many`` and ``Nothing`` are what a call returns: a JSON object, a list of them, None; for
asyncio, awaitables of these. ``Stream`` is an iterator of JSON objects, for asyncio an asynchronous
one, and ``Number`` a float, or an awaitable of one. Objects are as the service sends them: see its
``/docs``.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from rheostat.client.answers import Document
from rheostat.client.flow import Flow
from rheostat.client.settings import Settings
from rheostat.client.watching import Watch
from rheostat.client.wire import Call

One = TypeVar("One", covariant=True)  # noqa: PLC0105 - the suffix would be in every signature
Many = TypeVar("Many", covariant=True)  # noqa: PLC0105
Nothing = TypeVar("Nothing", covariant=True)  # noqa: PLC0105
Stream = TypeVar("Stream", covariant=True)  # noqa: PLC0105
Number = TypeVar("Number", covariant=True)  # noqa: PLC0105


class Asks(Protocol[One, Many, Nothing]):
    """What the calls need of a link."""

    def one(self, call: Call) -> One:
        """Return the JSON object that answers the call."""

    def many(self, call: Call, key: str = "items") -> Many:
        """Return all items of a list that comes in pages."""

    def nothing(self, call: Call) -> Nothing:
        """Make a call that has no answer."""


class Watches(Asks[One, Many, Nothing], Protocol[One, Many, Nothing, Stream, Number]):
    """What the calls of a run need of a link besides."""

    settings: Settings

    def run(self, conversation: Flow[Document]) -> One:
        """Return the result of several calls."""

    def number(self, conversation: Flow[float]) -> Number:
        """Return the number that is the result of several calls."""

    def watch(self, conversation: Watch) -> Stream:
        """Yield what a watch finds."""
