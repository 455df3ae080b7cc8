"""Values of definitions at steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rheostat.errors import Invalid
from rheostat.schedules import evaluate, parse

LINE = {"kind": "linear", "start": 0.0, "end": 1.0, "steps": 4}


def test_one_step_many_steps_and_ranges() -> None:
    """An integer gives a float; a range or an array, in any order, gives an array."""
    one = evaluate(LINE, 1)
    assert isinstance(one, float)
    assert one == 0.25
    assert evaluate(LINE, range(6)).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert evaluate(LINE, range(5, 0, -2)).tolist() == [1.0, 0.75, 0.25]
    assert evaluate(LINE, np.array([3, 0, 3], dtype=np.uint8)).tolist() == [0.75, 0.0, 0.75]
    assert evaluate(LINE, [3, 0, 3]).tolist() == [0.75, 0.0, 0.75]
    assert evaluate(LINE, range(0)).tolist() == evaluate(LINE, np.array([], dtype=int)).tolist()


def test_a_number_is_a_constant() -> None:
    """A bare number is the definition of that value at every step."""
    assert evaluate(0.5, range(2)).tolist() == [0.5, 0.5]
    assert parse(3) == parse({"kind": "constant", "value": 3})


def test_far_steps_are_exact() -> None:
    """Every coordinate up to 2^53 − 1 is told apart."""
    long = {"kind": "linear", "start": 0.0, "end": 2.0**53 - 1, "steps": 2**53 - 1}
    assert evaluate(long, 2**53 - 2) == 2.0**53 - 2
    assert evaluate(parse(long), np.array([2**53 - 1, 2**53 - 3])).tolist() == [
        2.0**53 - 1,
        2.0**53 - 3,
    ]


LAST = 2**53 - 1


@pytest.mark.parametrize(
    ("steps", "field", "value", "bound"),
    [
        (True, "steps", True, "an integer"),
        (-1, "steps", -1, "≥ 0"),
        (2**53, "steps", 2**53, f"≤ {LAST}"),
        (2**70, "steps", "an integer of 71 bits", f"≤ {LAST}"),
        (1.5, "steps", 1.5, "an integer"),
        ("3", "steps", "3", "an integer"),
        (None, "steps", None, "an integer"),
        ([3, -1], "steps[1]", -1, "≥ 0"),
        ([0, 0.5], "steps[1]", 0.5, "an integer"),
        ((0, True), "steps[1]", True, "an integer"),
        (range(5, -2, -2), "steps[3]", -1, "≥ 0"),
        (range(-1, 3), "steps[0]", -1, "≥ 0"),
        (range(0, 2**53 + 1, 2**53), "steps[1]", 2**53, f"≤ {LAST}"),
        (np.array([3, -1, -2]), "steps[1]", -1, "≥ 0"),
        (np.array([0.5]), "steps[0]", 0.5, "an integer"),
        (np.array([2.0, 3.0]), "steps[0]", 2.0, "an integer"),
        (np.array([1, 2**53]), "steps[1]", 2**53, f"≤ {LAST}"),
        (np.zeros((2, 2), dtype=np.int64), "steps[0]", "a list of 2", "an integer"),
    ],
    ids=str,
)
def test_wrong_steps(steps: Any, field: str, value: Any, bound: str) -> None:
    """P10: the first step that is no integer from 0 to 2^53 − 1 is named, as over HTTP."""
    with pytest.raises(Invalid) as caught:
        evaluate(LINE, steps)
    (error,) = caught.value.errors
    assert (error.field, error.value, error.bound) == (field, value, bound)


def test_a_definition_that_follows_has_no_values_alone() -> None:
    """P10: what follows another parameter is refused without that one's values."""
    with pytest.raises(Invalid, match="follows another parameter"):
        evaluate({"kind": "follow", "parameter": "lr"}, 3)
