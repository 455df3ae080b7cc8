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
    assert evaluate(LINE, range(0)).tolist() == []


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


@pytest.mark.parametrize(
    "steps",
    [
        True,
        -1,
        range(5, -2, -2),
        np.array([3, -1]),
        2**53,
        -(2**53),
        2**70,
        1.5,
        "3",
        None,
        range(0, 2**53 + 1, 2**53),
        np.array([0.5]),
        np.array([1, 2**53]),
        np.zeros((2, 2), dtype=np.int64),
    ],
)
def test_wrong_steps(steps: Any) -> None:
    """P10: steps are integers from 0 to 2^53 − 1, one-dimensional if there are many."""
    with pytest.raises(Invalid) as caught:
        evaluate(LINE, steps)
    assert caught.value.errors[0].field == "steps"


def test_a_definition_that_follows_has_no_values_alone() -> None:
    """P10: what follows another parameter is refused without that one's values."""
    with pytest.raises(Invalid, match="follows another parameter"):
        evaluate({"kind": "follow", "parameter": "lr"}, 3)
