"""Forks in the store, on both databases: several runs with one past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat.errors import GuardViolated, HasForks, Invalid, NameTaken, StaleCheckpoint
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import close, explain, fork, plan, show
from rheostat.server.store.operations.join import Checkpoint
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


def forked(desk: Desk, name: str = "decay", changes: Any = None, **origin: Any) -> str:
    """Fork the run ``gpt``, and return the fork's id."""
    body: dict[str, Any] = {"name": name, "from": {"run": "gpt", **origin}}
    if changes is not None:
        body["changes"] = changes
    return str(desk.write(fork.fork, body, Note("bob", ""))["id"])


def test_a_fork_has_the_past_of_its_run_and_a_future_of_its_own(desk: Desk) -> None:
    """P1: what was served below the fork comes back bit for bit; the change holds above."""
    run = desk.create()
    desk.settle(run, 0, 20)
    child = forked(desk, step=8, changes=HALVE)
    assert desk.settle(child, 6, 4)[0] == [94, 93, 46, 45.5]
    assert desk.settle(run, 6, 4)[0] == [94, 93, 92, 91]


def test_a_fork_fences_nobody(desk: Desk) -> None:
    """The other run settles on, and two forks of one checkpoint live side by side."""
    run = desk.create()
    desk.settle(run, 0, 20)
    first = forked(desk, "first", step=8, changes=HALVE)
    second = forked(desk, "second", step=8, changes={"lr": {"edit": "hold"}})
    assert desk.settle(run, 20, 1)[0] == [80]
    assert desk.settle(first, 8, 2)[0] == [46, 45.5]
    assert desk.settle(second, 8, 2)[0] == [92, 92]


def test_steps_that_nobody_had_read_are_the_same_for_both(desk: Desk) -> None:
    """P1: whoever reads a skipped step below the fork first, the other one gets the same."""
    run = desk.create()
    desk.settle(run, 10, 4)
    child = forked(desk)
    assert desk.settle(child, 0, 2) == desk.settle(run, 0, 2) == [[100, 99], [0.5, 0.5]]


def test_a_checkpoint_of_the_past_resumes_in_the_fork(desk: Desk) -> None:
    """P6: that is what forks are for; one from beyond the fork is stale."""
    run = desk.create()
    desk.settle(run, 0, 20)
    child = forked(desk, step=8)
    assert desk.join("decay", checkpoint=Checkpoint(run, 1, 8))["id"] == child
    with pytest.raises(StaleCheckpoint):
        desk.join("decay", checkpoint=Checkpoint(run, 1, 9))


def test_a_fork_can_be_forked_and_rewound(desk: Desk) -> None:
    """Also to a step that it has inherited."""
    desk.settle(desk.create(), 0, 20)
    child = forked(desk, step=8, changes=HALVE)
    desk.settle(child, 0, 12)
    body = {"name": "third", "from": {"run": "decay", "step": 10}}
    third = str(desk.write(fork.fork, body, Note())["id"])
    assert desk.settle(third, 7, 4)[0] == [93, 46, 45.5, 45]
    desk.write(rewind, "decay", RewindRequest(4))
    assert desk.settle(child, 3, 3, generation=2)[0] == [97, 96, 95]
    assert desk.read(explain.explain, "decay", 5)["parameters"]["lr"]["revision"] == 2


def test_explanations_and_plans_reach_into_the_other_run(desk: Desk) -> None:
    """Below the fork, the other run's revision is named; above it, the fork's own."""
    desk.create()
    desk.revise(HALVE, 4, note=Note("ann", "spike"))
    desk.settle(desk.join()["id"], 0, 20)
    forked(desk, step=8)
    assert desk.read(explain.explain, "decay", 5)["parameters"]["lr"]["message"] == "spike"
    assert desk.read(explain.explain, "decay", 9)["parameters"]["lr"]["author"] == "bob"
    shown = desk.read(plan.plan, "decay", 0, 12, 12, 10**6)
    assert [(mark["from"], mark["author"]) for mark in shown["revisions"]] == [
        (0, "ann"),
        (4, "ann"),
        (8, "bob"),
    ]


def test_a_run_that_was_forked_cannot_be_deleted(desk: Desk) -> None:
    """P1: its forks need its ledger. Once they are gone, it can."""
    desk.settle(desk.create(), 0, 20)
    forked(desk)
    with pytest.raises(HasForks):
        desk.write(close.delete, "gpt")
    desk.write(close.delete, "decay")
    desk.write(close.delete, "gpt")


@pytest.mark.parametrize(
    ("origin", "name", "error", "field"),
    [
        ({"step": 21}, "decay", Invalid, "from.step"),
        ({"step": -1}, "decay", Invalid, "from.step"),
        ({"step": "8"}, "decay", Invalid, "from.step"),
        ({"colour": 1}, "decay", Invalid, "from.colour"),
        ({}, "a b", Invalid, "name"),
        ({}, "gpt", NameTaken, None),
    ],
)
def test_wrong_forks_are_refused(
    desk: Desk, origin: dict[str, Any], name: str, error: type[Invalid], field: str | None
) -> None:
    """P10: field, value and bound are named."""
    desk.settle(desk.create(), 0, 20)
    with pytest.raises(error) as refusal:
        forked(desk, name, **origin)
    assert [item.field for item in refusal.value.errors] == ([field] if field else [])


def test_a_fork_says_who_and_why(desk: Desk) -> None:
    """Its first revision has the author and the message; a guard that was forced shows."""
    run = desk.create(guards={"lr": {"min": None, "max_ratio": 3}})
    desk.settle(run, 0, 20)
    body = {"name": "decay", "from": {"run": "gpt"}, "message": "a sharp decay"}
    body |= {"changes": {"lr": {"edit": "scale", "factor": 0.1}}}
    with pytest.raises(GuardViolated):
        desk.write(fork.fork, body, Note("bob"))
    desk.write(fork.fork, {**body, "force": True}, Note("bob"))
    first = desk.read(show.revision, "decay", 1)
    assert (first["author"], first["message"], first["forced"]) == ("bob", "a sharp decay", True)


def test_a_fork_may_revert_to_a_revision_of_its_run(desk: Desk) -> None:
    """The numbers are those of the run that it comes from."""
    run = desk.create()
    desk.revise(HALVE, 4)
    desk.settle(run, 0, 20)
    child = forked(desk, step=8, changes={"lr": {"edit": "revert", "to": 1}})
    assert desk.settle(child, 7, 2)[0] == [46.5, 92]
