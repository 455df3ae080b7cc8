"""Rules: conditions that hold for some reports in a row, once or each time anew."""

from __future__ import annotations

from math import nan

import pytest
from tests.controllers.kit import decided, made, reported

CHANGES = {"lr": {"edit": "ramp", "to": 0, "steps": 1000}}


@pytest.mark.parametrize(
    ("op", "fires"), [("<", [2.9]), ("<=", [2.9, 3.0]), (">", [3.1]), (">=", [3.0, 3.1])]
)
def test_conditions(op: str, fires: list[float]) -> None:
    """Each condition is met by the values that it says, and by NaN never."""
    rule = made("rule", when={"op": op, "value": 3}, changes=CHANGES)
    assert [value for value in (2.9, 3.0, 3.1, nan) if decided(rule, [value])] == fires


def test_so_many_reports_in_a_row() -> None:
    """A rule fires at the last of `for` reports in a row, and NaN breaks the row."""
    rule = made("rule", when={"op": "<", "value": 3}, changes=CHANGES, **{"for": 3})
    assert decided(rule, [1, 1, 3, 1, 1, nan, 1, 1, 1, 1]) == [9]


def test_once_or_each_time_anew() -> None:
    """It decides once; told otherwise, once in each stretch in which the condition holds."""
    series = [1, 1, 5, 1, 1, 5, 5, 1]
    when = {"op": "<", "value": 3}
    assert decided(made("rule", when=when, changes=CHANGES), series) == [1]
    assert decided(made("rule", when=when, changes=CHANGES, once=False), series) == [1, 4, 8]
    limited = made("rule", when=when, changes=CHANGES, once=False, limit=2)
    assert decided(limited, series) == [1, 4]


def test_it_says_why() -> None:
    """The reason has the value and the condition; changes of "stop" make it a stop."""
    rule = made("rule", when={"op": "<", "value": 0.3}, changes="stop")
    (decision,) = reported(rule, [0.5, 0.25]).decisions
    assert (decision["decision"], decision["message"]) == ("stop", "m is 0.25, < 0.3 for 1 report")
