"""What proves a block of values: made by the service, checked by the client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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


@lru_cache(256)
def _names_digest(names: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
