"""When to repeat a request, how long to pause before, and when to give up."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from rheostat.errors import Unreachable

BASE = 0.1
"""Seconds of the longest first pause; each further one may be twice as long."""
LONGEST = 5.0
"""Seconds of the longest pause that we choose ourselves."""
LONGEST_ASKED = 60.0
"""Seconds of the longest pause that a ``Retry-After`` is obeyed for."""
QUIET = 2.0
"""Seconds of trouble before the log says so."""
REPORT_EVERY = 30.0
"""Seconds between two lines of the log."""

PASSING = frozenset({429, 502, 503, 504})
"""Statuses that a later attempt may not meet."""
NOTHING_DONE = frozenset({429})
"""Those of them that say that the request had no effect."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)

log = logging.getLogger("rheostat")


@dataclass(frozen=True, slots=True)
class Trouble:
    """An attempt that failed: the error, the status of a refusal, the pause that it asks for."""

    error: Exception
    status: int | None = None
    asked: float = 0.0

    def __str__(self) -> str:
        named = f"{type(self.error).__name__}: {self.error}"
        return named if self.status is None else f"{self.status} {self.error}"

    def passes(self, *, repeatable: bool) -> bool:
        """Say whether the same request may be sent again, and may then succeed."""
        if self.status is not None:
            return self.status in (PASSING if repeatable else NOTHING_DONE)
        if repeatable:
            return not isinstance(self.error, HOPELESS)
        return isinstance(self.error, NEVER_SENT)


class Patience:
    """
    The pauses of one request that is repeated: exponential, with full jitter.

    The pause before attempt k + 1 is drawn evenly from 0 to min(`LONGEST`, `BASE` · 2^(k−1))
    seconds, and comes on top of what ``Retry-After`` asks for. It ends with `Unreachable` when
    ``retries`` repetitions were made, or when ``deadline`` seconds have passed (``since`` then, by
    the clock, if the waiting began before the first attempt).
    """

    def __init__(
        self,
        about: str,
        *,
        deadline: float = math.inf,
        retries: float = math.inf,
        since: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._about = about
        self._deadline = deadline
        self._retries = retries
        self._clock = clock
        self._jitter = jitter
        self._since = clock() if since is None else since
        self._failures = 0
        self._report_at = QUIET

    @property
    def left(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self._deadline - self._waited())

    def pause(self, trouble: Trouble) -> float:
        """Return the seconds to sleep after a failure; raise `Unreachable` when it is over."""
        self._failures += 1
        waited = self._waited()
        if self._failures > self._retries or waited >= self._deadline:
            raise self.farewell(trouble)
        if waited >= self._report_at:
            self._report_at = waited + REPORT_EVERY
            log.warning(
                "waiting for %s since %.0f s (%s); gives up in %.0f s",
                *(self._about, waited, trouble, self.left),
            )
        longest = min(LONGEST, BASE * 2.0 ** min(self._failures - 1, 16))
        pause = min(trouble.asked, LONGEST_ASKED) + longest * self._jitter()
        return min(pause, self.left)

    def farewell(self, trouble: Trouble) -> Unreachable:
        """Return the error that says what was tried, for how long, and what to do."""
        tries = max(1, self._failures)
        error = Unreachable(
            f"no answer to {self._about}, tried {tries}× in {self._waited():.1f} s: {trouble}\n"
            "Check that the service runs and that this machine reaches it. Workers wait for the "
            "client's `deadline`, other calls are repeated as often as its `retries` says."
        )
        error.__cause__ = trouble.error
        return error

    def _waited(self) -> float:
        return self._clock() - self._since
