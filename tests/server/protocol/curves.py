"""
Curves as mathematics has them: functions of the step, in fractions.

What every edit means, without pieces, origins or rounding: a second opinion about
`rheostat.server.runs.edits`, of which nothing is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

Step = int | Fraction
Env = Mapping[str, "Curve"]
"""The curves of all parameters of a run."""
History = Callable[[int], Env]
"""What a revision put in force."""


class Refusal(Exception):
    """What the service has to refuse, by the code of its problem."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Curve:
    """``value(step, env)``; from ``end`` on it stays the same (None: it follows another one)."""

    value: Callable[[Step, Env], Fraction]
    end: int | None
    follows: frozenset[str] = frozenset()


def define(definition: Mapping[str, Any], origin: int) -> Curve:
    """Return the curve of a definition that counts from ``origin``."""
    match definition["kind"]:
        case "constant":
            return constant(Fraction(definition["value"]), origin)
        case "linear":
            start, end = Fraction(definition["start"]), Fraction(definition["end"])
            return line(start, end, definition["steps"], origin)
        case "follow":
            name, scale = definition["parameter"], Fraction(definition["scale"])
            return Curve(lambda s, env: scale * env[name].value(s, env), None, frozenset({name}))
    raise NotImplementedError(definition)


def constant(value: Fraction, origin: int) -> Curve:
    """Return the curve of one value."""
    return Curve(lambda _s, _env: value, origin)


def line(start: Fraction, end: Fraction, steps: int, origin: int) -> Curve:
    """Return the straight line from ``start`` to ``end``, and what it ends at after that."""

    def value(step: Step, _env: Env) -> Fraction:
        done = min(max(Fraction(step - origin, steps), Fraction(0)), Fraction(1))
        return start + (end - start) * done

    return Curve(value, origin + steps)


def until(step: Step, first: Curve, then: Curve) -> Curve:
    """Return ``first`` below a step, and ``then`` from there on."""
    return replace(then, value=lambda s, env: (first if s < step else then).value(s, env))


def applied(changes: Mapping[str, Any], at: int, before: Env, history: History) -> Env:
    """Return what changes at step ``at`` make of what was in force before."""
    after = dict(before)
    for name, given in changes.items():
        for change in given if isinstance(given, list) else [given]:
            if change.get("edit") == "revert":
                after[name] = history(change["to"])[name]
            else:
                after[name] = _changed(change, after[name], at, before)
    return after


def _changed(change: Mapping[str, Any], old: Curve, at: int, now: Env) -> Curve:
    if "kind" in change:
        return define(change, at if change.get("clock") == "change" else 0)
    here = old.value(at, now)
    match change["edit"]:
        case "scale":
            factor = Fraction(change["factor"])
            return replace(old, value=lambda s, env: factor * old.value(s, env))
        case "hold" if "steps" not in change:
            return constant(here, at)
        case "hold":
            rest = shifted(old, change["steps"]) if change["then"] == "shift" else old
            return until(at + change["steps"], constant(here, at), rest)
        case "set":
            return until(at + change["steps"], constant(Fraction(change["value"]), at), old)
        case "ramp":
            return line(here, Fraction(change["to"]), change["steps"], at)
        case "rewarm":
            end = at + change["steps"]
            warm = line(Fraction(change["start"]), old.value(end, now), change["steps"], at)
            return until(end, warm, old)
        case "extend":
            return extended(old, change["end"], at)
        case "replace":
            new = define(change["definition"], at if change["clock"] == "change" else 0)
            return blended(old, new, change["blend"], at) if "blend" in change else new
    raise NotImplementedError(change)


def shifted(old: Curve, by: int) -> Curve:
    """Return the curve ``by`` steps later."""
    end = None if old.end is None else old.end + by
    return replace(old, value=lambda s, env: old.value(s - by, env), end=end)


def extended(old: Curve, end: int, at: int) -> Curve:
    """Return the curve with what remains of it stretched so that it ends at ``end``."""
    if old.end is None or old.end <= at or end <= at:
        raise Refusal("invalid")
    ratio = Fraction(end - at, old.end - at)
    return replace(old, value=lambda s, env: old.value(at + (s - at) / ratio, env), end=end)


def blended(old: Curve, new: Curve, steps: int, at: int) -> Curve:
    """Return the cross-fade from one curve to another one."""

    def value(step: Step, env: Env) -> Fraction:
        done = min(Fraction(step - at, steps), Fraction(1))
        return (1 - done) * old.value(step, env) + done * new.value(step, env)

    return replace(new, value=value)
