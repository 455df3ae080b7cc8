"""Numbers in place of definitions, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.conftest import Names
from tests.server.conftest import AssertProblem

PLACES: dict[str, Any] = {
    "a replacement": 0.5,
    "a list of changes": [{"edit": "scale", "factor": 3}, 0.5],
    "the edit replace": {"edit": "replace", "definition": 0.5},
}


@pytest.fixture
def run(http: httpx.Client, new_name: Names) -> str:
    """Return the path of a new run whose lr is the number 0.25."""
    path = f"/v1/runs/{new_name()}"
    assert http.put(path, json={"parameters": {"lr": 0.25}}).status_code == 201
    return path


def lr(http: httpx.Client, run: str) -> Any:
    """Return the value at step 7."""
    return http.get(f"{run}/values/7").json()["parameters"]["lr"]


def test_a_number_creates_what_a_constant_does(http: httpx.Client, run: str) -> None:
    """A run of a number is that of a constant: the same body, and the same history."""
    assert lr(http, run) == 0.25
    constant = {"kind": "constant", "value": 0.25}
    for same in (0.25, constant):
        assert http.put(run, json={"parameters": {"lr": same}}).status_code == 200
    assert http.put(run, json={"parameters": {"lr": 0.5}}).status_code == 409
    assert http.get(f"{run}/revisions/1").json()["changes"] == {"lr": constant}


@pytest.mark.parametrize("change", PLACES.values(), ids=PLACES.keys())
def test_a_number_is_a_change(http: httpx.Client, run: str, change: Any) -> None:
    """Wherever a change may have a definition, a number is a constant."""
    made = http.post(f"{run}/revisions", json={"changes": {"lr": change}})
    assert made.status_code == 201, made.text
    assert lr(http, run) == 0.5


def test_a_number_is_a_definition(http: httpx.Client, new_name: Names) -> None:
    """It is one to evaluate, and one for the library."""
    answer = http.post("/v1/evaluate", json={"definition": 0.5, "step": 3})
    assert answer.json() == {"value": 0.5}
    stored = http.put(f"/v1/schedules/{new_name()}", json={"definition": 2})
    assert stored.json()["definition"] == {"kind": "constant", "value": 2.0}


@pytest.mark.parametrize("wrong", [True, "0.1", None, [0.1], {}])
def test_nothing_else_is(http: httpx.Client, problem: AssertProblem, wrong: Any) -> None:
    """P10: what is neither a number nor a definition is refused by its field."""
    answer = http.post("/v1/runs", json={"name": "wrong", "parameters": {"lr": wrong}})
    (error,) = problem(answer, "invalid")["errors"]
    assert error["field"].startswith("parameters.lr")
    assert error["bound"]
