"""A run at a glance, and waiting longer than one request may: what is sent, and how often."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import httpx
import pytest
from tests.client.test_orders import Desk

from rheostat import AsyncClient, Client
from rheostat.errors import UnknownRun

SHORT = 0.2
"""Seconds of a client's patience with one answer."""


def found(*, held: bool = False, over: bool = False, reports: Any = 5) -> dict[str, Any]:
    """Return what the service says of something that is waited for."""
    return {"held": held, "over": held or over, "reports": reports, "detail": "x"}


def waited(desk: Desk, *asked: Any, timeout: float) -> list[Any]:
    """Wait with both clients, each asking the desk from its first answer on."""
    options: Any = {"transport": httpx.MockTransport(desk), "timeout": SHORT, "retries": 0}
    answers = list(desk.answers)
    with Client("http://test", **options) as client:
        first = client.control("gpt").wait_until(*asked, timeout=timeout)
    desk.answers = answers

    async def wait() -> Any:
        async with AsyncClient("http://test", **options) as client:
            return await client.control("gpt").wait_until(*asked, timeout=timeout)

    return [first, asyncio.run(wait())]


def queries(desk: Desk) -> list[dict[str, str]]:
    """Return the parameters of each request."""
    assert {request.url.path for request in desk.requests} == {"/v1/runs/gpt/wait"}
    return [dict(request.url.params) for request in desk.requests]


def test_it_asks_again_until_it_has_come() -> None:
    """For ever, if so told: each request is shorter than the client's patience with an answer."""
    desk = Desk(found(), found(), found(held=True))
    assert [answer["held"] for answer in waited(desk, "step", 40, timeout=math.inf)] == [True] * 2
    asked = queries(desk)
    assert len(asked) == 6
    assert all((each["until"], each["number"]) == ("step", "40") for each in asked)
    assert all(float(each["timeout"]) <= SHORT / 2 for each in asked)


def test_what_cannot_come_any_more_is_not_waited_for() -> None:
    """`over` ends it, however much time is left."""
    desk = Desk(found(over=True))
    assert [answer["held"] for answer in waited(desk, "revision", 2, timeout=1e9)] == [False] * 2
    assert len(desk.requests) == 2


def test_no_report_is_missed_between_two_requests() -> None:
    """What was the newest at first is what the next request says that it knows."""
    desk = Desk(found(reports=5), found(reports=5), found(held=True, reports=6))
    waited(desk, "report", timeout=math.inf)
    assert [each.get("number") for each in queries(desk)] == [None, "5", "5"] * 2


def test_it_ends_when_the_time_is_over() -> None:
    """It raises nothing then; no time at all is one look."""
    desk = Desk(found())
    assert [answer["held"] for answer in waited(desk, "end", timeout=0)] == [False] * 2
    assert [each["timeout"] for each in queries(desk)] == ["0.0"] * 2
    waited(desk, "end", timeout=0.15)
    assert len(desk.requests) > 4
    assert all(float(each["timeout"]) <= SHORT / 2 for each in queries(desk))


def test_a_run_that_was_deleted_is_raised() -> None:
    """`UnknownRun`, whenever it is found."""
    problem = UnknownRun("there is no run gpt").to_problem()
    kind = {"Content-Type": "application/problem+json"}
    desk = Desk(found(), httpx.Response(404, json=problem, headers=kind))
    with pytest.raises(UnknownRun):
        waited(desk, "end", timeout=math.inf)


@pytest.mark.parametrize("answer", [{}, {"held": "yes"}, {"held": None, "reports": "many"}])
def test_what_others_answer_is_no_reason_to_stop(answer: Any) -> None:
    """Half an answer is not what was waited for; the time ends it."""
    desk = Desk(answer)
    waited(desk, "report", timeout=0.15)
    assert {each.get("number") for each in queries(desk)} == {None}


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda run: run.brief(), "/v1/runs/gpt/brief"),
        (lambda run: run.allowances(), "/v1/runs/gpt/allowances"),
        (lambda run: run.history(last=3), "/v1/runs/gpt/revisions?order=newest&limit=3"),
    ],
)
def test_each_look_is_one_request(call: Any, path: str) -> None:
    """A brief, the allowances, the newest revisions, which are answered the oldest first."""
    desk = Desk({"items": [{"revision": 3}, {"revision": 2}], "next": None})
    with Client("http://test", transport=httpx.MockTransport(desk), retries=0) as client:
        told = call(client.control("gpt"))
    assert [each.url.raw_path.decode() for each in desk.requests] == [path]
    if "revisions" in path:
        assert [each["revision"] for each in told] == [2, 3]


def test_it_is_said_who_asks() -> None:
    """`access` is that of the client's token."""
    desk = Desk({"name": "tuner", "role": "viewer", "runs": None, "limit": None, "may": []})
    with Client("http://test", transport=httpx.MockTransport(desk), retries=0) as client:
        assert client.access()["name"] == "tuner"
    assert desk.asked == ("GET", "/access", None)
