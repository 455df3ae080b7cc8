"""Thinned curves: they look like all of their values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rheostat.schedules.thin import thin

VALUES = st.floats(-1, 1)


@settings(deadline=None, max_examples=50)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 1000)).flatmap(
        lambda shape: arrays.arrays(np.float64, shape, elements=VALUES)
    ),
    st.integers(10, 400),
)
def test_ends_and_extremes_of_every_curve_are_kept(
    curves: np.ndarray[Any, Any], limit: int
) -> None:
    """Of n curves the first, last, least and greatest values fit into 2 + 2n points and more."""
    kept = thin(list(curves), limit)
    assert len(kept) <= limit
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, curves.shape[1] - 1)
    assert (curves[:, kept].min(axis=1) == curves.min(axis=1)).all()
    assert (curves[:, kept].max(axis=1) == curves.max(axis=1)).all()


def test_what_turns_nowhere_is_spread_evenly() -> None:
    """A curve that only rises or falls is kept at even distances, and so are two of them."""
    line = np.arange(101.0)
    assert thin([line, -(line**2)], 11).tolist() == list(range(0, 101, 10))
    assert thin([np.where(line < 50, 1.0, 0.5)], 5).tolist() == [0, 25, 50, 75, 100]


@pytest.mark.parametrize("count", [10_000, 1_000_000])
def test_each_of_many_short_excursions_is_kept(count: int) -> None:
    """Of 49 excursions of one value, by two curves in turn, 200 points show every one."""
    places = np.arange(1, 50) * (count // 50)
    curves = np.zeros((2, count))
    curves[np.arange(49) % 2, places] = np.arange(1, 50)
    kept = thin(list(curves), 200)
    assert len(kept) <= 200
    assert set(places.tolist()) <= set(kept.tolist())


def test_curves_that_are_short_enough_are_kept_whole() -> None:
    """Nothing is left out where there is room for everything."""
    assert thin([np.arange(5.0)], 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("limit", [2, 3, 7])
def test_what_has_no_room_for_all_extremes_keeps_the_ends(limit: int) -> None:
    """P10: a hundred curves that turn at a hundred places share what few points there are."""
    curves = list(np.eye(100, 300, 100))
    kept = thin(curves, limit)
    assert len(kept) == limit
    assert (kept[0], kept[-1]) == (0, 299)
