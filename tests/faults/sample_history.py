"""A small run as it would really go, step by step, with all values known by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy import nan
from tests.faults.history import Generation, History
from tests.faults.observations import InForce, Join, Log, Look, Read, Values, Write

RUN = "run_1"
HALF = {"edit": "scale", "factor": 0.5}
FOURFOLD = {"edit": "scale", "factor": 4.0}


def cells(*rates: float) -> Values:
    """Return the values of cells with these learning rates: head, lr, momentum, weight decay."""
    lr = np.array(rates)
    return np.stack([lr / 4, lr, np.full(len(lr), 0.5), lr * 2])


def twins(change: dict[str, Any]) -> dict[str, Any]:
    """Return a change of both parameters that belong together."""
    return {"lr": [change], "weight_decay": [change]}


def read(generation: int, start: int, rates: list[float], in_force: InForce, sent: float) -> Read:
    """Return a read that was answered a second later."""
    return Read(
        run=RUN,
        generation=generation,
        start=start,
        count=len(rates),
        sent=sent,
        answered=sent + 1,
        values=cells(*rates),
        in_force=in_force,
    )


def write(kind: Any, message: str, request: Any, sent: float, **answer: Any) -> Write:
    """Return a write that was acknowledged a second later."""
    return Write(
        run=RUN,
        kind=kind,
        message=message,
        request=request,
        sent=sent,
        answered=sent + 1,
        attempts=1,
        answer=answer,
    )


def sample_history() -> tuple[Log, History]:
    """Return what was observed of the run, and its history; nothing is wrong with them."""
    return _log(), _history()


def _log() -> Log:
    fenced_off = read(1, 12, [0, 0, 0, 0], (), 17)
    return Log(
        reads=[
            read(1, 0, [1, 1, 1, 1], ((0, 1),), 1),
            read(1, 4, [0.5, 0.5, 0.5, 0.5], ((4, 2),), 5),
            read(1, 8, [0.5, 0.5, 2, 2], ((8, 2), (10, 3)), 13),
            replace(fenced_off, values=None, refusal="stale-generation", current=2),
            read(2, 6, [0.5, 0.5, 0.5, 0.5], ((6, 2), (8, 6)), 23),
        ],
        looks=[Look(run=RUN, generation=2, start=2, values=cells(1, 1, 0.5, 0.5))],
        joins=[
            Join(run=RUN, checkpoint=None, sent=0, answered=1, generation=1, accepted=True),
            Join(run=RUN, checkpoint=(1, 12), sent=19, answered=20, generation=2, accepted=False),
            Join(run=RUN, checkpoint=(1, 8), sent=21, answered=22, generation=2, accepted=True),
        ],
        writes=_writes(),
    )


def _writes() -> list[Write]:
    halve = {"changes": twins(HALF), "effective": "next"}
    raised = {"changes": twins(FOURFOLD), "effective": 10, "expected_revision": 2}
    gone = {"changes": twins(HALF), "effective": 11}
    back = {"to": 8, "expected_generation": 1}
    rewound = {"revision": 6, "generation": 2, "parent": 1, "from": 8, "ended": 12}
    return [
        write("change", "halve", halve, 3, revision=2, effective=4),
        write("change", "raise", raised, 7, revision=3, effective=10),
        write("change", "gone", gone, 9, revision=4, effective=11),
        write("cancel", "no", {"revision": 4}, 11, revision=5, cancelled=4),
        write("rewind", "back", back, 15, **rewound),
        write("advance", "skip", {"to": 12}, 25, revision=7, effective=12, generation=2),
        write("change", "last", {**halve}, 27, revision=8, effective=12),
    ]


def _history() -> History:
    first = {"kind": "constant", "value": 1.0}
    created = {
        "head": {"kind": "follow", "parameter": "lr", "scale": 0.25},
        "lr": first,
        "momentum": {"kind": "constant", "value": 0.5},
        "weight_decay": {"kind": "constant", "value": 2.0},
    }
    return History(
        run=RUN,
        parameters=("head", "lr", "momentum", "weight_decay"),
        generations={1: Generation(1, None, 0, 12), 2: Generation(2, 1, 8, 12)},
        revisions=[
            _item(1, "create", 0, created, ""),
            _item(2, "change", 4, twins(HALF), "halve"),
            _item(3, "change", 10, twins(FOURFOLD), "raise"),
            {**_item(4, "change", 11, twins(HALF), "gone"), "cancelled": True},
            {**_item(5, "cancel", 11, {}, "no"), "cancels": 4},
            {**_item(6, "rewind", 8, {}, "back"), "generation": 2},
            {**_item(7, "advance", 12, {}, "skip"), "generation": 2},
            {**_item(8, "change", 12, twins(HALF), "last"), "generation": 2},
        ],
        ledger={
            1: cells(1, 1, 1, 1, *[0.5] * 6, 2, 2),
            2: cells(0.5, 0.5, nan, nan),  # an advance has passed what nobody has read
        },
    )


def _item(
    revision: int, kind: str, effective: int, changes: dict[str, Any], message: str
) -> dict[str, Any]:
    return {
        "revision": revision,
        "generation": 1,
        "kind": kind,
        "effective": effective,
        "changes": changes,
        "message": message,
        "cancelled": False,
        "cancels": None,
    }
