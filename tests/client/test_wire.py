"""What is sent, and what is made of answers, whoever gave them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from rheostat import errors
from rheostat.client import answers, calls
from rheostat.client.answers import Answer, Broken


@pytest.mark.parametrize("cls", list(errors.refusals()))
def test_every_error_of_the_service_is_raised_as_itself(cls: type[errors.Refused]) -> None:
    """Each class of the tree survives the wire, with its fields and members."""
    wrong = errors.FieldError("parameters.lr.steps", "must be at least 1", 0, ">= 1")
    sent = cls("a sentence", errors=[wrong], earliest=7)

    found = answers.refusal(_answer(cls.status, json.dumps(sent.to_problem())))

    assert type(found) is cls
    assert (found.detail, found.errors, found.members) == ("a sentence", (wrong,), {"earliest": 7})


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 408, 409, 429, 500, 503, 522])
@pytest.mark.parametrize("kind", ["text/html", "application/json", "application/problem+json", ""])
@pytest.mark.parametrize(
    "body",
    [
        *("<html>Bad gateway</html>", "", "[]", '{"type": 7}', '{"type": "about:blank"}', "\ufffd"),
        *("[" * 100_000, '{"type": "urn:rheostat:problem:finished", "status": 418}'),
    ],
)
def test_answer_of_somebody_else_is_no_refusal(status: int, kind: str, body: str) -> None:
    """P9: whatever is no problem document of ours is not the service's word, and is shown."""
    answer = _answer(status, body, kind)

    assert answers.refusal(answer) is None
    assert str(answers.foreign(answer)).startswith(f"an answer that is not Rheostat's: {status}")


@pytest.mark.parametrize("wrong", ["text", [1], [{"field": 1}], {"a": 1}, None])
def test_problem_with_wrong_members_is_an_error_all_the_same(wrong: Any) -> None:
    """Whatever a problem document holds, it ends in an error of the tree."""
    problem = {"type": "urn:rheostat:problem:invalid", "detail": "no", "errors": wrong}

    assert isinstance(answers.refusal(_answer(422, json.dumps(problem))), errors.Invalid)


def test_path_quotes_each_segment() -> None:
    """A name is one segment, whatever is in it: it cannot reach another path."""
    assert (
        calls.path("runs", "../x/y z?", "revisions", 3) == "/v1/runs/..%2Fx%2Fy%20z%3F/revisions/3"
    )


def test_post_carries_a_key_of_its_own() -> None:
    """Every POST is safe to repeat, and no two share a key."""
    keys = {calls.post("/v1/runs", {}).headers["Idempotency-Key"] for _ in range(100)}

    assert len(keys) == 100
    assert "Idempotency-Key" not in calls.put("/v1/runs/gpt", {}).headers


def test_parameters_that_are_none_are_not_sent() -> None:
    """An option that was not given is left to the service's default."""
    assert calls.get("/v1/runs", label=None, start=0).params == {"start": 0}


def test_body_keeps_every_float() -> None:
    """JSON numbers read back to the same float64."""
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2**53 - 1, -0.0]

    assert json.loads(calls.encode(values)) == values


def test_numbers_of_other_libraries_are_numbers() -> None:
    """A step from NumPy is an integer, and a value a float."""
    body = {"effective": np.int64(9000), "factor": np.float32(0.5), "flag": True}

    assert calls.encode(body) == b'{"effective":9000,"factor":0.5,"flag":true}'


@pytest.mark.parametrize("body", [float("nan"), {"lr": float("inf")}, {1, 2}, object()])
def test_body_that_json_cannot_say_is_refused(body: Any) -> None:
    """P10: NaN and infinity are refused before they are sent."""
    with pytest.raises(errors.Invalid):
        calls.encode(body)


@pytest.mark.parametrize("body", ["", "<html>", "[1]", "null", '{"id": '])
def test_success_that_is_no_json_object_is_broken(body: str) -> None:
    """A 200 of something else than the service is no answer."""
    with pytest.raises(Broken):
        answers.document(_answer(200, body))


def _answer(status: int, body: str, kind: str = "application/problem+json") -> Answer:
    return Answer(status, httpx.Headers({"Content-Type": kind}), body.encode())
