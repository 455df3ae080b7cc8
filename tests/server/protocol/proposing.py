"""Proposals and outcomes in the model: what waits for a yes, and what became of signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tests.oracle.edits import Refusal
from tests.server.protocol.state import Cause, Run

if TYPE_CHECKING:
    from tests.server.protocol.model import Model

Kind = Literal["change", "stop", "pause", "signal"]

CHECKPOINT = "checkpoint"
"""The word that has a training save its state, and what that is called then."""


@dataclass
class Proposal:
    """What somebody suggests: ``asked`` is the change, or the word of a signal."""

    number: int
    kind: Kind
    asked: Any
    effective: Any
    cause: Cause | None = None
    state: Literal["open", "accepted", "declined", "expired"] = "open"
    revision: int | None = None


def suggested(run: Run, kind: Kind, asked: Any, effective: Any, cause: Cause | None = None) -> int:
    """Add a proposal; a controller has one open one."""
    if cause is not None:
        for each in run.proposals:
            if each.state == "open" and each.cause is not None and each.cause[0] == cause[0]:
                each.state = "expired"
    new = Proposal(len(run.proposals) + 1, kind, asked, effective, cause)
    run.proposals.append(new)
    return new.number


def propose(model: Model, run: Run, kind: Kind, asked: Any, effective: Any) -> int:
    """Suggest what could be done now."""
    if run.end is not None:
        raise Refusal("finished")
    take(model, run, kind, asked, effective)
    run.revisions.pop()
    return suggested(run, kind, asked, effective)


def accept(model: Model, run: Run, number: int, expected: int | None) -> dict[str, Any]:
    """Do what a proposal asks for, once."""
    proposal = _open(run, number, expected)
    effective, late_by = proposal.effective, None
    if isinstance(effective, dict):
        assert proposal.cause is not None
        wanted = -(-(proposal.cause[1] + effective["after"]) // run.cell) * run.cell
        late_by = run.settled - wanted if wanted < run.settled else None
        effective = max(wanted, run.settled)
    done = take(model, run, proposal.kind, proposal.asked, effective, proposal.cause)
    proposal.state, proposal.revision = "accepted", done["revision"]
    return {
        "state": "accepted",
        "revision": done["revision"],
        "effective": done["effective"],
        "late_by": late_by,
    }


def decline(run: Run, number: int, expected: int | None) -> dict[str, Any]:
    """Say no to a proposal."""
    proposal = _open(run, number, expected)
    proposal.state = "declined"
    return {"state": "declined", "revision": None}


def expire(run: Run) -> None:
    """Let nothing of a generation wait that is left."""
    for each in run.proposals:
        if each.state == "open":
            each.state = "expired"


def _open(run: Run, number: int, expected: int | None) -> Proposal:
    if not 1 <= number <= len(run.proposals):
        raise Refusal("unknown-proposal")
    proposal: Proposal = run.proposals[number - 1]
    if proposal.state != "open":
        raise Refusal("not-open", state=proposal.state, revision=proposal.revision)
    if expected not in {None, len(run.revisions)}:
        raise Refusal("revision-mismatch")
    return proposal


def take(
    model: Model, run: Run, kind: Kind, asked: Any, effective: Any, cause: Cause | None = None
) -> dict[str, Any]:
    """Do what a proposal asks for."""
    if kind == "change":
        return model.revise(run.id, asked, effective, cause=cause)
    if kind == "signal":
        return model.signal(run.id, asked, effective)
    return model.halt(run.id, effective, hold=kind == "pause", cause=cause)


def outcome(
    run: Run, generation: int, number: int, source: str, said: tuple[str, int]
) -> tuple[tuple[str, int], bool]:
    """
    Keep what a worker says became of a signal, once; return it, and whether it is new.

    A checkpoint that was asked for, and is done, is known from then on.
    """
    past, revision = run.generation(generation), run.revision(number)
    until = run.generation(revision.generation).settled
    if revision.word is None or revision.effective > until or said[1] > past.settled:
        raise Refusal("invalid")
    new = (number, source) not in run.outcomes
    if new and revision.word == CHECKPOINT and said[0] == "done":
        run.saved[generation, said[1], CHECKPOINT] = None
    return run.outcomes.setdefault((number, source), said), new
