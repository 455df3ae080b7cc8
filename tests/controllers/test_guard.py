"""Guards: what is a spike, by each measure, and what a window takes in."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from tests.controllers.kit import decided, made, reported

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


def guard(**fields: Any) -> Any:
    """Return a guard with a window of four that fires at the first spike."""
    return made("guard", **{"window": 4, "for": 1, "changes": HALVE, **fields})


CALM = [1.0, 3.0, 1.0, 3.0]
"""Mean and median 2, standard deviation 1, median absolute deviation 1."""


@pytest.mark.parametrize(
    ("above", "most"), [({"sigma": 3}, 5.0), ({"mad": 2}, 4.0), ({"value": 7}, 7.0)]
)
def test_where_a_spike_begins(above: dict[str, float], most: float) -> None:
    """A spike is what is above mean + k·σ, median + k·MAD, or the value; the limit is none."""
    assert decided(guard(above=above), [*CALM, most]) == []
    assert decided(guard(above=above), [*CALM, most + 1e-9]) == [5]


def test_a_ratio_to_the_moving_average() -> None:
    """The average is the mean at first, then moves by 2/(window + 1): to 2·(1 + 1/2) = 3 here."""
    assert decided(guard(above={"ratio": 1.5}), [2.0, 2.0, 2.0, 2.0, 3.0]) == []
    assert decided(guard(above={"ratio": 1.5}), [2.0, 2.0, 2.0, 2.0, 3.01]) == [5]
    falling = guard(above={"ratio": 1.5}, mode="max")
    assert decided(falling, [2.0, 2.0, 2.0, 2.0, 1.0]) == []
    assert decided(falling, [2.0, 2.0, 2.0, 2.0, 0.99]) == [5]


def test_the_mirror() -> None:
    """For a metric that is better high, a spike is below."""
    mirrored = guard(above={"sigma": 3}, mode="max")
    assert decided(mirrored, [*(-value for value in CALM), -5.1]) == [5]


def test_nothing_is_usual_before_the_window_is_full() -> None:
    """The first reports only say what is usual, but for a value that was given."""
    assert decided(guard(above={"sigma": 1}), [1.0, 1.0, 1.0, 9.0]) == []
    assert decided(guard(above={"value": 8}), [9.0]) == [1]


def test_spikes_are_held_against_the_same_calm() -> None:
    """With `for` 3 the third spike in a row fires, since the first two did not enter the window."""
    patient = guard(above={"sigma": 3}, **{"for": 3})
    assert decided(patient, [*CALM, 9.0, 9.0, 9.0]) == [7]
    assert decided(patient, [*CALM, 9.0, 9.0, 2.0, 9.0, 9.0]) == []


def test_a_level_that_stays_becomes_usual_in_a_cool_down() -> None:
    """In its cool-down a guard fires at nothing, and learns: the new level is no spike after it."""
    patient = guard(above={"sigma": 3}, cooldown=4)
    assert decided(patient, [*CALM, 9.0, 9.0, 9.0, 9.0, 9.1, 9.0, 9.0]) == [5]
    assert decided(guard(above={"sigma": 3}), [*CALM, 9.0, 9.0]) == [5, 6]


def test_what_is_not_finite() -> None:
    """NaN and infinities are spikes, in the first report too; or they are passed over."""
    assert decided(guard(above={"sigma": 3}), [nan]) == [1]
    assert decided(guard(above={"sigma": 3}, mode="max"), [*CALM, inf]) == [5]
    blind = guard(above={"sigma": 3}, nonfinite=False, **{"for": 2})
    assert decided(blind, [*CALM, 9.0, nan, 9.0]) == [7]


def test_it_proposes_and_says_why() -> None:
    """A guard asks unless it is told to act, and its reason has the value, the limit, the count."""
    (asked,) = reported(guard(above={"value": 7}), [7.25]).decisions
    assert (asked["decision"], asked["message"]) == (
        "proposal",
        "m is 7.25, and was above 7 for 1 report",
    )
    acting = guard(above={"value": 7}, action="apply", changes="stop", message="by night")
    (made_,) = reported(acting, [7.25]).decisions
    assert made_["decision"] == "stop"
    assert made_["message"].startswith("by night: m is 7.25")


def test_huge_values_overflow_nothing() -> None:
    """Reports at the end of float64 have a mean and a deviation, or infinite ones; no error."""
    for above in ({"sigma": 3}, {"mad": 3}, {"ratio": 3}):
        huge = [1.7e308, -1.7e308, 1.7e308, 1.7e308, -1.7e308, 1.7e308, 1.0]
        reported(guard(above=above), huge)


def test_reset_keeps_what_is_usual() -> None:
    """After a reset the spikes are counted anew, against the same window."""
    patient = guard(above={"sigma": 3}, **{"for": 2})
    state = reported(patient, [*CALM, 9.0]).state
    assert (state.bad, patient.reset(state).bad) == (1, 0)
    assert patient.reset(state).window == tuple(CALM)


def test_a_window_slides() -> None:
    """Only its last reports count: of 0, 10, 4 a window of two has mean 7 and deviation 3."""
    short = guard(above={"sigma": 1}, window=2)
    assert decided(short, [0.0, 10.0, 4.0, 9.5]) == []
    assert decided(short, [0.0, 10.0, 4.0, 10.5]) == [4]
