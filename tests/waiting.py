"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(what: Callable[[], object], otherwise: str = "it did not happen") -> None:
    """Wait until something holds, for a minute at most, or fail with what is said otherwise."""
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)
