"""What workers say over HTTP, and waiting for what becomes of a revision."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.conftest import Guarded, Names, StartServer
from tests.server.conftest import AssertProblem

BODY = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}


class Trained:
    """A run of which 16 steps are settled, and whoever waits for it."""

    def __init__(self, http: httpx.Client, name: str, pool: ThreadPoolExecutor) -> None:
        self.http = http
        self.path = f"/v1/runs/{name}"
        self.id = http.put(self.path, json=BODY).raise_for_status().json()["id"]
        self._pool = pool
        self.settle(0)

    def settle(self, start: int, generation: int = 1) -> None:
        """Settle 16 steps."""
        block: dict[str, int] = {"generation": generation, "start": start, "count": 16}
        self.http.get(f"/v1/runs/{self.id}/values", params=block).raise_for_status()

    def post(self, what: str, body: Any) -> httpx.Response:
        """Send a request about the run."""
        return self.http.post(f"{self.path}/{what}", json=body)

    def tell(self, **more: Any) -> httpx.Response:
        """Say what became of revision 2."""
        told = {"generation": 1, "revision": 2, "source": "main", "outcome": "done", "step": 16}
        return self.http.post(f"/v1/runs/{self.id}/outcomes", json={**told, **more})

    def wait(self, goal: str, timeout: float = 60, number: int = 2) -> Any:
        """Wait for a revision."""
        params: dict[str, str | float] = {"wait": goal, "timeout": timeout}
        answer = self.http.get(f"{self.path}/revisions/{number}", params=params)
        return answer.raise_for_status().json()

    def waiting(self, goal: str) -> Future[Any]:
        """Begin to wait for revision 2, and return once the service has been asked."""
        begun = threading.Event()

        def wait() -> Any:
            begun.set()
            return self.wait(goal)

        future = self._pool.submit(wait)
        begun.wait()
        time.sleep(0.2)  # it is likely to wait by then; if not, it finds what happened
        return future


@pytest.fixture
def run(http: httpx.Client, new_name: Names) -> Iterator[Trained]:
    """Yield a run of which 16 steps are settled."""
    with ThreadPoolExecutor(2) as pool:
        yield Trained(http, new_name(), pool)


def test_an_outcome_is_written_once(run: Trained) -> None:
    """201 for the first word of a source, 200 with that for any other; all are listed."""
    run.post("signals", {"signal": "checkpoint"}).raise_for_status()
    first = run.tell(data={"path": "/ckpt/16"})
    again = run.tell(outcome="failed", error="disk full")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert first.json()["data"] == {"path": "/ckpt/16"}
    run.tell(source="rank-1", outcome="failed", error="disk full").raise_for_status()
    listed = run.http.get(f"{run.path}/revisions/2/outcomes", params={"limit": 1}).json()
    params = {"cursor": listed["next"]}
    rest = run.http.get(f"{run.path}/revisions/2/outcomes", params=params).json()
    assert [item["source"] for item in listed["items"] + rest["items"]] == ["main", "rank-1"]
    shown = run.http.get(f"{run.path}/revisions/2").json()["outcomes"]
    assert (shown["done"], shown["failed"]) == (1, 1)
    assert [item["source"] for item in shown["items"]] == ["rank-1", "main"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("generation", 0),
        ("revision", "2"),
        ("source", ""),
        ("source", 129 * "x"),
        ("outcome", "maybe"),
        ("step", -1),
        ("step", 17),
        ("data", []),
        ("data", {"path": 4096 * "x"}),
        ("error", 4097 * "x"),
        ("nope", 1),
    ],
)
def test_a_wrong_outcome_is_refused(
    run: Trained, problem: AssertProblem, field: str, value: Any
) -> None:
    """P10: by the field's name, and nothing is kept."""
    run.post("signals", {"signal": "checkpoint"}).raise_for_status()
    refusal = problem(run.tell(**{field: value}), "invalid")
    assert field in [error["field"] for error in refusal["errors"]]
    assert run.http.get(f"{run.path}/revisions/2/outcomes").json()["items"] == []


def test_a_worker_tells_and_leaves_notes(guarded: Guarded, new_name: Names) -> None:
    """Those below a worker may not; a note names who left it."""
    path = f"/v1/runs/{new_name()}"
    guarded.ask("worker", "PUT", path, json=BODY).raise_for_status()
    note = {"text": "NaN in layer 7", "level": "error"}
    for role in ("viewer", "proposer"):
        assert guarded.ask(role, "POST", f"{path}/notes", json=note).status_code == 403
        assert guarded.ask(role, "POST", f"{path}/outcomes", json={}).status_code == 403
    made = guarded.ask("worker", "POST", f"{path}/notes", json=note)
    assert (made.status_code, made.json()) == (201, {"revision": 2, "effective": 0})
    (kept,) = guarded.ask("viewer", "GET", f"{path}/revisions?kind=note").json()["items"]
    assert (kept["author"], kept["message"], kept["data"]) == (
        "worker",
        note["text"],
        {"level": "error"},
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": " "}, "text"),
        ({"text": 4097 * "x"}, "text"),
        ({"text": "x", "step": -1}, "step"),
        ({"text": "x", "level": "fatal"}, "level"),
    ],
)
def test_a_wrong_note_is_refused(
    run: Trained, problem: AssertProblem, body: Any, field: str
) -> None:
    """P10: by the field's name, and nothing is kept."""
    refusal = problem(run.post("notes", body), "invalid")
    assert field in [error["field"] for error in refusal["errors"]]
    assert run.http.get(run.path).json()["revision"] == 1


def test_the_hundred_and_first_note_of_a_minute_comes_later(
    run: Trained, problem: AssertProblem
) -> None:
    """429, and `Retry-After` says when."""
    for number in range(100):
        run.post("notes", {"text": f"note {number}"}).raise_for_status()
    answer = run.post("notes", {"text": "one more"})
    problem(answer, "rate-limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_a_history_is_of_one_kind(run: Trained, problem: AssertProblem) -> None:
    """`kind` is one of the kinds of revisions; another word is refused."""
    run.post("revisions", HALVE).raise_for_status()
    run.post("notes", {"text": "well"}).raise_for_status()
    for kind, numbers in (("create", [1]), ("change", [2]), ("note", [3]), ("stop", [])):
        items = run.http.get(f"{run.path}/revisions", params={"kind": kind}).json()["items"]
        assert [item["revision"] for item in items] == numbers
    problem(run.http.get(f"{run.path}/revisions", params={"kind": "edit"}), "invalid")


def test_a_history_is_of_one_author(run: Trained, problem: AssertProblem) -> None:
    """`author` has the pages of what somebody did, in either order; nobody did nothing."""
    for author in ("ann", "bob", "ann", "bob", "ann"):
        sent = {"Rheostat-Author": author}
        run.http.post(f"{run.path}/notes", json={"text": "seen"}, headers=sent).raise_for_status()
    found: list[int] = []
    asked: dict[str, Any] = {"author": "ann", "order": "newest", "limit": 2}
    while True:
        page = run.http.get(f"{run.path}/revisions", params=asked).raise_for_status().json()
        found += [item["revision"] for item in page["items"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert found == [6, 4, 2]
    assert run.http.get(f"{run.path}/revisions", params={"author": "eve"}).json()["items"] == []
    problem(run.http.get(f"{run.path}/revisions", params={"author": ""}), "invalid")


def test_waiting_ends_as_soon_as_the_step_is_settled(run: Trained) -> None:
    """A change ahead is pending; a worker reads it; who waits is answered."""
    run.post("revisions", {**HALVE, "effective": 16}).raise_for_status()
    answer = run.waiting("settled")
    run.settle(16)
    found = answer.result(30)
    assert found["state"] == "settled"
    assert found["waited"] == {"for": "settled", "met": True, "detail": "the revision is settled"}


def test_a_pause_is_waited_for_until_it_holds(run: Trained) -> None:
    """It can be taken back all the time, and yet a wait ends as soon as workers are there."""
    run.post("pause", {"effective": 32}).raise_for_status()
    answer = run.waiting("settled")
    run.settle(16)
    found = answer.result(30)
    assert (found["state"], found["waited"]["met"]) == ("pending", True)


def test_a_pause_before_which_steps_are_open_does_not_hold_yet(run: Trained) -> None:
    """A step short of it, the wait goes on until its time is over."""
    run.post("pause", {"effective": 17}).raise_for_status()
    assert not run.wait("settled", timeout=0.3)["waited"]["met"]


def cancel(run: Trained) -> None:
    """Take revision 2 back."""
    run.http.delete(f"{run.path}/revisions/2").raise_for_status()


def rewind(run: Trained) -> None:
    """Go back to before it."""
    run.post("rewind", {"to": 0}).raise_for_status()


@pytest.mark.parametrize(("end", "state"), [(cancel, "cancelled"), (rewind, "dropped")])
def test_waiting_ends_with_what_will_not_come(
    run: Trained, end: Callable[[Trained], None], state: str
) -> None:
    """Whoever waits for a change that is taken back, or left behind, is told so at once."""
    run.post("revisions", {**HALVE, "effective": 32}).raise_for_status()
    answer = run.waiting("settled")
    end(run)
    found = answer.result(30)
    assert (found["state"], found["waited"]["met"]) == (state, False)


@pytest.mark.parametrize(("outcome", "met"), [("done", True), ("failed", False)])
def test_a_signal_is_waited_for_until_a_worker_has_spoken(
    run: Trained, outcome: str, *, met: bool
) -> None:
    """That it is settled is not enough."""
    run.post("signals", {"signal": "checkpoint"}).raise_for_status()
    run.settle(16)
    answer = run.waiting("done")
    run.tell(outcome=outcome).raise_for_status()
    found = answer.result(30)
    assert (found["state"], found["waited"]["met"]) == (outcome, met)
    assert found["outcomes"][outcome] == 1


@pytest.mark.parametrize("goal", ["reached", "proven"])
def test_what_cannot_be_known_is_said(run: Trained, goal: str) -> None:
    """P10: no word of ranks comes yet, so `settled` is the most; it does not wait for more."""
    run.post("revisions", HALVE).raise_for_status()
    early = run.wait(goal, timeout=0)["waited"]
    assert early["detail"] == "the time is over, and the revision is pending"
    run.settle(16)
    found = run.wait(goal)
    assert (found["state"], found["waited"]["met"]) == ("settled", False)
    assert "the most that can be known" in found["waited"]["detail"]


def test_a_change_has_no_outcome_to_wait_for(run: Trained) -> None:
    """It says so once it is settled, in place of waiting for nothing."""
    found = run.wait("done", number=1)
    assert (found["state"], found["waited"]["met"]) == ("settled", False)


def test_only_so_many_wait(
    start_server: StartServer, new_name: Names, problem: AssertProblem
) -> None:
    """P10: who waits counts as a stream of events; one more than a caller may have is 429."""
    running = start_server(max_event_streams_per_caller="1")
    with running.client() as http, ThreadPoolExecutor(2) as pool:
        run = Trained(http, new_name(), pool)
        run.post("revisions", {**HALVE, "effective": 16}).raise_for_status()
        answer = run.waiting("settled")
        params = {"wait": "settled"}
        problem(http.get(f"{run.path}/revisions/2", params=params), "rate-limited")
        run.settle(16)
        assert answer.result(30)["waited"]["met"]
        http.get(f"{run.path}/revisions/2", params=params).raise_for_status()


def test_time_runs_out(run: Trained) -> None:
    """The state that it has come to is answered, and that this was not all."""
    run.post("revisions", {**HALVE, "effective": 32}).raise_for_status()
    found = run.wait("settled", timeout=0.3)
    assert (found["state"], found["waited"]["met"]) == ("pending", False)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"wait": "pending"}, "wait"),
        ({"wait": "soon"}, "wait"),
        ({"wait": "settled", "timeout": 61}, "timeout"),
        ({"wait": "settled", "timeout": -1}, "timeout"),
        ({"wait": "settled", "timeout": "nan"}, "timeout"),
    ],
)
def test_a_wrong_wait_is_refused(
    run: Trained, problem: AssertProblem, params: Any, field: str
) -> None:
    """P10: by the parameter's name."""
    answer = run.http.get(f"{run.path}/revisions/1", params=params)
    refusal = problem(answer, "invalid")
    assert [error["field"] for error in refusal["errors"]] == [field]
    problem(run.http.get(f"{run.path}/revisions/9", params={"wait": "settled"}), "unknown-revision")
