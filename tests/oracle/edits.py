"""What every edit means: a second opinion about the service's, of which nothing is used here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from tests.oracle.curves import Curve, Env, Piece, Step, Timeline, after, constant, define, ramp

Json = Mapping[str, Any]
History = Callable[[int], Env]
"""What a revision put in force."""


class Refusal(Exception):
    """What the service has to refuse, by the code of its problem, and what it has to tell."""

    def __init__(self, code: str, **members: Any) -> None:
        super().__init__(code)
        self.code = code
        self.members = members


@dataclass(frozen=True)
class Here:
    """Where an edit acts: the parameter, the step, and what is in force before the change."""

    name: str
    step: int
    env: Env
    history: History
    total: int | None


def by_name(changes: Json | None, names: Collection[str]) -> tuple[Json, list[str]]:
    """
    Return changes by the names of parameters, and those that a word for several of them scales.

    ``lr/*`` is ``lr`` and each of its groups: it means one at least, and nobody else names those.
    """
    found: dict[str, Any] = {}
    scaled: list[str] = []
    for word, each in (changes or {}).items():
        field, star, _ = word.partition("/*")
        of_it = [name for name in names if name == word or (star and name.split("/")[0] == field)]
        if not of_it or found.keys() & {*of_it}:
            raise Refusal("invalid")
        found |= dict.fromkeys(of_it, each)
        listed = each if isinstance(each, list) else [each]
        if star and any(change.get("edit") == "scale" for change in listed):
            scaled += of_it
    return found, scaled


def require_apart(scaled: Collection[str], at: int, before: Env) -> None:
    """Refuse what one word scales twice: by itself, and by what it follows from this step on."""
    for name in scaled:
        waiting, known = [name], {name}
        while waiting:
            pieces = after(before[waiting.pop()].pieces, at)
            new = {each for piece in pieces for each in piece.curve.follows} - known
            waiting += new
            known |= new
        if (known - {name}) & {*scaled}:
            raise Refusal("invalid")


def in_steps(changes: Json | None, total: int | None) -> Json:
    """Return changes as they are accepted: an edit's share of the total is a number from then."""
    return {
        name: [_in_steps(change, total) for change in (each if isinstance(each, list) else [each])]
        for name, each in (changes or {}).items()
    }


def _in_steps(change: Json, total: int | None) -> Json:
    steps = change.get("definition", change).get("steps")
    if not isinstance(steps, str):
        return change
    if total is None:
        raise Refusal("invalid")
    if change.get("edit", "replace") == "replace":  # its words are kept
        return change
    return {**change, "steps": int(steps[:-1]) * total // 100}


def applied(changes: Json, at: int, before: Env, history: History, total: int | None) -> Env:
    """Return what changes at step ``at`` make of what was in force before."""
    found = dict(before)
    for name, given in changes.items():
        here = Here(name, at, before, history, total)
        for change in given:
            found[name] = changed(found[name], change, here)
    return found


def changed(old: Timeline, change: Json, here: Here) -> Timeline:
    """Return what a change makes of a timeline from the step on."""
    if "kind" in change:
        return Timeline((Piece(here.step, _defined(change, change.get("clock"), here)),))
    return EDITS[change["edit"]](old, change, here)


def _defined(definition: Json, clock: str | None, here: Here) -> Curve:
    return define(definition, here.step if clock == "change" else 0, here.total)


def _scale(old: Timeline, edit: Json, here: Here) -> Timeline:
    factor = Fraction(edit["factor"])
    pieces = after(old.pieces, here.step)
    return Timeline(tuple(Piece(piece.start, piece.curve.times(factor)) for piece in pieces))


def _set(old: Timeline, edit: Json, here: Here) -> Timeline:
    held = Piece(here.step, constant(Fraction(edit["value"]), here.step))
    return Timeline((held, *after(old.pieces, here.step + edit["steps"])))


def _hold(old: Timeline, edit: Json, here: Here) -> Timeline:
    held = Piece(here.step, constant(old.value(here.step, here.env), here.step))
    steps = edit.get("steps")
    if steps is None:
        return Timeline((held,))
    if edit.get("then", "rejoin") == "rejoin":
        return Timeline((held, *after(old.pieces, here.step + steps)))
    rest = after(old.pieces, here.step)
    return Timeline(
        (held, *(Piece(piece.start + steps, piece.curve.later(steps)) for piece in rest))
    )


def _ramp(old: Timeline, edit: Json, here: Here) -> Timeline:
    start = old.value(here.step, here.env)
    lead = ramp(start, Fraction(edit["to"]), edit["steps"], here.step)
    return Timeline((Piece(here.step, lead),))


def _rewarm(old: Timeline, edit: Json, here: Here) -> Timeline:
    end = here.step + edit["steps"]
    target = old.value(end, here.env)
    lead = ramp(Fraction(edit.get("start", 0)), target, edit["steps"], here.step)
    return Timeline((Piece(here.step, lead), *after(old.pieces, end)))


def _extend(old: Timeline, edit: Json, here: Here) -> Timeline:
    """Stretch the curve, now in numbers, from here on so that it ends at ``end``."""
    at, end = here.step, edit["end"]
    if old.end is None or old.end <= at or end <= at:
        raise Refusal("invalid")
    ratio = Fraction(end - at, old.end - at)

    def stretched(curve: Curve) -> Curve:
        def value(step: Step, env: Env) -> Fraction:
            done = max(step - at, Fraction(0))  # a revert may come before it: there it stands still
            return curve.value(at + done / ratio, env)

        return Curve(value, end, curve.follows)

    return Timeline(
        tuple(
            Piece(at + ceil((piece.start - at) * ratio), stretched(piece.curve))
            for piece in after(old.pieces, at)
        )
    )


def _replace(old: Timeline, edit: Json, here: Here) -> Timeline:
    new = _defined(edit["definition"], edit.get("clock"), here)
    steps = edit.get("blend")
    if steps is None:
        return Timeline((Piece(here.step, new),))
    end = here.step + steps
    pieces = [piece for piece in after(old.pieces, here.step) if piece.start < end]
    fades = (Piece(piece.start, _faded(piece, new, here.step, steps)) for piece in pieces)
    return Timeline((*fades, Piece(end, new)))


def _faded(old: Piece, new: Curve, at: int, steps: int) -> Curve:
    """Return the cross-fade, in numbers, from one curve to another one."""

    def value(step: Step, env: Env) -> Fraction:
        here = max(step, old.start)  # a revert may come before it: there it stands still
        done = Fraction(here - at, steps)
        return (1 - done) * old.curve.value(here, env) + done * new.value(here, env)

    return Curve(value, new.end, old.curve.follows | new.follows)


def _revert(_old: Timeline, edit: Json, here: Here) -> Timeline:
    past = here.history(edit["to"])[here.name]
    if here.total is not None:
        past = past.laid_out(here.total, here.step)
    return Timeline(after(past.pieces, here.step))


EDITS: dict[str, Callable[[Timeline, Json, Here], Timeline]] = {
    "scale": _scale,
    "hold": _hold,
    "set": _set,
    "ramp": _ramp,
    "rewarm": _rewarm,
    "extend": _extend,
    "replace": _replace,
    "revert": _revert,
}
"""Every edit."""
