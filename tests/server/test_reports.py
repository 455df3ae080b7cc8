"""Reports and controllers over HTTP: what bad input gets, and what two trainings have in common."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import PROGRAM, Guarded, Names, RunningServer
from tests.server.conftest import AssertProblem

PLATEAU: dict[str, Any] = {
    "kind": "plateau",
    "metric": "loss",
    "patience": 1,
    "factor": 0.5,
    "effective": {"after": 8},
}
FALL = {"kind": "linear", "start": 1, "end": 0, "steps": 1024}


class Training:
    """A run of a test's own, as its one worker sees it."""

    def __init__(self, http: httpx.Client, name: str, **fields: Any) -> None:
        self.http = http
        self.path = f"/v1/runs/{name}"
        body = {"parameters": {"lr": FALL}, "total": 1024, **fields}
        self.id: str = http.put(self.path, json=body).raise_for_status().json()["id"]

    def read(self, start: int, count: int) -> list[float]:
        """Settle a block of the first generation."""
        block = {"generation": 1, "start": start, "count": count}
        found = self.http.get(f"/v1/runs/{self.id}/values", params=block).raise_for_status()
        values: list[float] = found.json()["parameters"]["lr"]
        return values

    def report(self, *reports: Any, **fields: Any) -> httpx.Response:
        """Report, and return the answer as it is."""
        body = {"generation": 1, "reports": list(reports), **fields}
        return self.http.post(f"/v1/runs/{self.id}/reports", json=body)

    def arm(self, name: str = "plateau", /, **config: Any) -> httpx.Response:
        """Arm a controller, and return the answer as it is."""
        return self.http.put(f"{self.path}/controllers/{name}", json={**PLATEAU, **config})


@pytest.fixture
def training(http: httpx.Client, new_name: Names) -> Training:
    """Return a run of which 64 steps are settled."""
    found = Training(http, new_name())
    found.read(0, 64)
    return found


def at(step: int, loss: Any) -> dict[str, Any]:
    """Return a report of the loss."""
    return {"step": step, "metrics": {"loss": loss}}


def test_a_report_is_answered_with_what_was_decided(training: Training) -> None:
    """P11: the very same once it is repeated; the decision is in force at its step."""
    assert training.arm().status_code == 201
    first = training.report(at(40, 2.0), at(50, 2.5), at(60, "NaN")).json()
    assert (first["kept"], first["watched"], first["settled_until"]) == (3, ["loss"], 64)
    (decision,) = first["decisions"]
    assert (decision["controller"], decision["step"], decision["effective"]) == ("plateau", 60, 68)
    assert (decision["value"], decision["decision"], decision["revision"]) == ("NaN", "change", 3)
    again = training.report(at(60, "NaN")).json()
    assert (again["repeated"], again["decisions"]) == (1, [decision])
    assert training.read(67, 2) == [1 - 67 / 1024, (1 - 68 / 1024) / 2]


@pytest.mark.parametrize("value", [None, True, "nan", "1.0", []])
def test_what_is_no_value_is_named(training: Training, problem: AssertProblem, value: Any) -> None:
    """P10: numbers of float64, and three texts for what is not finite."""
    answer = training.report(at(1, 1.0), at(2, value))
    error = problem(answer, "invalid")["errors"][0]
    assert error["field"] == "reports[1].metrics.loss"
    assert "NaN" in error["bound"]
    missing = training.http.get(f"{training.path}/reports", params={"metric": "loss"})
    problem(missing, "unknown-metric")


def test_a_number_beyond_float64_is_no_json(training: Training, problem: AssertProblem) -> None:
    """P10: as everywhere."""
    body = b'{"generation": 1, "reports": [{"step": 0, "metrics": {"loss": 1e400}}]}'
    headers = {"Content-Type": "application/json"}
    path = f"/v1/runs/{training.id}/reports"
    problem(training.http.post(path, content=body, headers=headers), "malformed")


@pytest.mark.parametrize(
    ("body", "field", "bound"),
    [
        ({"reports": [at(1, 1)] * 257}, "reports", "256"),
        ({"reports": [{"step": 1, "metrics": dict.fromkeys(map(str, range(129)), 1)}] * 2},
         "reports", "256"),
        ({"reports": [{"step": 1, "metrics": {129 * "x": 1}}]}, None, "{0,127}"),
        ({"reports": [{"step": 1, "metrics": {}}]}, "reports[0].metrics", "1"),
        ({"reports": [at(65, 1)]}, "reports[0].step", "<= 64"),
        ({"reports": [at(-1, 1)]}, "reports[0].step", "0"),
        ({"reports": [at(1, 1)], "source": "-"}, "source", None),
        ({"reports": []}, "reports", "1"),
    ],
)  # fmt: skip
def test_what_is_too_much_is_named(
    training: Training, problem: AssertProblem, body: Any, field: str | None, bound: str | None
) -> None:
    """P10: by the field and its bound."""
    answer = training.http.post(f"/v1/runs/{training.id}/reports", json={"generation": 1, **body})
    error = problem(answer, "invalid")["errors"][0]
    assert field is None or error["field"] == field
    assert bound is None or bound in error["bound"]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"factor": 1.0}, "factor"),
        ({"factor": 0.0}, "factor"),
        ({"patience": -1}, "patience"),
        ({"reading": "fastai"}, "reading"),
        ({"reading": "optax", "mode": "max"}, "mode"),
        ({"threshold": 1.0}, "threshold"),
        ({"parameters": ["momentum"]}, "parameters[0]"),
        ({"baseline": 1.0}, "baseline"),
        ({"gate": {"every": 8}, "effective": "next"}, "gate"),
        ({"keep_state": 1}, "keep_state"),
        ({"kind": "oracle"}, "kind"),
    ],
)
def test_what_no_controller_can_be_is_named(
    training: Training, problem: AssertProblem, config: Any, field: str
) -> None:
    """P10: each wrong field by its name."""
    errors = problem(training.arm(**config), "invalid")["errors"]
    assert [error["field"] for error in errors] == [field]


def test_two_who_arm_at_once(training: Training, problem: AssertProblem) -> None:
    """``If-Match`` names the controller's own revision; the second is told the newer one."""
    assert training.arm().json()["revision"] == 2
    path, tag = f"{training.path}/controllers/plateau", {"If-Match": '"2"'}
    mine = training.http.put(path, json={**PLATEAU, "factor": 0.25}, headers=tag)
    assert (mine.status_code, mine.json()["revision"]) == (200, 3)
    theirs = training.http.put(path, json={**PLATEAU, "factor": 0.1}, headers=tag)
    assert problem(theirs, "precondition-failed")["revision"] == 3
    assert training.http.put(path, json=PLATEAU, headers={"If-Match": "*"}).status_code == 200
    problem(training.http.delete(path, headers={"If-Match": '"3"'}), "precondition-failed")
    assert training.http.delete(path, headers={"If-Match": '"4"'}).json()["revision"] == 5
    problem(training.http.get(path), "unknown-controller")
    anew = training.http.put(path, json=PLATEAU, headers={"If-Match": "*"})
    problem(anew, "precondition-failed")


def test_a_worker_reports_and_arms_at_the_creation_alone(
    guarded: Guarded, new_name: Names, problem: AssertProblem
) -> None:
    """Later that is an operator's, and whoever looks on can do neither."""
    name = new_name()
    with guarded.client(guarded.secrets["worker"]) as http:
        training = Training(http, name, controllers={"plateau": PLATEAU})
        assert training.report(at(0, 1.0)).status_code == 200
        problem(training.arm(factor=0.25), "forbidden")
    with guarded.client(guarded.secrets["viewer"]) as http:
        body = {"generation": 1, "reports": [at(0, 1.0)]}
        problem(http.post(f"/v1/runs/{training.id}/reports", json=body), "forbidden")
        assert http.get(f"{training.path}/controllers").json()["items"][0]["name"] == "plateau"


def test_a_metric_may_be_read_as_a_table(training: Training) -> None:
    """For spreadsheets; what is not finite is text in both forms."""
    training.report(at(2, 0.5), at(1, "-Infinity"))
    params = {"metric": "loss", "format": "csv"}
    answer = training.http.get(f"{training.path}/reports", params=params)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines() == ["step,loss,source", "1,-Infinity,main", "2,0.5,main"]


RARELY = """
from rheostat.server import app
app.REPORTS_PER_SECOND = 0.01
"""


def test_too_many_requests_are_put_off(tmp_path: Path, problem: AssertProblem) -> None:
    """429 says when to come back; what was refused otherwise did not count."""
    running = RunningServer(tmp_path, {}, RARELY + PROGRAM)
    with running.client() as http:
        training, other = Training(http, "run"), Training(http, "other")
        for _ in range(3):
            problem(training.report(at(65, 1)), "invalid")
        assert training.report(at(0, 1)).status_code == 200
        late = training.report(at(0, 1))
        problem(late, "rate-limited")
        assert int(late.headers["retry-after"]) >= 1
        assert other.report(at(0, 1)).status_code == 200
    running.close()


def test_a_read_that_waits_at_a_gate_is_let_in_by_the_report(
    http: httpx.Client, new_name: Names
) -> None:
    """It is held until the metric is there, and then has the values as they were decided."""
    training = Training(http, new_name())
    training.arm(patience=0, effective="next", gate={"every": 8})
    training.read(0, 8)
    training.report(at(8, 1.0))
    training.read(8, 8)
    block = {"generation": 1, "start": 16, "count": 1}
    path, patient = f"/v1/runs/{training.id}/values", {"Prefer": "wait=20"}
    assert http.get(path, params=block).json()["newest"] == 8
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(http.get, path, params=block, headers=patient, timeout=60)
        training.report(at(16, 2.0))
        assert waits.result().json()["parameters"]["lr"] == [(1 - 16 / 1024) / 2]


METRICS = [2.0 + (7 * step % 11 - 5) / 10 for step in range(0, 400, 8)]
"""What both trainings measure."""


def trained(training: Training, seed: int) -> tuple[list[float], list[Any]]:
    """Train with the same metrics in another pace, and return the ledger and the revisions."""
    pace = random.Random(seed)
    training.arm("a", patience=2, effective={"after": 64})
    above = {"kind": "guard", "metric": "loss", "above": {"value": 2.45}, "for": 1}
    cut = {"lr": {"edit": "set", "value": 0.125, "steps": 5}}
    guard = {**above, "changes": cut, "action": "apply", "effective": {"after": 72}}
    training.http.put(f"{training.path}/controllers/b", json=guard).raise_for_status()
    read, sent = 0, 0
    while sent < len(METRICS):
        ahead = pace.randint(1, 16)  # never so far that a decision would come too late
        training.read(read, ahead)
        read += ahead
        if read // 8 - sent >= pace.randint(1, 4):
            there = range(sent, min(read // 8 + 1, len(METRICS)))
            answer = training.report(*(at(8 * index, METRICS[index]) for index in there))
            assert answer.raise_for_status().json()["again"] is False
            sent = max(sent, there.stop)
    training.read(read, 512 - read)
    found = training.http.get(f"{training.path}/ledger", params={"stop": 512}).json()
    values = [value for part in found["segments"] for value in part["values"]["lr"]]
    items = training.http.get(f"{training.path}/revisions").json()["items"]
    told = ("effective", "changes", "author", "message", "cause")
    return values, [[item[key] for key in told] for item in items]


def test_two_trainings_with_equal_metrics_have_equal_values(
    http: httpx.Client, new_name: Names
) -> None:
    """P11: bit for bit, however their reads and reports interleave, since decisions say `after`."""
    first, *others = (trained(Training(http, new_name()), seed) for seed in range(4))
    assert sum(item[4] is not None for item in first[1]) > 5
    for other in others:
        assert other == first
