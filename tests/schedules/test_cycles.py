"""Cycles that grow by a little, or shrink: where they begin, how far out, and which are refused."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from rheostat.errors import Invalid
from rheostat.schedules import evaluate, parse

Json = dict[str, Any]
LINE = {"kind": "linear", "start": 0, "end": 1, "steps": 1}
NUMBERED = {"kind": "constant", "value": 1}


def saw(every: float, growth: float, cycles: int | None = None) -> Json:
    """Return a definition of how far each cycle is, from 0 to 1."""
    inner = {"kind": "stretch", "ratio": every, "of": LINE}
    fields = {"every": every, "period_factor": growth, "cycles": cycles}
    return {"kind": "repeat", "of": inner, **fields}


def far(every: float, growth: float, step: int) -> Any:
    """Return how far the cycle of a step is, in 60 digits, by the closed form of its number."""
    with mpmath.workdps(60):
        first, factor = mpf(every), mpf(growth)
        number = mpmath.floor(mpmath.log(1 + step * (factor - 1) / first) / mpmath.log(factor))
        begin = first * (factor**number - 1) / (factor - 1)
        return (step - begin) / (first * factor**number)


@settings(deadline=None, max_examples=300)
@given(
    st.floats(1.0004, 1.06),
    st.sampled_from([1.0, 7.3, 1000.0, 0.01]),
    st.integers(0, 10**15) | st.floats(0, 15).map(lambda power: int(10**power)),
)
def test_cycles_that_grow_by_a_little_are_found_far_out(
    growth: float, every: float, step: int
) -> None:
    """Up to step 10^15 a place is right to 1e-12 of its cycle, which may be the 70,000th."""
    off = abs(evaluate(saw(every, growth), step) - float(far(every, growth, step)))
    assert min(off, 1 - off) < 1e-12  # at a jump, either side is right


@settings(deadline=None, max_examples=200)
@given(st.floats(0.3, 0.99), st.sampled_from([1.0, 90.0, 1e6]), st.data())
def test_cycles_that_shrink(growth: float, every: float, data: st.DataObject) -> None:
    """While cycles last, places are right to 1e-9 of a cycle; from their end on all is still."""
    cycles = data.draw(st.integers(1, int(np.log(1e-3 / every) / np.log(growth)) + 1))
    definition = parse(saw(every, growth, cycles))
    with mpmath.workdps(60):
        end = mpf(every) * (1 - mpf(growth) ** cycles) / (1 - mpf(growth))
    length = int(mpmath.ceil(end - mpf("1e-9")))  # an end that is a step but for rounding is one
    assert definition.length == length
    assert definition.values(np.array([length, length + 1, 2 * length + 9])).tolist() == [1, 1, 1]
    step = data.draw(st.integers(0, length - 1))
    off = abs(evaluate(definition, step) - float(far(every, growth, step)))
    assert min(off, 1 - off) < 1e-9


def test_cycles_shorter_than_a_step_are_passed_between_two() -> None:
    """Of 8, 4, 2, 1, ½, ¼ and ⅛ steps, the last three lie between steps 15 and 16."""
    peaks = {"kind": "repeat", "of": NUMBERED, "every": 8, "period_factor": 0.5, "cycles": 7}
    definition = parse({**peaks, "peak_factor": 2})
    values = definition.values(range(18)).tolist()
    assert values == [*[1] * 8, *[2] * 4, *[4] * 2, 8, 16, 64, 64]
    assert definition.length == 16


@pytest.mark.parametrize(
    ("fields", "name", "says"),
    [
        ({"period_factor": 0.9}, "cycles", "all are over at step 1000"),
        ({"period_factor": 0.9, "cycles": 176}, "cycles", "makes the last cycle too short"),
        ({"period_factor": 0.99999, "cycles": 2**18 + 1}, "cycles", "is too large"),
        ({"period_factor": 1.00005}, "period_factor", "is too close to 1"),
        ({"period_factor": 1 + 2**-52}, "period_factor", "is too close to 1"),
        ({"period_factor": 1.00001, "cycles": 2**18 + 1}, "period_factor", "is too close to 1"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"peak_factor": 0.9}])
def test_what_cannot_be_counted_is_refused_by_its_name(
    fields: Json, name: str, says: str, more: Json
) -> None:
    """P10: too many cycles, and those too short, are refused by the field, in a preset as well."""
    for whole in (
        {"kind": "repeat", "every": 100, "of": NUMBERED},
        {"kind": "cosine_restarts", "start": 0.1, "end": 0.01, "period": 100},
    ):
        with pytest.raises(Invalid) as caught:
            parse({**whole, **fields, **more})
        (error,) = caught.value.errors
        assert (error.field, error.value) == (f"definition.{name}", fields.get(name))
        assert says in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {"period_factor": 0.9, "cycles": 175},
        {"period_factor": 1 + 2**-52, "cycles": 2**18},
        {"period_factor": 1.0002},
        {"period_factor": 1.043},
    ],
)
def test_as_many_as_can_be_counted(fields: Json) -> None:
    """Just inside of the bounds, cycles are finite and bounded at every step."""
    whole = {"kind": "cosine_restarts", "start": 0.1, "end": 0.01, "period": 100, **fields}
    values = evaluate(whole, np.array([0, 10**3, 10**6, 10**12, 2**53 - 1]))
    assert (values >= 0.01).all()
    assert (values <= 0.1).all()
