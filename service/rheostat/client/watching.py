"""
Following what happens to a run, written once for both clients.

A watch is a conversation as in ``flow.py`` that also yields what it found: documents, for whoever
follows. Its calls open streams: the `httpx.Response` that it is sent has a head alone, and for each
`MORE` it is sent the next piece of the body, ``b""`` at the end, or the error that there was.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from enum import Enum

import httpx

from rheostat.client import wire
from rheostat.client.retry import Trouble
from rheostat.client.settings import Settings
from rheostat.client.sse import Parser
from rheostat.client.wire import Broken, Call, Document


class Wish(Enum):
    """What a watch may wish for besides calls and sleep."""

    MORE = "the next piece of the stream"


MORE = Wish.MORE
Piece = bytes | httpx.RequestError
Outcome = httpx.Response | Piece | None
Watch = Generator[Call | float | Wish | Document, Outcome, None]
Stream = Generator[Call | float | Wish | Document, Outcome, Trouble | None]

SILENCE = 45.0
"""Seconds without a byte after which a stream is dead: the service sends some every 15."""


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
            if not trouble.passes(repeatable=True):
                hopeless = trouble.status is None
                raise self._patience.farewell(trouble) if hopeless else trouble.error
            yield self._patience.pause(trouble)

    def _call(self) -> Call:
        where = wire.path("runs", self._run, "events")
        call = wire.get(where, accept="text/event-stream")
        known = {} if self._after is None else {"Last-Event-ID": str(self._after)}
        return replace(call, headers={**call.headers, **known}, silence=SILENCE)

    def _stream(self) -> Stream:
        """Yield the events of one stream; return why it ended, or None if it was the last."""
        answer = yield self._call()
        if not isinstance(answer, httpx.Response):
            return Trouble(_error(answer))
        if not answer.is_success:
            return Trouble(wire.refusal(answer), answer.status_code, wire.retry_after(answer))
        if answer.status_code == httpx.codes.NO_CONTENT:
            return None
        # by its name, another run might be found when the stream breaks
        self._run = answer.headers.get("Rheostat-Run", self._run)
        parser, opening = Parser(), True
        while isinstance(piece := (yield MORE), bytes) and piece:
            for message in parser.feed(piece):
                document = _document(message.data)
                if document is None:
                    return Trouble(Broken(f"expected an event, got {message.data[:200]!r}"))
                yield document
                if message.kind == "finished":
                    return None
                self._after, opening = document["number"], False
            if not opening:
                self._patience = self._settings.worker(self._call())
            opening = False  # one that breaks as soon as it opens is no sign of life
        return Trouble(_error(piece))


def next_wish(watch: Watch, outcome: Outcome) -> Call | float | Wish | Document | None:
    """Return what the watch wishes next, or None if it has ended."""
    try:
        return watch.send(outcome)
    except StopIteration:
        return None


def _document(data: str) -> Document | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "number" in found else None


def _error(outcome: Outcome) -> httpx.RequestError:
    ended = httpx.RemoteProtocolError("the stream ended")
    return outcome if isinstance(outcome, httpx.RequestError) else ended
