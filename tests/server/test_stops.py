"""Stopping, pausing and resuming a run, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.conftest import Names
from tests.server.conftest import AssertProblem


class Run:
    """A run whose first 16 steps are settled."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http, self.path = http, f"/v1/runs/{name}"
        created = http.put(self.path, json={"parameters": {"lr": 1}})
        self.id = created.raise_for_status().json()["id"]
        self.read(0, 16).raise_for_status()

    def read(self, start: int, count: int = 1, generation: int = 1) -> httpx.Response:
        """Read a block."""
        where = {"generation": generation, "start": start, "count": count}
        return self.http.get(f"/v1/runs/{self.id}/values", params=where)

    def tell(self, what: str, key: str | None = None, **body: Any) -> httpx.Response:
        """Tell the run something."""
        headers = {"Rheostat-Author": "ann"} | ({"Idempotency-Key": key} if key else {})
        return self.http.post(f"{self.path}/{what}", json=body, headers=headers)


@pytest.fixture
def run(http: httpx.Client, new_name: Names) -> Run:
    """Return a run of the test's own."""
    return Run(http, new_name())


def test_a_stop_is_answered_and_told(run: Run, problem: AssertProblem) -> None:
    """P2: 201 with revision and step; whoever reads past it is told who stopped it, and why."""
    made = run.tell("stop", message="diverged", effective=20)
    assert made.status_code == 201
    assert {"revision": 2, "effective": 20}.items() <= made.json().items()
    assert run.read(16, 4).status_code == 200
    refusal = problem(run.read(20, 4), "stopped")
    told = {"end": 20, "revision": 2, "author": "ann", "message": "diverged", "best": None}
    assert told.items() <= refusal.items()
    back = problem(run.http.delete(f"{run.path}/revisions/2"), "not-pending")
    assert back["state"] == "told"
    assert back["rewind"] == {"to": 20, "from_generation": 1}
    assert run.tell("rewind", **back["rewind"]).status_code == 201
    assert run.read(20, generation=2).status_code == 200
    problem(run.read(20), "stopped")


def test_a_pause_is_answered_and_ended(run: Run, problem: AssertProblem) -> None:
    """A read past it is told where, and goes on after the resumption."""
    assert run.tell("pause").json()["effective"] == 16
    refusal = problem(run.read(16), "paused")
    assert {"end": 16, "revision": 2, "author": "ann", "message": ""}.items() <= refusal.items()
    summary = run.http.get(run.path).json()
    assert summary["paused"]
    assert summary["stops"] == [{"revision": 2, "effective": 16, "hold": True, "told": False}]
    resumed = run.tell("resume", until=18)
    assert resumed.status_code == 200
    assert resumed.json() == {
        "revision": 3,
        "pause": 4,
        "cancelled": [2],
        "settled_until": 16,
    }
    assert run.read(16, 2).status_code == 200
    problem(run.read(18), "paused")
    problem(run.tell("resume", until=18), "too-late")
    assert run.tell("resume").json()["pause"] is None
    nowhere = problem(run.tell("resume"), "not-pending")
    assert nowhere["state"] == "running"


@pytest.mark.parametrize("what", ["stop", "pause"])
def test_a_repeated_request_has_its_effect_once(run: Run, what: str) -> None:
    """P4: whoever repeats one with its key learns what it did."""
    first, second = (run.tell(what, key=f"{run.id} {what}") for _ in range(2))
    assert first.json() == second.json()
    assert run.http.get(run.path).json()["revision"] == 2


def test_a_repeated_resumption_ends_one_pause(run: Run) -> None:
    """P4: the next pause, which is held at by then, is not ended by the repetition."""
    run.tell("pause")
    first = run.tell("resume", key=f"{run.id} go", until=17)
    run.read(16)
    assert run.tell("resume", key=f"{run.id} go", until=17).json() == first.json()
    assert run.read(17).status_code == 409


def test_a_stop_carries_a_signal(run: Run) -> None:
    """It is kept in the stop's revision, for all to see."""
    sent = {"signal": "checkpoint"}
    assert run.tell("stop", signal=sent, effective=32).status_code == 201
    kept = run.http.get(f"{run.path}/revisions/2").json()
    assert (kept["kind"], kept["pending"]) == ("stop", True)
    assert kept["data"] == {"signal": "checkpoint", "arguments": {}}
    cancelled = run.http.delete(f"{run.path}/revisions/2")
    assert cancelled.json()["cancelled"] == 2
    assert run.read(32).status_code == 200


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("stop", {"effective": -1}, "effective"),
        ("stop", {"effective": 2**53}, "effective"),
        ("stop", {"effective": "soon"}, "effective"),
        ("pause", {"signal": {"signal": "Check Point"}}, "signal.signal"),
        ("pause", {"signal": {"signal": 33 * "a"}}, "signal.signal"),
        ("pause", {"message": 4097 * "x"}, "message"),
        ("pause", {"hold": False}, "hold"),
        ("resume", {"until": 1.5}, "until"),
        ("resume", {"steps": 3}, "steps"),
    ],
)
def test_bad_requests_name_the_field(
    run: Run, problem: AssertProblem, what: str, body: Any, field: str
) -> None:
    """P10: nothing of it is accepted."""
    refusal = problem(run.tell(what, **body), "invalid")
    assert any(error["field"].startswith(field) for error in refusal["errors"])
    assert run.http.get(run.path).json()["revision"] == 1


def test_an_author_who_looked_earlier_is_refused(run: Run, problem: AssertProblem) -> None:
    """Each of them compares with the newest revision, if one is expected."""
    run.tell("pause")
    for what in ("stop", "pause", "resume"):
        problem(run.tell(what, expected_revision=1), "revision-mismatch")
        assert run.http.get(run.path).json()["revision"] == 2
    assert run.tell("resume", expected_revision=2).status_code == 200


def test_a_body_finds_the_run_that_it_paused(http: httpx.Client, new_name: Names) -> None:
    """Every requeue of a job can send it, whether somebody has resumed the run meanwhile or not."""
    path, body = f"/v1/runs/{new_name()}", {"parameters": {"lr": 1}, "paused": True}
    assert [http.put(path, json=body).status_code for _ in range(2)] == [201, 200]
    http.post(f"{path}/resume").raise_for_status()
    assert http.put(path, json=body).status_code == 200
    other = http.put(path, json={**body, "paused": False})
    assert other.json()["differences"] == [{"field": "paused", "there": True, "sent": False}]
