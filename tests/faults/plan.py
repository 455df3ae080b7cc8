"""The runs of the fault test, and what their operators do: all of it from the seed."""

from __future__ import annotations

from random import Random
from typing import Any

TWIN_OF, TWIN = "lr", "weight_decay"
"""Changed always together, so that the second is twice the first at every step."""
FOLLOWS, FOLLOWER = "lr", "head"
"""The second follows the first, at a quarter of it."""
ALONE = "momentum"

Changes = dict[str, Any]


def parameters(chance: Random) -> dict[str, Any]:
    """Return the definitions of a new run."""
    start = _line(chance)
    return {
        TWIN_OF: start,
        TWIN: _doubled(start),
        FOLLOWER: {"kind": "follow", "parameter": FOLLOWS, "scale": 0.25},
        ALONE: _line(chance),
    }


def changes(chance: Random, settled: list[int]) -> Changes:
    """
    Return a change of one parameter, of the twins, or of all.

    ``settled`` are numbers of revisions that were in force once: what can be reverted to.
    """
    found: Changes = {}
    which = chance.random()
    if which < 0.75:
        each = _edits(chance, settled)
        found |= {TWIN_OF: each, TWIN: [_doubled(change) for change in each]}
    if which > 0.5:
        found[ALONE] = _edits(chance, settled)
    return found


def _edits(chance: Random, settled: list[int]) -> list[Any]:
    kinds = ["constant", "linear", "scale", "set", "hold", "shift", "stay", "ramp", "revert"]
    kind = chance.choice(kinds if settled else kinds[:-1])
    steps = chance.randint(1, 300)
    match kind:
        case "constant":
            return [_constant(chance)]
        case "linear":
            return [{**_line(chance), "clock": chance.choice(["run", "change"])}]
        case "scale":
            return [{"edit": "scale", "factor": chance.choice([0.5, 2.0])}]
        case "set":
            return [{"edit": "set", "value": _number(chance), "steps": steps}]
        case "hold":
            return [{"edit": "hold", "steps": steps}]
        case "shift":
            return [{"edit": "hold", "steps": steps, "then": "shift"}]
        case "stay":
            return [{"edit": "hold"}]
        case "ramp":  # from a constant, so that every value on the way is exact
            power = 2 ** chance.randint(3, 9)
            return [_constant(chance), {"edit": "ramp", "to": _number(chance), "steps": power}]
    return [{"edit": "revert", "to": chance.choice(settled)}]


def _line(chance: Random) -> dict[str, Any]:
    ends = {"start": _number(chance), "end": _number(chance)}
    return {"kind": "linear", **ends, "steps": 2 ** chance.randint(8, 15)}


def _constant(chance: Random) -> dict[str, Any]:
    return {"kind": "constant", "value": _number(chance)}


def _number(chance: Random) -> float:
    """Return a number of few bits."""
    return chance.randint(1, 255) / 64


def _doubled(change: dict[str, Any]) -> dict[str, Any]:
    values = {"value", "start", "end"} | ({"to"} if change.get("edit") == "ramp" else set())
    return {name: 2 * item if name in values else item for name, item in change.items()}
