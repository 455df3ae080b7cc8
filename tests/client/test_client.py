"""The operators' calls, and what both clients do when something goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rheostat import Client, errors, scale

CONSTANT = {"kind": "constant", "value": 0.1}


class Recorder:
    """Answers with what it is given, one after the other, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, as the handler of a transport."""
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json={"items": []})
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: Any) -> Client:
        """Return a client that asks this recorder."""
        return Client("http://test/base", transport=httpx.MockTransport(self), **options)


CALLS: list[tuple[Callable[[Client], object], str, str, object]] = [
    (lambda c: c.runs(), "GET", "/v1/runs", None),
    (lambda c: c.runs(selector="team=a"), "GET", "/v1/runs?selector=team%3Da", None),
    (
        lambda c: c.create_run("gpt", {"lr": CONSTANT}, total=100),
        *("POST", "/v1/runs", {"name": "gpt", "parameters": {"lr": CONSTANT}, "total": 100}),
    ),
    (
        lambda c: c.create_run("gpt", {"lr": CONSTANT}, exist_ok=True, axis="samples"),
        *("PUT", "/v1/runs/gpt", {"parameters": {"lr": CONSTANT}, "axis": "samples"}),
    ),
    (
        lambda c: c.evaluate(CONSTANT, 7),
        *("POST", "/v1/evaluate", {"definition": CONSTANT, "step": 7}),
    ),
    (
        lambda c: c.evaluate(CONSTANT, range(0, 100, 5), total=100),
        *("POST", "/v1/evaluate"),
        {"definition": CONSTANT, "start": 0, "stop": 100, "stride": 5, "total": 100},
    ),
    (
        lambda c: c.evaluate(CONSTANT, [5, 3]),
        *("POST", "/v1/evaluate", {"definition": CONSTANT, "steps": [5, 3]}),
    ),
    (
        lambda c: c.evaluate(CONSTANT, range(5, 0, -2)),
        *("POST", "/v1/evaluate", {"definition": CONSTANT, "steps": [5, 3, 1]}),
    ),
    (lambda c: c.kinds(), "GET", "/v1/kinds", None),
    (lambda c: c.controller_kinds(), "GET", "/v1/controllers", None),
    (lambda c: c.kind("cosine"), "GET", "/v1/kinds/cosine", None),
    (lambda c: c.schedules.list(), "GET", "/v1/schedules", None),
    (lambda c: c.schedules.get("s", version=2), "GET", "/v1/schedules/s?version=2", None),
    (
        lambda c: c.schedules.put("s", CONSTANT),
        *("PUT", "/v1/schedules/s", {"definition": CONSTANT}),
    ),
    (lambda c: c.schedules.delete("s"), "DELETE", "/v1/schedules/s", None),
    (
        lambda c: c.schedules.values("s", start=0, stop=9, stride=3),
        *("GET", "/v1/schedules/s/values?start=0&stop=9&stride=3", None),
    ),
    (lambda c: c.schedules.value("s", 4), "GET", "/v1/schedules/s/values/4", None),
    (lambda c: c.control("gpt").show(), "GET", "/v1/runs/gpt", None),
    (lambda c: c.control("gpt").history(), "GET", "/v1/runs/gpt/revisions", None),
    (lambda c: c.control("gpt").revision(3), "GET", "/v1/runs/gpt/revisions/3", None),
    (lambda c: c.control("gpt").cancel(3), "DELETE", "/v1/runs/gpt/revisions/3", None),
    (
        lambda c: c.control("gpt").plan(0, 100, points=11),
        *("GET", "/v1/runs/gpt/plan?start=0&stop=100&points=11", None),
    ),
    (lambda c: c.control("gpt").explain(5), "GET", "/v1/runs/gpt/explain?step=5", None),
    (lambda c: c.control("gpt").preview(5, 2), "GET", "/v1/runs/gpt/values?start=5&count=2", None),
    (
        lambda c: c.control("gpt").finish(100, message="done"),
        *("POST", "/v1/runs/gpt/finish", {"end": 100, "message": "done"}),
    ),
    (lambda c: c.control("gpt").delete(), "DELETE", "/v1/runs/gpt", None),
    (
        lambda c: c.control("gpt").change({"lr": scale(0.5)}),
        *("POST", "/v1/runs/gpt/revisions"),
        {
            "changes": {"lr": {"edit": "scale", "factor": 0.5}},
            "effective": "next",
            "message": "",
            "expected_revision": None,
            "force": False,
        },
    ),
    (
        lambda c: c.control("gpt").change(
            {"lr": [scale(0.5), scale(2)]},
            effective=12_000,
            message="why",
            expected_revision=4,
            force=True,
            dry_run=True,
        ),
        *("POST", "/v1/runs/gpt/revisions?dry_run=true"),
        {
            "changes": {"lr": [{"edit": "scale", "factor": f} for f in (0.5, 2)]},
            "effective": 12_000,
            "message": "why",
            "expected_revision": 4,
            "force": True,
        },
    ),
]


@pytest.mark.parametrize(("call", "method", "target", "body"), CALLS)
def test_call_as_it_is_sent(
    call: Callable[[Client], object], method: str, target: str, body: object
) -> None:
    """Each call is one request of the protocol, under the base URL, with an accepted type."""
    recorder = Recorder()

    with recorder.client() as client:
        call(client)

    [request] = recorder.requests
    assert (request.method, request.url.raw_path.decode()) == (method, f"/base{target}")
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["Accept"] == "application/json"
    assert ("Idempotency-Key" in request.headers) is (method == "POST")


def test_lists_are_read_to_the_end() -> None:
    """Pages are followed, with the question that was asked at first."""
    pages = [
        {"items": [{"n": 1}, {"n": 2}], "next": "a"},
        {"items": [], "next": "b"},
        {"items": [{"n": 3}], "next": None},
    ]
    recorder = Recorder(*(httpx.Response(200, json=page) for page in pages))

    with recorder.client() as client:
        found: list[Any] = client.runs(selector="k=v")

    assert [item["n"] for item in found] == [1, 2, 3]
    assert [request.url.query.decode() for request in recorder.requests] == [
        *("selector=k%3Dv", "selector=k%3Dv&cursor=a", "selector=k%3Dv&cursor=b"),
    ]


def test_ledger_is_read_to_the_end() -> None:
    """The ledger comes in pages of segments."""
    pages: list[Any] = [{"segments": [{"start": 0}], "next": "a"}, {"segments": [{"start": 8}]}]
    recorder = Recorder(*(httpx.Response(200, json=page) for page in pages))

    with recorder.client() as client:
        found: Any = client.control("gpt").ledger(0, 10, generation=2)
    assert found == [{"start": 0}, {"start": 8}]

    assert recorder.requests[1].url.query == b"start=0&stop=10&generation=2&cursor=a"


def test_repeated_post_keeps_its_key() -> None:
    """What is repeated is the same request: a change whose answer was lost is made once."""
    recorder = Recorder(
        httpx.ReadTimeout("no answer"),
        httpx.Response(502, text="<html>"),
        httpx.Response(201, json={"revision": 2}),
    )

    with recorder.client() as client:
        made: Any = client.control("gpt").change({"lr": scale(0.5)})
    assert made == {"revision": 2}

    assert len(recorder.requests) == 3
    assert len({request.headers["Idempotency-Key"] for request in recorder.requests}) == 1
    assert len({request.content for request in recorder.requests}) == 1


def test_retries_are_bounded() -> None:
    """A call gives up after its retries, and says what it tried."""
    recorder = Recorder(*(httpx.ConnectError("refused") for _ in range(9)))

    with (
        recorder.client(retries=2) as client,
        pytest.raises(errors.Unreachable, match="3×") as found,
    ):
        client.runs()

    assert len(recorder.requests) == 3
    assert "GET http://test/base/v1/runs" in str(found.value)


@pytest.mark.parametrize(
    "cls", [cls for cls in errors.refusals() if cls.status not in (408, 429, 503)]
)
def test_refusals_are_raised_at_once(cls: type[errors.Refused]) -> None:
    """What will not pass is not tried again."""
    recorder = Recorder(httpx.Response(cls.status, json=cls("no").to_problem()))

    with recorder.client() as client, pytest.raises(cls):
        client.runs()

    assert len(recorder.requests) == 1


def test_deletion_is_not_repeated() -> None:
    """A DELETE whose outcome is unknown is left to the caller."""
    recorder = Recorder(httpx.ReadTimeout("no answer"))

    with recorder.client() as client, pytest.raises(errors.Unreachable):
        client.control("gpt").cancel(3)

    assert len(recorder.requests) == 1


def test_deletion_that_never_left_is_repeated() -> None:
    """A DELETE that did not reach the service has done nothing."""
    recorder = Recorder(httpx.ConnectError("refused"), httpx.Response(204))

    with recorder.client() as client:
        client.control("gpt").delete()

    assert len(recorder.requests) == 2


def test_worker_waits_longer_than_the_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: joining waits for a service that is not there yet, as reading does."""
    monkeypatch.setattr("rheostat.client.retry.BASE", 0.001)
    unknown = httpx.Response(404, json=errors.UnknownRun("no run").to_problem())
    recorder = Recorder(*(httpx.ConnectError("refused") for _ in range(12)), unknown)

    with recorder.client(retries=0) as client, pytest.raises(errors.UnknownRun):
        client.run("gpt")

    assert len(recorder.requests) == 13


def test_worker_gives_up_at_its_deadline() -> None:
    """P9: a worker waits as long as its user says, and then raises."""
    transport = httpx.MockTransport(lambda _: httpx.Response(503))

    with (
        Client("http://test", deadline=0.2, transport=transport) as client,
        pytest.raises(errors.Unreachable, match="POST http://test/v1/runs/gpt/join"),
    ):
        client.run("gpt")


def test_headers_say_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Token and author go with every request; without a token that of the environment does."""
    recorder = Recorder()
    monkeypatch.setenv("RHEOSTAT_TOKEN", "from-environment")

    with recorder.client(author="Zoë") as client, recorder.client(token="given") as other:  # noqa: S106
        client.runs()
        other.runs()

    first, second = (request.headers for request in recorder.requests)
    assert first["Authorization"] == "Bearer from-environment"
    assert second["Authorization"] == "Bearer given"
    assert dict(first.raw)[b"Rheostat-Author"] == "Zoë".encode()
    assert "Rheostat-Author" not in second
