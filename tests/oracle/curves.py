"""
Curves as mathematics has them: functions of the step, in fractions.

Written from the contract, with nothing of the service. What a parameter is over time is a
`Timeline` of pieces, each a `Curve`. What is made of straight lines can be evaluated at many steps
at once: values are then the only ones that float64 can have there, or `Inexact` is raised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Step = int | Fraction
Env = Mapping[str, "Timeline"]
"""The timelines of all parameters of a run."""

EXACT = 2**53
"""Whole numbers up to here are exact in float64."""


class Inexact(Exception):
    """Values were asked for that float64 cannot hold, or that are on no straight line."""


@dataclass(frozen=True, slots=True)
class Line:
    """The line ``base + slope · step``, from ``start`` on."""

    start: int
    base: Fraction
    slope: Fraction = Fraction(0)


@dataclass(frozen=True)
class Curve:
    """
    ``value(step, env)``; from ``end`` on it stays the same (None: it follows another one).

    ``lines`` are what it is made of, by rising start, if it is made of straight lines; the first
    holds for all earlier steps, too. ``laid(total, at, by)`` is what its words make of it, if it
    has words, for a total that comes at step ``at``; it all lies ``by`` steps later than it says.
    """

    value: Callable[[Step, Env], Fraction]
    end: int | None
    follows: frozenset[str] = frozenset()
    lines: tuple[Line, ...] = ()
    laid: Callable[[int, int, int], Curve] | None = None

    def laid_out(self, total: int, at: int, by: int = 0) -> Curve:
        """Return the curve for a total that comes at a step."""
        return self if self.laid is None else self.laid(total, at, by)

    def times(self, factor: Fraction) -> Curve:
        """Return the curve times a factor."""
        laid = self.laid
        return Curve(
            lambda s, env: factor * self.value(s, env),
            self.end,
            self.follows,
            tuple(Line(x.start, x.base * factor, x.slope * factor) for x in self.lines),
            laid and (lambda n, at, by: laid(n, at, by).times(factor)),
        )

    def later(self, steps: int) -> Curve:
        """Return the curve, so many steps later."""
        laid = self.laid
        return Curve(
            lambda s, env: self.value(s - steps, env),
            None if self.end is None else self.end + steps,
            self.follows,
            tuple(Line(x.start + steps, x.base - x.slope * steps, x.slope) for x in self.lines),
            laid and (lambda n, at, by: laid(n, at - steps, by + steps).later(steps)),
        )


@dataclass(frozen=True)
class Piece:
    """A curve, in force from ``start`` on."""

    start: int
    curve: Curve


Starting = TypeVar("Starting", bound=Line | Piece)


def after(items: Sequence[Starting], step: int) -> tuple[Starting, ...]:
    """Return the lines or pieces in force from ``step`` on, the first cut to start there."""
    index = max((i for i, item in enumerate(items) if item.start <= step), default=0)
    return (replace(items[index], start=step), *items[index + 1 :])


@dataclass(frozen=True)
class Timeline:
    """Pieces by rising start; the first holds for all earlier steps, too."""

    pieces: tuple[Piece, ...]

    def at(self, step: Step) -> Curve:
        """Return the curve in force at a step."""
        started = [piece for piece in self.pieces if piece.start <= step]
        return (started or self.pieces)[-1 if started else 0].curve

    def value(self, step: Step, env: Env) -> Fraction:
        """Return the value at a step."""
        return self.at(step).value(step, env)

    @property
    def end(self) -> int | None:
        """The step from which on it stays the same; None if it follows another one."""
        return self.pieces[-1].curve.end

    @property
    def follows(self) -> frozenset[str]:
        """The parameters that it follows."""
        return frozenset[str]().union(*(piece.curve.follows for piece in self.pieces))

    def laid_out(self, total: int, at: int) -> Timeline:
        """Return the timeline from a step on, for a total that comes there."""
        pieces = after(self.pieces, at)
        laid = tuple(Piece(piece.start, piece.curve.laid_out(total, at)) for piece in pieces)
        same = all(new.curve is old.curve for new, old in zip(laid, pieces, strict=True))
        return self if same else Timeline(laid)

    def floats(self, start: int, stop: int) -> NDArray[np.float64]:
        """
        Return the values from ``start`` to ``stop``.

        Raises:
            Inexact: if one of them has no float64, or is on no straight line.

        """
        parts = [
            _exactly(line, np.arange(begin, end, dtype=np.int64))
            for piece, first, last in _spans(self.pieces, start, stop)
            for line, begin, end in _spans(_straight(piece.curve), first, last)
        ]
        return np.concatenate(parts)


def alone(curve: Curve, start: int = 0) -> Timeline:
    """Return the timeline of one curve."""
    return Timeline((Piece(start, curve),))


def constant(value: Fraction, origin: int) -> Curve:
    """Return the curve of one value."""
    return Curve(lambda _s, _env: value, origin, lines=(Line(origin, value),))


def ramp(start: Fraction, end: Fraction, steps: int, origin: int) -> Curve:
    """Return the straight line from ``start`` to ``end``, and what it ends at after that."""
    slope = (end - start) / steps

    def value(step: Step, _env: Env) -> Fraction:
        return start + slope * min(max(Fraction(step - origin), Fraction(0)), Fraction(steps))

    lines = (
        Line(origin - 1, start),
        Line(origin, start - slope * origin, slope),
        Line(origin + steps, end),
    )
    return Curve(value, origin + steps, lines=lines)


def share(start: Fraction, end: Fraction, part: Fraction, origin: int, total: int) -> Curve:
    """Return the line that takes a part of the total; once it is over, it is over."""
    steps = int(part * total)

    def laid(new: int, at: int, by: int) -> Curve:
        ends_with_it = total in {steps, origin + steps + by}
        over = origin + steps <= at and not ends_with_it
        return found if over else share(start, end, part, origin, new)

    found = replace(ramp(start, end, steps, origin), laid=laid)
    return found


def following(name: str, factor: Fraction) -> Curve:
    """Return the curve that is another parameter's value times a factor."""
    return Curve(lambda s, env: factor * env[name].value(s, env), None, frozenset({name}))


def define(definition: Mapping[str, Any], origin: int, total: int | None) -> Curve:
    """Return the curve of a definition that counts from ``origin``."""
    match definition["kind"]:
        case "constant":
            return constant(Fraction(definition["value"]), origin)
        case "linear":
            start, end = Fraction(definition["start"]), Fraction(definition["end"])
            steps = definition["steps"]
            if isinstance(steps, str):
                assert total is not None
                return share(start, end, Fraction(int(steps[:-1]), 100), origin, total)
            return ramp(start, end, int(steps), origin)
        case "follow":
            return following(definition["parameter"], Fraction(definition["scale"]))
    raise NotImplementedError(definition)


def _straight(curve: Curve) -> tuple[Line, ...]:
    if not curve.lines:
        raise Inexact(curve)
    return curve.lines


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
