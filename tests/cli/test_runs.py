"""`rheostat run …` against a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from rheostat import wire
from rheostat.cli.commands.runs import STATES

PLAN = "lr linear start=1 end=0 steps=1000"
"""Falls by 0.001 with each step."""


@pytest.fixture
def run(operator: Any, new_name: Callable[[], str]) -> str:
    """Return the name of a new run with a learning rate and a weight decay."""
    name = new_name()
    assert operator(f"run create {name} {PLAN} , weight_decay 0.1 --guard lr.max=2").code == 0
    return name


def test_a_run_is_created_shown_and_listed(operator: Any, new_name: Callable[[], str]) -> None:
    """What was given at creation is what there is, in every view of it."""
    name = new_name()
    options = "--total 2k --axis tokens --resolution 4 --label team=nlp --guard lr.max_ratio=3"
    created = operator(f"run create {name} {PLAN} {options} --json").json
    assert (created["name"], created["total"], created["axis"]) == (name, 2000, "tokens")
    assert (created["resolution"], created["labels"]) == (4, {"team": "nlp"})
    assert created["guards"]["lr"]["max_ratio"] == 3
    assert operator(f"run show {created['id']} --json").json == created
    assert "linear start=1 end=0 steps=1000" in operator(f"run show {name}").out
    assert name in operator("run list -l team=nlp").out
    assert name not in operator("run list -l team=vision").out


def test_definitions_come_from_files_and_numbers(
    operator: Any, new_name: Callable[[], str], tmp_path: Path
) -> None:
    """A parameter is a file or a number in one word; a number is a constant."""
    file = tmp_path / "lr.json"
    file.write_text('{"kind": "linear", "start": 1, "end": 0, "steps": 1000}')
    name = new_name()
    created = operator(f"run create {name} lr=@{file} weight_decay=0.1 --json").json
    assert created["current"] == {"lr": 1.0, "weight_decay": 0.1}


def test_the_same_run_may_be_created_again(operator: Any, run: str) -> None:
    """With --exist-ok every start of a job can create its run; another body is refused."""
    same = f"run create {run} {PLAN} , weight_decay 0.1 --guard lr.max=2"
    assert operator(same + " --exist-ok").code == 0
    assert operator(same).code == 1
    other = operator(f"run create {run} lr=0.5 --exist-ok")
    assert other.code == 1
    assert "[409 name-taken]" in other.err


def test_a_change_holds_from_the_next_open_step(
    operator: Any, run: str, settle: Callable[[str, int], dict[str, list[float]]]
) -> None:
    """A change leaves what was handed out, and holds for all parameters from one step (P2, P3)."""
    settle(run, 10)
    line = f"run change {run} lr scale 0.5, weight_decay 0.05 -m 'loss spike' --json"
    assert operator(line).json["effective"] == 10
    values = settle(run, 12)
    expected = [1 - step / 1000 for step in range(10)] + [0.5 * 0.99, 0.5 * 0.989]
    assert values["lr"] == pytest.approx(expected, rel=1e-15)
    assert values["weight_decay"] == [0.1] * 10 + [0.05] * 2


def test_a_change_at_a_step_waits_for_it(operator: Any, run: str) -> None:
    """`--at` names the step; the change is pending until it is settled."""
    ran = operator(f"run change {run} lr ramp 0 --steps 100 --shape 1-sqrt --at 500")
    assert ran.out.startswith("Revision 2 takes effect at step 500 on every worker.")
    [pending] = operator(f"run show {run} --json").json["pending"]
    assert pending["changes"]["lr"][0]["shape"] == "1-sqrt"
    assert "lr ramp 0 steps=100 shape=1-sqrt" in operator(f"run show {run}").out


def test_the_clock_of_a_definition_must_be_said(operator: Any, run: str) -> None:
    """A definition without --clock is refused, and counts from the change if told so (P10)."""
    line = f"run change {run} lr linear start=0.5 end=0 steps=100 --at 200"
    refused = operator(line)
    assert refused.code == 1
    assert "changes.lr.clock" in refused.err
    assert operator(line + " --clock change").code == 0
    explained = operator(f"run explain {run} 250 --json").json["parameters"]["lr"]
    assert (explained["value"], explained["origin"]) == (0.25, 200)


def test_a_step_that_was_handed_out_is_refused(
    operator: Any, run: str, settle: Callable[[str, int], dict[str, list[float]]]
) -> None:
    """The refusal of a late change says the earliest step that is possible (P1)."""
    settle(run, 64)
    refused = operator(f"run change {run} lr scale 0.5 --at 63")
    assert refused.code == 1
    assert "[409 too-late]" in refused.err
    assert "earliest: 64" in refused.err


def test_a_change_that_lands_far_from_the_workers_warns(
    operator: Any, run: str, settle: Callable[[str, int], dict[str, list[float]]]
) -> None:
    """P14: on standard error for people, so that scripts read what they always did."""
    settle(run, 64)
    near = operator(f"run change {run} lr scale 0.5")
    assert (near.code, near.err) == (0, "")
    far = operator(f"run change {run} lr scale 0.5 --at 500")
    assert far.code == 0
    assert far.err.startswith("Warning: step 500 lies 500 past step 0")
    assert "Warning" not in far.out
    cancelled = operator(f"run cancel {run} 3 --json").json
    assert (cancelled["beyond"], len(cancelled["warnings"])) == (500, 1)


def test_guards_hold_unless_forced(operator: Any, run: str) -> None:
    """A change that breaks a guard is refused; --force overrides, and the history says so."""
    refused = operator(f"run change {run} lr scale 100")
    assert refused.code == 1
    assert "[422 guard-violated]" in refused.err
    assert operator(f"run change {run} lr scale 100 --force").code == 0
    assert "forced" in operator(f"run history {run}").out


def test_an_outdated_expectation_is_refused(operator: Any, run: str) -> None:
    """`--expect` accepts a change only on the revision that its author has seen."""
    assert operator(f"run change {run} lr scale 0.5 --expect 1").code == 0
    refused = operator(f"run change {run} lr scale 0.5 --expect 1 --json")
    assert (refused.code, refused.json["revision"]) == (1, 2)


def test_a_dry_run_changes_nothing(operator: Any, run: str) -> None:
    """`--dry-run` draws the curves before and after, and leaves the run as it was."""
    before = operator(f"run show {run} --json").json
    ran = operator(f"run change {run} lr scale 0.5 --at 100 --dry-run")
    assert "It would take effect at step 100" in ran.out
    assert {"before", "after"} <= set(ran.out.split())
    assert operator(f"run show {run} --json").json == before


def test_the_history_names_author_time_and_reason(operator: Any, run: str) -> None:
    """Each revision says who, when, what and why; the author is the one that the option names."""
    operator(f"run change {run} lr hold 5 -m 'look first' --author bob")
    first, second = operator(f"run history {run} --json").json
    assert (first["author"], second["author"], second["message"]) == ("ann", "bob", "look first")
    row = operator(f"run history {run}").out.splitlines()[-1]
    for part in ("2", "pending", "bob", "lr hold 5", "look first"):
        assert part in row


def test_only_pending_revisions_are_cancelled(operator: Any, run: str) -> None:
    """A pending revision is cancelled by its number; the creation is not."""
    operator(f"run change {run} lr scale 0.5 --at 100")
    assert operator(f"run cancel {run} 2").out == "Revision 2 is cancelled.\n"
    refused = operator(f"run cancel {run} 1")
    assert refused.code == 1
    assert "[409 not-pending]" in refused.err


def test_a_plan_shows_past_and_future(
    operator: Any, run: str, settle: Callable[[str, int], dict[str, list[float]]], tmp_path: Path
) -> None:
    """A plan draws every parameter, where it is settled, and its revisions; also as a picture."""
    settle(run, 256)
    operator(f"run change {run} lr scale 0.5 --at 600 -m 'half way'")
    drawn = operator(f"run plan {run}").out
    for part in ("lr  from 0 to 1", "weight_decay", "▲ settled", "▲ revision 2", "half way"):
        assert part in drawn
    plan = operator(f"run plan {run} --stop 1001 --points 11 --json").json
    at_500, at_700 = (plan["parameters"]["lr"][plan["steps"].index(s)] for s in (500, 700))
    assert (at_500, at_700) == (0.5, pytest.approx(0.15, rel=1e-15))
    assert operator(f"run plan {run} -o {tmp_path / 'plan.png'}").code == 0
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_an_explanation_names_the_revision_behind_a_value(operator: Any, run: str) -> None:
    """Why a value is what it is: its revision, author, message and definition."""
    operator(f"run change {run} lr 0.25 --at 100 -m 'found by sweep'")
    explained = operator(f"run explain {run} 150").out
    for part in ("Step 150, open", "0.25", "revision 2 by ann, from step 100 on: found by sweep"):
        assert part in explained
    assert operator(f"run explain {run} --json").json["step"] == 0


def test_a_finished_run_takes_no_changes(
    operator: Any, run: str, settle: Callable[[str, int], dict[str, list[float]]]
) -> None:
    """A run is closed where its workers are, and stays readable."""
    settle(run, 32)
    assert operator(f"run finish {run} --json").json["end"] == 32
    assert "[409 finished]" in operator(f"run change {run} lr scale 0.5").err
    assert "finished" in operator(f"run show {run}").out


def test_a_run_is_deleted_only_on_demand(operator: Any, run: str) -> None:
    """In a script deleting needs --yes; then the run is gone."""
    asked = operator(f"run delete {run}")
    assert asked.code == 2
    assert "--yes" in asked.err
    assert operator(f"run delete {run} --yes").code == 0
    gone = operator(f"run show {run} --json")
    assert (gone.code, gone.json["type"]) == (1, "urn:rheostat:problem:unknown-run")


def test_states_are_those_of_the_wire() -> None:
    """A list can be asked for every state that the service knows, and for no other."""
    assert get_args(wire.RunStatus) == STATES
