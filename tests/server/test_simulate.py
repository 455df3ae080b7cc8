"""`POST /v1/control/simulate`: what a controller would decide, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

PLATEAU: dict[str, Any] = {"kind": "plateau", "metric": "loss", "factor": 0.5, "patience": 1}
REPORTS = [[100, 2.0], [200, 1.5], [300, 1.6], [400, 1.7], [500, 1.4]]


def simulated(http: httpx.Client, **body: Any) -> Any:
    """Return the answer to a body, which is accepted."""
    asked = {"controller": PLATEAU, "reports": REPORTS, **body}
    return http.post("/v1/control/simulate", json=asked).raise_for_status().json()


def test_a_plateau_and_its_factors(http: httpx.Client) -> None:
    """Without a definition the values are the factors in force, at the steps of the reports."""
    answer = simulated(http)
    (decision,) = answer["decisions"]
    assert (decision["step"], decision["decision"], decision["factor"]) == (400, "change", 0.5)
    assert "not been better than 1.5 (step 200) for 2 reports" in decision["message"]
    assert answer["steps"] == [100, 200, 300, 400, 500]
    assert answer["values"] == [1, 1, 1, 0.5, 0.5]
    assert answer["warnings"] == []


def test_a_plateau_composes_with_a_definition(http: httpx.Client) -> None:
    """With a definition the values are its own, times the factors so far."""
    line = {"kind": "linear", "start": 1, "end": 0, "steps": "100%"}
    answer = simulated(http, definition=line, total=1000)
    values = dict(zip(answer["steps"], answer["values"], strict=True))
    assert values[399] == pytest.approx(0.601)
    assert values[400] == pytest.approx(0.3)
    assert (answer["steps"][0], answer["steps"][-1]) == (0, 999)


def test_a_schedule_of_the_library(http: httpx.Client) -> None:
    """The definition may be a schedule's name, as for other routes."""
    http.put("/v1/schedules/simulated", json={"definition": 0.25}).raise_for_status()
    answer = simulated(http, definition={"kind": "schedule", "name": "simulated"})
    assert answer["values"] == [0.25, 0.25, 0.25, 0.125, 0.125]


def test_values_that_are_no_numbers(http: httpx.Client) -> None:
    """NaN and infinities are reported as text, and read as what they are."""
    stop = {"kind": "stop", "metric": "loss", "check_finite": True}
    for text in ("NaN", "Infinity", "-Infinity"):
        answer = simulated(http, controller=stop, reports=[[1, 0.5], [7, text], [8, 0.1]])
        (decision,) = answer["decisions"]
        assert (decision["step"], decision["decision"]) == (7, "stop")
        assert decision["message"] == f"loss is {text}"
        assert answer["steps"] == [1]


def test_a_warning(http: httpx.Client) -> None:
    """A relative threshold on a metric below 0 is told, once."""
    answer = simulated(http, reports=[[1, -1.0], [2, -2.0]])
    (warning,) = answer["warnings"]
    assert "loss is below 0" in warning


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no object": ({"controller": 7}, "controller"),
    "no metric": ({"controller": {"kind": "plateau"}}, "controller.metric"),
    "an unknown kind": ({"controller": {"kind": "x"}}, "controller.kind"),
    "another library's field": (
        {"controller": {"kind": "stop", "metric": "x", "baseline": 1}},
        "controller.baseline",
    ),
    "a value that is null": ({"reports": [[1, 2.0], [2, None]]}, "reports[1][1]"),
    "a value that is true": ({"reports": [[1, True]]}, "reports[0][1]"),
    "a value that is other text": ({"reports": [[1, "nan"]]}, "reports[0][1]"),
    "a value beyond float64": ({"reports": [[1, 10**400]]}, "reports[0][1]"),
    "a step that is none": ({"reports": [[1.5, 2.0]]}, "reports[0][0]"),
    "a negative step": ({"reports": [[-1, 2.0]]}, "reports[0][0]"),
    "a report that is no pair": ({"reports": [[1, 2.0], [2]]}, "reports[1]"),
    "steps that do not rise": ({"reports": [[2, 2.0], [2, 2.0]]}, "reports[1][0]"),
    "a definition that is none": ({"definition": {"kind": "x"}}, "definition.kind"),
    "a definition of a run's other parameter": (
        {"definition": {"kind": "follow", "parameter": "lr"}},
        "definition",
    ),
    "a total of zero": ({"total": 0}, "total"),
    "an unknown field": ({"base": 1}, "base"),
}


@pytest.mark.parametrize(("fields", "wrong"), WRONG.values(), ids=WRONG.keys())
def test_wrong_fields_are_named(
    fields: dict[str, Any], wrong: str, http: httpx.Client, problem: Any
) -> None:
    """P10: what is wrong with a request is named by its field, with a bound."""
    body = {"controller": PLATEAU, "reports": REPORTS, **fields}
    answer = http.post("/v1/control/simulate", json=body)
    if wrong == "reports[0][1]" and answer.status_code == 400:
        problem(answer, "malformed")  # a number that JSON has, and float64 has not
        return
    errors = problem(answer, "invalid")["errors"]
    assert wrong in [error["field"] for error in errors]
    assert all("bound" in error for error in errors)


def test_work_is_bounded(http: httpx.Client, problem: Any) -> None:
    """P13: more reports than a long window lets be looked at are refused, and so are decisions."""
    reports = [[step, 1.0] for step in range(10_002)]
    guard = {"kind": "guard", "metric": "x", "window": 1000, "above": {"mad": 3}, "changes": "stop"}
    body: dict[str, Any] = {"controller": guard, "reports": reports}
    refused = problem(http.post("/v1/control/simulate", json=body), "invalid")
    assert refused["errors"][0]["bound"] == "≤ 5000 reports"
    eager = {**PLATEAU, "patience": 0, "reading": "keras", "action": "propose"}
    body = {"controller": eager, "reports": reports}
    refused = problem(http.post("/v1/control/simulate", json=body), "invalid")
    assert refused["errors"][0]["bound"] == "≤ 10000 decisions"


def test_a_hundred_thousand_reports(http: httpx.Client) -> None:
    """As many reports as there may be are taken, and answered with the whole curve thinned."""
    reports = [[step, 1 + 1 / (step + 1)] for step in range(100_000)]
    body = json.dumps({"controller": PLATEAU, "reports": reports, "total": 100_000})
    headers = {"Content-Type": "application/json"}
    answer = http.post("/v1/control/simulate", content=body, headers=headers).raise_for_status()
    assert len(answer.json()["steps"]) <= 2_000
    assert answer.headers["cache-control"] == "no-store"
