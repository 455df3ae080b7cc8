"""Beginning, advancing and reading far, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.conftest import Guarded
    from tests.server.conftest import AssertProblem

COUNTDOWN = {"kind": "linear", "start": 8192, "end": 0, "steps": 8192}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
FARTHEST = 9_007_199_254_740_000
F64 = "application/octet-stream"


class Asker:
    """One run of a real server, and how one asks it."""

    def __init__(self, http: httpx.Client, name: str, **fields: Any) -> None:
        self.http = http
        self.path = f"/v1/runs/{name}"
        body = {"parameters": {"lr": COUNTDOWN, "wd": {"kind": "constant", "value": 0.5}}}
        made = http.put(self.path, json={**body, **fields}).raise_for_status().json()
        self.id = made["id"]

    def post(self, operation: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send an operation on the run."""
        return self.http.post(f"{self.path}/{operation}", json=body or {}, headers=headers)

    def read(self, start: int, count: int = 1, **more: Any) -> httpx.Response:
        """Read a block as a worker does."""
        query = {"generation": 1, "start": start, "count": count, **more}
        return self.http.get(f"/v1/runs/{self.id}/values", params=query)

    def state(self) -> dict[str, Any]:
        """Return the run's state."""
        found: dict[str, Any] = self.http.get(self.path).json()
        return found


Make = Callable[..., Asker]


@pytest.fixture
def make(http: httpx.Client, new_name: Callable[[], str]) -> Make:
    """Return what makes a run."""
    return lambda **fields: Asker(http, new_name(), **fields)


@pytest.mark.parametrize("more", [{}, {"resume": "true"}])
@pytest.mark.parametrize("start", [257, 4096, 90_000, FARTHEST])
def test_no_read_takes_a_run_away(
    make: Make, problem: AssertProblem, start: int, more: dict[str, Any]
) -> None:
    """P14: whatever a single read asks for, the next change lands where the training is."""
    run = make(total=1000)
    run.read(0).raise_for_status()
    code = "past-total" if start > 5096 else "step-jump"
    refusal = problem(run.read(start + 1, **more), code)
    assert refusal["settled_until"] == 1
    assert run.post("revisions", HALVE).json()["effective"] == 1


def test_a_worker_learns_how_to_go_on(make: Make, problem: AssertProblem) -> None:
    """P14: the refusal's members and sentence are what its caller needs next."""
    run = make(total=50_000)
    far = problem(run.read(20_000), "step-jump")
    assert far["advance"] == {"to": 20_000}
    assert {far[name] for name in ("settled_until", "begins")} == {0}
    assert (far["max_gap"], far["max_jump"]) == (256, 4096)
    begun = run.post("join", {"start": 20_000}).raise_for_status().json()
    assert (begun["begins"], begun["settled_until"], begun["total"]) == (20_000, 20_000, 50_000)
    assert run.read(20_000).json()["parameters"]["wd"] == [0.5]
    past = problem(run.read(54_096), "past-total")
    assert past["extend"] == f"rheostat run extend {run.path.split('/')[-1]} --total 54097"
    problem(run.post("join", {"start": 40_000}), "step-jump")
    moved = run.post("advance", far["advance"] | {"to": 40_000, "message": "new data"})
    assert moved.status_code == 201
    assert moved.json().items() >= {"revision": 2, "settled_until": 40_000}.items()
    assert run.post("join", {"start": 40_000}).json()["begins"] == 20_000


def test_an_advance_is_made_once(make: Make, problem: AssertProblem) -> None:
    """P4: repeated under its key it answers as it did; without one, it is too late."""
    run = make()
    first, again = (run.post("advance", {"to": 900}, **{"Idempotency-Key": run.id}) for _ in "ab")
    assert first.json() == again.json()
    assert problem(run.post("advance", {"to": 900}), "too-late")["earliest"] == 901
    problem(run.post("advance", {"to": 9, "expected_revision": 9}), "revision-mismatch")
    assert run.state()["revision"] == 2


@pytest.mark.parametrize("role", ["viewer", "proposer", "worker", "operator"])
def test_only_operators_move_a_run_on(guarded: Guarded, new_name: Any, role: str) -> None:
    """P14: a worker says where it begins, once; what comes later is an operator's."""
    name = new_name()
    body = {"parameters": {"lr": COUNTDOWN}}
    guarded.ask("worker", "PUT", f"/v1/runs/{name}", json=body).raise_for_status()
    begun = guarded.ask(role, "POST", f"/v1/runs/{name}/join", json={"start": 500})
    assert begun.status_code == (403 if role in {"viewer", "proposer"} else 200)
    moved = guarded.ask(role, "POST", f"/v1/runs/{name}/advance", json={"to": 900})
    assert moved.status_code == (201 if role == "operator" else 403)


@pytest.mark.parametrize("start", [-1, 2**53, 1.5, "7", True, [7]])
def test_a_start_is_a_coordinate(make: Make, problem: AssertProblem, start: Any) -> None:
    """P10: the field is named, and nothing begins."""
    run = make()
    refusal = problem(run.post("join", {"start": start}), "invalid")
    assert [error["field"] for error in refusal["errors"]] == ["start"]
    problem(run.post("advance", {"to": start}), "invalid")
    assert run.state()["settled_until"] == 0


def test_an_answer_says_that_it_lands_far_from_the_readers(make: Make) -> None:
    """P14: also where the training reads what is settled long ago, from this process's memory."""
    run = make()
    for start in range(0, 2048, 256):
        run.read(start, 256)
    assert run.post("revisions", HALVE).json()["warnings"] == []
    moved = run.post("advance", {"to": 4096}).json()
    assert (moved["beyond"], len(moved["warnings"])) == (4096 - 1792, 1)
    tried = run.http.post(f"{run.path}/revisions?dry_run=true", json=HALVE).json()
    assert (tried["beyond"], tried["warnings"]) == (4096 - 1792, [tried["warnings"][0]])


# previews


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize(
    ("query", "headers"),
    [({"format": "f64"}, {}), ({}, {"Accept": F64}), ({"format": "f64"}, {"Accept": "text/html"})],
)
def test_a_preview_comes_as_bytes(
    make: Make, start: int, query: dict[str, str], headers: dict[str, str]
) -> None:
    """As a settled block comes, but that nobody may keep it; and nothing is settled."""
    run = make()
    run.read(0, 2).raise_for_status()
    asked: dict[str, Any] = {"start": start, "count": 4, **query}
    answer = run.http.get(f"{run.path}/values", params=asked, headers=headers)
    assert answer.headers["content-type"] == F64
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["rheostat-settled-until"] == "2"
    values = np.frombuffer(answer.content, "<f8").reshape(2, 4).tolist()
    assert values == [[8192.0 - start - n for n in range(4)], [0.5] * 4]
    assert run.state()["settled_until"] == 2


@pytest.mark.parametrize("query", [{}, {"format": "json"}])
def test_a_preview_comes_as_json(make: Make, query: dict[str, str]) -> None:
    """With which of its values are final."""
    run = make()
    run.read(0, 2).raise_for_status()
    answer = run.http.get(f"{run.path}/values", params={"start": 1, "count": 2, **query})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["final"] == [True, False]


@pytest.mark.parametrize("offered", ["json", "f64"])
def test_what_is_offered_is_given(make: Make, problem: AssertProblem, offered: str) -> None:
    """P10: what the refusal of another format lists comes, to viewers and workers alike."""
    run = make()
    asked: dict[str, Any] = {"start": 0, "count": 2}
    refusal = problem(
        run.http.get(f"{run.path}/values", params={**asked, "format": "csv"}), "not-acceptable"
    )
    assert offered in refusal["available"]
    readings: list[dict[str, Any]] = [{}, {"generation": 1}]
    for reading in readings:
        query = {**asked, **reading, "format": offered}
        answer = run.http.get(f"/v1/runs/{run.id}/values", params=query).raise_for_status()
        assert answer.headers["content-type"] == refusal["available"][offered]


def test_a_value_by_step_settles_nothing(make: Make) -> None:
    """P14: it is how one looks at a running training, at any step."""
    run = make()
    for step in (0, 300, 90_000, FARTHEST):
        shown = run.http.get(f"{run.path}/values/{step}").raise_for_status().json()
        assert shown["final"] is False
        assert shown["parameters"]["lr"] == max(8192 - step, 0)
    assert run.state()["settled_until"] == 0
