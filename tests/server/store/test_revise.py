"""Revisions in the store, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat.errors import (
    Finished,
    GuardViolated,
    Invalid,
    NotPending,
    RevisionMismatch,
    TooLarge,
    TooLate,
    UnknownRevision,
)
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import Block, BlockRequest
from rheostat.server.runs.validation import Limits
from rheostat.server.store.operations import close, explain, plan, revise, show, values
from rheostat.server.store.operations.revise import RevisionRequest

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
HOLD = {"lr": {"edit": "hold"}}


def test_next_is_the_first_step_that_nobody_has(desk: Desk) -> None:
    """P2, P5: the change lands at the settled end, and neither earlier nor later."""
    run = desk.create()
    desk.settle(run, 0, 3)
    assert desk.revise(HALVE)["effective"] == 3
    assert desk.settle(run, 2, 2)[0] == [98, 48.5]


def test_an_explicit_step_is_taken_as_it_is(desk: Desk) -> None:
    """P2: it is not rounded to anything."""
    run = desk.create()
    desk.settle(run, 0, 4)
    assert desk.revise(HALVE, 7)["effective"] == 7
    assert desk.settle(run, 4, 4)[0] == [96, 95, 94, 46.5]


def test_a_settled_step_is_too_late(desk: Desk) -> None:
    """P2: the earliest possible step is named, and is accepted."""
    desk.settle(desk.create(), 0, 4)
    with pytest.raises(TooLate) as refusal:
        desk.revise(HALVE, 3)
    assert refusal.value.members == {"earliest": 4}
    assert desk.revise(HALVE, 4)["effective"] == 4


def test_a_step_within_a_cell_is_refused(desk: Desk) -> None:
    """It would be ambiguous, and nothing is rounded."""
    desk.create(resolution=10)
    with pytest.raises(Invalid, match="multiple of the resolution 10"):
        desk.revise(HALVE, 15)


def test_two_parameters_change_at_one_step(desk: Desk) -> None:
    """P3: both at step 2, in one block."""
    run = desk.create()
    desk.revise({**HALVE, "wd": {"edit": "scale", "factor": 2}}, 2)
    assert desk.settle(run, 1, 2) == [[99, 49], [0.5, 1]]


def test_a_revision_survives_a_restart(desk: Desk) -> None:
    """P4: what was acknowledged is there."""
    run = desk.create()
    desk.revise(HALVE, 2)
    desk.restart()
    assert desk.settle(run, 1, 2)[0] == [99, 49]


def test_an_earlier_revision_folds_a_pending_one_again(desk: Desk) -> None:
    """A hold at 50 holds what the halving at 40 leaves of the curve, and the answer lists it."""
    run = desk.create()
    desk.revise(HOLD, 50)
    answer = desk.revise(HALVE, 40)
    assert [item["revision"] for item in answer["pending"]] == [3, 2]
    desk.settle(run, 0, 60)
    assert desk.settle(run, 49, 3)[0] == [25.5, 25, 25]


def test_a_settled_expansion_is_final(desk: Desk) -> None:
    """A revision cannot reach back into a hold that is settled."""
    run = desk.create()
    desk.revise({"lr": {"edit": "hold", "steps": 10}}, 5)
    desk.settle(run, 0, 8)
    desk.revise(HALVE)
    assert desk.settle(run, 7, 2)[0] == [95, 47.5]
    assert desk.settle(run, 14, 2)[0] == [47.5, 42.5]


def test_a_cancelled_revision_has_no_effect_and_stays_in_the_history(desk: Desk) -> None:
    """The cancellation is a revision of its own, and what was pending is folded again."""
    run = desk.create()
    desk.revise(HALVE, 40)
    desk.revise(HOLD, 50)
    answer = desk.write(revise.cancel, "gpt", 2, None, Note("bob", "a slip"))
    assert (answer["revision"], answer["cancelled"]) == (4, 2)
    desk.settle(run, 0, 60)
    assert desk.settle(run, 40, 12)[0] == [*range(60, 50, -1), 50, 50]
    items, _ = desk.read(show.revisions, "gpt", 0, 10)
    assert [(item["kind"], item["cancelled"], item["cancels"]) for item in items] == [
        ("create", False, None),
        ("change", True, None),
        ("change", False, None),
        ("cancel", False, 2),
    ]


@pytest.mark.parametrize(
    ("number", "reason"), [(1, "create"), (2, "in force since step 2"), (3, "cancelled already")]
)
def test_only_pending_revisions_can_be_cancelled(desk: Desk, number: int, reason: str) -> None:
    """The refusal says what the revision is instead."""
    run = desk.create()
    desk.revise(HALVE, 2)
    desk.revise(HALVE, 90)
    desk.write(revise.cancel, "gpt", 3, None, Note())
    desk.settle(run, 0, 4)
    with pytest.raises(NotPending, match=reason):
        desk.write(revise.cancel, "gpt", number, None, Note())


def test_expected_revision_is_compare_and_set(desk: Desk) -> None:
    """Of two operators who both saw revision 1, one is told to look again."""
    desk.create()
    desk.revise(HALVE, expected_revision=1)
    with pytest.raises(RevisionMismatch) as refusal:
        desk.revise(HALVE, expected_revision=1)
    assert refusal.value.members == {"revision": 2}


def test_a_rehearsal_shows_both_curves_and_changes_nothing(desk: Desk) -> None:
    """The effective step, the old values and the new."""
    desk.settle(desk.create(total=100), 0, 10)
    shown = desk.read(revise.rehearse, "gpt", RevisionRequest(HALVE), 90)
    assert shown["effective"] == 10
    assert list(shown["before"]["lr"][:2]) == [90, 89]
    assert list(shown["after"]["lr"][:2]) == [45, 44.5]
    assert desk.read(show.show, "gpt")["revision"] == 1


def test_a_guard_refuses_unless_forced_and_the_history_says_so(desk: Desk) -> None:
    """Only a revision that really broke a guard is marked as forced."""
    desk.create(guards={"lr": {"min": None, "max": 150}})
    with pytest.raises(GuardViolated):
        desk.revise({"lr": {"edit": "scale", "factor": 2}})
    desk.revise({"lr": {"edit": "scale", "factor": 2}}, force=True)
    desk.revise(HALVE, force=True)
    items, _ = desk.read(show.revisions, "gpt", 0, 10)
    assert [item["forced"] for item in items] == [False, True, False]


def test_a_revision_may_not_break_the_guard_of_a_pending_one(desk: Desk) -> None:
    """Folding again checks again: a ramp from a doubled value would pass the guard."""
    desk.create(guards={"lr": {"min": None}, "wd": {"max": 1.5}})
    desk.revise({"wd": {"edit": "scale", "factor": 2}}, 50)
    with pytest.raises(GuardViolated) as refusal:
        desk.revise({"wd": {"edit": "scale", "factor": 2}}, 40)
    assert refusal.value.members["revision"] == 2


def test_a_run_holds_only_so_many_pending_revisions(desk: Desk) -> None:
    """P10: the next one is refused until some have taken effect."""
    desk.limits = Limits(pending=2)
    desk.restart()
    run = desk.create()
    desk.revise(HALVE, 3)
    desk.revise(HALVE, 4)
    with pytest.raises(Invalid, match="at most 1 are"):
        desk.revise(HALVE, 5)
    desk.settle(run, 0, 8)
    assert desk.revise(HALVE)["revision"] == 4


def test_reverting_to_an_unknown_revision_is_refused(desk: Desk) -> None:
    """The number is named."""
    desk.create()
    with pytest.raises(UnknownRevision, match="no revision 7"):
        desk.revise({"lr": {"edit": "revert", "to": 7}})


def test_a_finished_run_takes_no_revisions(desk: Desk) -> None:
    """The refusal says where it ended."""
    desk.settle(desk.create(), 0, 5)
    desk.write(close.finish, "gpt", None, Note())
    with pytest.raises(Finished) as refusal:
        desk.revise(HALVE)
    assert refusal.value.members == {"end": 5}


def test_explain_names_the_revision_behind_each_value(desk: Desk) -> None:
    """Lr was halved by revision 2; wd is still as revision 1 has it."""
    desk.create()
    desk.revise(HALVE, 10, note=Note("bob", "spike"))
    desk.revise({"wd": {"edit": "hold"}}, 20)
    found = desk.read(explain.explain, "gpt", 15)["parameters"]
    names: dict[str, Any] = {name: item["revision"] for name, item in found.items()}
    assert names == {"lr": 2, "wd": 1}
    assert (found["lr"]["value"], found["lr"]["author"], found["lr"]["message"]) == (
        42.5,
        "bob",
        "spike",
    )


def test_a_plan_shows_past_and_future_with_their_revisions(desk: Desk) -> None:
    """Eleven points of 0 to 100, the change marked where it takes effect."""
    desk.create()
    desk.revise(HALVE, 50)
    shown: Any = desk.read(plan.plan, "gpt", 0, 101, 11, 10**6)
    assert shown["steps"].tolist() == list(range(0, 101, 10))
    assert shown["parameters"]["lr"].tolist() == [100, 90, 80, 70, 60, 25, 20, 15, 10, 5, 0]
    assert [(mark["from"], mark["revision"]) for mark in shown["revisions"]] == [(0, 1), (50, 2)]


FOLLOWER = {"kind": "follow", "parameter": "lr", "scale": 1e200}


def test_what_follows_another_parameter_stays_finite(desk: Desk) -> None:
    """P10: each definition is finite by itself; what they come to together is checked as well."""
    desk.create(parameters={"lr": {"kind": "constant", "value": 1.0}, "wd": FOLLOWER})
    with pytest.raises(Invalid, match=r"wd\b.* leave the range"):
        desk.revise({"lr": {"kind": "constant", "value": 1e200}}, force=True)
    parameters = {"lr": {"kind": "constant", "value": 1e200}, "wd": FOLLOWER}
    with pytest.raises(Invalid, match=r"wd\b.* leave the range"):
        desk.create(name="other", parameters=parameters)


def test_a_guard_is_not_asked_again_about_what_stays_as_it_is(desk: Desk) -> None:
    """What was forced once does not stand in the way of other parameters."""
    desk.create(guards={"lr": {"min": None, "max": 150}})
    desk.revise({"lr": {"edit": "scale", "factor": 2}}, force=True)
    assert desk.revise({"wd": {"edit": "scale", "factor": 0.5}})["revision"] == 3


def test_a_pending_edit_that_cannot_follow_is_named(desk: Desk) -> None:
    """An emergency stop says which pending revision to cancel first."""
    desk.create()
    desk.revise({"lr": {"edit": "extend", "end": 500}}, 100)
    with pytest.raises(Invalid, match="revision 2 is pending at step 100") as refusal:
        desk.revise(HOLD)
    assert refusal.value.members == {"revision": 2, "effective": 100}


def test_only_what_was_in_force_can_be_reverted_to(desk: Desk) -> None:
    """A pending revision may still change, or be cancelled."""
    desk.create()
    desk.revise(HALVE, 80)
    with pytest.raises(Invalid, match="revision 2 has put nothing in force"):
        desk.revise({"lr": {"edit": "revert", "to": 2}}, 70)


def test_pieces_past_the_last_coordinate_are_left_out(desk: Desk) -> None:
    """An edit may reach further than steps do; what is there can still be settled."""
    run = desk.create()
    far = [{"edit": "set", "value": 1, "steps": 10**9}, {"edit": "extend", "end": 2**53 - 1}]
    desk.revise({"lr": far}, 4)
    assert desk.settle(run, 0, 8)[0][4:] == [1, 1, 1, 1]


def test_a_revision_holds_only_so_many_changes(desk: Desk) -> None:
    """P10: work within a transaction is bounded."""
    desk.create()
    with pytest.raises(Invalid) as refusal:
        desk.revise({"lr": [{"edit": "hold"}] * 65})
    assert refusal.value.errors[0].bound == "1 to 64 changes"


def test_guards_of_parameters_that_follow_each_other_are_quick(desk: Desk) -> None:
    """P10: sixty parameters, each following two others, are checked in one pass."""
    parameters: dict[str, Any] = {"p0": {"kind": "constant", "value": 0}}
    for k in range(1, 60):
        names = [f"p{k - 1}", f"p{max(k - 2, 0)}"]
        of = [{"kind": "follow", "parameter": name} for name in names]
        parameters[f"p{k}"] = {"kind": "sum", "of": of}
    desk.create(parameters=parameters, guards={"p59": {"max_ratio": 2}})
    assert desk.revise({"p0": {"kind": "constant", "value": 0}})["revision"] == 2


def test_a_finished_run_takes_no_cancellations(desk: Desk) -> None:
    """Its history is closed."""
    desk.create()
    desk.revise(HALVE, 80)
    desk.write(close.finish, "gpt", None, Note())
    with pytest.raises(Finished):
        desk.write(revise.cancel, "gpt", 2, None, Note())


def test_a_plan_is_bounded_by_its_values_not_its_points(desk: Desk) -> None:
    """P10: a thousand points of two parameters are two thousand values."""
    desk.create()
    with pytest.raises(TooLarge) as refusal:
        desk.read(plan.plan, "gpt", 0, None, 1000, 1999)
    assert refusal.value.errors[0].bound == "<= 999"


def test_of_revisions_at_one_step_the_last_reigns(desk: Desk) -> None:
    """P1: a block names it from its own start on, whoever asks, and however."""
    run = desk.create()
    for factor in (0.5, 0.5, 2):
        desk.revise({"lr": {"edit": "scale", "factor": factor}}, effective=8)
    settled = desk.write(values.settle, run, BlockRequest(1, 16, 4))
    assert isinstance(settled, Block)
    previewed = desk.read(values.preview, run, BlockRequest(1, 16, 4))
    across = desk.read(values.preview, run, BlockRequest(1, 4, 8))
    assert settled.revisions == previewed.revisions == [(16, 4)]
    assert across.revisions == [(4, 1), (8, 4)]
    assert list(settled.values[0]) == list(previewed.values[0]) == [42, 41.5, 41, 40.5]


@pytest.mark.parametrize("newest", [False, True])
def test_a_page_of_long_revisions_ends_early(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, newest: bool
) -> None:
    """P10: what one answer takes is bounded, and following `next` leaves none out, either way."""
    run = desk.create()
    table = {"kind": "table", "values": [float(n) for n in range(100)], "clock": "change"}
    for _ in range(4):
        desk.revise({"lr": table})
    monkeypatch.setattr(show, "LONGEST_PAGE", 1000)
    after: int | None = 0
    pages: list[list[int]] = []
    while after is not None:
        items, after = desk.read(show.revisions, run, after, 100, newest=newest)
        pages.append([item["revision"] for item in items])
    found = [number for page in pages for number in page]
    assert found == ([5, 4, 3, 2, 1] if newest else [1, 2, 3, 4, 5])
    assert len(pages) > 1
