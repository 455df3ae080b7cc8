"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(
    what: Callable[[], object], otherwise: str = "it did not happen", *, within: float = 60
) -> None:
    """Wait until something holds, within some seconds, or fail with what is said otherwise."""
    end = time.monotonic() + within
    while not what():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)
