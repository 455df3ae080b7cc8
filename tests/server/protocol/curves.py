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
    """
    ``value(step, env)``; from ``end`` on it stays the same (None: it follows another one).

    ``laid(total, at, by)`` is what its words make of it for a total that comes at step ``at``, if
    it has words; all of it lies ``by`` steps later than it says.
    """

    value: Callable[[Step, Env], Fraction]
    end: int | None
    follows: frozenset[str] = frozenset()
    laid: Callable[[int, int, int], Curve] | None = None

    def laid_out(self, total: int, at: int, by: int = 0) -> Curve:
        """Return the curve for a total that comes at a step."""
        return self if self.laid is None else self.laid(total, at, by)


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
            return line(start, end, steps, origin)
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


def share(start: Fraction, end: Fraction, part: Fraction, origin: int, total: int) -> Curve:
    """Return the line that takes a part of the total; once it is over, it is over."""
    steps = int(part * total)
    plain = line(start, end, steps, origin)

    def laid(new: int, at: int, by: int) -> Curve:
        ends_with_it = total in {steps, origin + steps + by}
        over = origin + steps <= at and not ends_with_it
        return found if over else share(start, end, part, origin, new)

    found = replace(plain, laid=laid)
    return found


def until(step: int, first: Curve, then: Curve) -> Curve:
    """Return ``first`` below a step, and ``then`` from there on."""
    return replace(
        then,
        value=lambda s, env: (first if s < step else then).value(s, env),
        laid=lambda n, at, by: until(step, first.laid_out(n, at, by), then.laid_out(n, at, by)),
    )


def scaled(old: Curve, factor: Fraction) -> Curve:
    """Return the curve times a factor."""
    return replace(
        old,
        value=lambda s, env: factor * old.value(s, env),
        laid=lambda n, at, by: scaled(old.laid_out(n, at, by), factor),
    )


def in_steps(changes: Mapping[str, Any] | None, total: int | None) -> Mapping[str, Any]:
    """Return changes as they are accepted: an edit's share of the total is a number from then."""
    return {
        name: [_in_steps(change, total) for change in (each if isinstance(each, list) else [each])]
        for name, each in (changes or {}).items()
    }


def _in_steps(change: Mapping[str, Any], total: int | None) -> Mapping[str, Any]:
    steps = change.get("definition", change).get("steps")
    if not isinstance(steps, str):
        return change
    if total is None:
        raise Refusal("invalid")
    if change.get("edit", "replace") == "replace":  # its words are kept
        return change
    return {**change, "steps": int(steps[:-1]) * total // 100}


def applied(
    changes: Mapping[str, Any], at: int, before: Env, history: History, total: int | None
) -> Env:
    """Return what changes at step ``at`` make of what was in force before."""
    after = dict(before)
    for name, given in changes.items():
        for change in given:
            if change.get("edit") == "revert":
                after[name] = history(change["to"])[name]
                after[name] = after[name] if total is None else after[name].laid_out(total, at)
            else:
                after[name] = _changed(change, after[name], at, before, total)
    return after


def _changed(change: Mapping[str, Any], old: Curve, at: int, now: Env, total: int | None) -> Curve:
    if "kind" in change:
        return define(change, at if change.get("clock") == "change" else 0, total)
    here = old.value(at, now)
    match change["edit"]:
        case "scale":
            return scaled(old, Fraction(change["factor"]))
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
            new = define(change["definition"], at if change["clock"] == "change" else 0, total)
            return blended(old, new, change["blend"], at) if "blend" in change else new
    raise NotImplementedError(change)


def shifted(old: Curve, by: int) -> Curve:
    """Return the curve ``by`` steps later."""
    end = None if old.end is None else old.end + by
    return replace(
        old,
        value=lambda s, env: old.value(s - by, env),
        end=end,
        laid=lambda n, at, more: shifted(old.laid_out(n, at - by, by + more), by),
    )


def extended(old: Curve, end: int, at: int) -> Curve:
    """Return the curve, now in numbers, stretched from here on so that it ends at ``end``."""
    if old.end is None or old.end <= at or end <= at:
        raise Refusal("invalid")
    ratio = Fraction(end - at, old.end - at)

    def value(step: Step, env: Env) -> Fraction:
        done = max(step - at, Fraction(0))  # a revert may come before it: there it stands still
        return old.value(at + done / ratio, env)

    return Curve(value, end, old.follows)


def blended(old: Curve, new: Curve, steps: int, at: int) -> Curve:
    """Return the cross-fade, in numbers, from one curve to another one."""

    def value(step: Step, env: Env) -> Fraction:
        done = min(Fraction(step - at, steps), Fraction(1))
        return (1 - done) * old.value(step, env) + done * new.value(step, env)

    fade = Curve(value, new.end, new.follows)
    return replace(fade, laid=lambda n, now, by: until(at + steps, fade, new.laid_out(n, now, by)))
