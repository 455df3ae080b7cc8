"""What workers applied: which windows there can be, their digests, and where values differ."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from math import inf, isnan, nan
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.digests import applied_digest
from rheostat.errors import Invalid
from rheostat.limits import MAX_APPLIED, MAX_STEP, MAX_STRETCHES
from rheostat.server.runs.applied import (
    Stretch,
    Window,
    differing,
    digest_of,
    require_holds,
    require_window,
    rounded,
    steps_of,
)
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.spec import StoredRun

ANY = st.floats(width=64)
COLUMNS = st.integers(1, 20).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(0, MAX_STEP), min_size=count, max_size=count, unique=True),
        st.lists(st.lists(ANY, min_size=count, max_size=count), min_size=1, max_size=3),
    )
)


def by_hand(steps: Sequence[int], columns: Sequence[Sequence[float]]) -> str:
    """Return the digest as the protocol tells it, value after value."""
    digest = hashlib.blake2b(digest_size=16)
    for place, step in enumerate(steps):
        digest.update(struct.pack("<Q", step))
        for column in columns:
            digest.update(struct.pack("<d", column[place]))
    return digest.hexdigest()


@given(COLUMNS)
def test_a_digest_is_what_the_protocol_says(drawn: Any) -> None:
    """P12: of cells and values, in the worker and here; zeros of either sign and NaN, too."""
    steps, columns = sorted(drawn[0]), drawn[1]
    here = digest_of(np.array(steps, np.int64), [np.array(column) for column in columns])
    assert here == by_hand(steps, columns) == applied_digest(steps, columns)


@given(ANY)
def test_a_slot_of_float32_rounds_as_c_does(value: float) -> None:
    """To the nearest, ties to even; what is too large for it becomes infinite."""
    got = float(rounded(np.array([value]), "f32")[0])
    try:
        (wanted,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        wanted = inf if value > 0 else -inf
    assert got == wanted or (isnan(got) and isnan(value))
    assert rounded(np.array([value]), "f64").tobytes() == struct.pack("<d", value)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 7)), min_size=1),
    st.sampled_from([1, 4]),
)
def test_stretches_are_the_cells_that_they_name(drawn: Any, resolution: int) -> None:
    """Each is from a first coordinate on every so many cells, as many as it says."""
    cells, wanted, place = [], [], 0
    for gap, count, stride in drawn[:MAX_STRETCHES]:
        first = place + gap * resolution
        cells.append(Stretch(first, count, stride))
        wanted += [first + i * stride * resolution for i in range(count)]
        place = wanted[-1]
    window = Window(cells, {"lr": "f64"}, 32 * "0")
    require_window(spec(resolution), window, "it")
    assert steps_of(cells, Grid(resolution)).tolist() == wanted
    assert (window.start, window.stop(Grid(resolution))) == (wanted[0], wanted[-1] + resolution)
    assert window.count == len(wanted)


def spec(resolution: int = 1) -> StoredRun:
    """Return what a window is held against."""
    found = SimpleNamespace(grid=Grid(resolution), parameters={"lr": None, "wd": None})
    return cast("StoredRun", found)


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ([(0, MAX_APPLIED, 1), (4 * MAX_APPLIED, 1, 1)], "it.cells"),
        ([(-4, 1, 1)], "it.cells[0][0]"),
        ([(6, 1, 1)], "it.cells[0][0]"),
        ([(0, 0, 1)], "it.cells[0][1]"),
        ([(0, 1, 0)], "it.cells[0][2]"),
        ([(0, 2, 2**51)], "it.cells[0]"),
        ([(0, 4, 1), (12, 1, 1)], "it.cells[1][0]"),
        ([(0, 4, 1), (16, 1, 1), (4, 1, 1)], "it.cells[2][0]"),
    ],
)
def test_cells_that_no_run_has_are_refused(cells: Any, field: str) -> None:
    """P10: too many, off the grid, past its end, or not rising; the field is named."""
    window = Window([Stretch(*each) for each in cells], {"lr": "f64"}, 32 * "0")
    with pytest.raises(Invalid) as refused:
        require_window(spec(4), window, "it")
    assert [error.field for error in refused.value.errors] == [field]


def test_parameters_that_the_run_lacks_are_refused() -> None:
    """P10: by name."""
    window = Window([Stretch(0, 1, 1)], {"lr": "f64", "x": "f64"}, 32 * "0")
    with pytest.raises(Invalid) as refused:
        require_window(spec(), window, "it")
    assert refused.value.errors[0].field == "it.parameters.x"


@given(
    st.lists(st.floats(width=32), min_size=2, max_size=30),
    st.lists(st.tuples(st.sampled_from(["lr", "wd"]), st.integers(0), ANY), max_size=3),
)
def test_the_first_step_that_differs_is_found(served: list[float], overwritten: Any) -> None:
    """P12: of each parameter by itself, however many follow; a zero is not a zero below it."""
    steps = np.arange(0, 3 * len(served), 3)
    must = np.array(served)
    applied = {"lr": list(served), "wd": list(served)}
    for name, place, value in overwritten:
        applied[name][place % len(served)] = value
    firsts = [
        (name, next((i for i in range(len(served)) if _bits(column[i]) != _bits(served[i])), None))
        for name, column in applied.items()
    ]
    wanted = [(name, 3 * place) for name, place in firsts if place is not None]
    window = Window([Stretch(0, len(served), 3)], {"wd": "f64", "lr": "f64"}, "d", applied)
    if any(isnan(value) for value in served):
        return  # a ledger holds none
    if not wanted:
        with pytest.raises(Invalid) as refused:
            list(differing(window, steps, [must, must], "it"))
        assert refused.value.errors[0].field == "it.digest"
    else:
        found = list(differing(window, steps, [must, must], "it"))
        assert [(name, step) for name, step, *_ in found] == wanted
        assert all(value == served[step // 3] for _, step, value, _ in found)


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "values"),
        ({"lr": [0.5], "wd": [0.5]}, "values"),
        ({"lr": [0.5, 0.5]}, "values.lr"),
        ({"lr": [0.1]}, "values.lr"),
    ],
    ids=["none", "another", "too many", "no float32"],
)
def test_values_that_no_slot_held_are_refused(values: Any, field: str) -> None:
    """P10: as many numbers as cells, each of which a slot of the window's type can hold."""
    window = Window([Stretch(0, 1, 1)], {"lr": "f32"}, 32 * "0", values)
    with pytest.raises(Invalid) as refused:
        require_window(spec(), window, "it")
    assert refused.value.errors[0].field == f"it.{field}"


@pytest.mark.parametrize("value", [nan, inf, -0.0, 0.5, 3.0])
def test_what_was_found_may_be_no_finite_number(value: float) -> None:
    """A rate that is NaN is the very thing to hear of."""
    require_holds("f32", [value], "it")


def test_windows_are_known_by_all_that_their_digest_depends_on() -> None:
    """Their generation, cells, parameters and slots; in which order these are named is nothing."""
    window: Callable[..., Window] = lambda cells, **slots: Window(cells, slots, "d")  # noqa: E731
    one, two = [Stretch(0, 8, 1)], [Stretch(0, 4, 1), Stretch(4, 4, 1)]
    keys = [
        window(one, lr="f64", wd="f64").key(1),
        window(one, lr="f64", wd="f64").key(2),
        window(one, lr="f64", wd="f32").key(1),
        window(one, lr="f64").key(1),
        window(two, lr="f64", wd="f64").key(1),
    ]
    assert len({*keys}) == 5
    assert window(one, wd="f64", lr="f64").key(1) == keys[0]
