"""Training longer than planned, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.conftest import Names
from tests.server.conftest import AssertProblem

FALL = {"kind": "linear", "start": 1, "end": 0, "steps": "100%"}


@pytest.fixture
def run(http: httpx.Client, new_name: Names) -> str:
    """Return the path of a run whose lr is 1 - step/64; 16 steps are settled."""
    name = new_name()
    path = f"/v1/runs/{name}"
    body = {"parameters": {"lr": FALL}, "total": 64}
    created = http.put(path, json=body)
    assert created.status_code == 201
    first = {"generation": 1, "start": 0, "count": 16}
    assert http.get(f"/v1/runs/{created.json()['id']}/values", params=first).status_code == 200
    return path


def test_a_total_is_a_revision(http: httpx.Client, run: str) -> None:
    """201 with revision, effective step, total and what is pending; then reads follow it."""
    made = http.post(f"{run}/total", json={"total": 128, "message": "longer"})
    assert made.status_code == 201
    answer = made.json()
    assert (answer["revision"], answer["effective"], answer["total"]) == (2, 16, 128)
    (pending,) = answer["pending"]
    assert (pending["kind"], pending["total"], pending["changes"]) == ("total", 128, {})
    assert [piece["words"]["total"] for piece in pending["parameters"]["lr"]] == [128]
    values = http.get(f"{run}/values", params={"start": 15, "count": 2}).json()
    assert values["parameters"]["lr"] == [1 - 15 / 64, 1 - 16 / 128]
    assert http.post(f"{run}/join").json()["total"] == 128
    assert http.get("/v1/runs", params={"limit": 1000}).json()["items"][-1].keys() >= {"total"}


def test_the_total_in_force_answers_200(http: httpx.Client, run: str) -> None:
    """Nothing is made, and the head is answered."""
    answer = http.post(f"{run}/total", json={"total": 64})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["revision"], found["effective"], found["total"]) == (1, 16, 64)
    assert found["pending"] == []


def test_a_rehearsal_shows_both_curves(http: httpx.Client, run: str) -> None:
    """`dry_run` answers 200 with steps, before and after, and changes nothing."""
    body = {"total": 128, "effective": 32}
    shown = http.post(f"{run}/total", params={"dry_run": "true"}, json=body)
    assert shown.status_code == 200
    found = shown.json()
    assert (found["effective"], found["total"], found["steps"][0]) == (32, 128, 32)
    assert (found["before"]["lr"][0], found["after"]["lr"][0]) == (0.5, 0.75)
    assert http.get(run).json()["revision"] == 1


@pytest.mark.parametrize("total", [128, 64])
def test_a_key_has_its_effect_once(http: httpx.Client, run: str, total: int) -> None:
    """P4: a lost answer can be asked for again, with its status."""
    headers = {"Idempotency-Key": f"{run}-{total}"}
    first, again = (
        http.post(f"{run}/total", json={"total": total}, headers=headers) for _ in range(2)
    )
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert http.get(run).json()["revision"] == (2 if total == 128 else 1)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "invalid", "total"),
        ({"total": 0}, "invalid", "total"),
        ({"total": "128"}, "invalid", "total"),
        ({"total": 128.5}, "invalid", "total"),
        ({"total": None}, "invalid", "total"),
        ({"total": 2**53}, "invalid", "total"),
        ({"total": 15}, "invalid", "total"),
        ({"total": 31, "effective": 32}, "invalid", "total"),
        ({"total": 128, "effective": -1}, "invalid", "effective"),
        ({"total": 128, "effective": 15}, "too-late", None),
        ({"total": 128, "expected_revision": 7}, "revision-mismatch", None),
        ({"total": 128, "steps": 1}, "invalid", "steps"),
        ({"total": 128, "message": "x" * 5000}, "invalid", "message"),
    ],
)
def test_wrong_totals(
    http: httpx.Client, run: str, problem: AssertProblem, body: Any, code: str, field: str | None
) -> None:
    """P10: field, value and bound are named, and nothing has changed."""
    found = problem(http.post(f"{run}/total", json=body), code)
    assert field is None or field in found["errors"][0]["field"]
    assert http.get(run).json()["revision"] == 1


def test_words_are_the_services_alone(
    http: httpx.Client, run: str, problem: AssertProblem, new_name: Names
) -> None:
    """P10: what is stored beside a definition cannot be sent with one."""
    words = {"definition": FALL, "total": 64}
    told = {**FALL, "words": words}
    changes: tuple[Any, ...] = (
        {**told, "clock": "run"},
        {"edit": "replace", "definition": told, "clock": "run"},
        {"edit": "scale", "factor": 1, "words": words},
    )
    for change in changes:
        problem(http.post(f"{run}/revisions", json={"changes": {"lr": change}}), "invalid")
    body = {"parameters": {"lr": told}, "total": 64}
    problem(http.put(f"/v1/runs/{new_name()}", json=body), "invalid")


def test_a_longer_training_finds_its_run(
    http: httpx.Client, run: str, problem: AssertProblem
) -> None:
    """Another total is told the command; once it was given, the same body is the run's."""
    body = {"parameters": {"lr": FALL}, "total": 342, "labels": {"try": "2"}}
    found = problem(http.put(run, json=body), "name-taken")
    name = run.rpartition("/")[2]
    assert found["extend"] == f"rheostat run extend {name} --total 342"
    assert found["extend"] in found["detail"]
    assert [item["field"] for item in found["differences"]] == ["total"]
    http.post(f"{run}/total", json={"total": 342})
    assert http.put(run, json=body).status_code == 200
    assert http.put(run, json={**body, "total": 64}).status_code == 200


def test_a_finished_run_stays_as_long_as_it_is(
    http: httpx.Client, run: str, problem: AssertProblem
) -> None:
    """It is finished, whatever the total."""
    http.post(f"{run}/finish")
    for total in (64, 128):
        problem(http.post(f"{run}/total", json={"total": total}), "finished")


def test_the_stream_tells_it(http: httpx.Client, run: str) -> None:
    """`extended`, with the total and who set it."""
    http.post(f"{run}/total", json={"total": 128}, headers={"Rheostat-Author": "ann"})
    http.post(f"{run}/finish")
    told = http.get(f"{run}/events", params={"after": 0}).text
    (event,) = [part for part in told.split("\n\n") if "event: extended" in part]
    assert '"total":128' in event
    assert '"author":"ann"' in event
