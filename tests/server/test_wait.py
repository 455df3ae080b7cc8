"""Waiting for something of a run: a report, a step, a revision, a proposal, its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.conftest import Names, StartServer

BODY = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}, "total": 1000}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}


class Waited:
    """A run that is settled up to 64, and somebody who waits for something of it."""

    def __init__(self, http: httpx.Client, name: str, pool: ThreadPoolExecutor) -> None:
        self.http, self.path, self._pool = http, f"/v1/runs/{name}", pool
        self.id = http.put(self.path, json=BODY).raise_for_status().json()["id"]
        self.settle(64)

    def settle(self, stop: int) -> None:
        """Settle the steps up to one."""
        block: dict[str, int] = {"generation": 1, "start": 0, "count": stop}
        self.http.get(f"/v1/runs/{self.id}/values", params=block).raise_for_status()

    def beat(self, *steps: int, state: str = "training") -> None:
        """Say of workers 0, 1, … that they are at these steps."""
        workers = [
            {"worker": str(rank), "session": "s", "job": "j", "step": step, "state": state}
            for rank, step in enumerate(steps)
        ]
        self.post("beats", {"generation": 1, "workers": workers})

    def report(self, step: int = 10) -> None:
        """Report a loss."""
        points = [{"step": step, "metrics": {"loss": 1.0}}]
        self.post("reports", {"generation": 1, "reports": points})

    def post(self, what: str, body: Any) -> Any:
        """Ask for something to be done to the run, and return the answer."""
        return self.http.post(f"/v1/runs/{self.id}/{what}", json=body).raise_for_status().json()

    def ask(self, until: str, number: int | None = None, timeout: float = 60) -> httpx.Response:
        """Wait, and return the answer."""
        sent: dict[str, Any] = {"until": until, "timeout": timeout}
        sent |= {} if number is None else {"number": number}
        return self.http.get(f"{self.path}/wait", params=sent)

    def wait(self, until: str, number: int | None = None, timeout: float = 60) -> Any:
        """Wait, and return what became of it."""
        return self.ask(until, number, timeout).raise_for_status().json()

    def waiting(self, until: str, number: int | None = None) -> Future[httpx.Response]:
        """Begin to wait."""
        begun = threading.Event()

        def wait() -> httpx.Response:
            begun.set()
            return self.ask(until, number)

        future = self._pool.submit(wait)
        begun.wait()
        time.sleep(0.2)  # it is likely to wait by then; if not, it finds what happened
        return future


@pytest.fixture
def waited(http: httpx.Client, new_name: Names) -> Iterator[Waited]:
    """Yield a run."""
    with ThreadPoolExecutor(2) as pool:
        yield Waited(http, new_name(), pool)


COMES: dict[str, tuple[int | None, Callable[[Waited], object]]] = {
    "report": (0, lambda run: run.report()),
    "step": (64, lambda run: run.settle(66)),
    "revision": (2, lambda run: run.settle(101)),
    "proposal": (1, lambda run: run.post("proposals/1/accept", {})),
    "end": (None, lambda run: run.post("stop", {})),
}
"""What is waited for, and how it comes."""


def prepare(run: Waited) -> None:
    """Make the revision and the proposal that are waited for."""
    run.post("revisions", {**HALVE, "effective": 100})
    run.post("proposals", {"kind": "change", "body": HALVE})


@pytest.mark.parametrize("until", COMES)
def test_it_is_answered_once_it_comes(until: str, waited: Waited) -> None:
    """Not before, and at once afterwards: each of what can be waited for."""
    number, comes = COMES[until]
    prepare(waited)
    early = waited.wait(until, number, timeout=0)
    assert (early["held"], early["over"], early["until"]) == (False, False, until)
    future = waited.waiting(until, number)
    comes(waited)
    found = future.result().raise_for_status().json()
    assert (found["held"], found["over"]) == (True, True)
    again = waited.wait(until, number)
    assert (again["held"], again["id"]) == (True, waited.id)


@pytest.mark.parametrize("until", COMES)
def test_a_run_that_is_deleted_meanwhile_is_unknown(
    until: str, waited: Waited, problem: Any
) -> None:
    """Whoever waits is told, and does not wait until the time is over."""
    prepare(waited)
    future = waited.waiting(until, COMES[until][0])
    waited.http.delete(waited.path).raise_for_status()
    problem(future.result(), "unknown-run")


def test_what_was_there_before_is_no_next_report(waited: Waited) -> None:
    """Without a number it is the next report; with one, any that is newer."""
    waited.report(10)
    seen = waited.wait("report", timeout=0)
    assert (seen["held"], seen["reports"]) == (False, 1)
    future = waited.waiting("report")
    waited.report(20)
    assert future.result().json()["reports"] == 2
    assert waited.wait("report", seen["reports"])["held"]
    assert not waited.wait("report", 2, timeout=0)["held"]


def test_a_step_has_come_once_the_last_worker_is_past_it(waited: Waited) -> None:
    """Those who say where they are count, however far the first of them has settled."""
    waited.beat(30, 50)
    found = waited.wait("step", 30, timeout=0)
    assert (found["held"], found["step"]) == (False, 30)
    future = waited.waiting("step", 30)
    waited.beat(31, 50)
    assert future.result().json()["step"] == 31


def test_a_revision_has_come_once_all_workers_are_past_it(waited: Waited) -> None:
    """That it is settled is not enough, as long as somebody trains; at a pause they stand there."""
    waited.beat(64, 64)
    waited.post("revisions", HALVE)
    waited.settle(70)
    assert not waited.wait("revision", 2, timeout=0)["held"]
    future = waited.waiting("revision", 2)
    waited.beat(65, 66)
    assert "all 2 workers are past it" in future.result().json()["detail"]
    waited.post("pause", {"effective": 70})
    assert not waited.wait("revision", 3, timeout=0)["held"]
    waited.beat(70, 70, state="waiting")
    assert waited.wait("revision", 3)["held"]


@pytest.mark.parametrize("body", [{}, {"message": "no"}])
def test_a_revision_that_is_taken_back_never_comes(body: Any, waited: Waited) -> None:
    """Whoever waits for it is told at once that it is cancelled."""
    waited.post("revisions", {**HALVE, "effective": 100})
    future = waited.waiting("revision", 2)
    waited.http.delete(f"{waited.path}/revisions/2", params=body).raise_for_status()
    found = future.result().json()
    assert (found["held"], found["over"]) == (False, True)
    assert "cancelled" in found["detail"]


def test_a_proposal_that_is_declined_was_decided(waited: Waited) -> None:
    """`held` says that it was decided, and the detail how and why."""
    prepare(waited)
    future = waited.waiting("proposal", 1)
    waited.post("proposals/1/decline", {"message": "not now"})
    found = future.result().json()
    assert (found["held"], found["detail"]) == (True, "proposal 1 is declined: not now")


@pytest.mark.parametrize(("until", "number"), [("report", 9), ("step", 900), ("revision", 2)])
def test_nothing_more_comes_of_a_run_that_is_finished(
    until: str, number: int, waited: Waited
) -> None:
    """What has not come by then is over, and nobody waits for it."""
    waited.post("revisions", {**HALVE, "effective": 500})
    future = waited.waiting(until, number)
    waited.post("finish", {})
    found = future.result().json()
    assert (found["held"], found["over"], found["state"]) == (False, True, "finished")
    assert waited.wait("end")["held"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "until"),
        ({"until": "noon"}, "until"),
        ({"until": "step"}, "number"),
        ({"until": "revision"}, "number"),
        ({"until": "proposal"}, "number"),
        ({"until": "step", "number": -1}, "number"),
        ({"until": "step", "number": 2**53}, "number"),
        ({"until": "end", "timeout": 61}, "timeout"),
        ({"until": "end", "timeout": -1}, "timeout"),
        ({"until": "end", "timeout": "NaN"}, "timeout"),
    ],
)
def test_what_cannot_be_waited_for_is_refused(
    sent: Any, field: str, waited: Waited, problem: Any
) -> None:
    """P10: a word that is none, a number that is missing, a time out of its bounds."""
    answer = waited.http.get(f"{waited.path}/wait", params=sent)
    errors = problem(answer, "invalid")["errors"]
    assert field in str(errors[0]["field"])


def test_what_is_not_there_is_not_waited_for(waited: Waited, problem: Any) -> None:
    """A revision or a proposal without such a number, and a run without such a name."""
    problem(waited.ask("revision", 9), "unknown-revision")
    problem(waited.ask("proposal", 9), "unknown-proposal")
    problem(waited.http.get("/v1/runs/nobody/wait", params={"until": "end"}), "unknown-run")


def test_replicas_tell_each_other_what_has_come(start_server: StartServer, new_name: Names) -> None:
    """What is done at one replica is told to whoever waits at the other; one wait is one stream."""
    first = start_server()
    second = start_server(database=first.settings["database"], max_event_streams_per_caller=1)
    with first.client() as here, second.client() as there, ThreadPoolExecutor(2) as pool:
        run = Waited(here, new_name(), pool)
        prepare(run)
        for until, (number, comes) in COMES.items():
            elsewhere = Waited.__new__(Waited)
            elsewhere.http, elsewhere.path, elsewhere._pool = there, run.path, pool
            future = elsewhere.waiting(until, number)
            while elsewhere.ask("end", timeout=0).status_code != 429 and not future.done():
                pass
            comes(run)
            assert future.result().json()["held"], until
