"""When a message is tried again, and how long a hook rests that did not take one."""

from __future__ import annotations

from random import uniform

RETRIES = 10
"""How often a message is tried again that was not taken; all in all that takes some 12 hours."""

FIRST, LAST = 30.0, 6 * 3600.0
"""Seconds until it is tried again for the first time, and between the last two attempts."""

JITTER = 0.1
"""Part by which that varies, so that what failed together is not tried together."""

REST, LONGEST_REST = 5.0, 60.0
"""Seconds for which a hook rests after a failure, and after many of them in a row."""

LONGEST_ASKED = 3600.0
"""Seconds for which it rests at most when its receiver asks for more, by ``Retry-After``."""


def retry(attempts: int) -> float | None:
    """Return after how many seconds a message is tried again after so many attempts, or None."""
    if attempts > RETRIES:
        return None
    growth: float = (LAST / FIRST) ** ((attempts - 1) / (RETRIES - 1))
    return FIRST * growth * uniform(1 - JITTER, 1 + JITTER)


def rest(failures: int, asked: float | None = None) -> float:
    """Return for how many seconds nothing is tried after so many failures in a row."""
    usual = min(REST * 2.0 ** min(failures - 1, 10), LONGEST_REST)
    return usual if asked is None else max(usual, min(asked, LONGEST_ASKED))
