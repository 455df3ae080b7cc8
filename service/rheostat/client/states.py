"""How far a revision has come, or a run, as one can wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rheostat.client.calls import invalid

Goal = Literal["settled", "reached", "proven", "done"]
"""What can be waited for."""

SLACK = 0.5
"""Seconds by which an answer may be early, and still have used its time."""
LONGEST_WAIT = 5.0
"""Seconds of one request that waits: well within what a client and proxies allow an answer."""


def number_of(revision: Any) -> int:
    """Return the number of a revision: itself, or that in an answer of the call that made it."""
    number = revision.get("revision") if isinstance(revision, Mapping) else revision
    if type(number) is not int or number < 1:
        raise invalid("revision", revision, "a revision's number, or what made it")
    return number


def is_over(found: Mapping[str, Any], asked: float, seconds: float) -> bool:
    """
    Whether an answer is the last: the revision has come to what is waited for, or never will.

    The service keeps a request for all of the ``seconds`` that it was told, unless it knows so;
    ``asked`` is for how long it did.
    """
    waited = found.get("waited")
    met = isinstance(waited, Mapping) and waited.get("met") is True
    return met or asked < seconds - SLACK


def is_decided(found: Mapping[str, Any]) -> bool:
    """Whether an answer about a run is the last: it has come, or cannot come any more."""
    return found.get("held") is True or found.get("over") is True


def newest_report(found: Mapping[str, Any]) -> int | None:
    """Return the number of the newest report by then, so that none is missed that comes later."""
    number = found.get("reports")
    return number if type(number) is int else None
