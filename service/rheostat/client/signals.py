"""
Signals: words that reach all ranks at one step. What blocks and refusals say of them.

A block names the steps and the revisions; what each says is asked for once. A refusal at an end
says all of it. Nothing garbled is believed: a block that tells signals in another form is no block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rheostat.client.answers import Answer, Broken, document
from rheostat.errors import Refused
from rheostat.limits import MAX_NUMBER, MAX_STEP

HEADER = "Rheostat-Signals"
LONGEST_HEADER = 1024
TOO_MANY = "*"
"""What the header says where it would be too long: the same block as JSON lists them."""
MOST = 4096
"""Signals that are remembered: those of the furthest steps."""

_HEADER = re.compile(r"[0-9]{1,16}#[0-9]{1,10}(,[0-9]{1,16}#[0-9]{1,10})*", re.ASCII)


class Signal(NamedTuple):
    """A word that all ranks are told at one step."""

    name: str
    arguments: Mapping[str, Any]
    revision: int


class Place(NamedTuple):
    """Where a signal is told, and which revision it is."""

    at: int
    revision: int


def of_header(answer: Answer, stop: int) -> tuple[Place, ...] | None:
    """
    Return the signals that a block up to ``stop`` tells; None where they are too many to be told.

    Raises:
        Broken: The header says something else.

    """
    text = answer.headers.get(HEADER, "").strip()
    if text == TOO_MANY:
        return None
    if not text:
        return ()
    if len(text) > LONGEST_HEADER or not _HEADER.fullmatch(text):
        raise Broken(f"expected signals, as 4200#9, got {text[:200]!r}")
    parts = (part.partition("#") for part in text.split(","))
    return _sound((Place(int(at), int(revision)) for at, _, revision in parts), stop)


def of_block(answer: Answer, stop: int) -> tuple[tuple[Place, Signal], ...]:
    """Return the signals that a block as JSON tells; raise `Broken` where they can be none."""
    listed = document(answer).get("signals", [])
    found = tuple(_told(item) for item in listed) if isinstance(listed, list) else (None,)
    if not all(found):
        raise Broken(f"expected signals, got {listed!r:.200}")
    told = tuple(item for item in found if item is not None)
    _sound((place for place, _ in told), stop)
    return told


def of_refusal(refusal: Refused) -> tuple[tuple[Place, Signal], ...]:
    """Return the signals at the end that a refusal tells, but for what can be none."""
    listed = refusal.members.get("signals")
    found = [_told(item) for item in listed] if isinstance(listed, list) else []
    return tuple(item for item in found if item is not None)


def of_revision(answer: Answer) -> Signal:
    """Return what a revision tells all ranks; raise `Broken` if it tells nothing."""
    revision = document(answer)
    data = revision.get("data")
    told = {**data, "revision": revision.get("revision")} if isinstance(data, dict) else {}
    if isinstance(told.get("signal"), dict):  # it came with a stop or a pause
        told = {**told["signal"], "revision": revision.get("revision")}
    found = _told({**told, "at": revision.get("effective")})
    if found is None:
        raise Broken(f"expected a signal, got {revision!r:.200}")
    return found[1]


def _sound(places: Iterable[Place], stop: int) -> tuple[Place, ...]:
    found = tuple(places)
    if not all(at < stop and 0 < revision <= MAX_NUMBER for at, revision in found):
        raise Broken(f"signals that are not of a block up to {stop}: {found!r:.200}")
    return found


def _told(item: Any) -> tuple[Place, Signal] | None:
    if not isinstance(item, dict):
        return None
    word, arguments = item.get("signal"), item.get("arguments", {})
    at, revision = item.get("at"), item.get("revision")
    if not (isinstance(word, str) and 0 < len(word) <= 64 and isinstance(arguments, dict)):
        return None
    if type(at) is not int or type(revision) is not int:
        return None
    if not (0 <= at <= MAX_STEP and 0 < revision <= MAX_NUMBER):
        return None
    return Place(at, revision), Signal(word, arguments, revision)


class Hearing:
    """
    What a worker was told, and what it has yet to be told.

    It is told those in (last step asked, step], and at the first call none: so each once, and again
    if it goes back and crosses their step again.
    """

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        self._says: dict[int, Signal] = {}
        self._at_end: tuple[tuple[Place, Signal], ...] = ()
        self._early: set[int] = set()
        self._last: int | None = None

    @property
    def listens(self) -> bool:
        """Whether anybody has asked."""
        return self._last is not None

    def passes(self, step: int) -> bool:
        """Go on to a step if there is nothing to be told of anywhere; return whether that is so."""
        if self._at or self._at_end:
            return False
        self._last = step
        if self._early:
            self._early = set()
        return True

    def heard(self, places: Iterable[Place]) -> None:
        """Take in what a block tells."""
        for at, revision in places:
            self._at[revision] = at
        if len(self._at) > MOST:
            furthest = sorted(self._at.items(), key=lambda item: (item[1], item[0]))[-MOST:]
            self._at = dict(furthest)
            self._says = {n: signal for n, signal in self._says.items() if n in self._at}

    def learned(self, signal: Signal) -> None:
        """Take in what one says."""
        self._says[signal.revision] = signal

    def knows(self, revision: int) -> bool:
        """Whether it is known what one says."""
        return revision in self._says

    def met(self, told: tuple[tuple[Place, Signal], ...]) -> None:
        """Take in what is told at the end, or the pause, that a read has come to; none: no more."""
        self._at_end = told

    def unknown(self, step: int | None = None) -> list[int]:
        """Return those of which it is not known what they say: all, or those due at a step."""
        due = self._at if step is None else self._due(step)
        return [revision for revision in due if revision not in self._says]

    def tell(self, step: int) -> tuple[Signal, ...]:
        """Return what is to be told at a step, all of which is known."""
        found = {
            revision: (self._at[revision], self._says[revision]) for revision in self._due(step)
        }
        found |= self._ending(step)
        self._last, early, self._early = step, self._early, set()
        return _in_order(found, early)

    def tell_early(self, step: int) -> tuple[Signal, ...]:
        """
        Return what is told so far at a step at which the training waits.

        More may come until it goes on, so that the step is asked for again then.
        """
        found = self._ending(step)
        early = set(self._early)
        self._early |= found.keys()
        return _in_order(found, early)

    def has_early(self, step: int) -> bool:
        """Whether there is something to be told at a step at which the training waits."""
        return bool(self._ending(step).keys() - self._early)

    def _due(self, step: int) -> list[int]:
        if not self._at or self._last is None or step <= self._last:
            return []
        last = self._last
        return [revision for revision, at in self._at.items() if last < at <= step]

    def _ending(self, step: int) -> dict[int, tuple[int, Signal]]:
        last = -1 if self._last is None else self._last
        return {
            place.revision: (place.at, signal)
            for place, signal in self._at_end
            if last < place.at <= step
        }


def _in_order(found: dict[int, tuple[int, Signal]], told: set[int]) -> tuple[Signal, ...]:
    if not found:
        return ()
    new = sorted((at, revision) for revision, (at, _) in found.items() if revision not in told)
    return tuple(found[revision][1] for _, revision in new)
