"""When to repeat a request, how long to pause before, and when to give up."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx

from rheostat import errors
from rheostat.client import answers
from rheostat.client.answers import (
    LONGEST_WAIT_FOR_OTHERS,
    Answer,
    Broken,
    RedirectedAnswer,
    Stripped,
)
from rheostat.errors import Unreachable
from rheostat.saying import log

BASE = 0.1
"""Seconds of the longest first pause."""
GROWTH = 2.0
"""How many times as long as the one before each further pause may be."""
LONGEST = 5.0
"""Seconds of the longest pause that we choose ourselves."""
LONGEST_ASKED = 60.0
"""Seconds of the longest pause that a ``Retry-After`` is obeyed for."""
QUIET = 2.0
"""Seconds of trouble before the log says so."""
REPORT_EVERY = 30.0
"""Seconds between two lines of the log."""

PASSING = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of the service's own refusals that a later attempt may not meet."""
NOTHING_DONE = frozenset({429})
"""Those of them that say that the request had no effect."""
FLEETING = frozenset({408, 421, 425, 429, 499})
"""Statuses below 500 of somebody else that a second attempt, right away, may not meet."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, RedirectedAnswer)
PASSING_TLS = ("SSLEOFError", "SSLZeroReturnError", "SSLSyscallError")
"""Failures of TLS that say that the connection broke, and nothing about the other side."""

HINT = (
    "Check that the service runs and that this machine reaches it. Workers wait for the "
    "client's `deadline`, other calls are repeated as often as its `retries` says."
)
OTHERS_HINT = (
    "Something between here and the service answered in its place, or changed what it said: look "
    "at the proxies and caches on the way, and at the address."
)
TLS_HINT = (
    "Check the address, http:// or https://, and the certificate: `verify=` or SSL_CERT_FILE name "
    "the authority that signed it."
)

Result = TypeVar("Result")
Outcome = Answer | Exception
"""What came of sending a call: an answer, or the error that there was instead of one."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    An attempt that failed: the error, and the pause that is asked for.

    The status is that of the service's own refusal: whatever is not its word has none.
    """

    error: Exception
    status: int | None = None
    asked: float = 0.0

    def __str__(self) -> str:
        if isinstance(self.error, Broken):
            return str(self.error)
        named = f"{type(self.error).__name__}: {self.error}"
        return named if self.status is None else f"{self.status} {self.error}"

    def passes(self, *, repeatable: bool, waits: bool = True, begun: bool = True) -> bool:
        """
        Say whether the same request may be sent again, and may then succeed.

        Args:
            repeatable: Whether sending it twice does nothing more than sending it once.
            waits: Whether a worker waits for it. To a worker only the service's own refusals and
                redirects are final; others are told at once of what will hardly pass.
            begun: Whether the service was reached before. What is wrong from the beginning, as
                a certificate, is a mistake to be mended, and nothing to be waited for.

        """
        if self.status is not None:
            return self.status in (PASSING if repeatable else NOTHING_DONE)
        if isinstance(self.error, HOPELESS):
            return False
        settled_by_itself = isinstance(self.error, Stripped) or fails_at_tls(self.error)
        if settled_by_itself and not (waits and begun):
            return False
        if not repeatable:
            return isinstance(self.error, NEVER_SENT)
        if isinstance(self.error, Broken) and not waits:
            status = self.error.status
            return status < 300 or status >= 500 or status in FLEETING
        return True


def trouble_of(outcome: Outcome) -> Trouble | None:
    """Return what is wrong with an outcome, as far as its head says; None for a success."""
    if isinstance(outcome, Exception):
        return Trouble(outcome)
    if outcome.is_success:
        return None
    refusal, asked = answers.refusal(outcome), answers.retry_after(outcome)
    if refusal is not None:
        return Trouble(refusal, outcome.status, asked)
    return Trouble(answers.foreign(outcome), asked=min(asked, LONGEST_WAIT_FOR_OTHERS))


def judged(outcome: Outcome, parse: Callable[[Answer], Result]) -> Result | Trouble:
    """Return what is read from an outcome, or the trouble that it is or has."""
    trouble = trouble_of(outcome)
    if trouble is not None:
        return trouble
    assert isinstance(outcome, Answer)  # noqa: S101 - whatever else is trouble
    try:
        return parse(outcome)
    except Broken as error:
        return Trouble(error)


def fails_at_tls(error: BaseException | None) -> bool:
    """Say whether there was no TLS with the other side: no trusted certificate, or none spoken."""
    seen = 0
    while error is not None and seen < 16:
        names = [cls.__name__ for cls in type(error).__mro__]  # to import ssl takes milliseconds
        if "SSLError" in names:
            return not any(name in PASSING_TLS for name in names)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


class Patience:
    """
    The pauses of one request that is repeated: exponential, with full jitter.

    The pause before attempt k + 1 is drawn evenly from 0 to min(`LONGEST`, `BASE` ·
    `GROWTH`^(k−1)) seconds, and comes on top of what ``Retry-After`` asks for. It ends with
    `Unreachable` when ``retries`` repetitions were made, or when ``deadline`` seconds have passed
    (``since`` then, by the clock, if the waiting began before the first attempt).

    ``waits`` says whether a worker waits, and ``begun`` whether the service was reached before:
    see `Trouble.passes`.
    """

    def __init__(  # noqa: PLR0913
        self,
        about: str,
        *,
        deadline: float = math.inf,
        retries: float = math.inf,
        since: float | None = None,
        waits: bool = True,
        begun: bool = True,
        quiet: float = QUIET,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._about = about
        self._deadline = deadline
        self._retries = retries
        self._waits, self._begun = waits, begun
        self._clock = clock
        self._jitter = jitter
        self._since = clock() if since is None else since
        self._failures = 0
        self._report_at = quiet
        self._said = False

    @property
    def left(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self._deadline - self._waited())

    def require_passing(self, trouble: Trouble, *, repeatable: bool) -> None:
        """Raise what has to be told of trouble that will not pass."""
        if not trouble.passes(repeatable=repeatable, waits=self._waits, begun=self._begun):
            raise trouble.error if trouble.status is not None else self.farewell(trouble)

    def pause(self, trouble: Trouble) -> float:
        """Return the seconds to sleep after a failure; raise `Unreachable` when it is over."""
        self._failures += 1
        waited = self._waited()
        if self._failures > self._retries or waited >= self._deadline:
            raise self.farewell(trouble)
        if waited >= self._report_at:
            self._said = True
            self._report_at = waited + REPORT_EVERY
            log.warning(
                "waiting for %s since %.0f s (%s); gives up %s",
                *(self._about, waited, trouble, self._when()),
            )
        longest = min(LONGEST, BASE * GROWTH ** min(self._failures - 1, 16))
        pause = min(trouble.asked, LONGEST_ASKED) + longest * self._jitter()
        return min(pause, self.left)

    def ends(self) -> None:
        """Say that it is over, if it was said that somebody waits."""
        if self._said:
            log.warning("going on: %s was answered after %.0f s", self._about, self._waited())

    def farewell(self, trouble: Trouble) -> Unreachable:
        """Return the error that says what was tried, for how long, and what to do."""
        tries = max(1, self._failures)
        said = f"no answer to {self._about}, tried {tries}× in {self._waited():.1f} s: {trouble}\n"
        error: Unreachable
        if isinstance(trouble.error, RedirectedAnswer):
            error = errors.Redirected(said.rstrip())
            error.location = trouble.error.location
        elif fails_at_tls(trouble.error):
            error = Unreachable(f"{said}{TLS_HINT}")
        elif isinstance(trouble.error, Broken):
            error = Unreachable(f"{said}{OTHERS_HINT}")
        else:
            error = Unreachable(f"{said}{HINT}")
        error.__cause__ = trouble.error
        return error

    def _when(self) -> str:
        """Say when it is over: by the clock for workers, after some attempts for others."""
        if self._deadline < math.inf:
            return f"in {self.left:.0f} s"
        left = self._retries - self._failures + 1
        return f"after {left:.0f} more" if left < math.inf else "never"

    def _waited(self) -> float:
        return self._clock() - self._since
