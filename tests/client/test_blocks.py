"""Which cells a block has, and the numbers that are read from its bytes."""

from __future__ import annotations

import math
import struct
import sys

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.client.answers import Answer, Broken
from rheostat.client.blocks import Block, BlockRequest, around, columns, floor_power

F64 = {"Content-Type": "application/octet-stream"}


@given(cell=st.integers(0, 2**53), longest=st.integers(1, 2**16), data=st.data())
def test_block_is_the_largest_aligned_power_of_two(
    cell: int, longest: int, data: st.DataObject
) -> None:
    """A block is a power of two, a multiple of itself, within bounds, and cannot be doubled."""
    first = data.draw(st.integers(max(0, cell - 5000), cell))
    stop = data.draw(st.integers(cell + 1, cell + 5000))
    longest = floor_power(longest)

    start, count = around(cell, longest, first, stop)

    assert first <= start <= cell < start + count <= stop
    assert count & (count - 1) == 0
    assert start % count == 0
    doubled = cell - cell % (2 * count)
    assert 2 * count > longest or doubled < first or doubled + 2 * count > stop


@pytest.mark.parametrize(
    ("number", "power"),
    [
        (0, 1),
        (0.3, 1),
        (1, 1),
        (1.99, 1),
        (2, 2),
        (3.999, 2),
        (4, 4),
        (4095.9, 2048),
        (65536, 65536),
    ],
)
def test_floor_power(number: float, power: int) -> None:
    """The number of cells is rounded down to a power of two, and is never none."""
    assert floor_power(number) == power


def test_columns_are_in_the_order_of_the_names() -> None:
    """Parameter follows parameter in the body, in the order that the join tells."""
    values = [0.1, 5e-324, -0.0, 1.7976931348623157e308]

    found = columns(_answer(struct.pack("<4d", *values)), BlockRequest(8, 2), ("lr", "lr/head"))

    assert {name: list(column) for name, column in found.items()} == {
        "lr": values[:2],
        "lr/head": values[2:],
    }


def test_columns_on_a_big_endian_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wire is little-endian whatever the machine: elsewhere the bytes are swapped."""
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    foreign = "<" if sys.byteorder == "little" else ">"

    found = columns(_answer(struct.pack(f"{foreign}2d", 0.25, 3.0)), BlockRequest(0, 2), ("lr",))

    assert list(found["lr"]) == [0.25, 3.0]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (bytes(8), F64),
        (bytes(24), F64),
        (bytes(32), F64),
        (bytes(16), {"Content-Type": "text/html"}),
        (bytes(16), {}),
        (b"", F64),
    ],
)
def test_body_that_cannot_be_right_is_not_read(body: bytes, kind: dict[str, str]) -> None:
    """P9: a body of another length or type than was asked for gives no values."""
    with pytest.raises(Broken, match="expected 16 bytes"):
        columns(_answer(body, kind), BlockRequest(0, 2), ("lr",))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_value_that_is_not_finite_is_not_read(value: float, place: int) -> None:
    """P9: no optimizer is given NaN or infinity, wherever in a block it is."""
    values = [0.5, 1e308, 1e308, 0.5]
    values[place] = value

    with pytest.raises(Broken, match="not finite"):
        columns(_answer(struct.pack("<4d", *values)), BlockRequest(0, 4), ("lr",))


def test_large_values_whose_sum_is_not_finite_are_read() -> None:
    """Values may be as large as a float64 can be."""
    values = [1.7976931348623157e308] * 4

    assert (
        list(columns(_answer(struct.pack("<4d", *values)), BlockRequest(0, 4), ("lr",))["lr"])
        == values
    )


def test_windows_are_the_halves_of_a_block() -> None:
    """Look-ups are by coordinate: the cell's number times the resolution."""
    block = Block(BlockRequest(4, 4), {"lr": memoryview(bytes(32)).cast("d")}, 16)

    for window in block.halves:
        window.index(["lr"])

    assert [list(window.cells["lr"]) for window in block.halves] == [[64, 80], [96, 112]]


def _answer(body: bytes, kind: dict[str, str] = F64) -> Answer:
    return Answer(200, httpx.Headers(kind), body)
