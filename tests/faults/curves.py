"""
The checks' own arithmetic: exact, and from the definitions alone.

Every curve here is made of straight lines whose numbers are fractions of a power of two, so that
its values are the only ones that float64 can have there, however they are computed. A definition
gives a shape, which knows every step; edits cut the curve of a parameter into pieces of shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

EXACT = 2**53
"""Whole numbers up to here are exact in float64."""


class Inexact(Exception):
    """A curve was asked for whose values float64 cannot hold."""


@dataclass(frozen=True, slots=True)
class Line:
    """The line ``base + slope · step``, from ``start`` on."""

    start: int
    base: Fraction
    slope: Fraction = Fraction(0)

    def at(self, step: int) -> Fraction:
        """Return the value at a step."""
        return self.base + self.slope * step


Shape = tuple[Line, ...]
"""Lines by rising start; the first holds for all earlier steps, too."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A shape, in force from ``start`` on."""

    start: int
    shape: Shape

    def at(self, step: int) -> Fraction:
        """Return the value at a step."""
        return in_force(self.shape, step).at(step)

    def times(self, factor: Fraction) -> Piece:
        """Return the piece with all values multiplied."""
        lines = (Line(line.start, line.base * factor, line.slope * factor) for line in self.shape)
        return Piece(self.start, tuple(lines))

    def later(self, steps: int) -> Piece:
        """Return the piece, ``steps`` later."""
        lines = (
            Line(line.start + steps, line.base - line.slope * steps, line.slope)
            for line in self.shape
        )
        return Piece(self.start + steps, tuple(lines))


Curve = tuple[Piece, ...]
"""Pieces by rising start; the first holds for all earlier steps, too."""

Past = Callable[[int], Curve]
"""Looks up what a revision had in force."""

Starting = TypeVar("Starting", bound=Line | Piece)


def in_force(items: Sequence[Starting], step: int) -> Starting:
    """Return the line or the piece that holds at a step."""
    return after(items, step)[0]


def after(items: Sequence[Starting], step: int) -> list[Starting]:
    """Return the lines or pieces in force from ``step`` on, the first cut to start there."""
    index = max((i for i, item in enumerate(items) if item.start <= step), default=0)
    return [replace(items[index], start=step), *items[index + 1 :]]


def value(curve: Curve, step: int) -> Fraction:
    """Return a curve's value at a step."""
    return in_force(curve, step).at(step)


def constant(number: Fraction) -> Shape:
    """Return the shape of one value."""
    return (Line(0, number),)


def ramp(start: Fraction, end: Fraction, steps: int, origin: int) -> Shape:
    """Return the line from start to end within so many steps, and its ends before and after."""
    slope = (end - start) / steps
    return (
        Line(origin - 1, start),
        Line(origin, start - slope * origin, slope),
        Line(origin + steps, end),
    )


def defined(data: Mapping[str, Any], origin: int) -> Shape:
    """Return the shape of a definition that counts from ``origin``."""
    if data["kind"] == "constant":
        return constant(Fraction(data["value"]))
    if data["kind"] == "linear":
        ends = Fraction(data["start"]), Fraction(data["end"])
        return ramp(*ends, int(data["steps"]), origin)
    raise NotImplementedError(data["kind"])


def changed(curve: Curve, change: Mapping[str, Any], step: int, past: Past) -> Curve:
    """Return what a change makes of a curve from its effective step on."""
    if "kind" in change:
        origin = step if change.get("clock") == "change" else 0
        return (Piece(step, defined(change, origin)),)
    return EDITS[change["edit"]](curve, change, step, past)


def _scale(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    factor = Fraction(edit["factor"])
    return tuple(piece.times(factor) for piece in after(curve, step))


def _set(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    held = Piece(step, constant(Fraction(edit["value"])))
    return (held, *after(curve, step + edit["steps"]))


def _hold(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    held, steps = Piece(step, constant(value(curve, step))), edit.get("steps")
    if steps is None:
        return (held,)
    if edit.get("then", "rejoin") == "rejoin":
        return (held, *after(curve, step + steps))
    return (held, *(piece.later(steps) for piece in after(curve, step)))


def _ramp(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    return (Piece(step, ramp(value(curve, step), Fraction(edit["to"]), edit["steps"], step)),)


def _revert(_: Curve, edit: Mapping[str, Any], step: int, past: Past) -> Curve:
    return tuple(after(past(edit["to"]), step))


EDITS = {"scale": _scale, "set": _set, "hold": _hold, "ramp": _ramp, "revert": _revert}


def evaluate(curve: Curve, start: int, stop: int) -> NDArray[np.float64]:
    """Return the values from ``start`` to ``stop``; raise `Inexact` if one has no float64."""
    parts = [
        _exactly(line, np.arange(begin, end, dtype=np.int64))
        for piece, first, last in _spans(curve, start, stop)
        for line, begin, end in _spans(piece.shape, first, last)
    ]
    return np.concatenate(parts)


def _spans(items: Sequence[Starting], start: int, stop: int) -> Iterator[tuple[Starting, int, int]]:
    """Yield which line or piece holds from where to where."""
    within = after(items, start)
    ends = [*(item.start for item in within[1:]), stop]
    for item, end in zip(within, ends, strict=True):
        if item.start < min(end, stop):
            yield item, item.start, min(end, stop)


def _exactly(line: Line, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    unit = math.lcm(line.base.denominator, line.slope.denominator)
    base, slope = int(line.base * unit), int(line.slope * unit)
    ends = [abs(base + slope * int(step)) for step in (steps[0], steps[-1])]
    if unit & (unit - 1) or max(ends) > EXACT or abs(base) + abs(slope) * int(steps[-1]) >= 2**63:
        raise Inexact(line)
    return (base + slope * steps) / float(unit)
