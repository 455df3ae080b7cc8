"""Values of metrics, as JSON and as bits: the same one comes back, and nothing else is let in."""

from __future__ import annotations

import struct
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.controllers import bits_of_value, json_of_value, value_of_bits, value_of_json
from rheostat.errors import Invalid


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_value_survives_json_and_bits(value: float) -> None:
    """Every float64, −0 and the infinities too, comes back bit for bit; NaN as NaN from JSON."""
    back = value_of_json(json_of_value(value))
    assert isnan(back) if isnan(value) else struct.pack("<d", back) == struct.pack("<d", value)
    assert struct.pack("<d", value_of_bits(bits_of_value(value))) == struct.pack("<d", value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_pattern_of_bits_is_kept(bits: int) -> None:
    """A column of 64 bits gives back what was stored, payloads of NaN included."""
    assert bits_of_value(value_of_bits(bits)) == bits


def test_the_words_for_what_json_has_not() -> None:
    """The three texts are those of the wire, and −0 is a number."""
    assert [json_of_value(value) for value in (nan, inf, -inf)] == ["NaN", "Infinity", "-Infinity"]
    assert isnan(value_of_json("NaN"))
    assert [value_of_json(text) for text in ("Infinity", "-Infinity")] == [inf, -inf]
    assert (value_of_json(3), value_of_json(2**60)) == (3.0, float(2**60))


@pytest.mark.parametrize(
    "value", [None, True, "nan", "1.0", "inf", "", [], {}, 10**400, inf, -inf, nan]
)
def test_everything_else_is_refused(value: Any) -> None:
    """P10: null, truth values, other texts and what float64 has not are refused by field."""
    with pytest.raises(Invalid) as refusal:
        value_of_json(value, "reports[1].metrics.val_loss")
    (error,) = refusal.value.errors
    assert error.field == "reports[1].metrics.val_loss"
    assert "Infinity" in str(error.bound)
