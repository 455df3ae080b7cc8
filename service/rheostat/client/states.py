"""How far a revision has come, as one can wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rheostat.client.calls import invalid

Goal = Literal["settled", "reached", "proven"]
"""What can be waited for, each further on than the one before."""

ORDER = ("pending", "settled", "reached", "proven")
NEVER = frozenset({"cancelled", "dropped", "declined"})
"""States of a revision that will not get any further."""

LONGEST_WAIT = 5.0
"""Seconds of one request that waits: well within what a client and proxies allow an answer."""


def number_of(revision: Any) -> int:
    """Return the number of a revision: itself, or that in an answer of the call that made it."""
    number = revision.get("revision") if isinstance(revision, Mapping) else revision
    if type(number) is not int or number < 1:
        raise invalid("revision", revision, "a revision's number, or what made it")
    return number


def is_over(found: Mapping[str, Any], goal: str) -> bool:
    """Whether a revision has come to the goal, or never will."""
    state = found.get("state")
    if state in NEVER:
        return True
    return state in ORDER and goal in ORDER and ORDER.index(state) >= ORDER.index(goal)
