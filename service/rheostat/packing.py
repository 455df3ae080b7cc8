"""
Values packed as the ledger packs them, bit for bit, by the standard library alone.

Each column is a parameter's float64 of consecutive cells. Smooth curves have bit patterns whose
second differences are small: these are deflated, the first byte of all, then the second, and so on.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate

WORD = 8
"""Bytes of a value."""
MASK = 2**64 - 1


def pack(columns: Sequence[Sequence[float]]) -> bytes:
    """Return columns of one length, packed."""
    words: array[int] = array("Q")
    for column in columns:
        bits = array("Q", array("d", column).tobytes())
        for _ in range(2):
            bits = array("Q", [(b - a) & MASK for a, b in zip([0, *bits], bits, strict=False)])
        words += bits
    raw = _little(words).tobytes()
    return zlib.compress(b"".join(raw[place::WORD] for place in range(WORD)), level=6)


def unpack(packed: bytes, width: int, count: int) -> list[array[float]]:
    """
    Return so many columns of so many values; no more is unpacked than these take.

    Raises:
        ValueError: They are others, or none.

    """
    size = width * count * WORD
    planes = inflated(packed, size)
    raw = bytearray(size)
    for place in range(WORD):
        raw[place::WORD] = planes[place * width * count : (place + 1) * width * count]
    words = _little(array("Q", bytes(raw)))
    return [_column(words[start : start + count]) for start in range(0, width * count, count)]


def inflated(packed: bytes, size: int) -> bytes:
    """Return what was deflated, if it is of this size; raise `ValueError` for all else."""
    inflating = zlib.decompressobj()
    try:
        planes = inflating.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(planes) != size or not inflating.eof or inflating.unused_data:
        raise ValueError(f"{size} bytes were expected, packed by zlib")
    return planes


def _column(bits: array[int]) -> array[float]:
    for _ in range(2):
        bits = array("Q", accumulate(bits, lambda a, b: (a + b) & MASK))
    return array("d", bits.tobytes())


def _little(words: array[int]) -> array[int]:
    """Return words as they are on a little-endian machine, or as this one has them again."""
    if sys.byteorder == "big":
        words.byteswap()
    return words
