"""
What a worker knows of its run: what the service told when it was joined, and how far it was read.

Each block that comes is proven here to be the one that was asked for, and the service to remember
what it has settled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from rheostat.client import answers, blocks, calls, revisions, signals
from rheostat.client.answers import Answer, Broken, Stripped
from rheostat.client.blocks import Block, BlockRequest
from rheostat.client.calls import LONGEST_JOIN, Call, invalid
from rheostat.digests import body_digest, names_digest
from rheostat.errors import StepJump, UnknownRun, WentBack
from rheostat.limits import MAX_STEP, NAME

LONGEST_BLOCK = 2**20
"""Cells that no run's block or jump may be longer than; today's services stay far below."""
MOST_PARAMETERS = 2**16
LONGEST_PACING = 86_400.0
"""Seconds between two beats at most."""
HEADERS = ("Rheostat-Generation", "Rheostat-Parameters", "ETag")
"""What a block has to say of itself, so that it is known to be the one that was asked for."""


@dataclass(frozen=True, slots=True)
class JoinedRun:
    """What the service says to a join: the run's identity and grid, and the generation pinned."""

    id: str
    name: str
    axis: str
    resolution: int
    generation: int
    revision: int
    settled_until: int
    parameters: tuple[str, ...]
    max_block: int
    max_jump: int
    total: int | None
    end: int | None
    event: int
    incarnation: str
    stop: int | None = None
    """Where the run was told to stop, if it was: it may be taken back."""
    again: float | None = None
    """Seconds within which a worker begins to beat; None where the service takes no beats."""

    @property
    def longest(self) -> int:
        """The most cells that one read may have, wherever it begins."""
        return min(self.max_block, self.max_jump)

    def read(self, request: BlockRequest) -> Call:
        """
        Return the settling read of a block: the same URL for all workers at the same place.

        The format is asked for in the URL, since there are caches that do not mind ``Accept``.
        """
        call = calls.get(
            calls.path("runs", self.id, "values"),
            accept=calls.F64,
            generation=self.generation,
            start=request.start * self.resolution,
            count=request.size,
            format="f64",
        )
        return replace(call, most=8 * request.size * len(self.parameters))

    def block(self, request: BlockRequest, answer: Answer) -> Block:
        """Return the block that was asked for; raise `Broken` if anything about it is wrong."""
        columns = blocks.columns(answer, request, self.parameters)
        self._require_own(request, answer)
        start, stop = request.start * self.resolution, request.stop * self.resolution
        told = signals.of_header(answer, stop)
        by = revisions.of_header(answer, start, stop)
        return Block(request, columns, self.resolution, told, by)

    def signals_of(self, request: BlockRequest) -> Call:
        """Return the read of a settled block as JSON, which lists all signals."""
        return calls.get(
            calls.path("runs", self.id, "values"),
            generation=self.generation,
            start=request.start * self.resolution,
            count=request.size,
            format="json",
        )

    def revision_of(self, number: int) -> Call:
        """Return the call that tells what a revision says, or the signal that is one."""
        return calls.get(calls.path("runs", self.id, "revisions", number))

    def _require_own(self, request: BlockRequest, answer: Answer) -> None:
        """Require that an answer of the right form is the very block that was asked for."""
        missing = [name for name in HEADERS if name not in answer.headers]
        if missing:
            raise Stripped(
                f"a block without the headers {', '.join(missing)}, which prove it: something on "
                f"the way leaves them out. It came as {answer}"
            )
        wanted = {
            "Rheostat-Generation": str(self.generation),
            "Rheostat-Parameters": names_digest(self.parameters),
            "ETag": f'"{body_digest(answer.body)}"',
        }
        # what names the place is younger than what proves the body
        placed = {"Rheostat-Run": self.id, "Rheostat-Start": str(request.start * self.resolution)}
        wanted |= {name: text for name, text in placed.items() if name in answer.headers}
        for name, text in wanted.items():
            found = answer.headers[name].strip()
            if found.removeprefix("W/") != text:
                raise Broken(f"expected a block with {name}: {text}, got {found[:200]!r}")


def join_call(
    run: str, checkpoint: Mapping[str, Any] | None = None, start: int | None = None
) -> Call:
    """
    Return the call that joins a run, which `join_answer` reads the answer of.

    Raises:
        Invalid: This can be no run's name, no checkpoint, or no step.

    """
    calls.require_name(run)
    body = {} if checkpoint is None else calls.mapping(checkpoint, "checkpoint")
    if start is not None:
        if body:
            raise invalid("start", start, "left out beside a checkpoint, which has its step")
        body["start"] = calls.coordinate(start, "start")
    call = calls.post(calls.path("runs", run, "join"), body)
    return replace(call, most=LONGEST_JOIN)


class HighWaterMark:
    """
    The newest that a worker has seen of its run, which no service that remembers is behind.

    A run numbers its events, settles among them, and settles its steps in order. So what is settled
    further on was settled by a later event. A database that has lost its newest commits (a backup
    that was put in its place, a standby that lagged behind) numbers anew, and has settled less. If
    that was made known, by `rheostat recover`, it is another incarnation.
    """

    def __init__(self, joined: JoinedRun) -> None:
        self._name = joined.name
        self._incarnation = joined.incarnation
        self._event = joined.event
        self._settled = joined.settled_until
        self._why: str | None = None

    def require_standing(self) -> None:
        """Raise `WentBack` again: whoever waits is told what the background met."""
        if self._why is not None:
            raise self._went_back(self._why)

    def saw(self, answer: Answer, stop: int) -> None:
        """Take note of the answer to a read up to ``stop``; raise `WentBack` if it is behind."""
        incarnation = answer.headers.get("Rheostat-Incarnation", self._incarnation)
        if incarnation != self._incarnation:
            raise self._went_back(_OTHER.format(incarnation))
        event = answer.headers.get("Rheostat-Event", "")
        if event.isdecimal() and stop > self._settled:
            if int(event) <= self._event:
                raise self._went_back(
                    f"what lies before step {stop} was settled by event {int(event)}, and event"
                    f" {self._event} was there already"
                )
            self._event = int(event)
        self._settled = max(self._settled, stop)

    def require_settled(self, refusal: StepJump) -> None:
        """Raise `WentBack` if a refusal tells of less than was settled."""
        settled = refusal.members.get("settled_until")
        if isinstance(settled, int) and settled < self._settled:
            raise self._went_back(
                f"it is settled until step {settled}, and was until {self._settled}"
            ) from refusal

    def require_same_life(self, refusal: UnknownRun) -> None:
        """Raise `WentBack` if a run is gone because its database was restored and recovered."""
        incarnation = refusal.members.get("incarnation", self._incarnation)
        if incarnation != self._incarnation:
            raise self._went_back(_OTHER.format(incarnation)) from refusal

    def heard(self, refusal: WentBack) -> None:
        """Take in that the service said so itself, to a beat: the training hears of it."""
        self._why = refusal.detail

    def _went_back(self, why: str) -> WentBack:
        self._why = why
        return WentBack(
            f"the service has forgotten what it settled of run {self._name}: {why}. A backup was"
            " put in the place of its database, or a standby that lagged behind. Other workers may"
            " hold other values: stop them all, run `rheostat recover` unless that was done, and"
            " begin again at a checkpoint's step, as docs/backup.md says"
        )


_OTHER = "its database is another incarnation, {!r:.66}"


def join_answer(answer: Answer) -> JoinedRun:
    """Return what the service says to a join; members that we do not know are left out."""
    told = answers.document(answer)
    wrong = [name for name, sound in _SOUND.items() if not sound(told.get(name))]
    if wrong:
        said = ", ".join(f"{name} {told.get(name)!r:.100}" for name in wrong)
        raise Broken(f"expected what is known of a run, got {said}")
    known: dict[str, Any] = {name: told.get(name) for name in _SOUND}
    known["parameters"] = tuple(known["parameters"])
    return JoinedRun(**known)


def is_pacing(value: Any) -> bool:
    """Whether these are seconds until a beat, as a service may tell them."""
    return type(value) in (int, float) and 0 < value <= LONGEST_PACING


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()


def _key(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(NAME, value) is not None


def _from(least: int, most: int = MAX_STEP + 1) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _or_none(sound: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or sound(value)


def _names(value: Any) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_PARAMETERS:
        return False
    return all(map(_text, value)) and all(a < b for a, b in pairwise(value))


_SOUND: dict[str, Callable[[Any], bool]] = {
    "id": _key,
    "name": _key,
    "axis": _text,
    "resolution": _from(1),
    "generation": _from(1),
    "revision": _from(1),
    "settled_until": _from(0),
    "parameters": _names,
    "max_block": _from(1, LONGEST_BLOCK),
    "max_jump": _from(1, LONGEST_BLOCK),
    "total": _or_none(_from(1)),
    "end": _or_none(_from(0)),
    "event": _from(0),
    "incarnation": _text,
    "stop": _or_none(_from(0)),
    "again": _or_none(is_pacing),
}
"""What each member of the answer to a join has to be."""
