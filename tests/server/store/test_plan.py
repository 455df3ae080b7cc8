"""Plans and rehearsals: what they show of the curves, up to where, and which revisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import close, explain, plan, revise
from rheostat.server.store.operations.revise import RevisionRequest
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

COSINE = {"kind": "cosine", "start": 0.01, "end": 0.001, "steps": 10_000}
HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


def planned(desk: Desk, start: int = 0, stop: int | None = None, points: int = 1000) -> Any:
    return desk.read(plan.plan, "gpt", start, stop, points, 10**6)


def served(shown: dict[str, Any], name: str) -> dict[int, float]:
    return dict(zip(shown["steps"].tolist(), shown["parameters"][name].tolist(), strict=True))


def test_short_excursions_are_in_the_plan(desk: Desk) -> None:
    """Five steps of one parameter and three of another, out of 10,000, are among 1,000 points."""
    desk.create(parameters={"lr": COSINE, "wd": {"kind": "constant", "value": 0.1}}, total=10_000)
    desk.revise({"lr": {"edit": "set", "value": 0.02, "steps": 5}}, 5008)
    desk.revise({"wd": {"edit": "set", "value": 0, "steps": 3}}, 7501)
    shown = planned(desk)
    lr, wd = served(shown, "lr"), served(shown, "wd")
    assert len(lr) <= 1000
    assert {at for at, value in lr.items() if value == 0.02} & {*range(5008, 5013)}
    assert {at for at, value in wd.items() if value == 0} & {*range(7501, 7504)}
    assert (lr[0], min(lr), max(lr)) == (0.01, 0, 9999)


def test_a_rehearsal_shows_an_excursion_of_one_step(desk: Desk) -> None:
    """One step of 10,000 is among 200 points, with its value before and after."""
    desk.create(parameters={"lr": COSINE, "wd": {"kind": "constant", "value": 0.1}}, total=10_000)
    change = {"wd": [{"edit": "set", "value": 0.5, "steps": 1}]}
    shown: Any = desk.read(revise.rehearse, "gpt", RevisionRequest(change, 3), 200)
    assert len(shown["steps"]) <= 200
    assert [*shown["before"]] == [*shown["after"]] == ["wd"]
    assert shown["after"]["wd"][shown["steps"] == 3] == [0.5]
    assert shown["before"]["wd"].max() == 0.1


def test_a_plan_reaches_to_the_extended_end(desk: Desk) -> None:
    """After `extend` beyond the total, the plan ends where the curve does; before, at the total."""
    desk.create(parameters={"lr": {**COSINE, "steps": 100}}, total=100)
    assert planned(desk)["steps"].tolist() == [*range(100)]
    desk.revise({"lr": {"edit": "extend", "end": 140}}, 50)
    assert planned(desk)["steps"].tolist() == [*range(140)]


def test_a_finished_run_s_plan_ends_with_it(desk: Desk) -> None:
    """Whatever total and curves say; and it can be asked for from any step before."""
    run = desk.create(total=200)
    desk.settle(run, 0, 30)
    desk.write(close.finish, "gpt", None, Note())
    assert planned(desk)["steps"].tolist() == [*range(30)]
    assert planned(desk, start=20)["steps"].tolist() == [*range(20, 30)]


def test_a_pending_change_of_a_run_without_end_is_in_its_plan(desk: Desk) -> None:
    """A constant that is set aside far ahead is planned until a thousand cells past that."""
    constant = {"kind": "constant", "value": 0.1}
    desk.create(parameters={"lr": constant, "wd": constant})
    desk.revise({"lr": {"edit": "set", "value": 1, "steps": 2}}, 50_000)
    lr = served(planned(desk), "lr")
    assert max(lr) == 50_002 + 999
    assert {at for at, value in lr.items() if value == 1} == {50_000}


@pytest.mark.parametrize("start", [0, 130, 131, 2990])
def test_revisions_are_listed_with_the_step_from_which_they_hold(desk: Desk, start: int) -> None:
    """Wherever the plan begins: what is in force there, all of one step, and what is to come."""
    desk.create(total=10_000)
    desk.revise(HALVE, 130)
    desk.revise(HALVE, 130)
    desk.revise(HALVE, 4000)
    desk.revise(HALVE, 6000)
    found = [(item["from"], item["revision"]) for item in planned(desk, start, 5000)["revisions"]]
    assert found == [(0, 1)] * (start < 130) + [(130, 2), (130, 3), (4000, 4)]


def test_the_revisions_of_all_generations_of_a_line_are_listed(desk: Desk) -> None:
    """Below a rewind what was in force there, from it on the rewind and what follows."""
    desk.settle(desk.create(), 0, 40)
    desk.revise(HALVE, 60)
    desk.write(rewind, "gpt", RewindRequest(20))
    desk.revise(HALVE, 30)
    found = [(item["from"], item["revision"]) for item in planned(desk, 10, 100)["revisions"]]
    assert found == [(0, 1), (20, 3), (30, 4)]


@pytest.mark.parametrize("rewound", [False, True])
def test_of_many_revisions_those_at_the_points_are_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, rewound: bool
) -> None:
    """P13: a curve of more revisions than points is exact at each, and lists what holds there."""
    monkeypatch.setattr(plan, "FEW", 10)
    run = desk.create(parameters={"lr": 1, "wd": 0.5}, total=1_000, resolution=4)
    for start in range(0, 600, 100):
        desk.settle(run, start, 25)
        desk.revise({"lr": start / 100 + 2})
    if rewound:
        desk.write(rewind, "gpt", RewindRequest(to=300, note=Note("ann")))
    for step in range(604, 1000, 12):
        desk.revise({"lr": step}, step)
    shown = planned(desk, start=2, points=20)
    found = {row["revision"] for row in shown["revisions"]}
    assert len(shown["steps"]) == 20
    assert (shown["steps"][0], shown["steps"][-1]) == (0, 996)
    for step, value in served(shown, "lr").items():
        exact = desk.read(explain.explain, "gpt", step)["parameters"]["lr"]
        assert value == exact["value"], step
        assert rewound or exact["revision"] in found, step  # of what was before, the rewind's mark
    assert len(found) < len(planned(desk)["revisions"])
