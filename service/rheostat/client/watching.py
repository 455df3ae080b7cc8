"""
Following what happens to a run, written once for both clients.

A watch is a conversation as in ``flow.py`` that also yields what it found: documents, for whoever
follows. Its calls open streams: the `Answer` that it is sent has a head alone, and for each
`MORE` it is sent the next piece of the body, ``b""`` at the end, or the error that there was.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator
from dataclasses import replace
from enum import Enum

import httpx

from rheostat.client import wire
from rheostat.client.answers import Answer, Broken, Document
from rheostat.client.flow import trouble_of
from rheostat.client.retry import Trouble
from rheostat.client.settings import Settings
from rheostat.client.sse import Message, Parser
from rheostat.client.wire import Call
from rheostat.limits import NAME


class Wish(Enum):
    """What a watch may wish for besides calls and sleep."""

    MORE = "the next piece of the stream"


MORE = Wish.MORE
Piece = bytes | Exception
Outcome = Answer | Piece | None
Watch = Generator[Call | float | Wish | Document, Outcome, None]
Stream = Generator[Call | float | Wish | Document, Outcome, Trouble | None]

EVENTS = "text/event-stream"
SILENCE = 45.0
"""Seconds without a whole line after which a stream is dead: the service sends some every 15."""


class Watching:
    """The state of a watch: which run, after which event, and for how long still."""

    def __init__(self, settings: Settings, run: str, after: int | None) -> None:
        self._settings = settings
        self._run = run
        self._after = after
        # until there is a stream, this is as patient as any call, and then as a worker
        self._patience = settings.operator(self._call())

    def events(self) -> Watch:
        """Yield the events until the run is finished; where a stream breaks, resume it."""
        while (trouble := (yield from self._stream())) is not None:
            self._patience.require_passing(trouble, repeatable=True)
            yield self._patience.pause(trouble)

    def _call(self) -> Call:
        where = wire.path("runs", self._run, "events")
        call = wire.get(where, accept=EVENTS)
        known = {} if self._after is None else {"Last-Event-ID": str(self._after)}
        return replace(call, headers={**call.headers, **known}, silence=SILENCE)

    def _stream(self) -> Stream:
        """Yield the events of one stream; return why it ended, or None if it was the last."""
        answer = yield self._call()
        if not isinstance(answer, Answer):
            return Trouble(_error(answer))
        trouble = trouble_of(answer)
        if trouble is not None or answer.status == httpx.codes.NO_CONTENT:
            return trouble
        if answer.kind != EVENTS:
            return Trouble(Broken(f"expected a stream of events, got {answer}", answer.status))
        # by its name, another run might be found when the stream breaks
        self._run = self._id_of(answer)
        return (yield from self._messages())

    def _messages(self) -> Stream:
        """Yield the events of a stream whose head has come; return why it ended."""
        parser, lines, last, opening = Parser(), 0, time.monotonic(), True
        while isinstance(piece := (yield MORE), bytes) and piece:
            try:
                documents = [_document(message) for message in parser.feed(piece)]
            except Broken as error:
                return Trouble(error)
            for document in documents:
                yield document
                if document.get("kind") == "finished":
                    return None
                self._after, opening = document["number"], False
            if parser.lines > lines:
                lines, last = parser.lines, time.monotonic()
            elif time.monotonic() - last > SILENCE:
                return Trouble(Broken(f"no whole line of a stream of events in {SILENCE:.0f} s"))
            if not opening:
                self._patience = self._settings.worker(self._call())
            opening = False  # one that breaks as soon as it opens is no sign of life
        return Trouble(_error(piece))

    def _id_of(self, answer: Answer) -> str:
        named = answer.headers.get("Rheostat-Run", self._run)
        return named if re.fullmatch(NAME, named) else self._run


def next_wish(watch: Watch, outcome: Outcome) -> Call | float | Wish | Document | None:
    """Return what the watch wishes next, or None if it has ended."""
    try:
        return watch.send(outcome)
    except StopIteration:
        return None


def _document(message: Message) -> Document:
    try:
        found = json.loads(message.data)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and type(found.get("number")) is int:
        document: Document = {"kind": message.kind, **found}
        if isinstance(document["kind"], str):
            return document
    raise Broken(f"expected an event, got {message.data[:200]!r}")


def _error(outcome: Outcome) -> Exception:
    ended = httpx.RemoteProtocolError("the stream ended")
    return outcome if isinstance(outcome, Exception) else ended
