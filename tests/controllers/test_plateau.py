"""Plateaus by hand: whose patience and whose cool-down it is, floors, and what is reduced."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controllers.kit import decided, plateau, reported

from rheostat.controllers import State, parse_controller, simulate
from rheostat.errors import Invalid
from rheostat.schedules import evaluate, parse

CONSTANT = 17 * [1.0]


@pytest.mark.parametrize(
    ("reading", "cooldown", "falls"),
    [
        ("torch", 1, [4, 8, 12, 16]),
        ("paddle", 1, [4, 8, 12, 16]),
        ("mmengine", 1, [4, 8, 12, 16]),
        ("keras", 1, [3, 5, 7, 9, 11, 13, 15, 17]),
        ("optax", 1, [3, 6, 9, 12, 15]),
        ("torch", 2, [4, 9, 14]),
        ("paddle", 2, [4, 9, 14]),
        ("mmengine", 2, [4, 9, 14]),
        ("keras", 2, [3, 6, 9, 12, 15]),
        ("optax", 2, [3, 7, 11, 15]),
    ],
)
def test_a_constant_metric_and_a_patience_of_two(
    reading: str, cooldown: int, falls: list[int]
) -> None:
    """The readings fall at different reports, as surveyed in the libraries themselves."""
    assert decided(plateau(reading=reading, patience=2, cooldown=cooldown), CONSTANT) == falls


def test_optax_without_patience_falls_at_the_first_good_report() -> None:
    """With a patience of 0 optax reduces at each improvement, and at nothing else."""
    found = reported(plateau(reading="optax", patience=0), [3.0, 3.0, 2.0, 2.0])
    assert [each["step"] for each in found.decisions] == [1, 3]
    assert "patience of 0" in found.decisions[0]["message"]


def test_a_nan_at_first() -> None:
    """Paddle and Keras take NaN for the best, and nothing is better; for the others it is bad."""
    series = [nan, 5.0, 4.0, 3.0, 2.0]
    for reading, falls in {"paddle": [4], "keras": [4], "torch": [], "mmengine": []}.items():
        patience = 3 if reading == "keras" else 2
        assert decided(plateau(reading=reading, patience=patience), series) == falls, reading


def test_mmengine_begins_from_a_billion() -> None:
    """What is worse than 1e9 is no improvement for MMEngine, and one for PyTorch."""
    series = [3e9, 1.1e9]
    assert decided(plateau(reading="mmengine", patience=1), series) == [2]
    assert decided(plateau(reading="torch", patience=1), series) == []
    assert decided(plateau(reading="mmengine", patience=1), [9e8, 8e8]) == []


def test_a_mean_counts_as_one_report() -> None:
    """With `average` 2 the means 2, 3, 3 are looked at, each with its second report."""
    averaged = plateau(patience=1, average=2)
    found = reported(averaged, [1.0, 3.0, 4.0, 2.0, 3.0, 3.0])
    assert [each["step"] for each in found.decisions] == [6]
    (decision,) = found.decisions
    assert decision["message"] == "m has not been better than 2 (step 2) for 2 means of 2 reports"


def test_the_floor() -> None:
    """0.1 falls to 0.05, to the floor 0.04, and no further: the last factor is 0.8."""
    found = reported(plateau(factor=0.5, patience=0, min=0.04), 9 * [1.0], base_value=0.1)
    assert [each.get("factor") for each in found.decisions] == [0.5, pytest.approx(0.8)]
    assert found.values[-1] == pytest.approx(0.04)


def test_eps() -> None:
    """A fall of no more than `eps` is not made: of 1, 0.5, 0.25, the last fall is one of 0.25."""
    found = reported(plateau(factor=0.5, patience=0, eps=0.2), 9 * [1.0])
    assert found.values[-1] == 0.25
    assert len(found.decisions) == 2


def test_the_floor_of_optax_is_one_of_the_factors() -> None:
    """Whatever the value is, the product of optax's factors stays at least its `min_scale`."""
    found = reported(plateau(reading="optax", patience=1, min_scale=0.02), 9 * [1.0], base_value=7)
    assert [each.get("factor") for each in found.decisions] == [0.1, pytest.approx(0.2)]
    assert found.values[-1] == pytest.approx(7 * 0.02)


def test_keras_counts_on_where_nothing_falls() -> None:
    """At the floor Keras' counter goes on, without a cool-down, until the value rises again."""
    steps = {"kind": "multistep", "start": 0.01, "milestones": [5], "factor": 10}
    keras = plateau(reading="keras", patience=2, cooldown=5, min=0.01)
    found = reported(keras, 8 * [1.0], definition=parse(steps))
    assert [each["step"] for each in found.decisions] == [5]


@pytest.mark.parametrize("reading", ["torch", "keras", "optax", "paddle", "mmengine"])
def test_nothing_is_made_of_a_limit_that_is_used_up(reading: str) -> None:
    """Where nothing was made of it, a report that fires leaves the state as the fold has it."""
    found = plateau(reading=reading, patience=1, cooldown=3)
    fired = State(best=1.0, best_step=1, bad=1, scale=0.5)
    assert found.fired(fired, made=False) == fired


@pytest.mark.parametrize("reading", ["torch", "keras", "paddle", "mmengine"])
def test_a_floor_that_is_reached_is_not_reached_again(reading: str) -> None:
    """No product of factors misses the floor by a rounding, from which it would fall once more."""
    for percent in range(11, 95, 7):
        lowered = plateau(reading=reading, factor=percent / 100, patience=0, min=1e-3)
        found = reported(lowered, 300 * [1.0], base_value=0.1)
        assert all(each["factor"] < 0.999 for each in found.decisions), percent
        assert found.values[-1] == pytest.approx(1e-3)


@given(
    factor=st.floats(0.01, 0.99),
    floor=st.sampled_from([0.0, 1e-3, 0.04]),
    value=st.floats(0, 1e3),
    reading=st.sampled_from(["torch", "keras", "paddle", "mmengine"]),
)
def test_a_reduction_is_the_library_s(
    factor: float, floor: float, value: float, reading: str
) -> None:
    """From v the value falls to max(v·factor, min): by the factor itself unless the floor bites."""
    found = plateau(reading=reading, factor=factor, min=floor)
    reduced = found.reduction(found.initial(), value)
    lowered = max(value * factor, floor)
    if reduced is None:
        assert value - lowered <= 1e-8 or value <= floor * (1 + 1e-6)
    else:
        assert 0 <= reduced < 1
        assert value * reduced == pytest.approx(lowered, rel=1e-15, abs=0)
        assert reduced == factor or lowered == floor


def test_a_metric_that_is_better_high() -> None:
    """With mode max a rise is an improvement, and the mirrored metric gives the same falls."""
    series = [0.1, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3, nan, inf, 1.0]
    for reading in ("torch", "keras", "paddle", "mmengine"):
        options: dict[str, Any] = {"reading": reading, "patience": 1, "threshold": 0.0}
        if reading != "keras":
            options["threshold_mode"] = "abs"
        mirrored = decided(plateau(mode="max", **options), [-value for value in series])
        assert mirrored == decided(plateau(mode="min", **options), series), reading


def test_it_composes_with_any_definition() -> None:
    """The values are those of the definition times the factors, at each step of the whole curve."""
    cosine = parse({"kind": "cosine", "start": 0.1, "end": 0, "steps": 100})
    reports = [(10, 1.0), (20, 1.0), (30, 0.5), (40, 1.0), (50, 1.0)]
    found = simulate(plateau(patience=0, factor=0.5), reports, definition=cosine, total=100)
    cuts = [
        1.0 if step < 20 else 0.5 if step < 40 else 0.25 if step < 50 else 0.125
        for step in range(100)
    ]
    assert found.steps == [*range(100)]
    assert found.values == (evaluate(cosine, range(100)) * cuts).tolist()


def test_the_names_of_parameters() -> None:
    """A name is itself, ``lr/*`` is lr and its groups: each once, in the order that is asked."""
    groups = ["lr/head", "lr/body", "lr", "wd"]
    listed = plateau(parameters=["wd", "lr/*", "lr/head"])
    assert listed.parameters_of(groups) == ("wd", "lr", "lr/body", "lr/head")
    assert plateau().parameters_of(groups) == ("lr",)
    with pytest.raises(Invalid) as refusal:
        plateau(parameters=["lr", "momentum", "x/*"]).parameters_of(groups, "controllers.p")
    assert [error.field for error in refusal.value.errors] == [
        "controllers.p.parameters[1]",
        "controllers.p.parameters[2]",
    ]


def test_a_relative_threshold_below_zero() -> None:
    """A metric below 0 with a relative threshold is taken, with a warning; else there is none."""
    assert plateau().warning(-0.5)
    assert plateau().warning(0.5) is None
    assert plateau(threshold_mode="abs").warning(-0.5) is None
    for reading in ("keras", "optax"):
        assert plateau(reading=reading).warning(-0.5) is None


def test_reset_keeps_the_best() -> None:
    """After a reset patience starts again, and the best and optax's scale stay."""
    found = parse_controller({"kind": "plateau", "metric": "m", "reading": "optax", "patience": 2})
    state = reported(found, [1.0, 2.0, 2.0, 2.0]).state
    assert (state.best, state.best_step, state.bad, state.scale) == (1.0, 1, 1, 0.1)
    fresh = found.reset(state)
    assert (fresh.best, fresh.best_step, fresh.bad, fresh.scale) == (1.0, 1, 0, 0.1)
