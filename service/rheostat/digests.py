"""
What proves values: those of a block, made by the service and checked by the client, and those that
a worker applied, made by the client and checked by the service.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache


def names_digest(names: Iterable[str]) -> str:
    """
    Return the digest of a block's parameters: SHA-256, in hex, of their sorted names, one a line.

    It is as long for 256 of them as for one, so that no head of an answer is too long for a proxy.
    """
    return _names_digest(tuple(names))


def body_digest(body: bytes) -> str:
    """Return what is in the ``ETag`` of a block: the first half of its SHA-256, in hex."""
    return hashlib.sha256(body).hexdigest()[:32]


def applied_digest(cells: Sequence[int], columns: Sequence[Sequence[float]]) -> str:
    """
    Return the digest of what was applied: see `records_digest`.

    Args:
        cells: The first coordinate of each cell that was applied, rising, each once.
        columns: The values of each parameter, sorted by name, one for each cell, rounded as the
            slots are that they were written to.

    """
    record = struct.Struct(f"<Q{len(columns)}d")
    rows = zip(cells, *columns, strict=True)
    return records_digest(b"".join([record.pack(*row) for row in rows]))


def records_digest(records: bytes) -> str:
    """
    Return BLAKE2b of 16 bytes, in hex, of a record for each cell that was applied.

    A record is the first coordinate of the cell, as 64 bits without a sign, and the value of each
    parameter as float64, sorted by name; all little-endian.
    """
    return hashlib.blake2b(records, digest_size=16).hexdigest()


@lru_cache(256)
def _names_digest(names: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
