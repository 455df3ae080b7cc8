"""``lr/*``: one change for a parameter and all of its groups, wherever changes are named."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.conftest import Names
from tests.server.conftest import AssertProblem

HALF = {"edit": "scale", "factor": 0.5}
BODY = {
    "parameters": {
        "lr": {"kind": "linear", "start": 64, "end": 0, "steps": 64},
        "lr/body": {"kind": "constant", "value": 2},
        "lr/head": {"kind": "constant", "value": 8},
        "lrx": {"kind": "constant", "value": 3},
        "wd/norm": {"kind": "constant", "value": 1},
    },
    "total": 64,
}
FOLLOWING = {
    "parameters": {
        "lr": {"kind": "constant", "value": 1},
        "lr/head": {"kind": "follow", "parameter": "lr", "scale": 10},
    }
}


@pytest.fixture
def run(http: httpx.Client, new_name: Names) -> str:
    """Return the path of a run with groups, of which 16 steps are settled."""
    path = f"/v1/runs/{new_name()}"
    created = http.put(path, json=BODY).raise_for_status()
    first = {"generation": 1, "start": 0, "count": 16}
    http.get(f"/v1/runs/{created.json()['id']}/values", params=first).raise_for_status()
    return path


@pytest.fixture
def following(http: httpx.Client, new_name: Names) -> str:
    """Return the path of a run whose head follows its learning rate."""
    path = f"/v1/runs/{new_name()}"
    http.put(path, json=FOLLOWING).raise_for_status()
    return path


def revise(http: httpx.Client, run: str, changes: Any, **more: Any) -> httpx.Response:
    """Ask for a revision."""
    return http.post(f"{run}/revisions", json={"changes": changes, **more})


def values(http: httpx.Client, run: str, step: int) -> Any:
    """Return all parameters at a step."""
    return http.get(f"{run}/values/{step}").raise_for_status().json()["parameters"]


def test_all_of_one_name_are_changed_at_one_step(http: httpx.Client, run: str) -> None:
    """P3: the parameter and its groups, and nothing whose name only begins alike."""
    revise(http, run, {"lr/*": HALF}).raise_for_status()
    assert values(http, run, 15) == {"lr": 49, "lr/body": 2, "lr/head": 8, "lrx": 3, "wd/norm": 1}
    assert values(http, run, 16) == {"lr": 24, "lr/body": 1, "lr/head": 4, "lrx": 3, "wd/norm": 1}


def test_what_is_kept_are_the_parameters(http: httpx.Client, run: str) -> None:
    """The history has the names that were meant, as if each had been written."""
    made = revise(http, run, {"lr/*": [HALF], "lrx": 5}).json()
    (pending,) = made["pending"]
    assert pending.items() <= http.get(f"{run}/revisions/2").json().items()
    assert pending["changes"] == {
        "lr": [HALF],
        "lr/body": [HALF],
        "lr/head": [HALF],
        "lrx": [{"kind": "constant", "value": 5.0, "clock": "run"}],
    }
    assert pending["parameters"].keys() == {"lr", "lr/body", "lr/head", "lrx"}


def test_a_name_that_has_groups_alone(http: httpx.Client, run: str) -> None:
    """Where there is no ``wd``, ``wd/*`` is its groups; a name without groups is itself."""
    revise(http, run, {"wd/*": 4, "lrx/*": 5}).raise_for_status()
    found = values(http, run, 16)
    assert (found["wd/norm"], found["lrx"]) == (4, 5)


def test_it_is_rehearsed_by_the_parameters(http: httpx.Client, run: str) -> None:
    """The curves before and after are those of each of them; nothing is changed."""
    asked = {"changes": {"lr/*": HALF}}
    seen = http.post(f"{run}/revisions", json=asked, params={"dry_run": "true"}).json()
    assert {name: each[0] for name, each in seen["before"].items()} == {
        "lr": 48,
        "lr/body": 2,
        "lr/head": 8,
    }
    assert {name: each[0] for name, each in seen["after"].items()} == {
        "lr": 24,
        "lr/body": 1,
        "lr/head": 4,
    }
    assert http.get(run).json()["revision"] == 1


def test_rewinds_and_forks_take_it(http: httpx.Client, run: str, new_name: Names) -> None:
    """From the step on at which they branch."""
    name = run.rpartition("/")[2]
    fork = {"name": new_name(), "from": {"run": name, "step": 8}, "changes": {"lr/*": HALF}}
    http.post("/v1/runs", json=fork).raise_for_status()
    http.post(f"{run}/rewind", json={"to": 8, "changes": {"lr/*": HALF}}).raise_for_status()
    for path in (run, f"/v1/runs/{fork['name']}"):
        found = values(http, path, 8)
        assert (found["lr"], found["lr/body"], found["lr/head"], found["lrx"]) == (28, 1, 4, 3)


def test_it_is_proposed_and_accepted(http: httpx.Client, run: str) -> None:
    """The proposal says what was written, and its revision what that meant."""
    asked = {"kind": "change", "body": {"changes": {"lr/*": HALF}}}
    made = http.post(f"{run}/proposals", json=asked).raise_for_status().json()
    assert made["body"] == asked["body"]
    http.post(f"{run}/proposals/1/accept", json={}).raise_for_status()
    changes = http.get(f"{run}/revisions/2").json()["changes"]
    assert changes.keys() == {"lr", "lr/body", "lr/head"}


def test_controllers_take_it(http: httpx.Client, run: str) -> None:
    """A rule's changes, and what a plateau reduces, are the same parameters."""
    rule = {"kind": "rule", "metric": "loss", "when": {"op": "<", "value": 1}}
    http.put(f"{run}/controllers/rule", json={**rule, "changes": {"lr/*": HALF}}).raise_for_status()
    plateau = {"kind": "plateau", "metric": "acc", "mode": "max", "patience": 0, "factor": 0.5}
    config = {**plateau, "parameters": ["lr/*"]}
    http.put(f"{run}/controllers/plateau", json=config).raise_for_status()
    reports = [{"step": step, "metrics": {"loss": 0.5, "acc": 0.5}} for step in (1, 2)]
    told = {"generation": 1, "reports": reports}
    run_id = http.get(run).json()["id"]
    http.post(f"/v1/runs/{run_id}/reports", json=told).raise_for_status()
    found = values(http, run, 16)
    assert (found["lr"], found["lr/body"], found["lr/head"], found["lrx"]) == (12, 0.5, 2, 3)


@pytest.mark.parametrize(
    ("changes", "field", "words", "bound"),
    [
        (
            {"mom/*": 1},
            "changes.mom/*",
            "the run has no parameter 'mom/*'",
            "one of lr, lr/body, lr/head, lrx, wd/norm",
        ),
        ({"lr/*": 1, "lr/head": 2}, "changes.lr/head", "is one of lr/*", "lr/*, or names alone"),
        ({"lr": 1, "lr/*": 2}, "changes.lr", "is one of lr/*", "lr/*, or names alone"),
        ({"lr/**": 1}, "changes.lr/**", "no parameter 'lr/**'", "one of lr, "),
        ({"*": 1}, "changes.*", "no parameter '*'", "one of lr, "),
        ({"l*": 1}, "changes.l*", "no parameter 'l*'", "one of lr, "),
        ({"/*": 1}, "changes./*", "no parameter '/*'", "one of lr, "),
        ({"lr/head/*": 1}, "changes.lr/head/*", "no parameter 'lr/head/*'", "one of lr, "),
        ({"lr/*": {"edit": "scale"}}, "changes.lr/*.factor", "is required", "required"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    changes: Any,
    field: str,
    words: str,
    bound: str,
    http: httpx.Client,
    run: str,
    problem: AssertProblem,
) -> None:
    """P10: what means nothing says what there is, and nothing is named twice."""
    (error,) = problem(revise(http, run, changes), "invalid")["errors"]
    assert error["field"] == field
    assert words in error["message"]
    assert error["bound"].startswith(bound)


def test_what_follows_is_not_scaled_twice(
    http: httpx.Client, following: str, problem: AssertProblem, new_name: Names
) -> None:
    """One word for both would quarter the head: whoever means that names both."""
    name = following.rpartition("/")[2]
    rewind = http.post(f"{following}/rewind", json={"to": 0, "changes": {"lr/*": HALF}})
    fork = {"name": new_name(), "from": {"run": name}, "changes": {"lr/*": HALF}}
    forked = http.post("/v1/runs", json=fork)
    guard = {"kind": "guard", "metric": "loss", "above": {"value": 9}, "changes": {"lr/*": HALF}}
    armed = http.put(f"{following}/controllers/spikes", json=guard)
    for answer in (revise(http, following, {"lr/*": HALF}), rewind, forked, armed):
        (error,) = problem(answer, "invalid")["errors"]
        assert error["field"] == "changes.lr/*"
        assert error["message"] == "lr/head follows lr, so that it would be scaled twice"
    assert http.get(following).json()["revision"] == 1

    revise(http, following, {"lr": HALF, "lr/head": HALF}).raise_for_status()
    assert values(http, following, 0) == {"lr": 0.5, "lr/head": 2.5}


def test_what_does_not_multiply_may_follow(http: httpx.Client, following: str) -> None:
    """A hold or a value holds for each of them; one that follows no longer can be scaled."""
    revise(http, following, {"lr/*": {"edit": "set", "value": 0, "steps": 4}}).raise_for_status()
    assert values(http, following, 0) == {"lr": 0, "lr/head": 0}
    assert values(http, following, 4) == {"lr": 1, "lr/head": 10}
    revise(http, following, {"lr/head": 4}, effective=8).raise_for_status()
    revise(http, following, {"lr/*": HALF}, effective=8).raise_for_status()
    assert values(http, following, 8) == {"lr": 0.5, "lr/head": 2}
