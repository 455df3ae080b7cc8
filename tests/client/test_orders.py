"""What an operator says to a training that listens: what each call sends, and what it returns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from rheostat import AsyncClient, Client
from rheostat.client import Control
from rheostat.errors import Invalid

PLATEAU = {"kind": "plateau", "metric": "val_loss", "factor": 0.5}


class Desk:
    """A service that takes down what it is asked, and answers what it is told to."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers) or [{"revision": 3, "effective": 200}]
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, the last answer for ever."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def asked(self) -> tuple[str, str, Any]:
        """Method, path and body of the last request."""
        request = self.requests[-1]
        target = request.url.raw_path.decode().removeprefix("/v1")
        return request.method, target, json.loads(request.content or "null")


def operator(desk: Desk) -> Client:
    """Return a client of the desk."""
    return Client("http://test", transport=httpx.MockTransport(desk), retries=0)


RUN = "/runs/gpt"
CALLS: list[tuple[Callable[[Any], Any], str, str, Any]] = [
    (lambda c: c.stop(), "POST", f"{RUN}/stop", {"effective": "next", "message": ""}),
    (
        lambda c: c.stop(effective=9, message="m", signal="checkpoint", expected_revision=2),
        *("POST", f"{RUN}/stop"),
        {
            "effective": 9,
            "message": "m",
            "signal": {"signal": "checkpoint"},
            "expected_revision": 2,
        },
    ),
    (
        lambda c: c.pause(signal={"signal": "save", "arguments": {"tag": "x"}}),
        *("POST", f"{RUN}/pause"),
        {
            "effective": "next",
            "message": "",
            "signal": {"signal": "save", "arguments": {"tag": "x"}},
        },
    ),
    (lambda c: c.resume(), "POST", f"{RUN}/resume", {"message": ""}),
    (lambda c: c.resume(700), "POST", f"{RUN}/resume", {"until": 700, "message": ""}),
    (
        lambda c: c.signal("checkpoint", effective=7, arguments={"message": "a"}, tag="b"),
        *("POST", f"{RUN}/signals"),
        {
            "signal": "checkpoint",
            "arguments": {"message": "a", "tag": "b"},
            "effective": 7,
            "message": "",
        },
    ),
    (lambda c: c.note("hm"), "POST", f"{RUN}/notes", {"text": "hm", "level": "note"}),
    (
        lambda c: c.note("NaN", step=7, level="error"),
        *("POST", f"{RUN}/notes", {"text": "NaN", "step": 7, "level": "error"}),
    ),
    (lambda c: c.arm("p", PLATEAU), "PUT", f"{RUN}/controllers/p", PLATEAU),
    (
        lambda c: c.arm("p", PLATEAU, keep_state=True, replay=True, force=True),
        *("PUT", f"{RUN}/controllers/p"),
        {**PLATEAU, "keep_state": True, "replay": True, "force": True},
    ),
    (lambda c: c.disarm("p"), "DELETE", f"{RUN}/controllers/p", None),
    (lambda c: c.reset("p"), "POST", f"{RUN}/controllers/p/reset", {}),
    (lambda c: c.controller("p"), "GET", f"{RUN}/controllers/p", None),
    (lambda c: c.surface(), "GET", f"{RUN}/surface", None),
    (
        lambda c: c.reports("val/loss", generation=2, start=5, stop=9, points=3, after=4),
        "GET",
        f"{RUN}/reports?metric=val%2Floss&generation=2&start=5&stop=9&points=3&after=4",
        None,
    ),
    (
        lambda c: c.propose("stop", {"effective": 9}),
        *("POST", f"{RUN}/proposals", {"kind": "stop", "body": {"effective": 9}}),
    ),
    (lambda c: c.accept(4), "POST", f"{RUN}/proposals/4/accept", {"message": ""}),
    (
        lambda c: c.accept(4, message="yes", expected_revision=2),
        *("POST", f"{RUN}/proposals/4/accept", {"message": "yes", "expected_revision": 2}),
    ),
    (lambda c: c.decline(4), "POST", f"{RUN}/proposals/4/decline", {"message": ""}),
    (
        lambda c: c.decline(4, message="no"),
        *("POST", f"{RUN}/proposals/4/decline", {"message": "no"}),
    ),
]
LISTS: list[tuple[Callable[[Control], Any], str]] = [
    (lambda c: c.controllers(), f"{RUN}/controllers"),
    (lambda c: c.decisions("p"), f"{RUN}/controllers/p/decisions"),
    (lambda c: c.outcomes(3), f"{RUN}/revisions/3/outcomes"),
    (lambda c: c.outcomes({"revision": 3, "effective": 9}), f"{RUN}/revisions/3/outcomes"),
    (lambda c: c.checkpoints(), f"{RUN}/checkpoints"),
    (
        lambda c: c.checkpoints(tag="a b", generation=2),
        f"{RUN}/checkpoints?tag=a+b&generation=2",
    ),
    (lambda c: c.proposals(), f"{RUN}/proposals"),
    (lambda c: c.proposals(state="open"), f"{RUN}/proposals?state=open"),
]


@pytest.mark.parametrize(("call", "method", "target", "body"), CALLS)
def test_what_each_call_sends(
    call: Callable[[Any], Any], method: str, target: str, body: Any
) -> None:
    """Path and body are the ones that are agreed on; both clients send the same."""
    desk = Desk()
    with operator(desk) as client:
        call(client.control("gpt"))
    assert desk.asked == (method, target, body)

    async def scenario() -> None:
        transport = httpx.MockTransport(desk)
        async with AsyncClient("http://test", transport=transport) as client:
            await call(client.control("gpt"))

    asyncio.run(scenario())
    assert desk.asked == (method, target, body)
    keyed = [request.headers.get("Idempotency-Key") for request in desk.requests]
    assert len(set(keyed)) == 2 if method == "POST" else keyed == [None, None]


@pytest.mark.parametrize(("call", "target"), LISTS)
def test_lists_are_given_whole(call: Callable[[Control], Any], target: str) -> None:
    """Every page of a list is asked for."""
    desk = Desk({"items": [{"n": 1}], "next": "c"}, {"items": [{"n": 2}], "next": None})
    with operator(desk) as client:
        assert call(client.control("gpt")) == [{"n": 1}, {"n": 2}]
    assert desk.requests[0].url.raw_path.decode() == f"/v1{target}"


def test_arming_names_the_version_that_is_replaced() -> None:
    """`if_match` becomes the header, and without it there is none."""
    desk = Desk()
    with operator(desk) as client:
        client.control("gpt").arm("p", PLATEAU, if_match=7)
        client.control("gpt").arm("p", PLATEAU)
    assert [request.headers.get("If-Match") for request in desk.requests] == ['"7"', None]


def test_a_change_says_its_cause() -> None:
    """What a program decided names the report that made it, and an operator's change none."""
    desk = Desk()
    with operator(desk) as client:
        client.control("gpt").change({}, cause={"controller": "mine", "step": 80})
        assert desk.asked[2]["cause"] == {"controller": "mine", "step": 80}
        client.control("gpt").change({})
        assert "cause" not in desk.asked[2]


def test_simulating_takes_any_number() -> None:
    """Values that are not finite are sent by their names, which JSON has."""
    desk = Desk({"decisions": []})
    reports = [(0, 1), (8, float("nan")), (16, float("inf")), (24, float("-inf"))]
    with operator(desk) as client:
        client.simulate(PLATEAU, reports, total=100)
    assert desk.asked == (
        "POST",
        "/control/simulate",
        {
            "controller": PLATEAU,
            "reports": [[0, 1.0], [8, "NaN"], [16, "Infinity"], [24, "-Infinity"]],
            "total": 100,
        },
    )


def waited(*, met: bool) -> dict[str, Any]:
    """Return a revision that was waited for."""
    return {"revision": 3, "waited": {"for": "settled", "met": met, "detail": ""}}


def test_waiting_ends_when_it_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again as long as the service uses up its time, and names what is waited for."""
    monkeypatch.setattr("rheostat.client.states.SLACK", 60.0)  # as if each answer took its time
    desk = Desk(waited(met=False), waited(met=False), waited(met=True))
    with operator(desk) as client:
        made = {"revision": 3, "effective": 9}
        assert client.control("gpt").wait(made, "reached", timeout=60) == waited(met=True)
    assert len(desk.requests) == 3
    assert desk.requests[0].url.params["wait"] == "reached"
    assert 0 < float(desk.requests[0].url.params["timeout"]) <= 5


def test_waiting_ends_when_it_never_will() -> None:
    """A service that answers at once, and says no, has nothing to wait for."""
    desk = Desk(waited(met=False))
    with operator(desk) as client:
        assert client.control("gpt").wait(3, timeout=60) == waited(met=False)
    assert len(desk.requests) == 1


def test_waiting_ends_with_its_time() -> None:
    """A revision that stays pending is given as it is when the time is over."""
    desk = Desk(waited(met=False))
    with operator(desk) as client:
        assert client.control("gpt").wait(3, timeout=0) == waited(met=False)
        with pytest.raises(Invalid, match="revision"):
            client.control("gpt").wait({"effective": 8})


def page(*points: tuple[int, Any], following: int) -> dict[str, Any]:
    """Return a page of reports, all by `main`."""
    steps, values = [step for step, _ in points], [value for _, value in points]
    return {
        "metric": "loss",
        "steps": steps,
        "values": values,
        "sources": ["main"] * len(points),
        "next": following,
    }


def test_reports_are_followed_until_the_run_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that is not there yet is waited for; nothing comes twice, and the end is seen."""
    monkeypatch.setattr("rheostat.client.series.PAUSE", 0.0)
    monkeypatch.setattr("rheostat.client.series.ASKS_FOR_THE_END", 2)
    unknown = {"type": "urn:rheostat:problem:unknown-metric", "status": 404, "detail": "none"}
    desk = Desk(
        httpx.Response(404, json=unknown),
        page((8, 2.5), (16, "NaN"), following=12),
        page(following=12),
        page(following=12),
        {"finished_at": "2026-01-01T00:00:00Z"},
        page((24, 1.5), following=13),
        page(following=13),
    )
    with operator(desk) as client:
        stream: Iterator[dict[str, Any]] = client.control("gpt").reports("loss", follow=True)
        found = list(stream)
    assert [point["step"] for point in found] == [8, 16, 24]
    assert str(found[1]["value"]) == "nan"
    asked = [request.url.params.get("after") for request in desk.requests]
    assert asked == ["0", "0", "12", "12", None, "12", "13"]
