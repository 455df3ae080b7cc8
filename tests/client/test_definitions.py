"""Numbers and definitions of Python, wherever JSON has a definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rheostat import Client, replace, scale
from rheostat.errors import Invalid
from rheostat.schedules import parse

COSINE = {"kind": "cosine", "start": 1.0, "end": 0.0, "steps": 100}
MODEL = parse(COSINE)


@pytest.fixture
def real(server: str) -> Iterator[Client]:
    """Yield a client of the server that all tests share."""
    with Client(server, deadline=60.0) as client:
        yield client


def test_a_run_is_created_with_them(real: Client, new_name: Callable[[], str]) -> None:
    """A number stands for a constant, and an object for its JSON, alone and within others."""
    name = new_name()
    parameters: dict[str, Any] = {"lr": MODEL, "wd": 0.1, "beta": np.float32(0.5)}
    parameters["mu"] = {"kind": "scale", "of": MODEL, "factor": 2}
    made = real.create_run(name, parameters)
    assert made["current"] == {"lr": 1.0, "wd": 0.1, "beta": 0.5, "mu": 2.0}
    assert made["parameters"]["wd"] == {"kind": "constant", "value": 0.1}
    run = real.run(name, create={"parameters": {**parameters, "lr": COSINE}})
    assert run.value("lr", 50) == pytest.approx(0.5)


def test_a_run_is_changed_to_them(real: Client, new_name: Callable[[], str]) -> None:
    """In a change, in a list of changes, and eased in."""
    name = new_name()
    real.create_run(name, {"lr": COSINE, "wd": 0.1})
    control = real.control(name)
    control.change({"lr": 0.25, "wd": [0.5, scale(0.5)]}, effective=10)
    control.change({"lr": replace(MODEL, clock="change")}, effective=20)
    control.change({"wd": replace(1.5, blend=10)}, effective=30)
    assert control.values_at(15) == {"lr": 0.25, "wd": 0.25}
    assert control.value_at("lr", 20) == 1.0
    assert control.value_at("wd", 50) == 1.5


def test_they_are_evaluated_and_stored(real: Client, new_name: Callable[[], str]) -> None:
    """In the library and without any run."""
    assert real.evaluate(MODEL, 0) == {"value": 1.0}
    assert real.evaluate(0.5, [0, 7]) == {"values": [0.5, 0.5]}
    name = new_name()
    assert real.schedules.put(name, MODEL)["definition"]["kind"] == "cosine"
    assert real.schedules.put(name, 0.25)["definition"] == {"kind": "constant", "value": 0.25}


def test_what_is_no_definition_is_refused(real: Client, new_name: Callable[[], str]) -> None:
    """By the name of the parameter, or as what JSON cannot say."""
    with pytest.raises(Invalid) as refusal:
        real.create_run(new_name(), {"lr": "0.1"})  # type: ignore[dict-item]
    assert refusal.value.errors[0].field == "parameters.lr"
    with pytest.raises(Invalid):
        real.create_run(new_name(), {"lr": object()})  # type: ignore[dict-item]
    with pytest.raises(Invalid):
        real.create_run(new_name(), {"lr": float("nan")})


def test_those_of_all_groups_stand_for_one(real: Client, new_name: Callable[[], str]) -> None:
    """What `definition_of` returns creates a run where all groups have the same definition."""
    name = new_name()
    made = real.create_run(name, {"lr": [MODEL], "wd": [parse(0.1), parse(0.1)]})
    assert made["current"] == {"lr": 1.0, "wd": 0.1}
    create = {"parameters": {"lr": [MODEL, MODEL], "wd": 0.1}}
    assert real.run(name, create=create).value("lr", 50) == pytest.approx(0.5)


@pytest.mark.parametrize("groups", [[], [MODEL, parse(0.1)]])
def test_groups_that_differ_are_asked_for(
    groups: list[Any], real: Client, new_name: Callable[[], str]
) -> None:
    """One definition cannot stand for groups that differ: the parameter is named."""
    create = {"parameters": {"lr": groups}}
    for create_it in (
        lambda: real.create_run(new_name(), create["parameters"]),
        lambda: real.run(new_name(), create=create),
        lambda: real.run(new_name(), create=create, fresh=True),
    ):
        with pytest.raises(Invalid, match="lr/decoder") as refusal:
            create_it()
        assert refusal.value.errors[0].field == "parameters.lr"
