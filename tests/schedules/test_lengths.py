"""Lengths in shares, epochs and multiples become whole steps that add up."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.errors import Invalid
from rheostat.schedules import parse

Json = dict[str, Any]


def line(steps: Any) -> Json:
    return {"kind": "linear", "start": 1, "end": 0, "steps": steps}


def parts(*steps: Any) -> Json:
    return {"kind": "sequence", "parts": [{"schedule": line(9), "steps": n} for n in steps]}


def lengths_of(data: Json, **context: Any) -> list[Any]:
    return [part["steps"] for part in parse(data, **context).to_json()["parts"]]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (5e12, 5_000_000_000_000),
        ("4.3T", 4_300_000_000_000),
        ("333B", 333_000_000_000),
        ("469 G", 469_000_000_000),
        ("375M", 375_000_000),
        ("10k", 10_000),
        ("2.5K", 2_500),
        ("10%", 100),
        ("33.3%", 333),
        ("0.25%", 2),  # 2.5 goes to the even one
        ("0.35%", 4),  # 3.5 too
        ("3 epochs", 93),
        ("1 epoch", 31),
        ("0.5 epochs", 16),  # 15.5
        ("rest", 1000),
    ],
)
def test_units(text: Any, steps: int) -> None:
    """Every way to write a length gives its steps; halves go to the even one."""
    assert parse(line(text), total=1000, steps_per_epoch=31).to_json()["steps"] == steps


@given(st.lists(st.integers(1, 999), min_size=1, max_size=12), st.integers(20, 10**15))
def test_shares_add_up(weights: list[int], total: int) -> None:
    """Shares that make up the whole have lengths that add up to the total, each within 1."""
    shares = [Fraction(100 * weight, sum(weights)) for weight in weights]
    texts = [f"{float(share):.12f}%" for share in shares[:-1]]
    lengths = lengths_of(parts(*texts, "rest"), total=total)
    assert sum(lengths) == total
    for length, text in zip(lengths, texts, strict=False):
        assert abs(length - Fraction(text[:-1]) / 100 * total) <= 1


def test_boundaries_are_rounded_not_lengths() -> None:
    """Three thirds of 100 are 33, 34 and 33 steps long: 33.3 and 66.7 are what is rounded."""
    third = "33.33333333333333%"
    assert lengths_of(parts(third, third, "rest"), total=100) == [33, 34, 33]
    assert lengths_of(parts("12.5%", "12.5%", "12.5%", "62.5%"), total=20) == [2, 3, 3, 12]
    assert lengths_of(parts("12.5%", 3, "rest"), total=20) == [2, 3, 15]
    assert lengths_of(parts("17.5%", 1, "rest"), total=20) == [4, 1, 15]


def test_rest_leaves_room_for_what_follows() -> None:
    """`"rest"` in the middle takes what the lengths before and after it leave."""
    wsd = {"kind": "wsd", "peak": 1, "warmup": 500, "stable": "rest", "decay": "10%"}
    resolved = parse(wsd, total=12_345).to_json()
    assert (resolved["warmup"], resolved["stable"], resolved["decay"]) == (500, 10_610, 1235)
    assert lengths_of(parts("10%", "rest", 7, "2 epochs"), total=100, steps_per_epoch=10) == [
        10,
        63,
        7,
        20,
    ]


def test_time_inside_begins_where_the_part_begins() -> None:
    """A curve inside a part, or after a warm-up, has its share rounded from where it begins."""
    inside = {"kind": "warmup", "steps": "0.5%", "then": line("rest")}
    resolved = parse(inside, total=999).to_json()
    assert (resolved["steps"], resolved["then"]["steps"]) == (5, 994)
    part = {
        "kind": "sequence",
        "parts": [{"schedule": line("rest"), "until": "40%"}, {"schedule": line("rest")}],
    }
    first, second = parse(part, total=999).to_json()["parts"]
    assert (first["until"], first["schedule"]["steps"]) == (400, 400)
    assert second["schedule"]["steps"] == 599


def test_places_are_counted_from_the_start() -> None:
    """Milestones and points may be shares, epochs and multiples of the run too."""
    steps = {"kind": "multistep", "start": 1, "milestones": ["60%", "2 epochs", 7], "factor": 0.1}
    points = {"kind": "piecewise", "points": [[0, 0.0], ["15%", 0.4], ["100%", 0.0]]}
    context: Json = {"total": 90, "steps_per_epoch": 30}
    assert parse(steps, **context).to_json()["milestones"] == [54, 60, 7]
    assert parse(points, **context).to_json()["points"] == [[0.0, 0.0], [14.0, 0.4], [90.0, 0.0]]


def test_repeated_time_ends_with_its_period() -> None:
    """`"rest"` inside a repetition reaches to the end of the period."""
    data = {
        "kind": "repeat",
        "every": "10%",
        "of": {"kind": "warmup", "steps": 5, "then": line("rest")},
    }
    assert parse(data, total=1000).to_json()["of"]["then"]["steps"] == 95


@pytest.mark.parametrize(
    ("data", "context", "path", "message"),
    [
        (line("10%"), {}, ".steps", "give its `total`"),
        (line("rest"), {"steps_per_epoch": 3}, ".steps", "give the run's `total`"),
        (line("3 epochs"), {"total": 100}, ".steps", "give `steps_per_epoch`"),
        (line("1.5"), {"total": 100}, ".steps", '"10%"'),
        (line("1.2345k"), {}, ".steps", "whole number"),
        (line("0.1%"), {"total": 100}, ".steps", "at least 1"),
        (line("9007199255T"), {}, ".steps", "at most"),
        (parts(60, "rest", 50), {"total": 100}, ".parts[1].steps", "10 steps too long"),
        (parts("60%", "rest", "50%"), {"total": 100}, ".parts[1].steps", "10 steps too long"),
        (
            {"kind": "stretch", "ratio": 2, "of": line("rest")},
            {"total": 100},
            ".of.steps",
            "needs an end",
        ),
    ],
)
def test_wrong_lengths(data: Json, context: Json, path: str, message: str) -> None:
    """P10: a length that cannot be resolved is refused, and the error says what is missing."""
    with pytest.raises(Invalid) as caught:
        parse(data, **context)
    (error,) = caught.value.errors
    assert error.field == f"definition{path}"
    assert message in error.message


@pytest.mark.parametrize("total", [0, -1, True, 1.5, "10", 2**53])
def test_wrong_totals(total: Any) -> None:
    """P10: the total and the length of an epoch are integers from 1 to 2^53 − 1."""
    for name in ("total", "steps_per_epoch"):
        with pytest.raises(Invalid) as caught:
            parse(line(5), **{name: total})
        assert caught.value.errors[0].field == name


def test_published_token_budget() -> None:
    """DeepSeek-V3's five stages, as the paper writes them, end at 14.8T tokens."""
    stages = parts("10T", "4.3T", "333B", "167B")
    assert sum(lengths_of(stages)) == 14_800_000_000_000
