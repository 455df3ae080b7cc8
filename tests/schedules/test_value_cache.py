"""The chunk cache: what it computes, what it keeps, and what it says about it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.schedules.evaluation import ChunkCache
from rheostat.schedules.numeric.arrays import Floats


class Squares:
    """A function of the step that remembers how many steps it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, t: range) -> Floats:
        """Return the squares."""
        self.asked.append(len(t))
        return np.array(t, dtype=np.float64) ** 2


@pytest.fixture
def squares() -> Squares:
    return Squares()


@given(
    start=st.integers(0, 10**6), count=st.integers(0, 5000), stride=st.sampled_from([1, 2, 7, 1000])
)
def test_a_range_has_the_function_s_values(start: int, count: int, stride: int) -> None:
    """Whatever the range, its values are those of the function, the second time too."""
    cache, steps = ChunkCache(), range(start, start + count * stride, stride)
    for _ in range(2):
        values = cache.curve("squares", Squares(), steps.start, steps.stop, stride)
        assert values.tolist() == [float(step * step) for step in steps]


@given(steps=st.lists(st.integers(0, 3000), max_size=20))
def test_a_step_has_the_function_s_value(steps: list[int]) -> None:
    """Single steps have the function's values, whether or not their chunk is there."""
    cache = ChunkCache()
    squares = Squares()
    assert [cache.value("squares", squares, step) for step in steps] == [s * s for s in steps]


def test_a_long_range_comes_in_chunks(squares: Squares) -> None:
    """A range longer than any chunk is put together from several, and is right at the seams."""
    values = ChunkCache().curve("squares", squares, 5, 2_000_000)
    assert len(squares.asked) > 1
    assert values.tolist() == [float(step * step) for step in range(5, 2_000_000)]


def test_a_range_is_computed_once(squares: Squares) -> None:
    """The second time, and for a part of it of the same size, the function is not called."""
    cache = ChunkCache()
    first = cache.curve("squares", squares, 0, 4096)
    again = cache.curve("squares", squares, 0, 4000)
    assert squares.asked == [4096]
    assert np.shares_memory(first, again)
    assert cache.figures()[:3] == (1, 1, 1)


def test_the_second_step_brings_the_chunk(squares: Squares) -> None:
    """One step is computed alone; from the second one on its neighbours are there."""
    cache = ChunkCache()
    for step in (7, 8, 9, 10):
        cache.value("squares", squares, step)
    assert squares.asked == [1, 512]
    assert cache.figures().hits == 2
    alone = ChunkCache()
    alone.curve("squares", squares, 0, 512)
    assert cache.figures().bytes == alone.figures().bytes


def test_keys_keep_functions_apart(squares: Squares) -> None:
    """Two keys are two functions, and two strides two chunks."""
    cache = ChunkCache()
    cache.curve("squares", squares, 0, 100)
    assert cache.curve("halves", lambda t: np.array(t) / 2, 0, 100)[99] == 49.5
    assert cache.curve("squares", squares, 0, 100, 2)[49] == 98.0**2


def test_values_cannot_be_changed(squares: Squares) -> None:
    """What a cache hands out is read-only: nobody can change what others will read."""
    values = ChunkCache().curve("squares", squares, 0, 10)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1.0
    with pytest.raises(ValueError, match="WRITEABLE"):
        values.flags.writeable = True


def test_bytes_are_bounded_and_what_is_used_stays(squares: Squares) -> None:
    """A cache keeps no more than its capacity, and lets go first of what nobody used again."""
    cache = ChunkCache(capacity=3 * 5000)
    for start in (0, 512, 0, 1024, 0, 1536):
        cache.curve("squares", squares, start, start + 512)
        assert cache.figures().bytes <= 15_000
    asked = len(squares.asked)
    cache.curve("squares", squares, 0, 512)
    assert len(squares.asked) == asked
    cache.curve("squares", squares, 512, 1024)
    assert len(squares.asked) == asked + 1


def test_a_smaller_capacity_holds_at_once(squares: Squares) -> None:
    """Resizing lets go of what is over the new capacity; at 0 nothing is kept."""
    cache = ChunkCache()
    cache.curve("squares", squares, 0, 100_000)
    cache.resize(0)
    assert cache.figures()[2:] == (0, 0, 0)
    assert cache.curve("squares", squares, 0, 10)[3] == 9.0
    assert cache.value("squares", squares, 3) == 9.0
    assert cache.figures().chunks == 0


def test_threads_share_a_cache() -> None:
    """Many threads that fill and shrink a cache at the same time all read right values."""
    cache = ChunkCache(capacity=100_000)

    def read(n: int) -> bool:
        start = n * 97 % 5000
        values = cache.curve("squares", Squares(), start, start + 300)
        single = cache.value("squares", Squares(), start)
        return bool(values[0] == single == start * start)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(2000)))
    assert cache.figures().bytes <= 100_000
