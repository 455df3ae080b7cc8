"""Proposals in the store, on both databases: made, accepted, declined, expired."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import (
    Finished,
    Invalid,
    NotOpen,
    RevisionMismatch,
    TooLate,
    TooMany,
    UnknownProposal,
)
from rheostat.limits import MAX_OPEN_PROPOSALS, MAX_PROPOSAL
from rheostat.server.routes.measures import read
from rheostat.server.runs.proposal import ProposalState
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import close, events, propose, show
from rheostat.server.store.operations.propose import Decision, ProposalRequest
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HALVE: dict[str, Any] = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
PLATEAU = Note("controller:plateau", "val_loss has not been better for 3 reports")


def suggest(
    desk: Desk, kind: wire.ProposalKind = "change", author: str = "bob", **body: Any
) -> wire.Proposal:
    """Propose something for the run ``gpt``, tried first."""
    note = Note(author, body.get("message", ""))
    asked = body or HALVE
    measure = read(kind, asked, note)
    return desk.write(propose.propose, "gpt", ProposalRequest(kind, asked, note), measure)


def decide(desk: Desk, number: int = 1, expected: int | None = None) -> wire.Accepted:
    """Accept a proposal, as ann."""
    decision = Decision(Note("ann", "yes"), expected)
    return desk.write(propose.accept, "gpt", number, decision, read)


def by_controller(desk: Desk, step: int, after: int) -> wire.Proposal:
    """Propose what a controller decided on the report of a step, to hold so many steps later."""
    body: Mapping[str, Any] = {**HALVE, "effective": {"after": after}}
    cause = {"controller": "plateau", "step": step}
    return desk.write(propose.propose, "gpt", ProposalRequest("change", body, PLATEAU, cause))


def states(desk: Desk) -> list[str]:
    """Return the states of all proposals of the run."""
    items, _ = desk.read(propose.page, "gpt", None, 0, 1000)
    return [item["state"] for item in items]


def test_a_proposal_changes_nothing_until_it_is_accepted(desk: Desk) -> None:
    """Then the very operation does it, at the next open step, in the name of its author."""
    run = desk.create()
    desk.settle(run, 0, 8)
    made = suggest(desk, message="spike", **HALVE)
    assert (made["proposal"], made["state"], made["author"]) == (1, "open", "bob")
    state = desk.read(show.show, "gpt")
    assert (state["revision"], state["pending"]) == (1, [])
    assert state["proposals"] == {"open": 1, "numbers": [1]}
    desk.settle(run, 8, 8)

    accepted = decide(desk, expected=1)

    assert (accepted["state"], accepted["revision"], accepted["effective"]) == ("accepted", 2, 16)
    assert (accepted["decided_by"], accepted["reason"], accepted["late_by"]) == ("ann", "yes", None)
    revision = desk.read(show.revision, "gpt", 2)
    assert (revision["author"], revision["message"]) == ("bob", "spike")
    assert revision["cause"] == {"proposal": 1, "decided_by": "ann"}
    assert desk.settle(run, 15, 2)[0] == [85.0, 42.0]
    assert desk.read(show.show, "gpt")["proposals"] == {"open": 0, "numbers": []}
    assert desk.read(propose.show, "gpt", 1)["revision"] == 2


def test_what_is_decided_is_decided(desk: Desk) -> None:
    """A second yes or no is refused, and says what became of the proposal."""
    desk.create()
    suggest(desk)
    suggest(desk)
    decide(desk)
    declined = desk.write(propose.decline, "gpt", 2, Decision(Note("ann", "it recovers")))
    assert (declined["state"], declined["reason"]) == ("declined", "it recovers")
    for number, state, revision in ((1, "accepted", 2), (2, "declined", None)):
        with pytest.raises(NotOpen) as refusal:
            decide(desk, number)
        assert refusal.value.members == {"state": state, "revision": revision}
        with pytest.raises(NotOpen):
            desk.write(propose.decline, "gpt", number, Decision())
    with pytest.raises(UnknownProposal):
        decide(desk, 3)
    assert desk.read(show.show, "gpt")["revision"] == 2


def test_a_refused_acceptance_leaves_it_open(desk: Desk) -> None:
    """Its step has passed, or the run has moved on from what the approver saw."""
    run = desk.create()
    suggest(desk, **HALVE, effective=8)
    desk.settle(run, 0, 16)
    with pytest.raises(TooLate):
        decide(desk)
    desk.revise({"wd": 0.25})
    suggest(desk)
    with pytest.raises(RevisionMismatch):
        decide(desk, 2, expected=1)
    assert states(desk) == ["open", "open"]
    assert decide(desk, 2, expected=2)["revision"] == 3


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("change", {"changes": {"lr": {"edit": "scale"}}}, "body.changes.lr.factor"),
        ("change", {"changes": {"nope": 1}}, "body.changes.nope"),
        ("change", {"effective": 9}, "body.changes"),
        ("change", {**HALVE, "effective": {"after": 9}}, "body.effective"),
        ("change", {**HALVE, "message": 4097 * "x"}, "body.message"),
        ("rewind", {"to": 9}, "body.to"),
        ("rewind", {"to": 0, "changes": {"lr": "x"}}, "body.changes.lr"),
        ("total", {"total": 0}, "body.total"),
    ],
)
def test_what_could_not_be_done_is_not_kept(
    desk: Desk, kind: wire.ProposalKind, body: Any, field: str
) -> None:
    """P10: a body is refused when it is proposed, by the field in it, and nothing is kept."""
    desk.create()
    with pytest.raises(Invalid) as refusal:
        suggest(desk, kind, **body)
    assert field in [error.field for error in refusal.value.errors]
    assert states(desk) == []
    assert desk.read(show.show, "gpt")["event"] == 0


def test_a_large_body_is_refused(desk: Desk) -> None:
    """P10: what is kept of a proposal is bounded."""
    desk.create()
    with pytest.raises(Invalid, match=f"at most {MAX_PROPOSAL}"):
        suggest(desk, changes={"lr": {"kind": "table", "values": 140_000 * [0], "clock": "run"}})
    assert states(desk) == []


def test_a_long_body_is_read_outside_of_the_transaction(desk: Desk) -> None:
    """What takes its time to parse is accepted like the rest, and gives its values."""
    run = desk.create()
    values = [float(step) for step in range(30_000)]
    suggest(desk, changes={"lr": {"kind": "table", "values": values, "clock": "run"}})
    desk.settle(run, 0, 8)
    assert decide(desk)["effective"] == 8
    assert desk.settle(run, 7, 2)[0] == [93.0, 8.0]


def test_one_author_has_so_many_open_proposals(desk: Desk) -> None:
    """The next is refused; another author, or one that was decided, makes room."""
    desk.create()
    for _ in range(MAX_OPEN_PROPOSALS):
        suggest(desk)
    with pytest.raises(TooMany) as refusal:
        suggest(desk)
    assert refusal.value.members == {"limit": MAX_OPEN_PROPOSALS}
    suggest(desk, author="eve")
    decide(desk)
    suggest(desk)
    found = desk.read(show.show, "gpt")["proposals"]
    assert (found["open"], len(found["numbers"]), found["numbers"][-1]) == (101, 100, 102)


def test_a_controller_has_one_open_proposal(desk: Desk) -> None:
    """A new one replaces it; what others propose stays."""
    desk.create()
    suggest(desk)
    by_controller(desk, 0, 200)
    by_controller(desk, 8, 200)
    assert states(desk) == ["open", "expired", "open"]
    assert desk.read(propose.show, "gpt", 2)["reason"] == "replaced by proposal 3"


@pytest.mark.parametrize(
    ("settled", "effective", "late_by"), [(8, 108, None), (108, 108, None), (120, 120, 12)]
)
def test_a_step_counted_from_a_report_may_have_passed(
    desk: Desk, settled: int, effective: int, late_by: int | None
) -> None:
    """Then it is the next open step, and the revision says by how much that is late."""
    run = desk.create()
    by_controller(desk, 8, 100)
    desk.settle(run, 0, settled)
    accepted = decide(desk)
    assert (accepted["effective"], accepted["late_by"]) == (effective, late_by)
    cause = {"controller": "plateau", "step": 8, "proposal": 1, "decided_by": "ann"}
    late = {} if late_by is None else {"late_by": late_by}
    revision = desk.read(show.revision, "gpt", 2)
    assert (revision["cause"], revision["author"]) == (cause | late, "controller:plateau")


def test_a_step_counted_from_a_report_is_rounded_up_to_a_cell(desk: Desk) -> None:
    """``after`` is a function of the report and the grid alone."""
    desk.create(resolution=16)
    by_controller(desk, 8, 10)
    assert decide(desk)["effective"] == 32


def test_proposals_expire_with_their_generation(desk: Desk) -> None:
    """A rewind leaves them behind, a finish too; what was decided stays as it is."""
    run = desk.create()
    desk.settle(run, 0, 8)
    suggest(desk)
    suggest(desk)
    decide(desk)
    desk.write(rewind, "gpt", RewindRequest(4))
    assert states(desk) == ["accepted", "expired"]
    with pytest.raises(NotOpen, match="the run was rewound to step 4"):
        decide(desk, 2)
    suggest(desk)
    desk.write(close.finish, "gpt", None, Note("ann"))
    assert states(desk) == ["accepted", "expired", "expired"]
    with pytest.raises(Finished):
        suggest(desk)


def test_a_proposed_rewind_is_accepted_by_rewinding(desk: Desk) -> None:
    """It leaves the other proposals of its generation behind, and is itself accepted."""
    run = desk.create()
    desk.settle(run, 0, 8)
    suggest(desk)
    suggest(desk, "rewind", to=4, message="diverged")
    assert decide(desk, 2)["effective"] == 4
    assert states(desk) == ["expired", "accepted"]
    state = desk.read(show.show, "gpt")
    assert (state["generation"], state["revision"]) == (2, 2)
    assert desk.read(show.revision, "gpt", 2)["cause"] == {"proposal": 2, "decided_by": "ann"}


def test_a_proposed_total_is_set(desk: Desk) -> None:
    """The run is as long as was suggested once that was accepted."""
    desk.create()
    suggest(desk, "total", total=640)
    assert desk.read(show.show, "gpt")["total"] is None
    assert decide(desk)["revision"] == 2
    assert desk.read(show.show, "gpt")["total"] == 640


def test_proposals_and_decisions_are_events(desk: Desk) -> None:
    """Each is told once, in the order of commits; an acceptance after its revision."""
    desk.create()
    suggest(desk, message="spike", **HALVE)
    decide(desk)
    suggest(desk)
    desk.write(propose.decline, "gpt", 2, Decision(Note("ann", "no")))
    found = desk.read(events.page, "gpt", 0).events
    assert [(event["number"], event["kind"]) for event in found] == [
        (1, "proposed"),
        (2, "revised"),
        (3, "settled-proposal"),
        (4, "proposed"),
        (5, "settled-proposal"),
    ]
    assert found[0] | {"created_at": ""} == {
        "number": 1,
        "kind": "proposed",
        "id": desk.read(show.show, "gpt")["id"],
        "created_at": "",
        "generation": 1,
        "proposal": 1,
        "proposes": "change",
        "author": "bob",
        "message": "spike",
        "cause": None,
    }
    told = [found[2]["state"], found[2]["revision"], found[4]["state"], found[4]["message"]]  # type: ignore[typeddict-item]
    assert told == ["accepted", 2, "declined", "no"]
    run_id = found[0]["id"]
    news = desk.read(events.news, {run_id: 3})[run_id]
    assert news is not None
    assert [event["number"] for event in news] == [4, 5]


def test_a_list_goes_on_where_it_ended(desk: Desk) -> None:
    """By number, in one state if that is asked for."""
    desk.create()
    for _ in range(5):
        suggest(desk)
    decide(desk, 2)
    items, after = desk.read(propose.page, "gpt", ProposalState.OPEN, 0, 3)
    assert ([item["proposal"] for item in items], after) == ([1, 3, 4], 4)
    items, after = desk.read(propose.page, "gpt", ProposalState.OPEN, 4, 3)
    assert ([item["proposal"] for item in items], after) == ([5], None)


def test_of_two_who_decide_at_once_one_does(desk: Desk) -> None:
    """P7: the second is told what the first decided, and the change is made at most once."""
    desk.create()
    for number in range(1, 11):
        suggest(desk)

        async def both(number: int = number) -> list[Any]:
            no = desk.store.write(propose.decline, "gpt", number, Decision(Note("eve")))
            yes = desk.store.write(propose.accept, "gpt", number, Decision(Note("ann")), read)
            return list(await asyncio.gather(yes, no, return_exceptions=True))

        refused = [each for each in asyncio.run(both()) if isinstance(each, NotOpen)]
        assert len(refused) == 1
        found = desk.read(propose.show, "gpt", number)
        assert refused[0].members["state"] == found["state"]
        assert (found["revision"] is not None) == (found["state"] == "accepted")
    made = [state for state in states(desk) if state == "accepted"]
    assert desk.read(show.show, "gpt")["revision"] == 1 + len(made)
