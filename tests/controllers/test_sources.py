"""Several sources of one metric: one value, whatever the order in which they come."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import inf, isnan, nan
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.controllers import Sources, bits_of_value

VALUES = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20)
REDUCED: Any = st.sampled_from(["mean", "min", "max", "sum"])


@given(VALUES, REDUCED, st.integers(0, 2**32))
def test_the_order_of_arrival_is_of_no_matter(values: list[float], word: Any, seed: int) -> None:
    """P11: the same values by the same sources have the same bits, in whatever order they came."""
    given_ = [(f"rank-{index}", value) for index, value in enumerate(values)]
    shuffled = [*given_]
    Random(seed).shuffle(shuffled)
    sources = Sources(expect=len(values), reduce=word)
    bits = [bits_of_value(sources.reduced(dict(each))) for each in (given_, shuffled)]
    assert bits[0] == bits[1]


@given(VALUES)
def test_a_mean_is_exact_before_it_is_rounded(values: list[float]) -> None:
    """The sum is rounded once, and so is the quotient."""
    exact = sum(map(Fraction, values))
    named = {str(index): value for index, value in enumerate(values)}
    assert Sources(reduce="sum").reduced(named) == float(exact)
    assert Sources().reduced(named) == float(exact) / len(values)


def test_min_and_max() -> None:
    """The least and the greatest of them."""
    values = {"a": 3.0, "b": 1.0, "c": 2.0}
    assert Sources(reduce="min").reduced(values) == 1.0
    assert Sources(reduce="max").reduced(values) == 3.0


@pytest.mark.parametrize("word", ["mean", "min", "max", "sum"])
def test_one_broken_source_is_not_hidden(word: Any) -> None:
    """NaN of one source makes the value NaN, wherever its name is in the order."""
    for name in ("a", "z"):
        assert isnan(Sources(reduce=word).reduced({name: nan, "k": 1.0, "m": 2.0}))


def test_infinities() -> None:
    """Infinities add up as IEEE 754 says; a mean within float64 of a sum beyond it is given."""
    assert Sources().reduced({"a": inf, "b": 1.0}) == inf
    assert isnan(Sources().reduced({"a": inf, "b": -inf}))
    assert Sources().reduced({"a": 1.5e308, "b": 1.5e308}) == 1.5e308
    assert Sources(reduce="sum").reduced({"a": 1.5e308, "b": 1.5e308}) == inf


@pytest.mark.parametrize("word", ["mean", "sum"])
def test_sums_beyond_float64_do_not_depend_on_arrival(word: Any) -> None:
    """P11: where a sum overflows on its way, which terms come first is told by names alone."""
    values = {"a": 1.5e308, "b": 1.5e308, "c": -1.5e308}
    orders = [dict(each) for each in permutations(values.items())]
    assert len({Sources(reduce=word).reduced(each) for each in orders}) == 1


def test_a_step_is_complete() -> None:
    """A step waits for as many sources as are expected, and for no more."""
    assert not Sources(expect=2).complete({"a": 1.0})
    assert Sources(expect=2).complete({"a": 1.0, "b": nan})
    assert Sources(expect=2).complete({"a": 1.0, "b": 2.0, "c": 3.0})
