"""Definitions laid out on the axis of the scheduler that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, inf, nextafter

from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.presets import Warmup
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.union import AnyDefinition


@dataclass(frozen=True)
class Piece:
    """A curve, where on the scheduler's axis the curve's own step 0 lies, and where it ends."""

    curve: AnyDefinition
    until: float = inf
    """The first step that is no longer its own, rounded up if it lies between two."""
    origin: float = 0.0
    """At most where the piece before it ends."""


def pieces(*items: Piece) -> AnyDefinition:
    """
    Return pieces one after the other, each where it lies on the scheduler's own axis.

    A piece that ends before it begins is left out, and so is what follows one without an end.
    """
    parts, start = [], 0
    for item in items:
        if item.until <= start:
            continue
        until = None if item.until == inf else ceil(item.until)
        place = 0.0 if isinstance(item.curve, Constant) else float(start - item.origin)
        parts.append(Part.model_validate({"schedule": item.curve, "until": until, "from": place}))
        if until is None:
            break
        start = until
    whole = len(parts) == 1 and parts[0].until is None and parts[0].from_ == 0
    return parts[0].schedule if whole else Sequence(parts=tuple(parts))


def warmed(steps: int, then: AnyDefinition, start: float = 0.0) -> AnyDefinition:
    """Return a definition after a linear warm-up from start; without steps there is none."""
    return Warmup(steps=steps, start=start, then=then) if steps > 0 else then


def share(whole: float | Fraction, parts: float = 1) -> float:
    """
    Return whole/parts, rounded down.

    A cycle of this length is over at each whole step at which it should be, never just after.
    """
    exact = Fraction(whole) / Fraction(parts)
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else nextafter(nearest, 0.0)
