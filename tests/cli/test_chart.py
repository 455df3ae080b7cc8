"""Charts show the curve where it is, whatever the terminal's width."""

from __future__ import annotations

import re

import pytest

from rheostat.cli.views.chart import BLANK, Series, ValueScale, VerticalLine, chart
from rheostat.errors import Invalid

LINE = Series("line", range(101), [step / 100 for step in range(101)])


def rows(*curves: Series, width: int = 60, height: int = 8, **how: object) -> list[str]:
    drawn = chart(curves, width=width, height=height, **how)  # type: ignore[arg-type]
    return ["".join(piece for piece, _ in row) for row in drawn]


def dots(row: str) -> set[int]:
    return {at for at, character in enumerate(row) if ord(character) > BLANK}


def cells(drawn: list[str]) -> list[str]:
    return [re.split("[┤│]", row)[1] for row in drawn[:8]]


@pytest.mark.parametrize("width", [40, 79, 80, 213])
def test_a_chart_fits_its_width(width: int) -> None:
    """No row is wider than the terminal, and the curve uses all of it."""
    drawn = rows(LINE, Series("other", [0, 50, 100], [1, 0, 1]), width=width)
    assert max(map(len, drawn)) <= width
    assert len(dots("".join(drawn))) >= width - 20


def test_a_rising_line_rises_from_corner_to_corner() -> None:
    """The first value is at the lower left, the last at the upper right, all between on the way."""
    columns = [min(dots(row)) for row in rows(LINE)[:8]]
    assert columns == sorted(columns, reverse=True)
    assert rows(LINE)[0].rstrip()[-1] != " "
    assert dots(rows(LINE)[7]) >= {min(columns)}


def test_a_jump_is_one_vertical_line() -> None:
    """A step between two levels is drawn in one column, and the levels in the outer rows alone."""
    step = Series("step", [0, 50, 51, 100], [1, 1, 0, 0])
    drawn = rows(step)
    assert {len(dots(row)) <= 2 for row in drawn[1:7]} == {True}
    assert len(dots(drawn[0])) + len(dots(drawn[7])) >= 55


def test_a_constant_lies_in_the_middle() -> None:
    """A curve without any rise has room above and below, and its value as a label."""
    drawn = rows(Series("constant", [0, 10], [0.25, 0.25]), height=7)
    assert [bool(dots(row)) for row in drawn[:7]] == [False] * 3 + [True] + [False] * 3
    assert "0.25" in drawn[3]


def test_names_stand_at_the_ends_of_curves() -> None:
    """Several curves can be told apart without colour, even where they end together."""
    drawn = rows(LINE, Series("other", [0, 100], [0, 1]), Series("low", [0, 100], [0, 0]))
    ends = [row.split()[-1] for row in drawn[:8]]
    assert {"line", "other"} == {ends[0], ends[1]}
    assert ends[7] == "low"


def test_marks_are_named_below_the_axis() -> None:
    """A mark is a dotted column with its label under it; one outside the range is left out."""
    drawn = rows(
        LINE, marks=[VerticalLine(50, "settled"), VerticalLine(20, "2"), VerticalLine(500, "never")]
    )
    first, second = (at for at, character in enumerate(drawn[0]) if character == "┊")
    assert (drawn[10].index("▲ 2"), drawn[10].index("▲ settled")) == (first, second)
    assert "never" not in "".join(drawn)


def test_names_of_marks_take_two_rows() -> None:
    """Of a thousand marks those are named that have room, first those that are given first."""
    marks = [
        VerticalLine(40, "settled"),
        *(VerticalLine(step / 10, str(step)) for step in range(1000)),
    ]
    drawn = rows(LINE, marks=marks)
    assert len(drawn) == 8 + 2 + 2
    assert "▲ settled" in drawn[10]
    assert drawn[10].count("▲") > 5


@pytest.mark.parametrize("stop", [1000, 10_000, 10**12])
def test_the_axis_ends_with_a_tick(stop: int) -> None:
    """The steps before 10,000 end at 9,999, and the last column is named 10,000 all the same."""
    drawn = rows(Series("line", [0, stop - 1], [0, 1]), width=79)
    assert drawn[8].endswith("┬")
    assert drawn[9].split()[-1] in {"1,000", "10,000", "1T"}


def test_a_logarithmic_axis_makes_a_decay_straight() -> None:
    """An exponential on a logarithmic axis has the very dots of a line on a linear one."""
    decay = Series("decay", range(9), [10.0**-power for power in range(9)])
    line = Series("line", range(9), [-float(power) for power in range(9)])
    curved, straight = cells(rows(decay, log=True, width=62)), cells(rows(line, width=60))
    assert len(curved[0]) == len(straight[0])
    assert curved == straight


@pytest.mark.parametrize(
    "values",
    [
        [-1.7e308, 1.7e308],
        [5e-324, 0.0],
        [1.0, 1.0000000000000002],
        [1e300, 1e-300],
        [9007199254740991.0, 0.0],
        [0.0, -0.0],
    ],
)
def test_any_finite_values_can_be_drawn(values: list[float]) -> None:
    """The largest, smallest and closest numbers give a chart with a curve in it."""
    assert dots("".join(rows(Series("extreme", [0, 2**53 - 1], values))[:8]))


def test_a_logarithmic_axis_needs_values_above_zero() -> None:
    """A curve that touches zero is refused, naming the value and the bound (P10)."""
    with pytest.raises(Invalid) as refusal:
        rows(LINE, log=True)
    assert (refusal.value.errors[0].value, refusal.value.errors[0].bound) == (0.0, "> 0")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1e-5, 1e-3, [2e-4, 4e-4, 6e-4, 8e-4, 1e-3]),
        (0, 10_000, [0, 2000, 4000, 6000, 8000, 10_000]),
        (-3, 3, [-2, 0, 2]),
        (5e12, 6e12, [5e12, 5.2e12, 5.4e12, 5.6e12, 5.8e12, 6e12]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    """Labels are round numbers within the scale."""
    assert ValueScale(low, high).ticks(6) == pytest.approx(expected, rel=1e-12)


def test_decades_are_the_ticks_of_a_logarithmic_scale() -> None:
    """Labels of a logarithmic axis are powers of ten."""
    assert ValueScale(1e-5, 0.1, log=True).ticks(8) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 0.1])
