"""
Which revision gives the values of a step, and which one comes into force as a training goes on.

A block names the revisions that give its values; what one says is asked for when it is new, before
the training comes to it. Nothing garbled is believed: a block that names them in another form is
no block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rheostat.client.answers import Answer, Broken, document
from rheostat.client.signals import Signal
from rheostat.limits import MAX_NUMBER, MAX_STEP

HEADER = "Rheostat-Revisions"
LONGEST_HEADER = 64 * 1024
MOST_OWED = 64
"""Revisions that wait to be told since the service did not say what they are: the newest."""
SECONDS = 2.0
"""How long a training's next block may be kept back to ask what its revision says."""

_HEADER = re.compile(r"[0-9]{1,10}@[0-9]{1,16}(,[0-9]{1,10}@[0-9]{1,16})*", re.ASCII)


class Revision(NamedTuple):
    """A revision that came into force: from which step on, and who made it, and why."""

    number: int
    effective: int
    author: str | None
    message: str
    kind: str
    """What it did to its run: ``change``, ``total``, ``rewind``, ``fork`` or ``create``."""
    changes: Mapping[str, Any]
    """What was asked for, by parameter, as `AsyncControl.change` takes it."""


class At(NamedTuple):
    """All that a training needs to know of a step."""

    values: dict[str, float]
    revision: int | None
    """The number of the revision that gives them; None if something on the way leaves it out."""
    signals: tuple[Signal, ...]


class InForce(NamedTuple):
    """From which step of a block on which revision gives the values."""

    at: int
    number: int


def of_header(answer: Answer, start: int, stop: int) -> tuple[InForce, ...]:
    """
    Return the revisions that give the values of a block, by rising step; none where it is not said.

    Raises:
        Broken: The header says something else.

    """
    text = answer.headers.get(HEADER, "").strip()
    if not text:
        return ()
    if len(text) > LONGEST_HEADER or not _HEADER.fullmatch(text):
        raise Broken(f"expected revisions, as 3@4096, got {text[:200]!r}")
    parts = (part.partition("@") for part in text.split(","))
    found = tuple(InForce(int(at), int(number)) for number, _, at in parts)
    rising = all(a.at < b.at for a, b in pairwise(found))
    numbered = all(0 < number <= MAX_NUMBER for _, number in found)
    if not (rising and numbered and found[0].at == start and found[-1].at < stop):
        raise Broken(f"revisions that are not of a block {start} to {stop}: {text[:200]!r}")
    return found


def of_answer(answer: Answer) -> Revision:
    """Return what a revision says; raise `Broken` if it is none."""
    told = document(answer)
    number, effective, author = told.get("revision"), told.get("effective"), told.get("author")
    message, kind, changes = told.get("message"), told.get("kind"), told.get("changes")
    if not (
        (type(number) is int and 0 < number <= MAX_NUMBER)
        and (type(effective) is int and 0 <= effective <= MAX_STEP)
        and (author is None or isinstance(author, str))
        and (isinstance(message, str) and isinstance(kind, str) and isinstance(changes, dict))
    ):
        raise Broken(f"expected a revision, got {told!r:.200}")
    return Revision(number, effective, author, message, kind, changes)


def number_at(revisions: Sequence[InForce], step: int) -> int | None:
    """Return the number of the revision in force at a step of a block."""
    found = None
    for at, number in revisions:
        if at > step:
            break
        found = number
    return found


class Coming:
    """
    The revisions that come into force as a training goes on: each is told once.

    That which is in force at the first step is none of them, nor is any where a training goes back.
    Of several that take effect at one step, blocks name the newest alone.
    """

    def __init__(self) -> None:
        self._furthest: int | None = None
        """The furthest step that was read."""
        self._in_force: int | None = None
        """The number of the revision in force there."""
        self._says: dict[int, Revision | None] = {}
        """What is known of those ahead; None: nothing that this run's history tells."""
        self._owed: list[int] = []

    @property
    def is_new(self) -> bool:
        """Whether no step was read yet."""
        return self._furthest is None

    def unknown(self, revisions: Sequence[InForce]) -> list[int]:
        """Return those of which it is not known what they say: owed, or new with a block."""
        new = revisions[1:] if self._furthest is None else self._beyond(revisions)
        found = [*self._owed, *(number for _, number in new if number != self._in_force)]
        return [number for number in found if number not in self._says][:MOST_OWED]

    def learned(self, number: int, revision: Revision, revisions: Sequence[InForce]) -> None:
        """Take in what one says; of a fork's past the numbers are those of another run."""
        own = all(revision.effective <= at for at, named in revisions if named == number)
        self._says[number] = revision if own else None

    def reached(self, revisions: Sequence[InForce], step: int) -> None:
        """Take in that a step is read, and the revisions of the block that holds it."""
        if self._furthest is None:
            self._furthest, self._in_force = step, number_at(revisions, step)
            return
        for at, number in self._beyond(revisions):
            if at <= step:
                self._owed += [number] if number != self._in_force else []
                self._in_force = number
        self._furthest = max(self._furthest, step)
        del self._owed[:-MOST_OWED]

    def take(self) -> list[Revision]:
        """Return what is to be told now: in order, of those owed, all of which it is known."""
        known = [number for number in self._owed if number in self._says]
        self._owed = [number for number in self._owed if number not in self._says]
        told = [self._says.pop(number) for number in known]
        return [revision for revision in told if revision is not None]

    def forget(self) -> None:
        """Owe nothing of what came into force so far."""
        self._owed = []

    def next_of(self, revisions: Sequence[InForce]) -> int | None:
        """Return the first step at which one of a block's comes into force, if any is left."""
        return next((at for at, _ in self._beyond(revisions)), None)

    def _beyond(self, revisions: Sequence[InForce]) -> Sequence[InForce]:
        furthest = -1 if self._furthest is None else self._furthest
        return [place for place in revisions if place.at > furthest]
