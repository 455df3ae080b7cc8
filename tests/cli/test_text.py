"""Numbers, times, definitions and changes read well, and read back."""

from __future__ import annotations

import shlex
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.cli import words
from rheostat.cli.views import text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_exact_numbers_read_back_bit_for_bit(value: float) -> None:
    """No digit is lost, and exponents have no padding."""
    assert struct.pack("d", float(text.exact(value))) == struct.pack("d", value)
    assert "e-0" not in text.exact(value)
    assert "e+" not in text.exact(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (14_680_064.0, "14680064"),
        (1e15, "1000000000000000"),
        (0.0, "0"),
        (-3.0, "-3"),
        (0.5, "0.5"),
    ],
)
def test_whole_numbers_have_no_point(value: float, expected: str) -> None:
    """A batch size reads as the whole number that it is."""
    assert text.exact(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0005, "0.0005"),
        (1e-5, "1e-5"),
        (2 / 3, "0.666667"),
        (3.0, "3"),
        (0.0, "0"),
        (1e22, "1e22"),
    ],
)
def test_short_numbers_have_six_digits(value: float, expected: str) -> None:
    """Numbers in tables are rounded, without a trailing point."""
    assert text.short(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (2500, "2,500"),
        (12_345, "12,345"),
        (2_500_000, "2.5M"),
        (1_234_567, "1,234,567"),
        (4.3e12, "4.3T"),
        (0.25, "0.25"),
    ],
)
def test_labels_of_an_axis_are_compact_and_exact(value: float, expected: str) -> None:
    """A unit is used only where no digit is lost by it."""
    assert text.compact(value) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-01T11:59:55.000000+00:00", "just now"),
        ("2026-03-01T11:59:15+00:00", "45 s ago"),
        ("2026-03-01T11:00:01+00:00", "59 min ago"),
        ("2026-03-01T13:00:00+02:00", "1 h ago"),
        ("2026-02-27T11:00:00+00:00", "2 d ago"),
        ("2025-12-24T18:30:00+00:00", "2025-12-24 18:30 UTC"),
    ],
)
def test_times_are_told_from_now(moment: str, expected: str) -> None:
    """Recent times are distances in their largest unit, old ones are dates."""
    assert text.when(moment, datetime(2026, 3, 1, 12, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "cosine start=0.001 end=1e-5 steps=10000",
        "0.1",
        "multistep start=0.1 milestones=10,20,30 factor=0.1",
        "cosine start=1 end=0 steps=5 periodic=true clock=run",
        "scale 0.5",
        "hold",
        "hold 100 then=shift",
        "ramp 0 steps=1000 shape=1-sqrt",
        "revert 3",
        "replace linear start=1 end=0 steps=9 clock=change blend=5",
    ],
)
def test_changes_are_written_as_they_are_typed(line: str) -> None:
    """What the history shows of a change is what one would type to make it."""
    change = words.changes(["lr", *shlex.split(line)])["lr"]
    written = text.change(change).replace(", ", ",")
    assert words.changes(["lr", *shlex.split(written)])["lr"] == change


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"kind": "table", "values": list(range(100))}, "table values=[0, 1, 2, … 96 more …, 99]"),
        (
            {"kind": "warmup", "steps": 5, "then": {"kind": "constant", "value": 0.5}},
            "warmup steps=5 then=(0.5)",
        ),
        (
            {"kind": "ramp", "shape": "cosine", "power": 1.0, "ratio": 0.1, "mirrored": False},
            "ramp shape=cosine",
        ),
    ],
)
def test_definitions_fit_on_a_line(data: dict[str, Any], expected: str) -> None:
    """Long lists are cut, parts in brackets, and fields that do nothing left out."""
    assert text.definition(data) == expected
