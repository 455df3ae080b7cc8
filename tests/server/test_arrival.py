"""When workers come to a revision: told in answers, in states, and to whoever waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.conftest import Names

from rheostat.digests import applied_digest

BODY = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}, "total": 1000}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}


class Fleet:
    """A run that is settled up to 64, and its workers, of whom each says what it is told to."""

    def __init__(self, http: httpx.Client, name: str, pool: ThreadPoolExecutor) -> None:
        self.http = http
        self.path = f"/v1/runs/{name}"
        self.id = http.put(self.path, json=BODY).raise_for_status().json()["id"]
        self._pool = pool
        self.settle(64)

    def settle(self, stop: int, generation: int = 1) -> None:
        """Settle the steps up to one, as a worker that reads them."""
        block: dict[str, int] = {"generation": generation, "start": 0, "count": stop}
        self.http.get(f"/v1/runs/{self.id}/values", params=block).raise_for_status()

    def beat(self, *steps: int, generation: int = 1, pace: float | None = 2.0, **more: Any) -> None:
        """Say of workers 0, 1, … that they are at these steps."""
        self.say(*({"step": step, "pace": pace, **more} for step in steps), generation=generation)

    def say(self, *told: Any, generation: int = 1) -> None:
        """Say of workers 0, 1, … what is told of each."""
        workers = [
            {"worker": str(rank), "session": "s", "job": "j", **each}
            for rank, each in enumerate(told)
        ]
        body = {"generation": generation, "workers": workers}
        self.http.post(f"/v1/runs/{self.id}/beats", json=body).raise_for_status()

    def post(self, what: str, body: Any, **headers: str) -> Any:
        """Ask for something to be done to the run, and return the answer."""
        answer = self.http.post(f"{self.path}/{what}", json=body, headers=headers)
        return answer.raise_for_status().json()

    def show(self, number: int = 2, **params: Any) -> Any:
        """Return a revision."""
        answer = self.http.get(f"{self.path}/revisions/{number}", params=params)
        return answer.raise_for_status().json()

    def wait(self, goal: str, timeout: float = 60, number: int = 2) -> Any:
        """Wait for a revision, and return what became of it."""
        return self.show(number, wait=goal, timeout=timeout)

    def waiting(self, goal: str) -> Future[Any]:
        """Begin to wait for revision 2."""
        begun = threading.Event()

        def wait() -> Any:
            begun.set()
            return self.wait(goal)

        future = self._pool.submit(wait)
        begun.wait()
        time.sleep(0.2)  # it is likely to wait by then; if not, it finds what happened
        return future


@pytest.fixture
def fleet(http: httpx.Client, new_name: Names) -> Iterator[Fleet]:
    """Yield a run with workers."""
    with ThreadPoolExecutor(2) as pool:
        yield Fleet(http, new_name(), pool)


ORDERS: list[tuple[str, Any, int]] = [
    ("revisions", HALVE, 64),
    ("revisions", {**HALVE, "effective": 100}, 100),
    ("total", {"total": 2000, "effective": 100}, 100),
    ("signals", {"signal": "checkpoint"}, 64),
    ("stop", {"effective": 100}, 100),
    ("pause", {"effective": 100}, 100),
    ("advance", {"to": 100}, 100),
]


@pytest.mark.parametrize(("what", "body", "effective"), ORDERS)
def test_an_answer_says_when_the_last_worker_comes(
    fleet: Fleet, what: str, body: Any, effective: int
) -> None:
    """Steps count from the slowest; seconds are those steps at the median pace, less its age."""
    fleet.beat(40, 50, 60)
    (eta,) = fleet.post(what, body)["eta"]
    seconds = eta.pop("seconds")
    steps = effective - 40
    assert eta == {
        "revision": 2,
        "effective": effective,
        "steps": steps,
        "reached_by": 0,
        "workers": 3,
    }
    assert steps / 2 - 30 < seconds <= steps / 2


@pytest.mark.parametrize(("what", "reached_by"), [("pause", 1), ("stop", 1), ("revisions", 0)])
def test_who_stands_at_a_pause_has_come_to_it(fleet: Fleet, what: str, reached_by: int) -> None:
    """Nobody gets past a pause or a stop: one of two stands at step 64, where a change is ahead."""
    fleet.beat(40, 64)
    (eta,) = fleet.post(what, HALVE if what == "revisions" else {})["eta"]
    assert (eta["effective"], eta["reached_by"], eta["workers"]) == (64, reached_by, 2)


@pytest.mark.parametrize("beats", [True, False])
def test_a_change_far_ahead_is_warned_of(fleet: Fleet, *, beats: bool) -> None:
    """P14: with or without `eta`, who sets a change far ahead is told from where that is."""
    fleet.http.get(f"{fleet.path}/values", params={"generation": 1, "start": 64, "count": 1})
    if beats:
        fleet.beat(64)
    answer = fleet.post("revisions", {**HALVE, "effective": 5000})
    assert (bool(answer.get("eta")), len(answer["warnings"])) == (beats, 1)


def test_taking_back_says_when_the_last_worker_comes_to_the_step(fleet: Fleet) -> None:
    """That is when it matters."""
    fleet.beat(40, 50)
    fleet.post("revisions", {**HALVE, "effective": 100})
    answer = fleet.http.delete(f"{fleet.path}/revisions/2").raise_for_status().json()
    assert (answer["revision"], answer["cancelled"], answer["effective"]) == (3, 2, 100)
    assert [(each["revision"], each["steps"]) for each in answer["eta"]] == [(3, 60)]


@pytest.mark.parametrize(("kind", "body"), [("change", HALVE), ("rewind", {"to": 32})])
def test_who_says_yes_is_told_too(fleet: Fleet, kind: str, body: Any) -> None:
    """A rewind is no step that workers come to: it ends them."""
    fleet.beat(40, 50)
    fleet.post("proposals", {"kind": kind, "body": body})
    accepted = fleet.post("proposals/1/accept", {})
    told = [each["steps"] for each in accepted.get("eta", [])]
    assert told == ([24] if kind == "change" else [])


@pytest.mark.parametrize("what", ["revisions", "total"])
def test_a_rehearsal_says_so_as_well(fleet: Fleet, what: str) -> None:
    """It has no revision yet."""
    fleet.beat(40)
    body = HALVE if what == "revisions" else {"total": 2000}
    (eta,) = fleet.post(f"{what}?dry_run=true", body)["eta"]
    assert (eta["revision"], eta["effective"], eta["steps"]) == (None, 64, 24)


def test_where_nobody_trains_nothing_is_said(fleet: Fleet) -> None:
    """Neither before the first beat nor after the last worker has ended."""
    assert "eta" not in fleet.post("revisions", HALVE)
    assert "eta" not in fleet.post("revisions?dry_run=true", HALVE)
    time.sleep(1.1)  # what is known of workers may be a second old
    fleet.beat(40, state="ended")
    assert "eta" not in fleet.post("revisions", HALVE)


def test_a_pace_that_is_not_known_gives_no_time(fleet: Fleet) -> None:
    """Only how far it is."""
    fleet.beat(40, pace=None)
    (eta,) = fleet.post("revisions", HALVE)["eta"]
    assert (eta["steps"], eta["seconds"]) == (24, None)


def test_a_repetition_is_told_how_it_is_by_then(fleet: Fleet) -> None:
    """The revision is made once; when workers come is not kept with it."""
    key = {"Idempotency-Key": fleet.id}
    first = fleet.post("revisions", HALVE, **key)
    assert "eta" not in first
    time.sleep(1.1)  # what is known of workers may be a second old
    fleet.beat(40)
    again = fleet.post("revisions", HALVE, **key)
    assert again.pop("eta")[0]["steps"] == 24
    assert again == first


def test_a_revision_is_reached_when_the_last_worker_is_past_it(fleet: Fleet) -> None:
    """Who waits is answered then, though beats are no events; lists and readers say it too."""
    fleet.beat(40, 50)
    fleet.post("revisions", HALVE)
    assert fleet.show()["eta"][0]["steps"] == 24
    answer = fleet.waiting("reached")
    fleet.settle(128)
    fleet.beat(64, 80)  # worker 0 has yet to do the update of step 64
    time.sleep(1.5)
    assert not answer.done()
    fleet.beat(65, 81)
    found = answer.result(30)
    assert found["state"] == "reached"
    assert found["waited"] == {
        "for": "reached",
        "met": True,
        "detail": "all 2 workers are past it; the last, worker 0 at step 65",
    }
    assert "eta" not in found
    assert fleet.show()["state"] == "reached"
    items = fleet.http.get(f"{fleet.path}/revisions").json()["items"]
    assert [item["state"] for item in items] == ["reached", "reached"]
    assert fleet.wait("settled")["waited"]["met"]


def test_who_waited_in_vain_learns_who_holds_it_back(fleet: Fleet) -> None:
    """The slowest worker, and its step."""
    fleet.beat(40, 900)
    fleet.post("revisions", HALVE)
    early = fleet.wait("reached", timeout=0)
    assert (early["state"], early["waited"]["met"]) == ("pending", False)
    fleet.settle(128)
    waited = fleet.wait("reached", timeout=0.2)["waited"]
    assert waited["detail"] == (
        "the time is over, and the revision is settled:"
        " worker 0 is the last, at step 40, 24 short of 64"
    )


def test_a_rewind_is_reached_when_all_are_in_its_generation(fleet: Fleet) -> None:
    """One that still trains in the left one holds it back, however far it is."""
    fleet.beat(60, 60)
    fleet.settle(128)
    fleet.post("rewind", {"to": 32})
    fleet.settle(64, generation=2)
    assert fleet.show()["state"] == "settled"
    answer = fleet.waiting("reached")
    fleet.beat(33, generation=2)
    time.sleep(1.5)
    assert not answer.done()
    fleet.beat(40, 33, generation=2)
    assert answer.result(30)["waited"]["met"]


def test_a_stop_is_reached_where_workers_end(fleet: Fleet) -> None:
    """No worker does the update of its step; those who have ended count."""
    fleet.beat(60, 64)
    fleet.post("stop", {"effective": 64})
    refused = fleet.http.get(
        f"/v1/runs/{fleet.id}/values", params={"generation": 1, "start": 64, "count": 1}
    )
    assert refused.status_code == 409  # a worker has ended by it
    answer = fleet.waiting("reached")
    fleet.beat(64, 64, state="ended")
    found = answer.result(30)
    assert (found["state"], found["waited"]["met"]) == ("reached", True)


def test_a_pause_is_reached_while_it_can_be_taken_back(fleet: Fleet) -> None:
    """All workers wait at it, and it stays pending."""
    fleet.beat(60, 64)
    fleet.post("pause", {"effective": 64})
    answer = fleet.waiting("reached")
    fleet.beat(64, 64, state="waiting")
    found = answer.result(30)
    assert (found["state"], found["waited"]["met"]) == ("pending", True)


def window(stop: int) -> Any:
    """Return what a worker lists that applied all steps up to one, half the rate from 64 on."""
    values = [0.5 if step < 64 else 0.25 for step in range(stop)]
    return {
        "cells": [[0, stop, 1]],
        "parameters": {"lr": "f64"},
        "digest": applied_digest(range(stop), [values]),
    }


def test_a_revision_is_proven_when_all_have_shown_that_they_applied_it(fleet: Fleet) -> None:
    """One who has shown the steps before it holds it back, and is named."""
    fleet.post("revisions", HALVE)
    fleet.settle(128)
    fleet.say({"step": 100, "applied": [window(100)]}, {"step": 100, "applied": [window(64)]})
    early = fleet.wait("proven", timeout=0.2)
    assert (early["state"], early["waited"]["met"]) == ("reached", False)
    assert early["waited"]["detail"] == (
        "the time is over, and the revision is reached:"
        " worker 1 has shown what it applied up to step 64"
    )
    answer = fleet.waiting("proven")
    fleet.say({"step": 101}, {"step": 101, "applied": [window(101)]})
    found = answer.result(30)
    assert (found["state"], found["waited"]["met"]) == ("proven", True)
    assert fleet.show()["state"] == "proven"


def test_who_applied_another_value_is_named_at_once(fleet: Fleet) -> None:
    """It will never be proven; that all are past it is not touched by that."""
    fleet.post("revisions", HALVE)
    fleet.settle(128)
    wrong = {"step": 64, "parameter": "lr", "found": 0.5}
    fleet.say({"step": 100, "applied": [window(100)]}, {"step": 100, "wrong": [wrong]})
    waited = fleet.wait("proven")["waited"]
    assert not waited["met"]
    assert waited["detail"] == (
        "worker 1 applied another value than was served at step 64: see the mismatches of the run"
    )
    assert fleet.wait("reached")["waited"]["met"]
