"""
Following what happens to a run, through streams that break: what is asked, and what was told.

No sockets here: `Session.events` opens the streams, reads them and waits.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from rheostat.client import calls
from rheostat.client.answers import Answer, Broken
from rheostat.client.calls import Call
from rheostat.client.retry import Outcome, Trouble, trouble_of
from rheostat.client.settings import Settings
from rheostat.client.sse import Parser, ServerSentEvent
from rheostat.limits import NAME

if TYPE_CHECKING:
    from rheostat.wire import Event

STREAM = "text/event-stream"
SILENCE = 45.0
"""Seconds without a whole line after which a stream is dead: the service sends some every 15."""


class Interrupted(Exception):
    """A stream ended before the run did."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


class Following:
    """Which run is followed, after which event, and for how long a broken stream is resumed."""

    def __init__(self, settings: Settings, run: str, after: int | None) -> None:
        self.is_over = False
        """Whether the run is finished: there are no more events."""
        self._settings = settings
        self._run = run
        self._after = after
        # until there is a stream, this is as patient as any call, and then as a worker
        self._patience = settings.for_operator(self.call())
        self._restart()

    def call(self) -> Call:
        """Return the call that opens a stream after the last event that came whole."""
        where = calls.path("runs", self._run, "events")
        call = calls.get(where, accept=STREAM)
        known = {} if self._after is None else {"Last-Event-ID": str(self._after)}
        return replace(call, headers={**call.headers, **known}, silence=SILENCE)

    def opened(self, outcome: Outcome) -> None:
        """Take in the head of a stream; raise `Interrupted` if it is none."""
        trouble = trouble_of(outcome)
        if trouble is not None:
            raise Interrupted(trouble)
        assert isinstance(outcome, Answer)  # noqa: S101 - whatever else is trouble
        if outcome.status == httpx.codes.NO_CONTENT:
            self.is_over = True
            return
        if outcome.kind != STREAM:
            wrong = Broken(f"expected a stream of events, got {outcome}", outcome.status)
            raise Interrupted(Trouble(wrong))
        # by its name, another run might be found when the stream breaks
        named = outcome.headers.get("Rheostat-Run", self._run)
        self._run = named if re.fullmatch(NAME, named) else self._run
        self._restart()

    def read(self, piece: bytes | Exception) -> Iterator[Event]:
        """Yield the events that a piece of a stream completes; raise `Interrupted` at its end."""
        if isinstance(piece, Exception) or not piece:
            ended = httpx.RemoteProtocolError("the stream ended")
            raise Interrupted(Trouble(piece if isinstance(piece, Exception) else ended))
        try:
            found = [_event(message) for message in self._parser.feed(piece)]
        except Broken as error:
            raise Interrupted(Trouble(error)) from None
        for event in found:
            yield event
            if event.get("kind") == "finished":
                self.is_over = True
                return
            self._after, self._opening = event["number"], False
        self._require_alive()
        if not self._opening:
            self._patience = self._settings.for_worker(self.call())
        self._opening = False  # one that breaks as soon as it opens is no sign of life

    def pause(self, trouble: Trouble) -> float:
        """Return the seconds to sleep before a stream is resumed; raise what will not pass."""
        self._patience.require_passing(trouble, repeatable=True)
        return self._patience.pause(trouble)

    def _restart(self) -> None:
        self._parser, self._lines = Parser(), 0
        self._last, self._opening = time.monotonic(), True

    def _require_alive(self) -> None:
        if self._parser.lines > self._lines:
            self._lines, self._last = self._parser.lines, time.monotonic()
        elif time.monotonic() - self._last > SILENCE:
            silent = Broken(f"no whole line of a stream of events in {SILENCE:.0f} s")
            raise Interrupted(Trouble(silent))


def _event(message: ServerSentEvent) -> Any:
    try:
        found = json.loads(message.data)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and type(found.get("number")) is int:
        event = {"kind": message.kind, **found}
        if isinstance(event["kind"], str):
            return event
    raise Broken(f"expected an event, got {message.data[:200]!r}")
