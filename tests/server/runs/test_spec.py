"""Specifications of runs: what a run can be created with."""

from dataclasses import replace
from typing import Any

import pytest

from rheostat.errors import GuardViolated, Invalid
from rheostat.server.runs.spec import RunSpec, parse_run
from rheostat.server.runs.validation import Limits, Units

CONSTANT = {"kind": "constant", "value": 1}
BODY: dict[str, Any] = {"name": "gpt-7b", "parameters": {"lr": CONSTANT}}
LIMITS = Limits(block=512, jump=256, parameters=3, labels=1, pending=4, message=5)


def parse_spec(body: Any, units: Units, limits: Limits) -> RunSpec:
    return parse_run(body, units, limits)[0]


def test_lengths_are_resolved_by_the_runs_own_total() -> None:
    """Ten percent of a total of 5,000 are 500 steps."""
    decay = {"kind": "linear", "start": 1, "end": 0, "steps": "10%"}
    body = {**BODY, "parameters": {"lr": decay}, "total": 5000, "max_block": 8, "max_jump": 8}
    _, timelines, _ = parse_run(body, Units(), LIMITS)
    assert timelines["lr"].at(0).definition.to_json()["steps"] == 500


def test_schedules_are_inlined() -> None:
    """What is stored does not depend on the library any more."""
    found = Units().parse({"kind": "constant", "value": 3}, "x")
    units = Units(lookup=lambda name, version: {("s", 2): found}[name, version or 0])
    reference = {"kind": "schedule", "name": "s", "version": 2}
    body = {**BODY, "parameters": {"lr": reference}, "max_block": 8, "max_jump": 8}
    spec, timelines, _ = parse_run(body, units, LIMITS)
    assert timelines["lr"].at(0).definition == found
    assert spec.parameters == {"lr": found.content_hash}


@pytest.mark.parametrize(
    ("sizes", "jump"),
    [({}, 4096), ({"max_block": 8}, 4096), ({"max_block": 65_536}, 65_536)],
)
def test_the_longest_block_may_be_read_at_once(sizes: dict[str, int], jump: int) -> None:
    """A jump is as long as a block, if nothing else is said."""
    limits = replace(LIMITS, block=65_536, jump=65_536)
    assert parse_spec({**BODY, **sizes}, Units(), limits).max_jump == jump
    assert parse_spec({**BODY, **sizes, "max_jump": 7}, Units(), limits).max_jump == 7


def test_one_wrong_field_is_one_error() -> None:
    """P10: what is right is not complained about."""
    with pytest.raises(Invalid) as refusal:
        parse_spec({**BODY, "total": 0}, Units(), LIMITS)
    assert [error.field for error in refusal.value.errors] == ["total"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": ".hidden"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "run_0123456789abcdef0123456789"}, "name"),
        ({"name": None}, "name"),
        ({"parameters": {}}, "parameters"),
        ({"parameters": {"LR": CONSTANT}}, "parameters.LR"),
        ({"parameters": {"lr/": CONSTANT}}, "parameters.lr/"),
        (
            {"parameters": {"a": CONSTANT, "b": CONSTANT, "c": CONSTANT, "d": CONSTANT}},
            "parameters",
        ),
        ({"parameters": {"lr": {"kind": "constant"}}}, "parameters.lr.value"),
        ({"parameters": {"lr": {"kind": "follow", "parameter": "x"}}}, "parameters.lr"),
        ({"parameters": {"lr": {"kind": "follow", "parameter": "lr"}}}, "parameters.lr"),
        ({"axis": "minutes"}, "axis"),
        ({"resolution": 0}, "resolution"),
        ({"resolution": 1.5}, "resolution"),
        ({"total": -1}, "total"),
        ({"total": True}, "total"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"max_block": 0}, "max_block"),
        ({"guards": {"lr": {"max": 1e-9}}}, "parameters.lr"),
        ({"max_block": 513}, "max_block"),
        ({"max_jump": 257}, "max_jump"),
        ({"guards": {"wd": {"min": 0}}}, "guards.wd"),
        ({"guards": {"lr": {"min": 2, "max": 1}}}, "guards.lr.min"),
        ({"guards": {"lr": {"max_ratio": 0.5}}}, "guards.lr.max_ratio"),
        ({"labels": {"a": "1", "b": "2"}}, "labels"),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"labels": {"": "1"}}, 'labels.""'),
        ({"labels": {"a=b": "1"}}, "labels.a=b"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_specifications_name_the_field(change: dict[str, Any], field: str) -> None:
    """P10: what is wrong is named by its path."""
    body = {**BODY, "max_block": 8, "max_jump": 8, **change}
    with pytest.raises(Invalid) as refusal:
        parse_spec(body, Units(), LIMITS)
    assert field in [error.field for error in refusal.value.errors]


def test_a_negative_learning_rate_has_to_be_meant() -> None:
    """P10: it is refused with the way out, and the stored form shows the floor."""
    body = {**BODY, "parameters": {"lr": {"kind": "constant", "value": -0.1}}}
    with pytest.raises(GuardViolated, match='"min": null') as refusal:
        parse_spec(body, Units(), Limits())
    (error,) = refusal.value.errors
    assert (error.field, error.value, error.bound) == ("parameters.lr", -0.1, ">= 0.0")
    meant = parse_spec({**body, "guards": {"lr": {"min": None}}}, Units(), Limits())
    assert meant.to_json()["guards"] == {"lr": {"min": None, "max": None, "max_ratio": None}}
    usual = parse_spec(BODY, Units(), Limits()).to_json()["guards"]
    assert usual == {"lr": {"min": 0.0, "max": None, "max_ratio": None}}
