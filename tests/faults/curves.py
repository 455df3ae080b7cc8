"""
The checks' own arithmetic: exact, and from the definitions alone.

Every curve here is made of straight lines whose numbers are fractions of a power of two, so that
its values are the only ones that float64 can have there, however they are computed. A curve is a
tuple of pieces by rising start; the first one holds for all earlier steps, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = 2**53
"""Whole numbers up to here are exact in float64."""


class Inexact(Exception):
    """A curve was asked for whose values float64 cannot hold."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The line ``base + slope · step``, from ``start`` on."""

    start: int
    base: Fraction
    slope: Fraction = Fraction(0)

    def at(self, step: int) -> Fraction:
        """Return the value at a step."""
        return self.base + self.slope * step

    def times(self, factor: Fraction) -> Piece:
        """Return the piece with all values multiplied."""
        return Piece(self.start, self.base * factor, self.slope * factor)

    def later(self, steps: int) -> Piece:
        """Return the piece, ``steps`` later."""
        return Piece(self.start + steps, self.base - self.slope * steps, self.slope)


Curve = tuple[Piece, ...]
Past = Callable[[int], Curve]
"""Looks up what a revision had in force."""


def after(curve: Curve, step: int) -> Curve:
    """Return the pieces in force from ``step`` on, the first of them cut to start there."""
    index = max((i for i, piece in enumerate(curve) if piece.start <= step), default=0)
    return (replace(curve[index], start=step), *curve[index + 1 :])


def value(curve: Curve, step: int) -> Fraction:
    """Return a curve's value at a step."""
    return after(curve, step)[0].at(step)


def line(start: Fraction, end: Fraction, steps: int, origin: int) -> Curve:
    """Return the line from start to end within so many steps, and its ends before and after."""
    slope = (end - start) / steps
    return (
        Piece(min(origin, 0), start),
        Piece(origin, start - slope * origin, slope),
        Piece(origin + steps, end),
    )


def defined(data: Mapping[str, Any], origin: int) -> Curve:
    """Return the curve of a definition that counts from ``origin``."""
    if data["kind"] == "constant":
        return (Piece(0, Fraction(data["value"])),)
    if data["kind"] == "linear":
        ends = Fraction(data["start"]), Fraction(data["end"])
        return line(*ends, int(data["steps"]), origin)
    raise NotImplementedError(data["kind"])


def changed(curve: Curve, change: Mapping[str, Any], step: int, past: Past) -> Curve:
    """Return what a change makes of a curve from its effective step on."""
    if "kind" in change:
        origin = step if change.get("clock") == "change" else 0
        return after(defined(change, origin), step)
    return EDITS[change["edit"]](curve, change, step, past)


def _scale(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    factor = Fraction(edit["factor"])
    return tuple(piece.times(factor) for piece in after(curve, step))


def _set(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    return (Piece(step, Fraction(edit["value"])), *after(curve, step + edit["steps"]))


def _hold(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    held, steps = Piece(step, value(curve, step)), edit.get("steps")
    if steps is None:
        return (held,)
    if edit.get("then", "rejoin") == "rejoin":
        return (held, *after(curve, step + steps))
    return (held, *(piece.later(steps) for piece in after(curve, step)))


def _ramp(curve: Curve, edit: Mapping[str, Any], step: int, _: Past) -> Curve:
    return after(line(value(curve, step), Fraction(edit["to"]), edit["steps"], step), step)


def _revert(_: Curve, edit: Mapping[str, Any], step: int, past: Past) -> Curve:
    return after(past(edit["to"]), step)


EDITS = {"scale": _scale, "set": _set, "hold": _hold, "ramp": _ramp, "revert": _revert}


def evaluate(curve: Curve, start: int, stop: int) -> NDArray[np.float64]:
    """Return the values from ``start`` to ``stop``; raise `Inexact` if one has no float64."""
    pieces = after(curve, start)
    ends = [*(piece.start for piece in pieces[1:]), stop]
    parts = [
        _exactly(piece, np.arange(piece.start, min(end, stop), dtype=np.int64))
        for piece, end in zip(pieces, ends, strict=True)
        if piece.start < min(end, stop)
    ]
    return np.concatenate(parts)


def _exactly(piece: Piece, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    unit = math.lcm(piece.base.denominator, piece.slope.denominator)
    base, slope = int(piece.base * unit), int(piece.slope * unit)
    ends = [abs(base + slope * int(step)) for step in (steps[0], steps[-1])]
    if unit & (unit - 1) or max(ends) > EXACT or abs(base) + abs(slope) * int(steps[-1]) >= 2**63:
        raise Inexact(piece)
    return (base + slope * steps) / float(unit)
