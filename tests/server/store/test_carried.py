"""What rewinds, forks, cancellations and creations make of controllers, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.server.store.counting import statements

from rheostat import wire
from rheostat.errors import Invalid, NameTaken
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import control, create, explain, fork, revise, show, stop
from rheostat.server.store.operations.decided import decisions
from rheostat.server.store.operations.revise import RevisionRequest
from rheostat.server.store.operations.rewind import RewindRequest, rewind
from rheostat.server.store.operations.stop import StopRequest

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

PLATEAU: dict[str, Any] = {"kind": "plateau", "metric": "loss", "patience": 1, "factor": 0.5}
SINKS: dict[str, Any] = {
    "kind": "rule",
    "metric": "loss",
    "when": {"op": "<", "value": 1},
    "once": False,
}


def back(desk: Desk, to: int, **rest: Any) -> wire.Rewound:
    """Rewind the run ``gpt``."""
    return desk.write(rewind, "gpt", RewindRequest(to, **rest))


def state(desk: Desk, name: str = "plateau", ref: str = "gpt") -> dict[str, Any]:
    """Return what a controller remembers."""
    return desk.read(control.show_one, ref, name)["state"]


def plateaued(desk: Desk) -> str:
    """Have a plateau decide on the report at 30 to halve lr, at 60, and return the run's id."""
    run = desk.create()
    desk.settle(run, 0, 50)
    desk.arm("plateau", **PLATEAU, effective={"after": 30})
    answer = desk.report(run, (10, 2.0), (20, 2.5), (30, 2.5), (40, 1.5), (50, 1.75))
    (decision,) = answer["decisions"]
    assert (decision["step"], decision["effective"]) == (30, 60)
    return run


def test_a_change_decided_on_the_past_that_is_kept_is_made_again(desk: Desk) -> None:
    """P11: its report stays consumed, so nobody else would make it."""
    run = plateaued(desk)
    (remade,) = back(desk, 40)["again"]
    assert remade == {
        "controller": "plateau", "step": 30, "decision": "change", "revision": 5, "effective": 60,
    }  # fmt: skip
    assert desk.settle(run, 58, 4, generation=2)[0] == [42, 41, 20, 19.5]
    revision = desk.read(show.revision, "gpt", 5)
    assert revision["cause"] == {"controller": "plateau", "step": 30}
    assert revision["author"] == "controller:plateau"


def test_a_rewind_reads_none_of_the_curves_that_decisions_put_in_force(desk: Desk) -> None:
    """P5: each would be read aside, and the rewind begin anew: it would not end on a busy run."""
    run = plateaued(desk)
    found = desk.read(lambda records: records.revisions.caused(run, "plateau", 30))
    assert [(each.number, each.effective, dict(each.timelines)) for each in found] == [(3, 60, {})]


def test_a_rewind_to_before_the_report_drops_the_decision(desk: Desk) -> None:
    """The new generation reports anew, and decides by what it finds."""
    run = plateaued(desk)
    assert back(desk, 29)["again"] == []
    desk.settle(run, 29, 40, generation=2)
    assert desk.settle(run, 60, 1, generation=2)[0] == [40]
    assert state(desk) == {**state(desk), "best": 2.0, "bad": 1}
    answer = desk.report(run, (30, 2.25), generation=2)
    assert [each["decision"] for each in answer["decisions"]] == ["change"]


def test_a_rewind_gives_back_the_state_of_its_step(desk: Desk) -> None:
    """P11: the state is the fold of the reports at or below it, at every step."""
    run = desk.create()
    desk.settle(run, 0, 200)
    values = [2.0 + (step * 37 % 101) / 101 for step in range(200)]
    desk.arm("plateau", **{**PLATEAU, "patience": 25})
    expected = []
    for step in range(200):
        desk.report(run, (step, values[step]))
        expected.append(state(desk))
    for to in (199, 150, 64, 63, 62, 1, 0):
        generation = back(desk, to, from_generation=1)["generation"]
        assert state(desk) == expected[to], to
        assert desk.report(run, (to, 9.0), generation=generation)["late"] == 0  # it differs


def test_a_rewind_of_a_rewind_makes_a_change_once(desk: Desk) -> None:
    """One that was taken back in between is not made again."""
    run = plateaued(desk)
    desk_again = back(desk, 45)["again"]
    assert [each["step"] for each in desk_again] == [30]
    assert [each["step"] for each in back(desk, 40)["again"]] == [30]
    desk.settle(run, 40, 30, generation=3)
    assert desk.settle(run, 59, 2, generation=3)[0] == [41, 20]
    assert back(desk, 61)["again"] == []  # it is in force
    assert desk.settle(run, 61, 1, generation=4)[0] == [19.5]
    desk.write(rewind, "gpt", RewindRequest(40))
    last = desk.read(show.show, "gpt")["pending"][-1]
    desk.write(revise.cancel, "gpt", last["revision"], None, Note())
    assert back(desk, 35)["again"] == []


def test_a_guard_blocks_what_would_be_made_again(desk: Desk) -> None:
    """The changes of the rewind come first, and the run's guards hold for both."""
    run = desk.create(guards={"lr": {"min": None}, "wd": {"min": 0.2}})
    desk.settle(run, 0, 50)
    desk.arm("plateau", **PLATEAU, effective={"after": 30}, parameters=["wd"])
    desk.report(run, (10, 2.0), (20, 2.5), (30, 2.5))
    cut = {"wd": 0.3}
    (remade,) = back(desk, 40, changes=cut)["again"]
    assert (remade["decision"], remade["revision"]) == ("blocked", None)
    assert remade["problem"]["type"] == "guard-violated"


def test_stops_are_not_made_again(desk: Desk) -> None:
    """The rewind that drops one says so; its counters begin anew, and its best stays."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("stop", kind="stop", metric="loss", patience=2, effective={"after": 20})
    answer = desk.report(run, (10, 2.0), (20, 2.5), (30, 2.5))
    assert [each["decision"] for each in answer["decisions"]] == ["stop"]
    dropped = back(desk, 35)["dropped"]
    assert [(each["controller"], each["decision"]) for each in dropped] == [("stop", "stop")]
    assert state(desk, "stop")["best"] == 2.0
    answer = desk.report(run, (35, 2.5), generation=2)
    assert answer["decisions"] == []
    desk.settle(run, 35, 40, generation=2)


def test_a_rewind_drops_what_was_proposed(desk: Desk) -> None:
    """Though its step has passed: nobody can accept it any more."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("plateau", **PLATEAU, action="propose")
    (decision,) = desk.report(run, (10, 2.0), (20, 2.5), (30, 2.5))["decisions"]
    assert (decision["decision"], decision["effective"]) == ("proposal", 40)
    desk.settle(run, 40, 40)
    (dropped,) = back(desk, 60)["dropped"]
    assert dropped == {
        "controller": "plateau", "step": 30, "decision": "proposal", "revision": None,
        "proposal": decision["proposal"],
    }  # fmt: skip
    assert back(desk, 60)["dropped"] == []


def test_what_is_cancelled_is_not_decided_again_at_once(desk: Desk) -> None:
    """The controller counts anew, and keeps its best; a restart does not forget that."""
    run = plateaued(desk)
    desk.report(run, (50, 1.75))
    assert state(desk)["bad"] == 1
    desk.write(revise.cancel, "gpt", 3, None, Note())
    assert (state(desk)["bad"], state(desk)["best"]) == (0, 1.5)
    desk.settle(run, 50, 5)
    desk.report(run, (52, 1.75))
    assert state(desk)["bad"] == 1
    back(desk, 50)
    assert (state(desk)["bad"], state(desk)["best"]) == (0, 1.5)


def test_a_counter_that_began_anew_stays_so(desk: Desk) -> None:
    """One rewind after another does not bring back what a decision that was lifted had counted."""
    run = plateaued(desk)
    (remade,) = back(desk, 50)["again"]
    assert state(desk)["bad"] == 1
    assert remade["revision"] is not None
    desk.write(revise.cancel, "gpt", remade["revision"], None, Note())
    back(desk, 50)
    assert (state(desk)["bad"], state(desk)["best"]) == (0, 1.5)
    desk.settle(run, 50, 10, generation=3)
    desk.report(run, (52, 1.75), generation=3)
    back(desk, 55)
    assert state(desk)["bad"] == 1


def test_a_dropped_stop_stays_lifted(desk: Desk) -> None:
    """What the rewind that drops it counts anew, the next one does, too."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("stop", kind="stop", metric="loss", patience=2, effective={"after": 20})
    desk.report(run, (10, 2.0), (20, 2.5), (30, 2.5), (35, 2.5))
    assert state(desk, "stop")["bad"] == 1
    for _ in range(2):
        generation = back(desk, 36)["generation"]
        assert state(desk, "stop")["bad"] == 0
    desk.settle(run, 36, 10, generation=generation)
    desk.report(run, (40, 2.5), generation=generation)
    back(desk, 42)
    assert state(desk, "stop")["bad"] == 1


def test_a_lifted_stop_is_remembered_in_the_middle_of_a_line(desk: Desk) -> None:
    """P11: who rewinds between two reports finds what the first of them made of the new count."""
    run = desk.create()
    desk.settle(run, 0, 40)
    desk.arm("stop", kind="stop", metric="loss", patience=2, effective={"after": 20})
    desk.report(run, (10, 2.0), (20, 2.5), (30, 2.5), (35, 2.5))
    generation = back(desk, 36)["generation"]
    desk.settle(run, 36, 10, generation=generation)
    desk.report(run, (40, 2.5), (44, 2.5), generation=generation)
    back(desk, 42)
    assert state(desk, "stop")["bad"] == 1


def test_a_rewind_may_have_a_controller_begin_anew(desk: Desk) -> None:
    """What it has consumed stays consumed, and what it had decided is dropped."""
    run = plateaued(desk)
    answer = back(desk, 40, reset=["plateau"])
    assert (answer["again"], len(answer["dropped"])) == ([], 1)
    assert (state(desk)["best"], state(desk)["bad"]) == (None, 0)
    assert desk.report(run, (40, 1.5), generation=2)["repeated"] == 1
    assert state(desk)["best"] is None
    with pytest.raises(Invalid) as refusal:
        back(desk, 30, reset=["other"])
    assert refusal.value.errors[0].field == "controllers.other"


def test_a_replay_is_taken_back_with_the_line(desk: Desk) -> None:
    """What it took in past the step of a rewind is forgotten."""
    run = desk.create()
    desk.settle(run, 0, 100)
    desk.report(run, *((step, 100.0 - step) for step in range(100)))
    desk.arm("plateau", **PLATEAU, replay=True)
    assert state(desk)["best"] == 1.0
    for to in (90, 50, 3):
        back(desk, to)
        assert (state(desk)["best"], state(desk)["best_step"]) == (100.0 - to, to)


def test_below_its_first_step_a_fork_remembers_nothing(desk: Desk) -> None:
    """What was measured past a step is not known there: nor to a fork of a fork, nor after it."""
    plateaued(desk)
    desk.write(fork.fork, {"name": "decay", "from": {"run": "gpt", "step": 45}}, Note())
    assert state(desk, ref="decay")["best"] == 1.5
    desk.write(fork.fork, {"name": "other", "from": {"run": "decay", "step": 15}}, Note())
    assert state(desk, ref="other")["best"] is None
    desk.write(rewind, "decay", RewindRequest(15))
    shown = desk.read(control.show_one, "decay", "plateau")
    assert (shown["state"]["best"], shown["last"], shown["decisions"]) == (None, None, 0)


def test_a_fork_has_the_controllers_with_what_they_remember(desk: Desk) -> None:
    """At its step; from there on each run decides by its own reports."""
    plateaued(desk)
    made = desk.write(fork.fork, {"name": "decay", "from": {"run": "gpt", "step": 25}}, Note())
    assert list(made["controllers"]) == ["plateau"]
    assert (state(desk, ref="decay")["best"], state(desk, ref="decay")["bad"]) == (2.0, 1)
    answer = desk.report(made["id"], (20, 9.0), (25, 9.0))
    assert (answer["late"], [each["step"] for each in answer["decisions"]]) == (1, [25])
    assert desk.read(show.show, "gpt")["revision"] == 3
    bare = {"name": "bare", "from": {"run": "gpt", "step": 25}, "controllers": {}}
    assert desk.write(fork.fork, bare, Note())["controllers"] == {}
    other = {"name": "other", "from": {"run": "gpt"}, "controllers": {"rule": {**SINKS,
             "changes": {"wd": 1}}}}  # fmt: skip
    assert list(desk.write(fork.fork, other, Note())["controllers"]) == ["rule"]


def test_a_rewound_fork_still_shows_the_report_that_it_began_with(desk: Desk) -> None:
    """The newest that its controller had consumed at the fork, until it consumes one itself."""
    plateaued(desk)
    desk.write(fork.fork, {"name": "decay", "from": {"run": "gpt", "step": 25}}, Note())
    desk.write(rewind, "decay", RewindRequest(25))
    shown = desk.read(control.show_one, "decay", "plateau")
    assert shown["last"] == {"step": 20, "value": 2.5}


def test_a_run_may_be_created_with_controllers(desk: Desk) -> None:
    """They are compared like the rest of the body, and revision 1 says what they were."""
    run = desk.create(controllers={"plateau": PLATEAU})
    body = {
        "name": "gpt",
        "parameters": {"lr": {"kind": "linear", "start": 100, "end": -28, "steps": 128},
                       "wd": {"kind": "constant", "value": 0.5}},
        "guards": {"lr": {"min": None}},
        "controllers": {"plateau": PLATEAU},
    }  # fmt: skip
    assert not desk.write(create.ensure, body, Note())[1]
    other = {**body, "controllers": {"plateau": {**PLATEAU, "factor": 0.25}}}
    with pytest.raises(NameTaken) as refusal:
        desk.write(create.ensure, other, Note())
    (difference,) = refusal.value.members["differences"]
    assert difference["field"] == "controllers.plateau"
    assert [difference[side]["factor"] for side in ("there", "sent")] == [0.5, 0.25]
    desk.settle(run, 0, 20)
    assert desk.report(run, (1, 1.0), (2, 1.0), (3, 1.0))["decisions"][0]["step"] == 3
    assert desk.join()["watched"] == ["loss"]
    with pytest.raises(Invalid) as refused:
        desk.create(name="x", controllers={"p": {**PLATEAU, "parameters": ["nothing"]}})
    assert refused.value.errors[0].field == "controllers.p.parameters[0]"


def test_explanations_name_the_controller_and_the_report(desk: Desk) -> None:
    """So does the history."""
    run = plateaued(desk)
    desk.settle(run, 50, 20)
    found = desk.read(explain.explain, "gpt", 65)["parameters"]
    assert found["lr"]["cause"] == {"controller": "plateau", "step": 30}
    assert found["wd"]["cause"] is None


def test_a_program_decides_once_on_a_report(desk: Desk) -> None:
    """P11: a second revision, or stop, for the same cause answers the first one's."""
    run = desk.create()
    desk.settle(run, 0, 20)
    cause = {"controller": "mine", "step": 10}
    halve = {"lr": {"edit": "scale", "factor": 0.5}}
    first = desk.revise(halve, cause=cause)
    desk.settle(run, 20, 5)
    again = desk.revise(halve, cause=cause)
    assert (again["revision"], again["effective"]) == (first["revision"], 20)
    halted = desk.write(stop.stop, "gpt", StopRequest(60, cause=cause))
    assert desk.write(stop.stop, "gpt", StopRequest(70, cause=cause))["effective"] == 60
    assert desk.read(show.show, "gpt")["revision"] == halted["revision"] == 3
    back(desk, 15)
    anew = desk.write(revise.revise, "gpt", RevisionRequest(halve, cause=cause))
    assert (anew["revision"], anew["effective"]) == (5, 15)


def test_the_run_shows_what_stands_out(desk: Desk) -> None:
    """Reports that contradict each other, and decisions that were refused."""
    run = desk.create(guards={"lr": {"min": None}, "wd": {"min": 0.4}})
    desk.settle(run, 0, 20)
    desk.arm("rule", **SINKS, changes={"wd": 0.1})
    desk.report(run, (10, 0.5))
    desk.report(run, (10, 0.75))
    shown = desk.read(show.show, "gpt")["attention"]
    assert [(each["kind"], each["step"]) for each in shown] == [("differs", 10), ("blocked", 10)]
    items, _ = desk.read(decisions, "gpt", "rule", 0, 9)
    assert items[0]["problem"]["type"] == "guard-violated"


def test_a_rewind_of_an_old_run_asks_for_no_more(desk: Desk) -> None:
    """P5: what a controller remembers is found by as many questions, however often it was rewound.

    Each generation has reports of its own, and all of them are on the line.
    """
    run = desk.create()
    desk.arm("plateau", **{**PLATEAU, "patience": 1_000})
    asked = []
    for generation in range(1, 61):
        start = 10 * (generation - 1)
        desk.settle(run, start, 12, generation=generation)
        reports = ((start + step, 2.0 + step) for step in (2, 5, 9))
        desk.report(run, *reports, generation=generation)
        asked.append(desk.write(statements, rewind, "gpt", RewindRequest(start + 10)))
    assert asked[-1] == asked[5]
    assert state(desk)["bad"] == 3 * 60 - 1
