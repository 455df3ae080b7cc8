"""
Work that operations need done outside of their transactions: reading definitions, mostly.

While the writer's transaction is open, the reads of all runs wait for it, so nothing is parsed in
it. An operation that needs something parsed raises `WorkNeeded` before it has written anything. The
work is done in a thread of its own, and the operation runs again from its start, with the results
at hand. Each is known by what it depends on; if that has changed meanwhile, it is done anew.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from rheostat.errors import NeedsApproval, Refused
from rheostat.schedules.references import Lookup
from rheostat.server.runs.fragments import Verbatim

Results = Mapping[Hashable, Any]
"""What was done outside of the transaction, by what it depends on."""

Work = Callable[[Lookup], Results]
"""Takes what looks up schedules of the library; it may take its time."""

SMALL = 1_000
"""Values of a request, up to which it is parsed without waiting for large ones."""

SMALL_TEXT = 64 * 1024
"""Characters of texts, likewise."""


class WorkNeeded(Exception):
    """
    An operation needs ``work`` done on ``data``: a request's, or texts that are ``stored``.

    The schedules that a request's data refers to are looked up before.
    """

    def __init__(self, work: Work, data: Any, *, stored: bool) -> None:
        super().__init__("work has to be done outside of the transaction")
        self.work = work
        self.data = data
        self.stored = stored
        self.small = _is_small(data)


class HalfDone(Exception):
    """
    An operation was refused, or needs work, though it has written: its transaction must not last.

    The others of its group are done again without it, and its caller is told ``error``.
    """

    def __init__(self, error: Refused | NeedsApproval | WorkNeeded) -> None:
        super().__init__(f"refused after it had written: {error}")
        self.error = error


class WorkThreads:
    """Threads for such work: what is small never waits for what is large."""

    def __init__(self) -> None:
        self._small = ThreadPoolExecutor(4, "rheostat-outside")
        self._requests = ThreadPoolExecutor(1, "rheostat-outside-requests")
        self._stored = ThreadPoolExecutor(1, "rheostat-outside-stored")

    def for_(self, needed: WorkNeeded) -> ThreadPoolExecutor:
        """Return the threads that do a piece of work."""
        if needed.small:
            return self._small
        return self._stored if needed.stored else self._requests

    def close(self) -> None:
        """Let go of the threads."""
        for pool in (self._small, self._requests, self._stored):
            pool.shutdown(wait=False, cancel_futures=True)


def _is_small(data: Any) -> bool:
    """Say whether data has few values, and short ones, without looking at more of it."""
    values, characters, waiting = SMALL, SMALL_TEXT, [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            characters -= len(value)
        elif isinstance(value, Verbatim):
            characters -= len(value.text)
        elif isinstance(value, (Mapping, list)):
            values -= len(value)
            waiting.extend(islice(value.values() if isinstance(value, Mapping) else value, SMALL))
        if values < 0 or characters < 0:
            return False
    return True
