"""Controllers in the store, on both databases: each report is consumed once, and decided once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import FieldError, Finished, Invalid, PreconditionFailed, UnknownController
from rheostat.limits import MAX_DECISIONS
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import close, control, events, propose, show
from rheostat.server.store.operations.decided import decisions
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

PLATEAU: dict[str, Any] = {"kind": "plateau", "metric": "loss", "patience": 1, "factor": 0.5}
SINKS: dict[str, Any] = {
    "kind": "rule",
    "metric": "loss",
    "when": {"op": "<", "value": 1},
    "once": False,
}


def decided(answer: wire.Reported) -> list[tuple[str, int, str, int | None]]:
    """Return what an answer says was decided: by whom, on which report, what, and from when on."""
    return [
        (each["controller"], each["step"], each["decision"], each["effective"])
        for each in answer["decisions"]
    ]


def wrong(refused: pytest.ExceptionInfo[Invalid]) -> FieldError:
    """Return the one wrong field."""
    (error,) = refused.value.errors
    return error


def test_a_plateau_halves_the_rate_once_for_all(desk: Desk) -> None:
    """P11: two reports that are no better, and lr = 100 - step is half of that, 10 steps later."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("plateau", **PLATEAU, effective={"after": 10})
    answer = desk.report(run, (10, 2.0), (15, 3.0), (20, 3.0))
    assert decided(answer) == [("plateau", 20, "change", 30)]
    assert desk.settle(run, 28, 4)[0] == [72, 71, 35, 34.5]
    assert desk.settle(run, 28, 4)[1] == [0.5, 0.5, 0.5, 0.5]


def test_what_is_repeated_is_not_decided_again(desk: Desk) -> None:
    """P11: a worker that trains the steps again reports them again, and is told the decision."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("plateau", **PLATEAU)
    first = desk.report(run, (5, 2.0), (10, 2.0), (15, 2.0))
    desk.restart()
    again = desk.report(run, (5, 2.0), (10, 2.0), (15, 7.0))
    assert again["decisions"] == first["decisions"] != []
    assert (again["repeated"], again["kept"], len(again["differs"])) == (2, 0, 1)
    assert desk.read(show.show, "gpt")["revision"] == 3


def test_a_late_report_is_kept_and_consumed_by_nobody(desk: Desk) -> None:
    """It lies at or below the newest that was consumed."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("plateau", **PLATEAU)
    desk.report(run, (10, 2.0), (15, 2.0))
    answer = desk.report(run, (12, 9.0))
    assert (answer["kept"], answer["late"], answer["decisions"]) == (1, 1, [])
    (shown,) = desk.read(control.show_all, "gpt")
    assert shown["last"] == {"step": 15, "value": 2.0}


def test_a_report_that_was_kept_unread_is_read_when_it_comes_again(desk: Desk) -> None:
    """By the bits that were kept: what is consumed does not depend on what is new."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.report(run, (10, 0.5))
    desk.arm("rule", **SINKS, changes={"wd": 0.25})
    assert decided(desk.report(run, (10, 5.0))) == [("rule", 10, "change", 20)]


def test_it_does_not_matter_how_reports_are_cut_into_requests(desk: Desk) -> None:
    """Steps go before names, so equal reports in equal order give equal revisions."""
    found = []
    for name, size in (("one", 1), ("all", 8)):
        run = desk.create(name=name)
        desk.settle(run, 0, 20)
        desk.arm("a", ref=name, **SINKS, changes={"wd": {"edit": "scale", "factor": 0.5}})
        desk.arm("b", ref=name, **PLATEAU, effective={"after": 8})
        reports = [(step, 0.5 + step % 2) for step in range(8)]
        for start in range(0, 8, size):
            desk.report(run, *reports[start : start + size])
        items, _ = desk.read(show.revisions, name, 0, 100)
        apart = {"created_at", "parameters"}
        found.append([{k: v for k, v in item.items() if k not in apart} for item in items])
    assert found[0] == found[1]
    assert len(found[0]) > 6


def test_after_16_decisions_the_rest_has_to_come_again(desk: Desk) -> None:
    """What lies beyond is not kept; sent again, all of it is decided once."""
    run = desk.create()
    desk.settle(run, 0, 50)
    desk.arm("rule", **SINKS, changes={"wd": {"edit": "scale", "factor": 0.5}})
    reports = [(step, float(step % 2)) for step in range(50)]  # every second one sinks
    answer = desk.report(run, *reports)
    assert (answer["again"], len(answer["decisions"])) == (True, MAX_DECISIONS)
    assert answer["kept"] == 2 * MAX_DECISIONS - 1
    answer = desk.report(run, *reports)
    assert (answer["again"], len(answer["decisions"])) == (False, 25)
    assert answer["kept"] == 50 - (2 * MAX_DECISIONS - 1)


def test_what_looks_at_much_has_the_rest_come_again(desk: Desk) -> None:
    """
    P13: a request costs others no more for guards that each look at 1,000 values a report.

    Two of them look at 2,000 a step, so that the 26th is the last below 51,200 and one more. Sent
    again, all of it is consumed.
    """
    run = desk.create()
    desk.settle(run, 0, 50)
    wide: dict[str, Any] = {
        "kind": "guard",
        "metric": "loss",
        "above": {"mad": 8},
        "window": 1000,
    }
    for name in ("a", "b"):
        desk.arm(name, **wide, changes="stop")
    desk.arm("plateau", kind="plateau", metric="acc")
    reports = [(step, 1.0) for step in range(50)]
    answer = desk.report(run, *reports)
    assert (answer["again"], answer["kept"]) == (True, 26)
    answer = desk.report(run, *reports)
    assert (answer["again"], answer["kept"]) == (False, 24)
    assert len(desk.read(control.show_one, "gpt", "b")["state"]["window"]) == 50


def test_a_decision_that_comes_too_late_is_the_next_one(desk: Desk) -> None:
    """The revision says by how much; it may be dropped instead, and says so, too."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("late", **PLATEAU, effective={"after": 10})
    desk.arm("never", **PLATEAU, effective={"after": 10, "late": "drop"})
    answer = desk.report(run, (10, 2.0), (15, 2.0), (20, 2.0))
    assert decided(answer) == [("late", 20, "change", 40), ("never", 20, "blocked", None)]
    assert answer["decisions"][1]["problem"]["type"] == "too-late"
    revision = desk.read(show.revision, "gpt", 4)
    assert revision["cause"] == {"controller": "late", "step": 20, "late_by": 10}
    assert revision["author"] == "controller:late"
    assert revision["message"] == "loss has not been better than 2 (step 10) for 2 reports"


def test_a_guard_of_the_run_blocks_a_decision(desk: Desk) -> None:
    """No revision is made, the report stays consumed, and nothing is tried again."""
    run = desk.create(guards={"lr": {"min": None}, "wd": {"min": 0.4}})
    desk.settle(run, 0, 20)
    desk.arm("rule", **SINKS, changes={"wd": 0.1})
    answer = desk.report(run, (10, 0.5))
    assert decided(answer) == [("rule", 10, "blocked", None)]
    assert answer["decisions"][0]["problem"]["type"] == "guard-violated"
    assert decided(desk.report(run, (10, 0.5), (11, 0.5))) == [("rule", 10, "blocked", None)]
    assert desk.read(show.show, "gpt")["revision"] == 2


def test_a_floor_is_met_exactly(desk: Desk) -> None:
    """100 - 20 would halve to 40, and 60 is the floor: the factor is 60 / 80."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("plateau", **PLATEAU, min=60)
    desk.report(run, (10, 2.0), (15, 2.0), (20, 2.0))
    assert desk.settle(run, 20, 1)[0] == [60]
    answer = desk.report(run, (20, 2.0))
    assert decided(answer) == [("plateau", 20, "change", 20)]


def test_a_rule_fires_as_often_as_it_may(desk: Desk) -> None:
    """``once`` counts decisions on the line, and ``limit`` does."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("once", **{**SINKS, "once": True}, changes={"wd": 0.25})
    desk.arm("twice", **SINKS, limit=2, changes={"lr": {"edit": "scale", "factor": 0.5}})
    reports = [(step, float(step % 2)) for step in range(10)]
    answer = desk.report(run, *reports)
    assert [(name, step) for name, step, *_ in decided(answer)] == [
        ("once", 0), ("twice", 0), ("twice", 2),
    ]  # fmt: skip


def test_a_step_is_complete_when_all_sources_have_reported(desk: Desk) -> None:
    """Their mean is consumed, whoever comes first; one that stays incomplete is skipped."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("rule", **SINKS, changes={"wd": 0.25}, sources={"expect": 3, "reduce": "mean"})
    desk.report(run, (5, 0.1), (10, 0.75), source="c")
    desk.report(run, (10, 0.25), source="a")
    answer = desk.report(run, (10, 0.5), source="b")
    assert decided(answer) == [("rule", 10, "change", 20)]
    assert answer["decisions"][0]["value"] == 0.5
    assert answer["warnings"] == ["rule skips loss at 5: fewer than 3 sources had reported it"]


def test_a_negative_metric_warns_a_relative_threshold_once(desk: Desk) -> None:
    """There it points the other way."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("plateau", **PLATEAU)
    assert len(desk.report(run, (5, -2.0), (6, -2.0))["warnings"]) == 1
    assert desk.report(run, (7, -2.0))["warnings"] == []


def test_the_same_configuration_makes_no_revision(desk: Desk) -> None:
    """Another one starts anew, unless it carries over what the one before remembered."""
    run = desk.create()
    desk.settle(run, 0, 20)
    assert desk.arm("plateau", **PLATEAU)["revision"] == 2
    desk.report(run, (5, 2.0), (10, 2.5))
    same = desk.arm("plateau", **PLATEAU)
    assert (same["revision"], same["state"]["bad"]) == (2, 1)
    kept = desk.arm("plateau", **{**PLATEAU, "factor": 0.25}, keep_state=True)
    assert (kept["revision"], kept["state"]["best"], kept["state"]["bad"]) == (3, 2.0, 1)
    anew = desk.arm("plateau", **PLATEAU)
    assert (anew["revision"], anew["state"]["best"], anew["state"]["bad"]) == (4, None, 0)
    assert desk.report(run, (10, 2.5))["decisions"] == []
    shown = desk.read(control.show_one, "gpt", "plateau")
    assert shown["state"]["best"] is None  # it had consumed step 10, under another configuration


def test_the_history_says_who_armed_what(desk: Desk) -> None:
    """Arming, resetting and disarming are revisions that change no value."""
    desk.create()
    desk.arm("plateau", **PLATEAU)
    desk.write(control.reset, "gpt", "plateau", None, Note("bob", "another set"))
    desk.write(control.disarm, "gpt", "plateau", None, Note("bob"))
    items, _ = desk.read(show.revisions, "gpt", 1, 10)
    assert [item["kind"] for item in items] == ["control"] * 3
    said = [{**(item["data"] or {}), "config": None} for item in items]
    assert said == [
        {"armed": "plateau", "config": None},
        {"reset": "plateau", "config": None},
        {"disarmed": "plateau", "config": None},
    ]
    assert (items[1]["author"], items[1]["message"]) == ("bob", "another set")
    with pytest.raises(UnknownController):
        desk.read(control.show_one, "gpt", "plateau")


def test_two_who_arm_at_once_do_not_undo_each_other(desk: Desk) -> None:
    """``If-Match`` names the revision that armed the one before."""
    desk.create()
    desk.arm("plateau", **PLATEAU)
    with pytest.raises(PreconditionFailed) as refusal:
        desk.write(control.disarm, "gpt", "plateau", 1, Note())
    assert refusal.value.members == {"revision": 2}
    desk.write(control.disarm, "gpt", "plateau", 2, Note())


def test_replay_knows_the_best_and_decides_nothing(desk: Desk) -> None:
    """It takes in the reports so far, in the order of their steps."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.report(run, (15, 3.0), (5, 2.0), (10, 2.5), (20, 3.5))
    shown = desk.arm("plateau", **{**PLATEAU, "patience": 9}, replay=True)
    assert (shown["state"]["best"], shown["state"]["best_step"]) == (2.0, 5)
    assert shown["state"]["bad"] == 3
    assert desk.report(run, (20, 3.5))["repeated"] == 1
    assert desk.read(control.show_one, "gpt", "plateau")["state"]["bad"] == 3


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({**PLATEAU, "parameters": ["momentum"]}, "parameters[0]"),
        ({**PLATEAU, "parameters": ["lr", "other"]}, "parameters"),
        ({**SINKS, "changes": {"momentum": 1}}, "changes.momentum"),
        ({**SINKS, "changes": {"lr": {"edit": "shrink"}}}, "changes.lr.edit"),
        ({**PLATEAU, "gate": {"every": "epoch"}}, "gate.every"),
        ({**PLATEAU, "gate": {"every": 10}}, "gate"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(
    desk: Desk, config: dict[str, Any], field: str
) -> None:
    """P10: by the field; one parameter that follows another would be reduced twice."""
    parameters = {"lr": 1.0, "wd": 0.5, "other": {"kind": "follow", "parameter": "lr"}}
    run = desk.create(parameters=parameters)
    desk.settle(run, 0, 20)
    with pytest.raises(Invalid) as refusal:
        desk.arm("plateau", **config)
    assert wrong(refusal).field == field
    assert desk.read(control.show_all, "gpt") == []


def test_nothing_is_armed_on_a_finished_run(desk: Desk) -> None:
    """It has an end."""
    desk.create()
    desk.write(close.finish, "gpt", None, Note())
    with pytest.raises(Finished):
        desk.arm("plateau", **PLATEAU)


def test_decisions_are_listed_in_parts(desk: Desk) -> None:
    """Oldest first, with those that were refused."""
    run = desk.create()
    desk.settle(run, 0, 20)
    desk.arm("rule", **SINKS, changes={"wd": {"edit": "scale", "factor": 0.5}})
    desk.report(run, *((step, float(step % 2)) for step in range(10)))
    first, after = desk.read(decisions, "gpt", "rule", 0, 3)
    rest, end = desk.read(decisions, "gpt", "rule", after or 0, 3)
    assert [item["step"] for item in first + rest] == [0, 2, 4, 6, 8]
    assert end is None


def test_a_guard_proposes_what_to_do_about_a_spike(desk: Desk) -> None:
    """By default: it has one open proposal, the newest, and a rewind says that it is dropped."""
    run = desk.create()
    desk.settle(run, 0, 20)
    guard: dict[str, Any] = {"kind": "guard", "metric": "loss", "above": {"value": 5}, "for": 1}
    desk.arm("guard", **guard, changes={"lr": 1})
    answer = desk.report(run, (5, 9.0), (6, 1.0), (7, 9.0))
    assert [each["decision"] for each in answer["decisions"]] == ["proposal"] * 2
    numbers = [each["proposal"] for each in answer["decisions"]]
    assert desk.read(show.show, "gpt")["proposals"]["numbers"] == numbers[1:]
    assert desk.read(show.show, "gpt")["revision"] == 2
    proposal = desk.read(propose.show, "gpt", numbers[1] or 0)
    assert (proposal["author"], proposal["kind"]) == ("controller:guard", "change")
    assert proposal["cause"] == {"controller": "guard", "step": 7}
    assert proposal["body"] == {"changes": {"lr": 1}, "effective": "next"}
    dropped = desk.write(rewind, "gpt", RewindRequest(10))["dropped"]
    assert [each["proposal"] for each in dropped] == numbers[1:]


def test_a_controller_may_ask_for_a_yes(desk: Desk) -> None:
    """A stop, or a change that comes too late, as it is set to."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("late", **PLATEAU, effective={"after": 10, "late": "propose"})
    desk.arm("stop", kind="stop", metric="loss", patience=2, action="propose")
    answer = desk.report(run, (10, 2.0), (15, 2.0), (20, 2.0))
    assert [each["decision"] for each in answer["decisions"]] == ["proposal"] * 2
    made = [desk.read(propose.show, "gpt", each["proposal"]) for each in answer["decisions"]]  # type: ignore[arg-type]
    assert made[0]["body"] == {
        "changes": {"lr": [{"edit": "scale", "factor": 0.5}]}, "effective": {"after": 10},
    }  # fmt: skip
    assert (made[1]["kind"], made[1]["body"]) == ("stop", {"effective": "next"})


def test_every_decision_is_an_event(desk: Desk) -> None:
    """What it makes is one of its own, and names its cause."""
    run = desk.create(guards={"lr": {"min": None}, "wd": {"min": 0.4}})
    desk.settle(run, 0, 20)
    desk.arm("a", **SINKS, changes={"wd": 0.1})
    desk.arm("b", **SINKS, changes={"wd": 0.45})
    desk.report(run, (10, 0.5))
    found = desk.read(events.page, "gpt", 0).events
    told = [(each["kind"], each.get("decision"), each.get("cause")) for each in found]
    assert told[-3:] == [
        ("decided", "blocked", None),
        ("revised", None, {"controller": "b", "step": 10}),
        ("decided", "change", None),
    ]
    numbers = [each["number"] for each in found]
    assert numbers == sorted(set(numbers))
