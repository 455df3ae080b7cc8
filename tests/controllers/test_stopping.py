"""Early stopping by hand: thresholds, a baseline, a patience in steps, and what begins anew."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from tests.controllers.kit import decided, made, reported

from rheostat.controllers import simulate

STANDING = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9]


@pytest.mark.parametrize(
    ("reading", "at"), [("lightning", 5), ("keras", 3), ("transformers", 3), ("composer", 4)]
)
def test_the_defaults_of_each_library(reading: str, at: int) -> None:
    """Three reports of patience in Lightning, 0 in Keras, 1 in transformers; Composer names it."""
    fields: dict[str, Any] = {"patience_steps": 1} if reading == "composer" else {}
    assert decided(made("stop", reading=reading, **fields), STANDING) == [at]


def test_it_says_why() -> None:
    """The reason names the metric, its best and where, and for how long nothing was better."""
    reports = [(7000, 2.3124), (7100, 2.4), (7200, 2.5), (7300, 2.4)]
    (decision,) = simulate(made("stop"), reports).decisions
    assert decision["message"] == "m has not been better than 2.3124 (step 7,000) for 3 reports"
    assert decision["decision"] == "stop"


@pytest.mark.parametrize(
    ("fields", "series", "why"),
    [
        ({}, [1.0, nan], "m is NaN"),
        ({}, [1.0, -inf], "m is -Infinity"),
        (
            {"stopping_threshold": 0.5},
            [1.0, 0.5, 0.4],
            "m is 0.4, better than the stopping threshold 0.5",
        ),
        (
            {"divergence_threshold": 2.0},
            [1.0, 2.0, 2.1],
            "m is 2.1, worse than the divergence threshold 2",
        ),
        (
            {"mode": "max", "stopping_threshold": 0.9},
            [0.5, 0.91],
            "m is 0.91, better than the stopping threshold 0.9",
        ),
        (
            {"mode": "max", "divergence_threshold": 0.1},
            [0.5, 0.05],
            "m is 0.05, worse than the divergence threshold 0.1",
        ),
    ],
)
def test_what_stops_at_once(fields: dict[str, Any], series: list[float], why: str) -> None:
    """Lightning's thresholds, and what is not finite, end a training at the very report."""
    (decision,) = reported(made("stop", **fields), series).decisions
    assert (decision["step"], decision["message"]) == (len(series), why)


def test_what_is_not_finite_may_be_borne() -> None:
    """Without ``check_finite`` NaN is a bad report like any other."""
    assert decided(made("stop", check_finite=False, patience=2), [1.0, nan, 0.5, nan, nan]) == [5]


def test_a_baseline() -> None:
    """What does not beat Keras' baseline may be the best, and does not start patience anew."""
    patient = made("stop", reading="keras", patience=3, baseline=0.5)
    assert decided(patient, [1.0, 0.9, 0.8, 0.85]) == [4]
    assert decided(patient, [1.0, 0.4, 0.8, 0.85, 0.9]) == [5]


def test_the_trainer_s_best_moves_on() -> None:
    """Many small improvements never count for transformers, and do for Lightning."""
    small = [1.0, 0.95, 0.9, 0.85, 0.8]
    fields = {"min_delta": 0.08, "patience": 2}
    assert decided(made("stop", reading="transformers", **fields), small) == [3]
    assert decided(made("stop", reading="lightning", **fields), small) == []


def test_start() -> None:
    """Reports below `start` change nothing, not even the best."""
    late = made("stop", reading="keras", start=3)
    assert decided(late, [0.1, 0.2, 1.0, 0.9, 0.95]) == [5]


def test_a_proposed_stop_is_repeated_after_its_patience_alone() -> None:
    """What fires starts its counters anew: it proposes again after as many bad reports."""
    asking = made("stop", patience=2, action="propose")
    found = reported(asking, [1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    assert [(each["step"], each["decision"]) for each in found.decisions] == [
        (3, "proposal"),
        (5, "proposal"),
    ]
    steps = made("stop", reading="composer", patience_steps=1, action="propose")
    assert decided(steps, [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]) == [3, 6]


def test_a_trainer_that_saw_no_number_yet() -> None:
    """Its best is then the worst infinity: a second NaN counts as bad, and a number as better."""
    assert decided(made("stop", reading="transformers"), [nan, nan]) == [2]
    assert decided(made("stop", reading="transformers"), [nan, 5.0, 6.0]) == [3]
