"""
Curves that recur, when the total changes in the middle of a turn.

A kind that recurs (`Definition.recurs`) has *turns*: the places at which a cycle, or a half of one,
or a stair begins. Those that are passed stay, the next one lies where the words put it for the new
total, and so do all after it: what is left of the turn that is under way is stretched, or
shortened, up to there, so that no part of it comes back.

How far a curve has come is counted in turns: 2.25 is a quarter of the way from the second turn to
the third. What is kept of it is a step, and how far it had come by then.
"""

from __future__ import annotations

from math import ceil, floor, inf, isclose
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

if TYPE_CHECKING:
    from rheostat.schedules.definition import Definition
    from rheostat.schedules.lengths import Json, Kept, Timeframe

_MARK = "@"


class TurnProgress(NamedTuple):
    """At ``step``, a curve had come as far as ``turns``."""

    step: float
    turns: float


def going_on(cls: type[Definition], laid: Json, time: Timeframe, path: str) -> Json:
    """Return a curve that goes on from where it was, and note where it is."""
    clock, key = time.clock, path[time.clock.root :] + _MARK
    mark = _mark((clock.kept or {}).get(key))
    noting = clock.noted is not None and time.now is not None
    if not cls.recurs(laid) or (mark is None and not noting):
        return laid
    try:
        curve = cls.model_validate(laid)
    except ValidationError:  # which parsing the whole will tell
        return laid
    if clock.noted is not None and time.now is not None:
        now = float(time.now) - time.start.whole
        if now > 0:
            totals = [float(total) - time.start.whole for total in time.totals]
            step, turns = _noted(curve, mark, now, totals if time.last else [])
            clock.noted[key] = step, turns
    return laid if mark is None else _spliced(curve, laid, mark)


def _mark(kept: Kept) -> TurnProgress | None:
    return TurnProgress(*kept) if isinstance(kept, (tuple, list)) else None


def _noted(
    curve: Definition, mark: TurnProgress | None, now: float, totals: list[float]
) -> TurnProgress:
    """Return how far a curve has come; if it ended with the total, its last turn is not over."""
    turns, most = _progress(curve, mark, now), curve.turns
    if most is None or turns < most:
        return TurnProgress(now, turns)
    if any(isclose(curve.turn(most), total) for total in totals):
        begun = mark is not None and floor(mark.turns) == most - 1
        return mark if begun and mark is not None else TurnProgress(curve.turn(most - 1), most - 1)
    return TurnProgress(now, most)


def _progress(curve: Definition, mark: TurnProgress | None, step: float) -> float:
    """Return how far a curve has come at a step."""
    most = curve.turns
    if mark is not None and most is not None and mark.turns >= most:
        return most
    if mark is not None:
        following = floor(mark.turns) + 1
        end = curve.turn(following)
        if mark.step <= step < end:
            left = following - mark.turns
            return following - left * (end - step) / (end - mark.step)
    number = _last_turn(curve, step)
    if most is not None and number >= most:
        return most
    begin, end = curve.turn(number), curve.turn(number + 1)
    return number + (step - begin) / (end - begin)


def _last_turn(curve: Definition, step: float) -> int:
    """Return the number of the last turn at or before a step."""
    low, high = 0, 1
    while curve.turn(high) <= step:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if curve.turn(middle) <= step else (low, middle)
    return low


def _spliced(curve: Definition, laid: Json, mark: TurnProgress) -> Json:
    """Return the sequence of what has passed, the rest of the turn under way, and what follows."""
    number, most = floor(mark.turns), inf if curve.turns is None else curve.turns
    begin = curve.turn(int(min(number, most)))
    following = begin if number >= most else curve.turn(number + 1)
    place = begin + (mark.turns - number) * (following - begin)
    if isclose(place, mark.step, abs_tol=1e-9) or (number < most and following <= mark.step):
        return laid
    first = ceil(mark.step)
    passed = [{"schedule": laid, "until": first}] if first else []
    if number >= most:
        return {"kind": "sequence", "parts": [*passed, {"schedule": laid, "from": place}]}
    ratio = (following - mark.step) / (following - place)
    stretched = {"kind": "stretch", "ratio": ratio, "of": laid}
    rest = {
        "schedule": stretched,
        "from": place * ratio + (first - mark.step),
        "until": ceil(following),
    }
    then = {"schedule": laid, "from": float(ceil(following))}
    return {"kind": "sequence", "parts": [*passed, rest, then]}
