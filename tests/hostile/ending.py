"""How the tests of this folder show that something ends."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGNS: tuple[str, ...] = (
    "a",
    "1",
    ".",
    " ",
    "(",
    ")",
    "%",
    "_",
    "=",
    ",",
    "-",
    "\n",
    "\\",
    '"',
    "é",
)
SIGNS += ("a(", "1 ", "1,", "1.", "1_", "x ")
"""What texts are made of, over and over: what patterns like, and what nearly ends a match."""


@contextmanager
def ends(seconds: float = 2.0) -> Iterator[None]:
    """Check that this takes less than some seconds of this thread's own time."""
    gc.disable()  # it would look through all that was ever imported for the tests
    try:
        began = time.thread_time()
        yield
        taken = time.thread_time() - began
    finally:
        gc.enable()
    assert taken < seconds, f"it took {taken:.1f} s of CPU time"


def text(sign: str, length: int) -> str:
    """Return a text of this length, of one sign over and over."""
    return (sign * (length // len(sign) + 1))[:length]
