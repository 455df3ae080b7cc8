"""What was applied is listed as it was, in windows that ranks share, and within bounds."""

from __future__ import annotations

import math
import os
import random
import struct
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.beating import NUMBERS, ROUNDED

from rheostat.client.applied import (
    LEAST_WINDOW,
    MOST_KEPT,
    MOST_PENDING,
    MOST_VALUES,
    MOST_WINDOWS,
    Applied,
    Window,
    stretches,
    window_size,
)
from rheostat.digests import applied_digest
from rheostat.errors import Invalid
from rheostat.limits import MAX_APPLIED, MAX_STEP, MAX_STRETCHES, MAX_WINDOWS, MAX_WRONG

EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "1000"))
FAR = MAX_STEP + 1


def truth(name: str, cell: int) -> float:
    """Return a value that no two cells and no two parameters share, with all bits of a float64."""
    return math.exp(-cell / 1e4) * (1.1 if name == "lr" else -0.3)


def row(cell: int, *names: str) -> dict[str, float]:
    """Return the right values of a cell."""
    return {name: truth(name, cell) for name in names or ("lr", "weight_decay")}


def all_windows(applied: Applied) -> list[Window]:
    """Return all windows, the open one among them; none waits to be answered then."""
    applied.close()
    found = []
    while windows := applied.windows():
        found += windows
        applied.answered(windows)
    return found


def cells_of(window: Window, resolution: int = 1) -> list[int]:
    """Return the first coordinates of the cells of a window, as its stretches list them."""
    return [
        first + place * stride * resolution
        for first, count, stride in window.cells
        for place in range(count)
    ]


def is_right(window: Window, resolution: int = 1) -> bool:
    """Return whether the digest of a window is that of the truth, rounded as its slots are."""
    cells = cells_of(window, resolution)
    columns = [
        [ROUNDED[kind](truth(name, cell)) for cell in cells]
        for name, kind in sorted(window.dtypes.items())
    ]
    return bool(window.told()["digest"] == applied_digest(cells, columns))


def training(pick: random.Random, resolution: int) -> Iterator[int]:
    """Yield the steps of a training: strides, skips, leaps, repeated updates, and restarts."""
    step, by = pick.randrange(1000) * resolution, pick.choice([1, 1, 1, 2, 7, resolution])
    for _ in range(pick.randrange(1, 400)):
        chance = pick.random()
        if chance < 0.01:
            step = max(0, step - pick.randrange(1, 200) * resolution)
        elif chance < 0.02:
            step += pick.randrange(1, 2000) * resolution
        elif chance < 0.05:
            by = pick.choice([1, 2, 7, resolution, 3 * resolution])
        if chance < 0.9:
            yield step
        if chance > 0.08:
            step += by


@pytest.mark.parametrize("part", range(4))
def test_no_false_alarm(part: int) -> None:
    """P12: whatever a training leaps over and repeats, its digests are those of the truth."""
    for seed in range(part, EXAMPLES, 4):
        pick = random.Random(seed)
        resolution = pick.choice([1, 1, 8, 1000])
        dtypes: dict[str, Any] = {"lr": pick.choice(["f64", "f32"])}
        applied, done, found = Applied(resolution), set(), []
        window = pick.choice([256, 512, 1024])
        for step in training(pick, resolution):
            cell = step - step % resolution
            applied.record(step, row(cell), dtypes)
            done.add(cell)
            if pick.random() < 0.02:
                applied.fold(window, FAR)
                found += applied.windows()
                applied.answered(found)
        applied.fold(window, FAR)
        found += all_windows(applied)
        assert not applied.wrong, seed
        for each in found:
            cells = cells_of(each, resolution)
            assert is_right(each, resolution), seed
            assert cells == sorted(set(cells)), seed
            assert len({cell // (window * resolution) for cell in cells}) == 1, seed
            assert len(each.cells) <= MAX_STRETCHES, seed
        listed = {cell for each in found for cell in cells_of(each, resolution)}
        assert listed == done, seed


def test_ranks_send_the_same_windows() -> None:
    """Ranks that applied the same send the same bytes, whenever they look at what they recorded."""
    told = []
    for seed in range(8):
        pick, applied, found = random.Random(seed), Applied(1), []
        for step in range(2000):
            applied.record(step, row(step))
            if pick.random() < 0.01:
                applied.fold(256, FAR)
                found += [window.told() for window in applied.windows()]
                applied.answered(applied.windows())
        applied.fold(256, FAR)
        found += [window.told() for window in all_windows(applied)]
        told.append(found)
    assert [window["cells"] for window in told[0]] == [
        *([[start, 256, 1]] for start in range(0, 1792, 256)),
        [[1792, 208, 1]],
    ]
    assert all(found == told[0] for found in told)


@pytest.mark.parametrize(
    ("pace", "seconds", "cells"),
    [
        (None, 5.0, 256),
        (0.0, 5.0, 256),
        (10.0, 200.0, 256),
        (10.24, 200.0, 256),
        (10.25, 200.0, 512),
        (100.0, 200.0, 4096),
        (1000.0, 20.0, 4096),
        (1e9, 200.0, 65_536),
        (float("inf"), 5.0, 65_536),
    ],
)
def test_windows_are_as_short_as_a_beat_can_hold(
    pace: float | None, seconds: float, cells: int
) -> None:
    """The least power of two from 256 on of which at most 8 fall between two beats, by hand."""
    assert window_size(pace, seconds) == cells


@given(pace=st.floats(1e-3, 1e4), seconds=st.floats(0.1, 1000))
def test_windows_are_a_power_of_two(pace: float, seconds: float) -> None:
    """By definition: it suffices, and half of it would not, or it is at a bound."""
    size = window_size(pace, seconds)
    between = pace * seconds
    assert size.bit_count() == 1
    assert size * MAX_WINDOWS >= between or size == MAX_APPLIED
    assert size // 2 * MAX_WINDOWS < between or size == LEAST_WINDOW


@given(
    st.sets(st.integers(0, 300), min_size=1).map(sorted),
    st.sampled_from([1, 8, 1000]),
)
def test_stretches_list_each_cell_once(places: list[int], resolution: int) -> None:
    """What the stretches say, written out, is what was listed, in its order."""
    cells = [place * resolution for place in places]
    window = Window(list(stretches(cells, resolution)), {}, b"")
    assert cells_of(window, resolution) == cells
    assert all(count >= 1 and stride >= 1 for _, count, stride in window.cells)


def test_a_training_with_many_holes_sends_more_windows() -> None:
    """A window has at most 32 stretches: one with more is sent as several, and nothing is lost."""
    applied = Applied(1)
    steps = [step for step in range(256) if step % 5 in {0, 1, 3}]
    for step in steps:
        applied.record(step, row(step))
    applied.fold(256, FAR)
    windows = all_windows(applied)
    assert len(windows) > 1
    assert all(len(window.cells) <= MAX_STRETCHES for window in windows)
    assert [cell for window in windows for cell in cells_of(window)] == steps
    assert all(map(is_right, windows))


def test_a_cell_that_is_applied_twice_counts_once() -> None:
    """Updates of a cell with one value are one; of two, both are named, and none is listed."""
    applied = Applied(1)
    for step in range(300):
        applied.record(step, row(step))
        if step == 100:
            applied.record(step, row(step))
        if step in {200, 255}:
            applied.record(step, {**row(step), "lr": 0.5})
            applied.record(step, row(step))
    applied.fold(256, FAR)
    windows = all_windows(applied)
    assert [cell for window in windows for cell in cells_of(window)] == [
        step for step in range(300) if step not in {200, 255}
    ]
    assert all(map(is_right, windows))
    assert [(wrong.step, wrong.parameter, wrong.found) for wrong in applied.wrong] == [
        (200, "lr", truth("lr", 200)),
        (200, "lr", 0.5),
        (255, "lr", truth("lr", 255)),
        (255, "lr", 0.5),
    ]


def test_equal_means_equal_bits() -> None:
    """Two updates that differ in the sign of zero differ; two NaN of the same bits do not."""
    applied = Applied(1)
    applied.record(0, {"lr": 0.0})
    applied.record(0, {"lr": -0.0})
    applied.record(1, {"lr": math.nan})
    applied.record(1, {"lr": math.nan})
    applied.fold(256, FAR)
    assert [wrong.step for wrong in applied.wrong] == [0, 0]
    [window] = all_windows(applied)
    assert window.cells == [[1, 1, 1]]
    assert window.told(values=True)["values"] == {"lr": ["NaN"]}


@pytest.mark.parametrize("value", [0.1, 1e-45, 1e39, -1e39, math.inf, math.nan, 2**24 + 1, -0.0])
def test_values_are_rounded_as_their_slots_are(value: float) -> None:
    """Of a float32 its own number is listed, beyond its range an infinity; a float64 is exact."""
    applied = Applied(1)
    applied.record(3, {"lr": value, "weight_decay": value}, {"lr": "f32"})
    applied.fold(256, FAR)
    [window] = all_windows(applied)
    told = window.told(values=True)
    found = {name: NUMBERS.get(column[0], column[0]) for name, column in told["values"].items()}
    if abs(value) == 1e39:
        expected = math.copysign(math.inf, value)
    else:
        [expected] = struct.unpack("<f", struct.pack("<f", value))
    assert struct.pack("<d", found["lr"]) == struct.pack("<d", expected)
    assert struct.pack("<d", found["weight_decay"]) == struct.pack("<d", value)
    assert told["parameters"] == {"lr": "f32", "weight_decay": "f64"}
    assert told["digest"] == applied_digest([3], [[found["lr"]], [found["weight_decay"]]])


def test_other_parameters_begin_another_window() -> None:
    """What is applied may become more, or of another type: each window says of what it is."""
    applied = Applied(1)
    for step in range(30):
        names = ("lr",) if step < 10 else ("lr", "weight_decay")
        applied.record(step, row(step, *names), {"lr": "f32"} if step >= 20 else {})
    applied.fold(256, FAR)
    windows = all_windows(applied)
    assert [(window.cells, dict(window.dtypes)) for window in windows] == [
        ([[0, 10, 1]], {"lr": "f64"}),
        ([[10, 10, 1]], {"lr": "f64", "weight_decay": "f64"}),
        ([[20, 10, 1]], {"lr": "f32", "weight_decay": "f64"}),
    ]
    assert all(map(is_right, windows))


def test_numbers_of_any_library_are_recorded() -> None:
    """Integers and whatever has a number in it are taken, steps that are whole as well."""
    numpy = pytest.importorskip("numpy")
    applied = Applied(1)
    applied.record(numpy.int64(4), {"lr": numpy.float32(0.5)})
    applied.record(5.0, {"lr": numpy.array(1)})  # type: ignore[arg-type]
    applied.record(6, {"lr": True})
    applied.fold(256, FAR)
    [window] = all_windows(applied)
    assert window.cells == [[4, 3, 1]]
    assert window.told(values=True)["values"] == {"lr": [0.5, 1.0, 1.0]}


class Several:
    """What is no single number, and says so as tensors do."""

    def __float__(self) -> float:
        raise RuntimeError("a tensor with 2 elements cannot be converted to a scalar")


@pytest.mark.parametrize(
    "wrong",
    [
        (1, {"lr": Several()}, {}),
        (-1, {"lr": 1.0}, {}),
        (2**53, {"lr": 1.0}, {}),
        (0.5, {"lr": 1.0}, {}),
        ("1", {"lr": 1.0}, {}),
        (1, {"lr": "x"}, {}),
        (1, {"lr": None}, {}),
        (1, [1.0], {}),
        (1, {"lr": 1.0}, {"lr": "f16"}),
        (1, {"lr": 1.0}, ["f32"]),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: Any) -> None:
    """P10: no step, no numbers, no type: it is refused, and what is recorded stays sound."""
    applied = Applied(1)
    applied.record(0, row(0))
    with pytest.raises(Invalid):
        applied.record(*wrong)
    applied.record(1, row(1))
    applied.fold(256, FAR)
    windows = all_windows(applied)
    assert [cell for window in windows for cell in cells_of(window)] == [0, 1]
    assert all(map(is_right, windows))


def test_a_slip_is_no_claim() -> None:
    """What was never served to this worker cannot have been applied: it is left out, and named."""
    applied = Applied(1)
    for step in (0, 1, 2, 3):
        applied.record(step, row(step))
    applied.fold(256, 3)
    [window] = all_windows(applied)
    assert window.cells == [[0, 3, 1]]
    assert list(applied.slips) == [3]


def memory(applied: Applied) -> int:
    """Return the bytes of all that waits."""
    pending = sum(sys.getsizeof(batch.rows) for batch in applied._batches)
    opened = applied._open
    cells = sys.getsizeof(opened.cells) + sum(map(sys.getsizeof, opened.cells))
    kept = sum(sys.getsizeof(window.rows) for window in applied._windows)
    return pending + cells + sys.getsizeof(opened._rows) + kept


def test_nothing_grows_while_nobody_answers() -> None:
    """P8: of a service that never answers, what is kept stays within its bound; the newest stay."""
    applied, names = Applied(1), [f"p{number:02}" for number in range(40)]
    peak, step = 0, 0
    for _ in range(12):
        for _ in range(8000):
            applied.record(step, dict.fromkeys(names, 0.5))
            step += 1
        applied.fold(1024, FAR)
        peak = max(peak, memory(applied))
    assert peak <= 32 * 2**20
    assert applied._kept == sum(len(window.rows) for window in applied._windows)
    assert len(applied._windows) <= MOST_WINDOWS
    assert applied._windows[-1].start >= step - 2048
    for _ in range(100_000):
        applied.record(step, dict.fromkeys(names, 0.5))
        step += 1
    assert memory(applied) <= 32 * 2**20
    assert MOST_PENDING + MOST_KEPT < 32 * 2**20


def test_many_kinds_of_rows_are_bounded() -> None:
    """P8: to name other parameters each time costs no more than a bounded number of batches."""
    applied = Applied(1)
    for step in range(10_000):
        applied.record(step, row(step, "lr" if step % 2 else "weight_decay"))
    assert len(applied._batches) <= 64
    applied.fold(256, FAR)
    assert all(map(is_right, all_windows(applied)))


def test_a_window_fits_into_one_request() -> None:
    """Of many parameters a window has fewer cells: its values fit into 8 MiB of JSON."""
    applied, names = Applied(1), [f"p{number:03}" for number in range(256)]
    for step in range(1500):
        applied.record(step, dict.fromkeys(names, -1.2345678901234567e-100))
    applied.fold(65_536, FAR)
    windows = all_windows(applied)
    assert sum(len(cells_of(window)) for window in windows) == 1500
    assert all(len(cells_of(window)) * 256 <= MOST_VALUES for window in windows)
    longest = max(len(str(window.told(values=True))) for window in windows)
    assert longest < 8 * 2**20 - 4096


def test_wrong_values_are_bounded() -> None:
    """A slot that somebody overwrites at each step is told of as one beat can tell it."""
    applied = Applied(8)
    for step in range(1000):
        applied.say_wrong(step, "lr", 0.1, "f32")
    assert len(applied.wrong) == MAX_WRONG
    assert applied.wrong[0].told() == {
        "step": 0,
        "parameter": "lr",
        "found": struct.unpack("f", struct.pack("f", 0.1))[0],
        "dtype": "f32",
    }
    assert [wrong.step for wrong in applied.wrong] == [8 * place for place in range(MAX_WRONG)]
    applied.told_wrong(applied.wrong[:30])
    assert len(applied.wrong) == 2


def test_threads_lose_nothing() -> None:
    """While one thread records and another folds, each row is listed, once."""
    applied, found, stop = Applied(1), list[Window](), threading.Event()

    def background() -> None:
        while not stop.is_set():
            applied.fold(4096, FAR)
            windows = applied.windows()
            found.extend(windows)
            applied.answered(windows)

    thread = threading.Thread(target=background)
    thread.start()
    for step in range(50_000):
        applied.record(step, {"lr": truth("lr", step)})
    stop.set()
    thread.join()
    applied.fold(4096, FAR)
    found += all_windows(applied)
    assert [cell for window in found for cell in cells_of(window)] == list(range(50_000))
    assert all(a.start < b.start for a, b in pairwise(found))
    assert all(map(is_right, found))
