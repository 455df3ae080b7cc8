"""Training longer than planned, in the store, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import (
    Finished,
    GuardViolated,
    Invalid,
    NameTaken,
    NotPending,
    RevisionMismatch,
    TooLate,
)
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import (
    close,
    create,
    events,
    explain,
    fork,
    plan,
    revise,
    show,
)
from rheostat.server.store.operations.revise import cancel
from rheostat.server.store.operations.rewind import RewindRequest, rewind
from rheostat.server.store.operations.total import TotalRequest, make_total, rehearse_total

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

FALL = {"kind": "linear", "start": 1, "end": 0, "steps": "100%"}
WSD = {"kind": "wsd", "peak": 1, "warmup": "10%", "stable": "rest", "decay": "20%"}
TALL = {"parameters": {"lr": FALL, "wd": {"kind": "constant", "value": 0.5}}, "total": 64}
"""lr = 1 - step/64 at first: whatever the total, a power of two, values are exact."""


def begin(desk: Desk, settled: int = 0, **fields: Any) -> str:
    """Create the run ``gpt`` and settle a part of it."""
    run = desk.create(**{**TALL, **fields})
    if settled:
        desk.settle(run, 0, settled)
    return run


def extend(desk: Desk, total: int, effective: Any = "next", **rest: Any) -> wire.TotalRevised:
    """Set the total of the run ``gpt``."""
    answer, _ = desk.write(make_total, "gpt", TotalRequest(total, effective, **rest))
    return answer


def lr(desk: Desk, *steps: int, run: str = "gpt") -> list[float]:
    """Return lr at some steps, without settling them."""
    each = (desk.read(explain.explain, run, step) for step in steps)
    return [answer["parameters"]["lr"]["value"] for answer in each]


def test_curves_end_with_the_new_total(desk: Desk) -> None:
    """P2: below the effective step nothing has changed, and from there on the words count anew."""
    run = begin(desk, settled=16)
    answer = extend(desk, 128)
    assert (answer["revision"], answer["effective"], answer["total"]) == (2, 16, 128)
    assert [item["revision"] for item in answer["pending"]] == [2]
    assert desk.settle(run, 14, 4)[0] == [1 - 14 / 64, 1 - 15 / 64, 1 - 16 / 128, 1 - 17 / 128]
    assert lr(desk, 96, 127, 128, 500) == [0.25, 1 / 128, 0, 0]


def test_it_comes_also_after_the_end_was_reached(desk: Desk) -> None:
    """The curve that ended with the old total goes on to the new one from where it began."""
    run = begin(desk, settled=72)
    assert desk.settle(run, 64, 8)[0] == [0] * 8
    assert extend(desk, 128)["effective"] == 72
    assert lr(desk, 63, 64, 71, 72, 96) == [1 / 64, 0, 0, 1 - 72 / 128, 0.25]


def test_no_warm_up_comes_back(desk: Desk) -> None:
    """What has passed stays where it was; the decay begins where the words put it."""
    begin(desk, settled=500, parameters={"lr": WSD}, total=1000)
    extend(desk, 2000)
    assert lr(desk, 50, 100, 500, 1600, 1800, 2000) == [0.5, 1, 1, 1, 0.5, 0]


def test_who_wants_no_jump_extends_the_curve(desk: Desk) -> None:
    """A cosine in its middle jumps up with the total; what was extended by an edit stays."""
    cosine = {"kind": "cosine", "start": 1, "end": 0, "steps": "100%"}
    begin(desk, settled=32, parameters={"lr": cosine})
    desk.revise({"lr": {"edit": "extend", "end": 128}})
    extend(desk, 128)
    assert lr(desk, 32, 80, 128) == pytest.approx([0.5, 0.5 - 0.5 * 0.5**0.5, 0])
    assert desk.read(show.show, "gpt")["total"] == 128


def test_the_total_counts_at_once(desk: Desk) -> None:
    """Though it takes effect later: for joining workers, the state, plans and later shares."""
    begin(desk, settled=8)
    extend(desk, 128, effective=32)
    assert desk.read(show.show, "gpt")["total"] == 128
    assert desk.read(show.show, "gpt")["total"] == 128
    assert desk.read(plan.plan, "gpt", 0, None, 200, 10_000)["steps"][-1] == 127
    desk.revise({"wd": {"edit": "set", "value": 0, "steps": "25%"}}, 8)
    changes: Any = desk.read(show.revision, "gpt", 3)["changes"]
    assert changes["wd"][0]["steps"] == 32
    desk.revise({"lr": {**FALL, "steps": "50%", "clock": "run"}}, 16)
    assert lr(desk, 15, 16, 32, 63, 64) == [1 - 15 / 64, 0.75, 0.5, 1 / 64, 0]


def test_the_total_in_force_makes_nothing(desk: Desk) -> None:
    """It is answered as if it had been made by the newest revision."""
    begin(desk, settled=8)
    answer, made = desk.write(make_total, "gpt", TotalRequest(64))
    assert (answer["revision"], answer["effective"], answer["pending"]) == (1, 8, [])
    assert (answer["total"], made) == (64, False)
    extend(desk, 128)
    answer, made = desk.write(make_total, "gpt", TotalRequest(128, effective=3))
    assert (answer["revision"], made) == (2, False)


def test_a_total_may_be_shorter(desk: Desk) -> None:
    """As long as it is not below the effective step."""
    begin(desk, settled=8)
    with pytest.raises(Invalid) as refusal:
        extend(desk, 31, effective=32)
    (error,) = refusal.value.errors
    assert (error.field, error.value, error.bound) == ("total", 31, ">= 32")
    extend(desk, 32, effective=16)
    assert lr(desk, 15, 16, 24, 32) == [1 - 15 / 64, 0.5, 0.25, 0]


def test_a_run_may_end_where_it_is(desk: Desk) -> None:
    """The total may be the very step that comes next, and nothing is left of the curve."""
    begin(desk, settled=16)
    assert extend(desk, 16)["total"] == 16
    assert lr(desk, 15, 16) == [1 - 15 / 64, 0]


def test_a_run_without_a_total_gets_one(desk: Desk) -> None:
    """Its lengths are numbers, which stay; from now on there are shares of the total."""
    run = desk.create()
    desk.settle(run, 0, 4)
    extend(desk, 64)
    assert desk.settle(run, 4, 1)[0] == [96]
    desk.revise({"lr": {"edit": "ramp", "to": 0, "steps": "50%"}})
    changes: Any = desk.read(show.revision, "gpt", 3)["changes"]
    assert changes["lr"][0]["steps"] == 32


def test_numbers_stay(desk: Desk) -> None:
    """Holds, windows and lengths in numbers are where they were; the curve behind them moves."""
    begin(desk, settled=8)
    desk.revise(
        {"lr": {"edit": "set", "value": 4, "steps": 8}, "wd": FALL | {"steps": 32, "clock": "run"}}
    )
    desk.revise({"lr": {"edit": "scale", "factor": 2}})
    extend(desk, 128)
    assert lr(desk, 8, 15, 16, 64) == [8, 8, 2 * (1 - 16 / 128), 1]
    assert desk.read(explain.explain, "gpt", 16)["parameters"]["wd"]["value"] == 0.5


def test_a_held_curve_ends_as_much_later(desk: Desk) -> None:
    """What was shifted by 8 steps ends 8 steps past the new total, as it did past the old one."""
    begin(desk, settled=16)
    desk.revise({"lr": {"edit": "hold", "steps": 8, "then": "shift"}})
    extend(desk, 128)
    assert lr(desk, 23, 24, 136) == [0.75, 1 - 16 / 128, 0]


def test_what_is_pending_folds_again(desk: Desk) -> None:
    """A hold behind the new total holds what the curve then has; definitions count by it."""
    begin(desk, settled=8)
    desk.revise({"lr": {"edit": "hold"}}, 32)
    desk.revise({"wd": {**FALL, "clock": "run"}}, 40)
    answer = extend(desk, 128, effective=16)
    assert [item["revision"] for item in answer["pending"]] == [4, 2, 3]
    assert lr(desk, 32, 100) == [0.75, 0.75]
    assert desk.read(explain.explain, "gpt", 64)["parameters"]["wd"]["value"] == 0.5
    desk.write(cancel, "gpt", 2, None, Note())
    assert lr(desk, 64) == [0.5]


def test_the_newest_of_several_totals_counts(desk: Desk) -> None:
    """An older one that takes effect later does not bring its own total back."""
    begin(desk, settled=8)
    extend(desk, 128, effective=32)
    extend(desk, 256, effective=16)
    assert lr(desk, 15, 16, 32, 128) == [1 - 15 / 64, 1 - 16 / 256, 1 - 32 / 256, 0.5]
    assert [desk.read(show.revision, "gpt", n)["total"] for n in (2, 3)] == [128, 256]


def test_it_cannot_be_cancelled(desk: Desk) -> None:
    """It counts already; set another total instead."""
    begin(desk, settled=8)
    extend(desk, 128, effective=16)
    with pytest.raises(NotPending, match="a total, which cannot be cancelled"):
        desk.write(cancel, "gpt", 2, None, Note())


def test_it_stays_after_a_rewind(desk: Desk) -> None:
    """The run is as long as it was said to be, and so are its curves, from the branch on."""
    run = begin(desk, settled=16)
    extend(desk, 128)
    desk.settle(run, 16, 8)
    desk.write(rewind, "gpt", RewindRequest(8))
    assert desk.read(show.show, "gpt")["total"] == 128
    assert desk.settle(run, 7, 2, 2)[0] == [1 - 7 / 64, 1 - 8 / 128]
    answer = desk.write(rewind, "gpt", RewindRequest(16, from_generation=1))
    assert answer["generation"] == 3
    assert desk.settle(run, 15, 2, 3)[0] == [1 - 15 / 64, 1 - 16 / 128]


def test_what_a_revert_brings_back_is_laid_out_for_it(desk: Desk) -> None:
    """What revision 1 had in force ends with today's total."""
    begin(desk, settled=8)
    desk.revise({"lr": {"edit": "hold"}})
    extend(desk, 128)
    desk.revise({"lr": {"edit": "revert", "to": 1}}, 32)
    assert lr(desk, 8, 31, 32, 64) == [0.875, 0.875, 0.75, 0.5]


def test_forks_inherit_it(desk: Desk) -> None:
    """A fork below the step at which it took effect is as long as its source is planned to be."""
    begin(desk, settled=16)
    extend(desk, 128)
    body = {"name": "decay", "from": {"run": "gpt", "step": 8}}
    assert desk.write(fork.fork, body, Note())["total"] == 128
    assert lr(desk, 7, 8, 64, run="decay") == [1 - 7 / 64, 1 - 8 / 128, 0.5]


def test_guards_hold(desk: Desk) -> None:
    """A jump back to the peak is refused, unless it is forced, which the history says."""
    cosine = {"kind": "cosine", "start": 1, "end": 0.001, "steps": "100%"}
    begin(desk, settled=60, parameters={"lr": cosine}, guards={"lr": {"max_ratio": 2}})
    with pytest.raises(GuardViolated) as refusal:
        extend(desk, 128)
    (error,) = refusal.value.errors
    assert error.field == "parameters.lr"
    assert "jump" in error.message
    assert desk.read(show.show, "gpt")["total"] == 64
    extend(desk, 128, force=True)
    assert desk.read(show.revision, "gpt", 2)["forced"]
    with pytest.raises(GuardViolated):
        desk.write(rewind, "gpt", RewindRequest(58))


def test_words_that_have_no_room_are_refused(desk: Desk) -> None:
    """P10: the definition's field is named, and nothing has changed."""
    wsd = {**WSD, "decay": 500}
    begin(desk, settled=100, parameters={"lr": wsd}, total=1000)
    with pytest.raises(Invalid, match="for a total of 450") as refusal:
        extend(desk, 450)
    assert [error.field for error in refusal.value.errors] == ["parameters.lr.stable"]
    assert desk.read(show.show, "gpt")["revision"] == 1


def test_refusals(desk: Desk) -> None:
    """A settled step, a revision that was not expected, a finished run: as for any change."""
    begin(desk, settled=8)
    with pytest.raises(TooLate):
        extend(desk, 128, effective=7)
    with pytest.raises(RevisionMismatch):
        extend(desk, 128, expected_revision=2)
    desk.write(close.finish, "gpt", None, Note())
    for total in (64, 128):
        with pytest.raises(Finished):
            extend(desk, total)


def test_a_step_within_a_cell_is_refused(desk: Desk) -> None:
    """The step is one of the grid's; the total need not be."""
    begin(desk, settled=1, resolution=10)
    with pytest.raises(Invalid, match="multiple of the resolution 10"):
        extend(desk, 128, effective=15)
    assert extend(desk, 127)["effective"] == 10


def test_a_rehearsal_shows_both_curves(desk: Desk) -> None:
    """It changes nothing."""
    begin(desk, settled=32)
    shown = desk.read(rehearse_total, "gpt", TotalRequest(128), 200)
    assert (shown["effective"], shown["total"], shown["steps"][-1]) == (32, 128, 127)
    assert (shown["before"]["lr"][0], shown["after"]["lr"][0]) == (0.5, 0.75)
    assert (shown["before"]["lr"][-1], shown["after"]["lr"][-1]) == (0, 1 / 128)
    assert desk.read(show.show, "gpt")["revision"] == 1


def test_the_history_says_who_and_why(desk: Desk) -> None:
    """So do the event and the explanation; the parameters that it moved are shown."""
    begin(desk, settled=16)
    extend(desk, 128, note=Note("ann", "two more epochs"))
    found = desk.read(show.revision, "gpt", 2)
    assert (found["kind"], found["total"], found["author"]) == ("total", 128, "ann")
    assert (found["changes"], list(found["parameters"])) == ({}, ["lr"])
    (event,) = [e for e in desk.read(events.page, "gpt", 0).events if e["kind"] == "extended"]
    assert (event["total"], event["author"], event["message"]) == (
        *(128, "ann", "two more epochs"),
    )
    why = desk.read(explain.explain, "gpt", 16)["parameters"]["lr"]
    assert (why["revision"], why["message"]) == (2, "two more epochs")
    assert (why["words"]["definition"]["steps"], why["words"]["total"]) == ("100%", 128)
    assert why["definition"]["steps"] == 128
    assert desk.read(show.show, "gpt")["words"]["lr"]["steps"] == "100%"
    marks = desk.read(plan.plan, "gpt", 0, None, 200, 10_000)["revisions"]
    assert [(mark["from"], mark["revision"], mark["author"]) for mark in marks] == [
        *((0, 1, "ann"), (16, 2, "ann"))
    ]


def test_it_survives_a_restart(desk: Desk) -> None:
    """P4: total, words and what of them is kept are on disk, so that a second total finds them."""
    begin(desk, settled=500, parameters={"lr": WSD}, total=1000)
    extend(desk, 2000)
    desk.restart()
    assert desk.read(show.show, "gpt")["total"] == 2000
    extend(desk, 3000, effective=600)
    assert lr(desk, 100, 2400, 2700, 3000) == [1, 1, 0.5, 0]


BODY: dict[str, Any] = {"name": "gpt", **TALL, "parameters": {"lr": FALL}}


def test_the_body_of_a_longer_training_finds_its_run(desk: Desk) -> None:
    """Its words are those that created the run, and its total is the one in force, or was."""
    first, _ = desk.write(create.ensure, BODY, Note())
    extend(desk, 128)
    for total in (64, 128):
        found, created = desk.write(create.ensure, {**BODY, "total": total}, Note())
        assert (found["id"], found["total"], created) == (first["id"], 128, False)


def test_another_total_is_told_the_command(desk: Desk) -> None:
    """Nothing else differs: the words did not change, though they come to other steps."""
    desk.write(create.ensure, BODY, Note())
    with pytest.raises(NameTaken) as refusal:
        desk.write(create.ensure, {**BODY, "total": 342}, Note())
    members = refusal.value.members
    assert members["differences"] == [{"field": "total", "there": 64, "sent": 342}]
    assert members["extend"] == "rheostat run extend gpt --total 342"
    assert members["extend"] in refusal.value.detail


def test_numbers_that_were_words_are_another_body(desk: Desk) -> None:
    """They come to the same for one total, and to another curve for the next."""
    desk.write(create.ensure, BODY, Note())
    extend(desk, 128)
    numbers = {**BODY, "parameters": {"lr": {**FALL, "steps": 128}}, "total": 128}
    with pytest.raises(NameTaken) as refusal:
        desk.write(create.ensure, numbers, Note())
    (difference,) = refusal.value.members["differences"]
    assert difference["field"] == "parameters.lr"
    assert (difference["there"]["steps"], difference["sent"]["steps"]) == ("100%", 128)
    assert "extend" not in refusal.value.members


def test_what_differs_in_words_is_listed(desk: Desk) -> None:
    """Another curve and another total: both, and the command for the total."""
    desk.write(create.ensure, BODY, Note())
    other = {**BODY, "parameters": {"lr": {**FALL, "steps": "50%"}}, "total": 128, "axis": "tokens"}
    with pytest.raises(NameTaken) as refusal:
        desk.write(create.ensure, other, Note())
    fields = [item["field"] for item in refusal.value.members["differences"]]
    assert fields == ["axis", "parameters.lr", "total"]


def test_defaults_and_notations_are_no_words(desk: Desk) -> None:
    """``"0.1k"`` is 100, a default may be written out, and the body is the same."""
    line = {**FALL, "kind": "cosine", "steps": "0.1k"}
    desk.write(create.ensure, {**BODY, "parameters": {"lr": line}}, Note())
    same = {**line, "steps": 100, "periodic": False}
    _, created = desk.write(create.ensure, {**BODY, "parameters": {"lr": same}}, Note())
    assert not created


def test_the_first_revision_keeps_the_words(desk: Desk) -> None:
    """Beside the steps that they came to."""
    run = desk.write(create.create, BODY, Note())
    first = desk.read(lambda records: records.revisions.one(run["id"], 1).timelines)
    piece = first["lr"].at(0)
    assert piece.definition.to_json()["steps"] == 64
    assert piece.words is not None
    assert piece.words.data["steps"] == "100%"


def test_a_pending_change_is_shown_as_it_was_made(desk: Desk) -> None:
    """P8: a later total lays a pending definition out anew; what was sent stays what it was."""
    begin(desk, settled=16)
    wsd = {**WSD, "clock": "run"}
    desk.write(revise.revise, "gpt", revise.RevisionRequest({"lr": wsd}, 32))
    before: Any = desk.read(show.revision, "gpt", 2)["changes"]
    answer = extend(desk, 128)
    assert before["lr"][0]["warmup"] == 6  # a tenth of 64
    assert [item["changes"] for item in answer["pending"]] == [{}, before]
    assert desk.read(show.revision, "gpt", 2)["changes"] == before
    assert lr(desk, 102, 115) == [1, 0.5]  # the last fifth of 128, in whole steps
