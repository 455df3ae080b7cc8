"""
Waiting at a pause or a gate: for how long, how often it is asked again, and what is said of it.

The service keeps a request that may wait until there is something to say, so that ten thousand
ranks neither poll nor oversleep. No network is at fault here, and none of its deadlines counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from rheostat.client.retry import LONGEST_ASKED
from rheostat.client.settings import Settings
from rheostat.client.signals import of_refusal
from rheostat.errors import AwaitingReport, Paused, Refused
from rheostat.saying import log

HOLD = 30.0
"""Seconds that the service is asked to keep a request."""
FIRST = 0.05
LONGEST = 1.0
"""Seconds between two requests, if the service keeps none: at first, and after some."""
QUIET = 10.0
"""Seconds of waiting at a gate before the log says so."""
SPREAD = 0.1
"""Seconds over which those who were kept for equally long spread."""

Held = Paused | AwaitingReport
Waits = Callable[[Held], bool]
"""Whether somebody waits there, or is told."""


def everywhere(_: Held) -> bool:
    """Wait at pauses and gates: so does who needs a value."""
    return True


def nowhere(_: Held) -> bool:
    """Wait neither at pauses nor at gates."""
    return False


def apart_from_gates(refusal: Held) -> bool:
    """
    Wait at pauses, but at no gate, nor at a pause that lies at one.

    Of ranks that come there one after the other, the first finds the gate closed, and the last may
    find the pause alone: what each does must not depend on that.
    """
    return isinstance(refusal, Paused) and not lies_at_gate(refusal)


def lies_at_gate(refusal: Refused) -> bool:
    """Whether a run ends or holds where it also waits, or waited, for a report."""
    return isinstance(refusal, AwaitingReport) or bool(refusal.members.get("at_gate"))


class Waiting:
    """One wait, from the refusal on that began it."""

    def __init__(
        self,
        refusal: Held,
        settings: Settings,
        run: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        gate = isinstance(refusal, AwaitingReport)
        self._kind = type(refusal)
        self._run = run
        self._deadline = settings.gate_deadline if gate else settings.pause_deadline
        self._clock, self._jitter = clock, jitter
        self._since = self._asked = clock()
        self._gap = FIRST
        self._said = False
        self.heard = 0

    def is_of(self, refusal: Held) -> bool:
        """Whether this waits for the same kind of thing."""
        return type(refusal) is self._kind

    def begins(self, refusal: Held) -> None:
        """Say once what is waited for; a gate is usual, and is said if the report does not come."""
        self.heard = len(of_refusal(refusal))
        if isinstance(refusal, Paused):
            self._say(refusal)

    def _say(self, refusal: Held) -> None:
        self._said = True
        until = "" if self._deadline is None else f"; gives up in {self._left():.0f} s"
        log.warning("waiting: %s%s", refusal.detail, until)

    def hears(self, refusal: Held) -> bool:
        """Whether more signals are told there than when it was last said."""
        before, self.heard = self.heard, len(of_refusal(refusal))
        return self.heard > before

    def ends(self) -> None:
        """Say that it is over, if it was said."""
        if self._said:
            log.warning("run %s goes on after %.0f s", self._run, self._clock() - self._since)

    def hold(self) -> float:
        """Return for how long the next request may be kept; it is asked now."""
        self._asked = self._clock()
        return float(int(min(HOLD, self._left())))

    def pause(self, refusal: Held) -> float:
        """Return the seconds until it is asked again; raise the refusal when the time is over."""
        if self._left() <= 0:
            raise refusal
        if not self._said and self._clock() - self._since >= QUIET:
            self._say(refusal)
        kept = self._clock() - self._asked
        least = max(0.0, self._gap - kept, min(refusal.retry_after, LONGEST_ASKED))
        self._gap = FIRST if kept > LONGEST else min(2 * self._gap, LONGEST)
        return min(least + max(least, SPREAD) * self._jitter(), self._left())

    def _left(self) -> float:
        waited = self._clock() - self._since
        return max(0.0, (float("inf") if self._deadline is None else self._deadline) - waited)
