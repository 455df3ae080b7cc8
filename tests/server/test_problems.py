"""Every failure, whoever finds it, is one problem document (P10)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from rheostat.errors import FieldError, Refused, from_problem, refusals
from rheostat.server.app import create_app
from rheostat.server.http.incoming import LONGEST_HEAD
from rheostat.server.http.problems import documented
from rheostat.server.settings import Settings

JSON = {"content-type": "application/json"}
CONSTANT = b'{"definition": {"kind": "constant", "value": 1}, "step": 0}'

FAILURES = {
    "an unknown path": ("GET", "/v1/nothing", b"", {}, "not-found"),
    "a trailing slash": ("GET", "/v1/kinds/", b"", {}, "not-found"),
    "an unknown method": ("PATCH", "/v1/kinds", b"", {}, "method-not-allowed"),
    "malformed JSON": ("POST", "/v1/evaluate", b'{"definition": ', JSON, "malformed"),
    "an empty body": ("POST", "/v1/evaluate", b"", JSON, "malformed"),
    "no content type": ("POST", "/v1/evaluate", CONSTANT, {}, "unsupported-media-type"),
    "a form": (
        "POST",
        "/v1/evaluate",
        b"step=1",
        {"content-type": "application/x-www-form-urlencoded"},
        "unsupported-media-type",
    ),
    "a body that is no object": ("POST", "/v1/evaluate", b"[]", JSON, "invalid"),
    "a body too large": ("POST", "/v1/evaluate", b" " * (8 * 2**20 + 1), JSON, "too-large"),
    "an unknown kind": ("GET", "/v1/kinds/sawtooth", b"", {}, "unknown-kind"),
    "an unknown schedule": ("GET", "/v1/schedules/nobody", b"", {}, "unknown-schedule"),
    "a name out of bounds": ("GET", "/v1/schedules/-x", b"", {}, "invalid"),
    "a step below zero": ("GET", "/v1/schedules/x/values/-1", b"", {}, "invalid"),
    "an unknown parameter": ("GET", "/v1/schedules?limt=3", b"", {}, "invalid"),
    "a parameter given twice": ("GET", "/v1/schedules?limit=3&limit=4", b"", {}, "invalid"),
    "a false cursor": ("GET", "/v1/schedules?cursor=%C3%A9", b"", {}, "invalid"),
    "a format that is not offered": (
        "POST",
        "/v1/evaluate?format=xml",
        CONSTANT,
        JSON,
        "not-acceptable",
    ),
    "an Accept that fits nothing": (
        "POST",
        "/v1/evaluate",
        CONSTANT,
        {**JSON, "accept": "text/html"},
        "not-acceptable",
    ),
    "a foreign host": ("GET", "/livez", b"", {"host": "evil.example"}, "forbidden"),
    "another site's page": ("GET", "/livez", b"", {"sec-fetch-site": "cross-site"}, "forbidden"),
    "another site's script": (
        "POST",
        "/v1/evaluate",
        CONSTANT,
        {**JSON, "origin": "https://evil.example"},
        "forbidden",
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_every_failure_has_one_shape(http: httpx.Client, problem: Any, failure: Any) -> None:
    """P10: whatever is wrong with a request, the answer is one problem document."""
    method, path, body, headers, code = failure
    problem(http.request(method, path, content=body, headers=headers), code)


@pytest.mark.parametrize(
    "sent",
    [
        b"BREW / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET /livez HTTP/1.1\r\nA: ".ljust(LONGEST_HEAD + 1, b"a"),
    ],
    ids=["an unknown verb", "TLS", "an endless header"],
)
def test_what_is_not_http_has_the_same_shape(send_raw: Any, problem: Any, sent: bytes) -> None:
    """P10: what cannot be parsed as a request is answered by a problem document too."""
    problem(send_raw(sent), "malformed")


def test_wrong_method_names_all_right_ones(http: httpx.Client, problem: Any) -> None:
    """A 405 carries `Allow` with every method of the path, though each is a route of its own."""
    response = http.post("/v1/schedules/a")
    problem(response, "method-not-allowed")
    assert response.headers["allow"] == "DELETE, GET, PUT"


def test_a_wrong_field_is_named_with_value_and_bound(http: httpx.Client, problem: Any) -> None:
    """P10: an error names the field by its path, the value that was sent, and the bound."""
    definition = {"kind": "scale", "of": {"kind": "linear", "start": 1, "end": 0}, "factor": 2}
    definition["of"]["steps"] = 0  # type: ignore[index]
    answer = http.post("/v1/evaluate", json={"definition": definition, "step": 0})
    (error,) = problem(answer, "invalid")["errors"]
    assert (error["field"], error["value"], error["bound"]) == ("definition.of.steps", 0, "≥ 1")


def test_a_wrong_parameter_is_named_with_value_and_bound(http: httpx.Client, problem: Any) -> None:
    """P10: a parameter of the query is named as it is written there."""
    (error,) = problem(http.get("/v1/schedules?limit=1001"), "invalid")["errors"]
    assert (error["field"], error["value"], error["bound"]) == ("limit", "1001", "≤ 1000")


LENGTHS = {"kind": "warmup", "steps": 10, "then": {"kind": "linear", "start": 1, "end": 0}}
BODIES: dict[str, Any] = {
    "/v1/evaluate": {"definition": {**LENGTHS, "steps": 5}, "start": 0, "stop": 9, "stride": 1},
    "/v1/convert": {"library": "torch", "name": "StepLR", "params": {"step_size": 9}},
    "/v1/runs": {
        "name": "wrong",
        "parameters": {"lr": LENGTHS, "wd": {"kind": "follow", "parameter": "lr"}},
        "guards": {"lr": {"min": 0}},
        "labels": {"a": "b"},
    },
    "/v1/runs/victim/revisions?dry_run=true": {"changes": {"lr": {"edit": "ramp", "to": 0}}},
    "/v1/runs/victim/rewind": {"to": 99, "changes": {"lr": {"edit": "scale", "factor": 1}}},
    "/v1/runs/victim/advance": {"to": 99, "expected_revision": 9},
    "/v1/runs/victim/total?dry_run=true": {"total": 9, "effective": "next"},
    "/v1/runs/victim/join": {"id": "x", "generation": 1, "step": 3},
    "/v1/runs/victim/finish": {"end": 3, "message": ""},
}
WRONG: list[Any] = [None, -1, 1.5, 2**70, "", "nan", "10%", "3 epochs", "rest", [], [[]], {"": 0}]
WRONG += [{"kind": "follow", "parameter": "lr"}]


def _spoiled(body: Any) -> Iterator[Any]:
    """Yield a body with each of its values replaced by each wrong one."""
    yield from WRONG
    if isinstance(body, dict):
        for key, value in body.items():
            yield {other: kept for other, kept in body.items() if other != key}
            yield from ({**body, key: spoiled} for spoiled in _spoiled(value))


@pytest.mark.parametrize("path", BODIES)
def test_whatever_is_wrong_has_field_value_and_bound(http: httpx.Client, path: str) -> None:
    """P10: each error of each body names a field, what was sent for it, and what is allowed."""
    http.put("/v1/runs/victim", json={"parameters": {"lr": {"kind": "constant", "value": 1}}})
    for body in _spoiled(BODIES[path]):
        answer = http.post(path, json=body)
        assert answer.status_code < 500, (body, answer.text)
        if answer.status_code == 422:
            wrong = answer.json()["errors"]
            assert wrong, body
            assert all(item["field"] and item["bound"] and "value" in item for item in wrong), (
                body,
                wrong,
            )


def test_long_values_are_cut_short(http: httpx.Client, problem: Any) -> None:
    """An error repeats the beginning of a long value, not all of it."""
    answer = http.post("/v1/evaluate", json={"definition": {"kind": "x" * 10_000}, "step": 0})
    (error,) = problem(answer, "invalid")["errors"]
    assert len(error["value"]) < 300
    assert error["value"].startswith("xxx")


def test_many_wrong_values_are_listed_briefly(http: httpx.Client, problem: Any) -> None:
    """P10: a million wrong values make one short answer."""
    body = {"definition": {"kind": "constant", "value": 1}, "steps": ["x"] * 500_000}
    response = http.post("/v1/evaluate", json=body)
    problem(response, "invalid")
    assert len(response.content) < 20_000


def test_a_defect_is_an_internal_error_without_details(
    tmp_path: Any, caplog: pytest.LogCaptureFixture, problem: Any
) -> None:
    """An unexpected exception is a 500 that says nothing of it; the log has it under the id."""
    app = create_app(Settings(database=f"sqlite:///{tmp_path / 'x.db'}"))

    @app.get("/defect")
    async def defect() -> None:
        raise ZeroDivisionError("the secret")

    with TestClient(app, base_url="http://127.0.0.1") as client, caplog.at_level(logging.ERROR):
        document = problem(client.get("/defect"), "internal")
    assert "secret" not in str(document)
    (record,) = [record for record in caplog.records if record.name == "rheostat.server"]
    assert document["request_id"] in record.getMessage()
    assert record.exc_info
    assert isinstance(record.exc_info[1], ZeroDivisionError)


def test_request_ids_are_kept_or_made(http: httpx.Client) -> None:
    """A sane `X-Request-Id` comes back, another one is replaced."""
    kept = http.get("/livez", headers={"x-request-id": "train-7.node_3"})
    assert kept.headers["x-request-id"] == "train-7.node_3"
    for strange in ("a" * 65, "a b", ""):
        made = http.get("/livez", headers={"x-request-id": strange}).headers["x-request-id"]
        assert made not in {strange, kept.headers["x-request-id"]}


@pytest.mark.parametrize("cls", list(refusals()), ids=lambda cls: cls.__name__)
def test_every_refusal_survives_the_wire(cls: type[Refused]) -> None:
    """Each class of refusal is told apart by its code, and is described for OpenAPI."""
    errors = [FieldError("changes.lr.factor", "must be at most 1", 2, "≤ 1")]
    sent = cls("no", errors=errors, earliest=7)
    received = from_problem(sent.to_problem(), cls.status)
    assert type(received) is cls
    assert (received.detail, received.errors, received.members) == (
        "no",
        tuple(errors),
        {"earliest": 7},
    )
    assert cls.code in documented([cls])[cls.status]["description"]
