"""
Timelines: which definition gives a parameter's value at each step of a run.

A timeline is a list of pieces. From its ``start`` until the next piece's start, a piece's
definition is in force, counted from the piece's ``origin``: the value at step ``s`` is
``definition(s - origin)``. Edits of a live run cut timelines into pieces instead of nesting
definitions, so that a run with ten thousand edits is as flat as a new one.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from math import inf
from operator import is_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat import wire
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_PIECES, MAX_STEP
from rheostat.schedules import Bounds, Definition, parse
from rheostat.schedules.ranges import out_of_range
from rheostat.schedules.written import Words
from rheostat.server.runs.fragments import as_json, dumps

Steps = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """
    ``definition``, counted from ``origin``, in force from ``start`` because of ``revision``.

    ``words`` are those of a definition whose lengths depend on the run.
    """

    start: int
    origin: int
    definition: Definition
    revision: int
    words: Words | None = None

    def values(self, steps: Steps, followed: Mapping[str, Values]) -> Values:
        """Return the values at absolute ``steps``; ``followed`` is aligned with them."""
        return self.definition.values(steps - self.origin, followed)

    def to_json(self) -> wire.Piece:
        """Return the wire form, but for the definition, which is written as it is."""
        document: wire.Piece = {
            "from": self.start,
            "origin": self.origin,
            "definition": as_json(self.definition),
            "revision": self.revision,
        }
        if self.words is not None:
            document["words"] = self.words.to_json()
        return document

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Piece:
        """Read what was stored."""
        words = Words.from_json(item["words"]) if "words" in item else None
        definition = parse(item["definition"])
        return cls(item["from"], item["origin"], definition, item["revision"], words)

    def laid_out(self, total: int, now: int, revision: int, field: str) -> Piece:
        """Return the piece with its words laid out for a total, in force from step ``now`` on."""
        if self.words is None or self.words.total == total:
            return self
        words = self.words.moved(total, now - self.origin, self.origin)
        definition = words.laid_out(field)
        if definition == self.definition:
            return self
        return replace(self, definition=definition, words=words, revision=revision)

    def shifted(self, by: int) -> Piece:
        """Return the piece with its start and its clock ``by`` steps later."""
        return replace(self, start=self.start + by, origin=self.origin + by)


@dataclass(frozen=True)
class Timeline:
    """The pieces of one parameter, by rising start; the first holds for every earlier step."""

    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, definition: Definition, words: Words | None = None) -> Timeline:
        """Return the timeline of a new run: the definition, from step 0, by revision 1."""
        return cls((Piece(0, 0, definition, 1, words),))

    @cached_property
    def follows(self) -> frozenset[str]:
        """The names of the parameters that some piece follows."""
        return frozenset().union(*(piece.definition.follows() for piece in self.pieces))

    def after(self, step: int) -> tuple[Piece, ...]:
        """Return the pieces in force at or after ``step``, the first of them cut to start there."""
        index = self._index(step)
        first = replace(self.pieces[index], start=step)
        return (first, *self.pieces[index + 1 :])

    def laid_out(self, total: int, now: int, revision: int, field: str) -> Timeline:
        """
        Return the pieces in force from step ``now`` on, with their words laid out for a total.

        What nothing of it changes stays the same object.
        """
        pieces = self.after(now)
        laid = tuple(piece.laid_out(total, now, revision, field) for piece in pieces)
        return self if all(map(is_, pieces, laid)) else Timeline(laid)

    def values(self, steps: Steps, followed: Mapping[str, Values]) -> Values:
        """Return the values at ``steps``, in any order."""
        if len(self.pieces) == 1:
            return self.pieces[0].values(steps, followed)
        starts = np.array([piece.start for piece in self.pieces], dtype=np.int64)
        owner = np.maximum(np.searchsorted(starts, steps, side="right") - 1, 0)
        result = np.empty(len(steps), dtype=np.float64)
        for index in np.unique(owner):
            mask = owner == index
            there = {name: values[mask] for name, values in followed.items()}
            result[mask] = self.pieces[index].values(steps[mask], there)
        return result

    def within_reach(self) -> Timeline:
        """Return the timeline without the pieces that would begin past the last coordinate."""
        return Timeline(tuple(piece for piece in self.pieces if piece.start <= MAX_STEP))

    def at(self, step: int) -> Piece:
        """Return the piece in force at ``step``."""
        return self.pieces[self._index(step)]

    def between(self, start: int, stop: float) -> tuple[Piece, ...]:
        """Return the pieces in force from ``start`` to ``stop``, the first cut to start there."""
        return tuple(piece for piece in self.after(start) if piece.start <= stop)

    def bounds(self, step: int, stop: float, followed: Mapping[str, Bounds]) -> Bounds:
        """Return bounds of the values from ``step`` to ``stop``."""
        each = [
            definition.between(first, last, followed)
            for first, last, definition in self.stretches(step, stop)
        ]
        return Bounds(min(bounds.min for bounds in each), max(bounds.max for bounds in each))

    def stretches(self, step: int, stop: float) -> Iterator[tuple[float, float, Definition]]:
        """Yield the definitions in force from ``step`` to ``stop``, and where on their own axes."""
        pieces = self.between(step, stop)
        stops = [*(float(piece.start - 1) for piece in pieces[1:]), stop]
        for piece, end in zip(pieces, stops, strict=True):
            first, last = max(piece.start - piece.origin, 0), max(end - piece.origin, 0.0)
            yield float(first), last, piece.definition

    def _index(self, step: int) -> int:
        earlier = [index for index, piece in enumerate(self.pieces) if piece.start <= step]
        return earlier[-1] if earlier else 0

    def to_json(self) -> list[wire.Piece]:
        """Return the wire form, but for the definitions, which are written as they are."""
        return [piece.to_json() for piece in self.pieces]

    @cached_property
    def text(self) -> str:
        """What is stored: the wire form as JSON."""
        return dumps(self.to_json()).decode()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what is stored, in hexadecimal."""
        return sha256(self.text.encode()).hexdigest()

    @classmethod
    def from_json(cls, items: list[dict[str, Any]]) -> Timeline:
        """Read what was stored."""
        return cls(tuple(map(Piece.from_json, items)))


class Timelines(Mapping[str, Timeline]):
    """The timelines of all parameters of a run, sound as a whole: who follows whom is acyclic."""

    def __init__(self, timelines: Mapping[str, Timeline]) -> None:
        self._timelines = dict(sorted(timelines.items()))
        self._order = _order_of_evaluation(self._timelines)

    def __getitem__(self, name: str) -> Timeline:
        return self._timelines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._timelines)

    def __len__(self) -> int:
        return len(self._timelines)

    @property
    def order(self) -> list[str]:
        """The names, each after those that it follows."""
        return self._order

    def evaluate(self, steps: Steps) -> dict[str, Values]:
        """Return each parameter's values at ``steps``, sorted by name."""
        found: dict[str, Values] = {}
        for name in self._order:
            timeline = self._timelines[name]
            found[name] = timeline.values(
                steps, {other: found[other] for other in timeline.follows}
            )
        return {name: found[name] for name in self._timelines}

    def bounds(self, step: int, stop: float = inf) -> dict[str, Bounds]:
        """Return bounds of each parameter's values from ``step`` to ``stop``."""
        found: dict[str, Bounds] = {}
        for name in self._order:
            found[name] = self._timelines[name].bounds(step, stop, found)
        return found

    def boundaries(self, name: str, step: int) -> list[int]:
        """Return where pieces of a parameter, or of what it follows, start past ``step``."""
        pieces = (piece for other in self.sources(name) for piece in self[other].pieces)
        return sorted({piece.start for piece in pieces if piece.start > step})

    def end(self, name: str) -> int:
        """Return the step from which a parameter stays as it is, or the last step of all."""
        ends = [
            MAX_STEP if piece.definition.length is None else piece.origin + piece.definition.length
            for other in self.sources(name)
            for piece in self[other].pieces
        ]
        return min(max(ends), MAX_STEP)

    def sources(self, name: str) -> set[str]:
        """Return a parameter, what it follows, what that follows, and so on."""
        found, waiting = set[str](), [name]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self[one].follows
        return found

    def from_step(self, step: int) -> Timelines:
        """Return what is in force from a step on, of which earlier pieces are no part."""
        return Timelines({name: Timeline(each.after(step)) for name, each in self.items()})

    def require_sound(self, step: int) -> None:
        """
        Raise `Invalid` unless every value from ``step`` on is finite, and few pieces give them.

        Each definition is finite by itself; what follows another parameter may not be.
        """
        for name, bounds in self.bounds(step).items():
            if not bounds.finite:
                raise self._out_of_range(name, step)
            if len(self[name].pieces) > MAX_PIECES:
                message = f"{name} would change its definition {len(self[name].pieces)} times"
                raise _refuse(name, message, f"<= {MAX_PIECES} pieces")

    def _out_of_range(self, name: str, step: int) -> Invalid:
        """Return the refusal of a parameter whose values from ``step`` on are not all finite."""
        bounds = self.bounds(step)
        for start, stop, definition in self[name].stretches(step, inf):
            error = out_of_range(definition, f"parameters.{name}", bounds, start, stop)
            if error is not None:
                return Invalid(f"{error.field} {error.message}", errors=[error])
        raise AssertionError(name)

    def value(self, name: str, step: int) -> float:
        """Return one parameter's value at one step."""
        return float(self.evaluate(np.array([step], dtype=np.int64))[name][0])

    def relabelled(self, revision: int) -> Timelines:
        """Return these timelines with every piece put there by ``revision``."""
        return Timelines(
            {
                name: Timeline(tuple(replace(piece, revision=revision) for piece in line.pieces))
                for name, line in self._timelines.items()
            }
        )

    def laid_out(self, total: int, now: int, revision: int) -> Timelines:
        """Return what ``revision`` makes of these timelines, from step ``now`` on, by a total."""
        laid = {
            name: line.laid_out(total, now, revision, f"parameters.{name}")
            for name, line in self._timelines.items()
        }
        return self if all(map(is_, laid.values(), self.values())) else Timelines(laid)

    def replaced(self, changed: Mapping[str, Timeline]) -> Timelines:
        """Return these timelines with some of them exchanged."""
        return Timelines({**self._timelines, **changed})


def nodes(definition: Definition) -> int:
    """Return how many definitions a definition is made of, itself among them."""
    return 1 + sum(nodes(child.definition) for child in definition.children())


def _order_of_evaluation(timelines: Mapping[str, Timeline]) -> list[str]:
    for name, timeline in timelines.items():
        for other in sorted(timeline.follows - timelines.keys()):
            message = f"{name} follows {other}, which is not a parameter of the run"
            raise _refuse(name, message, f"one of {', '.join(timelines)}")
    graph = {name: timeline.follows for name, timeline in timelines.items()}
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise _refuse(
            error.args[1][0], f"parameters follow each other in a circle: {circle}", "no circle"
        ) from None


def _refuse(name: str, message: str, bound: str) -> Invalid:
    return Invalid(message, errors=[FieldError(f"parameters.{name}", message, None, bound)])
