"""The runs of the fault test, and what their operators do: all of it from the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any, Final

TWIN_OF, TWIN = "lr", "weight_decay"
"""Changed always together, so that the second is twice the first at every step."""
FOLLOWS, FOLLOWER = "lr", "head"
"""The second follows the first, at a quarter of it."""
ALONE = "momentum"

Changes = dict[str, Any]

EVERY = 4
"""Steps between two that are reported."""
PAIRED: Final = "pair"
"""A metric that two sources measure, each its own part of it."""
WATCHED: Final = ("loss", "spiky")
OTHERS: Final = tuple(f"extra/{number}" for number in range(20))
"""Metrics that no controller reads."""
SOURCES: Final = ("a", "b")
METRICS: Final = (*WATCHED, *OTHERS, PAIRED)

HALVE: Final = {"edit": "scale", "factor": 0.5}
TWINS: Final = {"factor": 0.5, "eps": 0, "parameters": [TWIN_OF, TWIN]}

CONTROLLERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "swift": {"kind": "plateau", "metric": "loss", "patience": 3, **TWINS},
    "timed": {
        "kind": "plateau",
        "metric": "loss",
        "patience": 4,
        "cooldown": 2,
        "effective": {"after": 256},
        **TWINS,
    },
    "paired": {
        "kind": "plateau",
        "metric": PAIRED,
        "patience": 2,
        "parameters": [ALONE],
        "factor": 0.5,
        "eps": 0,
        "sources": {"expect": 2},
        "effective": {"after": 64},
    },
    "late": {
        "kind": "rule",
        "metric": "loss",
        "when": {"op": "<", "value": 5},
        "for": 2,
        "once": False,
        "changes": {ALONE: {"edit": "scale", "factor": 2.0}},
        "effective": {"after": 64, "late": "drop"},
    },
    "spikes": {
        "kind": "guard",
        "metric": "spiky",
        "above": {"value": 7},
        "for": 2,
        "changes": {TWIN_OF: HALVE, TWIN: HALVE},
    },
    "enough": {
        "kind": "stop",
        "metric": PAIRED,
        "reading": "lightning",
        "patience": 25,
        "sources": {"expect": 2},
        "effective": {"after": 128},
    },
}
"""What watches every run: each kind, each way to land, applied and proposed."""

SIGNALS: Final[Mapping[str, Any]] = {
    "checkpoint": {"text": "save", "arguments": {"tag": {"type": "string", "max": 64}}},
    "switch-data": {
        "text": "which mixture",
        "arguments": {"stage": {"type": "integer", "min": 1, "max": 3}},
    },
}
"""What the trainings understand."""


def measured(generation: int, step: int, metric: str, source: str) -> float:
    """Return what a source measures of a metric: always the same, on each generation another."""
    chance = Random(f"{generation}-{step}-{metric}-{source}")
    if metric == "spiky" and chance.random() < 0.1:
        return chance.choice([math.nan, math.inf, -math.inf])
    return chance.randint(1, 16) / 2


def signal(chance: Random) -> dict[str, Any]:
    """Return a word and its arguments."""
    if chance.random() < 0.5:
        return {"signal": "checkpoint", "arguments": {"tag": f"tag-{chance.randint(1, 99)}"}}
    return {"signal": "switch-data", "arguments": {"stage": chance.randint(1, 3)}}


def proposal(chance: Random) -> tuple[str, dict[str, Any]]:
    """Return the kind and the body of what somebody suggests."""
    kind = chance.choice(["change", "change", "signal", "pause", "stop"])
    body: dict[str, Any] = {"effective": "next"}
    if kind == "change":
        body["changes"] = changes(chance, [])
    elif kind == "signal":
        body |= signal(chance)
    return kind, body


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
