"""Gates: where workers wait for a metric."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controllers.kit import made


@given(every=st.integers(1, 50), base=st.integers(0, 500), start=st.integers(0, 500))
def test_the_first_gate_above_a_base(every: int, base: int, start: int) -> None:
    """It is the least multiple that is above the base, and not below the start."""
    gated = made("stop", gate={"every": every}, start=start)
    multiples = (step for step in range(every, 2000, every) if step > base and step >= start)
    assert gated.gate_after(base) == next(multiples)


@given(every=st.integers(1, 50), start=st.integers(0, 500))
def test_a_gate_is_the_next_one_of_the_step_before(every: int, start: int) -> None:
    """What is a gate, and which gate comes next, are the same steps."""
    gated = made("stop", gate={"every": every}, start=start)
    found = {gated.gate_after(base) for base in range(1000)}
    assert {step for step in range(1, 1000) if gated.is_gate(step)} == {
        step for step in found if step is not None and step < 1000
    }


def test_epochs() -> None:
    """A gate at each epoch is one at each multiple of its length, which must be told."""
    gated = made("stop", gate={"every": "epoch"})
    assert gated.gate_after(250, steps_per_epoch=100) == 300
    assert gated.is_gate(300, 100)
    assert not gated.is_gate(350, 100)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        gated.gate_after(250)


def test_without_gates() -> None:
    """A controller without a gate has none."""
    assert made("stop").gate_after(7) is None
    assert not made("stop").is_gate(7)
