"""A small run as it would really go, step by step, with all values known by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy import nan
from tests.faults.history import Generation, History
from tests.faults.observations import (
    Beat,
    InForce,
    Join,
    Log,
    Look,
    Outcome,
    Read,
    Report,
    Save,
    Values,
    Write,
)
from tests.faults.recording import saying

RUN = "run_1"

SWIFT = {
    "kind": "plateau",
    "metric": "loss",
    "patience": 0,
    "cooldown": 0,
    "threshold": 1e-4,
    "sources": {"expect": 1},
    "effective": {"after": 6},
}
CAUSE = {"controller": "swift", "step": 16}
DECIDED = {
    "controller": "swift",
    "step": 16,
    "value": 2.0,
    "decision": "change",
    "revision": 9,
    "proposal": None,
    "effective": 22,
    "generation": 2,
    "event": 30,
}
DIFFERS = {"metric": "loss", "step": 16, "kept": 2.0, "given": 3.0}
SAVE = {"signal": "checkpoint", "arguments": {"tag": "x"}}
SAVED = ((18, 10, saying("checkpoint", {"tag": "x"})),)
BOTH = (*SAVED, (21, 15, None))
RESUMED = {"data": {"pauses": [13]}}
ACCEPTED = {"cause": {"proposal": 1, "decided_by": None}}
DONE = {"state": "accepted", "revision": 15}
OUTCOME = {"revision": 10, "source": "rank-0", "outcome": "done", "step": 18}
AGAIN = {**CAUSE, "decision": "change", "revision": 18, "effective": 22}
MORE: dict[str, Any] = {
    "revision": 17,
    "generation": 3,
    "parent": 2,
    "from": 20,
    "ended": 24,
    "again": [AGAIN],
    "dropped": [],
}
MISMATCH = {
    "worker": "rank-0",
    "generation": 2,
    "step": 5,
    "parameter": "lr",
    "expected": "0.5",
    "found": "0.7",
}
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
            read(2, 12, [0.25] * 4, ((12, 8),), 29),
            replace(read(2, 16, [0.25] * 4, ((16, 8),), 45), signals=SAVED),
            refused(20, 47, "paused", end=20, by=13),
            replace(read(2, 20, [0.25, 0.25, 0.125, 0.125], ((20, 8), (22, 9)), 55), signals=BOTH),
            refused(24, 61, "stopped", end=24, by=16),
            replace(
                read(3, 20, [0.25, 0.25, 0.125, 0.125], ((20, 17), (22, 18)), 65), signals=SAVED
            ),
        ],
        looks=[Look(run=RUN, generation=2, start=2, values=cells(1, 1, 0.5, 0.5))],
        joins=[
            Join(run=RUN, checkpoint=None, sent=0, answered=1, generation=1, accepted=True),
            Join(run=RUN, checkpoint=(1, 12), sent=19, answered=20, generation=2, accepted=False),
            Join(run=RUN, checkpoint=(1, 8), sent=21, answered=22, generation=2, accepted=True),
        ],
        writes=_writes(),
        reports=[
            reported(12, 1.0, 31),
            reported(16, 2.0, 33, decisions=[DECIDED]),
            reported(16, 3.0, 35, kept=0, differs=[DIFFERS], decisions=[DECIDED]),
        ],
        outcomes=[
            Outcome(
                run=RUN,
                request={"revision": 10, "source": "rank-0", "outcome": "done"},
                sent=57,
                answered=58,
                attempts=1,
                answer=OUTCOME,
            )
        ],
        beats=[
            beat(1, 0, [1, 1, 1, 1], 3),
            beat(2, 4, [0.5, 0.5, 0.5, 0.5], 27, other=(1, 1, 0.7)),
        ],
        saves=[saved(1, 8, 19), saved(2, 20, 56), saved(1, 12, 57)],
    )


def beat(generation: int, start: int, rates: list[float], sent: float, **facts: Any) -> Beat:
    """Return what a worker said that it applied, a second before it was answered."""
    return Beat(
        run=RUN,
        generation=generation,
        worker="rank-0",
        start=start,
        values=cells(*rates),
        other=facts.get("other"),
        sent=sent,
        answered=sent + 1,
        attempts=1,
        answer={"again": 5.0, "compare": []},
    )


def saved(generation: int, step: int, sent: float) -> Save:
    """Return what a worker said that it saved, a second before it was answered."""
    said = {"generation": generation, "step": step, "tag": "last", "source": "rank-0"}
    request = {**said, "uri": f"/saved/{step}"}
    return Save(
        run=RUN,
        request=request,
        sent=sent,
        answered=sent + 1,
        attempts=1,
        answer={**request, "at": f"at {sent}"},
    )


def refused(start: int, sent: float, why: str, **facts: Any) -> Read:
    """Return a read of a cell that was refused."""
    asked = replace(read(2, start, [0], (), sent), values=None, refusal=why)
    return replace(asked, **facts)


def reported(step: int, value: float, sent: float, **facts: Any) -> Report:
    """Return a report that was answered a second later."""
    answer = {"kept": 1, "repeated": 0, "differs": [], "again": False, "decisions": [], **facts}
    return Report(
        run=RUN,
        generation=2,
        source="main",
        points=((step, "loss", value),),
        sent=sent,
        answered=sent + 1,
        attempts=1,
        answer=answer,
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
        write("signal", "save", {**SAVE, "effective": 18}, 37, revision=10, effective=18),
        write("stop", "end", {"effective": 20}, 39, revision=11, effective=20),
        write("cancel", "go", {"revision": 11}, 41, revision=12, cancelled=11),
        write("pause", "hold", {"effective": 20}, 43, revision=13, effective=20),
        write("resume", "on", {}, 49, revision=14, pause=None, cancelled=[13]),
        write("propose", "maybe", {"kind": "signal"}, 51, proposal=1, revision=None),
        write("accept", "yes", {"proposal": 1}, 53, proposal=1, revision=15, effective=21),
        write("stop", "over", {"effective": "next"}, 59, revision=16, effective=24),
        write("rewind", "more", {"to": 20}, 63, **MORE),
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
        generations={
            1: Generation(1, None, 0, 12),
            2: Generation(2, 1, 8, 24),
            3: Generation(3, 2, 20, 24),
        },
        revisions=[
            _item(1, "create", 0, created, ""),
            _item(2, "change", 4, twins(HALF), "halve"),
            _item(3, "change", 10, twins(FOURFOLD), "raise"),
            {**_item(4, "change", 11, twins(HALF), "gone"), "cancelled": True},
            {**_item(5, "cancel", 11, {}, "no"), "cancels": 4},
            {**_item(6, "rewind", 8, {}, "back"), "generation": 2},
            {**_item(7, "advance", 12, {}, "skip"), "generation": 2},
            {**_item(8, "change", 12, twins(HALF), "last"), "generation": 2},
            {**_item(9, "change", 22, twins(HALF), "no better"), "generation": 2, "cause": CAUSE},
            {**_item(10, "signal", 18, {}, "save"), "generation": 2, "data": SAVE},
            {**_item(11, "stop", 20, {}, "end"), "generation": 2, "cancelled": True},
            {**_item(12, "cancel", 20, {}, "go"), "generation": 2, "cancels": 11},
            {**_item(13, "pause", 20, {}, "hold"), "generation": 2, "cancelled": True},
            {**_item(14, "cancel", 20, {}, "on"), "generation": 2, "cancels": 13, **RESUMED},
            {**_item(15, "signal", 21, {}, "maybe"), "generation": 2, "data": SAVE, **ACCEPTED},
            {**_item(16, "stop", 24, {}, "over"), "generation": 2},
            {**_item(17, "rewind", 20, {}, "more"), "generation": 3},
            {**_item(18, "change", 22, twins(HALF), "no better"), "generation": 3, "cause": CAUSE},
        ],
        ledger={
            1: cells(1, 1, 1, 1, *[0.5] * 6, 2, 2),
            # an advance has passed what nobody has read
            2: cells(0.5, 0.5, nan, nan, *[0.25] * 10, 0.125, 0.125),
            3: cells(0.25, 0.25, 0.125, 0.125),
        },
        controllers={"swift": SWIFT},
        reports={(2, "loss"): {12: {"main": 1.0}, 16: {"main": 2.0}}},
        decisions=[DECIDED],
        proposals=[{"proposal": 1, "kind": "signal", "message": "maybe", "cause": None, **DONE}],
        outcomes=[OUTCOME],
        mismatches=[MISMATCH],
        checkpoints=[
            {**(saved(*place).answer or {}), "on_line": on_line}
            for place, on_line in (((1, 8, 19), True), ((2, 20, 56), True), ((1, 12, 57), False))
        ],
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
        "author": "people",
        "cancelled": False,
        "cancels": None,
        "cause": None,
        "data": None,
    }
