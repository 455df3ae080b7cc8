"""The judge's own arithmetic, beside the library's and beside numbers known by hand."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import pytest
from tests.faults import plan
from tests.faults.curves import Curve, Inexact, Piece, changed, constant, defined, evaluate

from rheostat.schedules import evaluate as library

LINE = {"kind": "linear", "start": 16, "end": 0, "steps": 16}
FLAT: Curve = (Piece(0, constant(Fraction(7))),)


def after(change: dict[str, Any], start: int, stop: int) -> list[float]:
    """Return the values of 16 − step after a change at step 4; revision 1 was 7 throughout."""
    curve = changed((Piece(0, defined(LINE, 0)),), change, 4, lambda revision: {1: FLAT}[revision])
    return list(evaluate(curve, start, stop))


@pytest.mark.parametrize("seed", range(20))
def test_definitions_have_the_values_of_the_library(seed: int) -> None:
    """P1: whoever computes them, the runs of the fault test have one value at each step."""
    for definition in plan.parameters(Random(seed)).values():
        if definition["kind"] != "follow":
            expected = library(definition, range(40_000)).tolist()
            assert evaluate((Piece(0, defined(definition, 0)),), 0, 40_000).tolist() == expected


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ({"edit": "scale", "factor": 0.5}, [6.0, 5.5, 5.0, 4.5]),
        ({"edit": "set", "value": 1.0, "steps": 2}, [1.0, 1.0, 10.0, 9.0]),
        ({"edit": "hold", "steps": 2}, [12.0, 12.0, 10.0, 9.0]),
        ({"edit": "hold", "steps": 2, "then": "shift"}, [12.0, 12.0, 12.0, 11.0]),
        ({"edit": "hold"}, [12.0, 12.0, 12.0, 12.0]),
        ({"edit": "ramp", "to": 4.0, "steps": 2}, [12.0, 8.0, 4.0, 4.0]),
        ({"edit": "revert", "to": 1}, [7.0, 7.0, 7.0, 7.0]),
        ({"kind": "constant", "value": 3}, [3.0, 3.0, 3.0, 3.0]),
        ({**LINE, "clock": "run"}, [12.0, 11.0, 10.0, 9.0]),
        ({**LINE, "clock": "change"}, [16.0, 15.0, 14.0, 13.0]),
    ],
)
def test_changes_have_the_values_of_their_meaning(
    change: dict[str, Any], values: list[float]
) -> None:
    """P2: each change that the operators make has the values that its words say."""
    assert after(change, 4, 8) == values


def test_a_curve_is_known_before_it_was_in_force() -> None:
    """P2: after a rewind, a revert goes back to a curve at steps before that ever began."""
    late = changed(FLAT, {**LINE, "clock": "run"}, 20, lambda _: FLAT)
    back = changed(FLAT, {"edit": "revert", "to": 2}, 10, lambda _: late)
    assert list(evaluate(back, 10, 20)) == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_what_float64_cannot_hold_is_refused() -> None:
    """The judge never rounds: a value with two candidates would prove nothing."""
    with pytest.raises(Inexact):
        evaluate((Piece(0, constant(Fraction(1, 3))),), 0, 1)
    with pytest.raises(Inexact):
        evaluate((Piece(0, constant(Fraction(2**53 + 1))),), 0, 1)
