"""`POST /v1/evaluate` in its three forms."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import httpx
import pytest

LINE = {"kind": "linear", "start": 1, "end": 0, "steps": 8}


def test_a_range(http: httpx.Client) -> None:
    """A range gives the values at its steps; its end is not part of it."""
    body = {"definition": LINE, "start": 1, "stop": 10, "stride": 3}
    assert http.post("/v1/evaluate", json=body).json() == {"values": [7 / 8, 4 / 8, 1 / 8]}


def test_a_range_starts_at_zero(http: httpx.Client) -> None:
    """Without a start the range begins at step 0, and without a stride it leaves none out."""
    body = {"definition": LINE, "stop": 3}
    assert http.post("/v1/evaluate", json=body).json() == {"values": [1, 7 / 8, 6 / 8]}


def test_steps_in_any_order(http: httpx.Client) -> None:
    """A list of steps gives their values in its order, past the end the last value."""
    body = {"definition": LINE, "steps": [500, 0, 7, 7]}
    assert http.post("/v1/evaluate", json=body).json() == {"values": [0, 1, 1 / 8, 1 / 8]}


def test_one_step(http: httpx.Client) -> None:
    """One step gives one number."""
    definition = {"kind": "cosine", "start": 0.1, "end": 0.001, "steps": 50, "periodic": True}
    value = http.post("/v1/evaluate", json={"definition": definition, "step": 130}).json()["value"]
    assert value == pytest.approx(0.001 + 0.099 * (1 + cos(pi * 130 / 50)) / 2, rel=1e-12)


def test_the_same_bits_singly_and_in_bulk(http: httpx.Client) -> None:
    """P1: a value has the same bits alone, in a list, and in a strided range."""
    definition = {"kind": "polynomial", "start": 0.1, "end": 1e-3, "steps": 977, "power": 2.5}
    body: dict[str, Any] = {"definition": definition}
    bulk = http.post("/v1/evaluate", json={**body, "stop": 1000}).json()["values"]
    strided = http.post("/v1/evaluate", json={**body, "stop": 1000, "stride": 7}).json()["values"]
    listed = http.post("/v1/evaluate", json={**body, "steps": [970, 3]}).json()["values"]
    single = http.post("/v1/evaluate", json={**body, "step": 500}).json()["value"]
    assert (strided, listed, single) == (bulk[::7], [bulk[970], bulk[3]], bulk[500])


def test_lengths_refer_to_the_total(http: httpx.Client) -> None:
    """A length in percent is a part of `total`."""
    definition = {"kind": "warmup", "steps": "25%", "then": {"kind": "constant", "value": 1}}
    body = {"definition": definition, "total": 16, "steps": [2, 4]}
    assert http.post("/v1/evaluate", json=body).json() == {"values": [0.5, 1]}


WRONG = {
    "no steps": ({}, "stop"),
    "a range without an end": ({"start": 5}, "stop"),
    "an empty range": ({"start": 5, "stop": 5}, "stop"),
    "two forms": ({"stop": 5, "step": 3}, "step"),
    "a negative step": ({"step": -1}, "step"),
    "a step beyond 2^53": ({"step": 2**53}, "step"),
    "a truth value for a step": ({"step": True}, "step"),
    "a fraction for a step": ({"step": 1.5}, "step"),
    "text for a step": ({"step": "1"}, "step"),
    "no steps in the list": ({"steps": []}, "steps"),
    "a wrong step in the list": ({"steps": [1, 2, -3]}, "steps[2]"),
    "a stride of zero": ({"stop": 5, "stride": 0}, "stride"),
    "an unknown field": ({"step": 1, "stops": 2}, "stops"),
    "an object for an unknown field's name": ({"step": 1, "kind": {"kind": []}}, "kind"),
    "a total of zero": ({"step": 1, "total": 0}, "total"),
}


@pytest.mark.parametrize(("fields", "wrong"), WRONG.values(), ids=WRONG.keys())
def test_wrong_fields_are_named(
    fields: dict[str, Any], wrong: str, http: httpx.Client, problem: Any
) -> None:
    """P10: what is wrong with a request is named by its field, with a bound."""
    answer = http.post("/v1/evaluate", json={"definition": LINE, **fields})
    (error,) = problem(answer, "invalid")["errors"]
    assert error["field"] == wrong
    assert error["bound"]


def test_following_needs_a_run(http: httpx.Client, problem: Any) -> None:
    """A definition that follows a parameter has no values outside a run."""
    body = {"definition": {"kind": "follow", "parameter": "lr"}, "step": 0}
    (error,) = problem(http.post("/v1/evaluate", json=body), "invalid")["errors"]
    assert error["field"] == "definition"


def test_schedules_of_the_library_stand_for_their_definitions(
    http: httpx.Client, new_name: Any, problem: Any
) -> None:
    """A definition may name a schedule of the library; an unknown one is a 404."""
    name = new_name()
    body = {"definition": {"kind": "scale", "of": {"kind": "schedule", "name": name}, "factor": 3}}
    problem(http.post("/v1/evaluate", json={**body, "step": 4}), "unknown-schedule")
    http.put(f"/v1/schedules/{name}", json={"definition": LINE}).raise_for_status()
    assert http.post("/v1/evaluate", json={**body, "step": 4}).json() == {"value": 1.5}
