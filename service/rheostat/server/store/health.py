"""Whether the store can do what it is for, as readiness tells it."""

from __future__ import annotations

import threading
import time

from rheostat.server.store.failures import Reason, Reporter


class Health:
    """
    What keeps a store from serving.

    A reason that a failed transaction gave holds until one works. One that was found otherwise
    (`hold`) stays until whoever found it takes it back, or for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reporter = Reporter()
        self._last: Reason | None = None
        self._worked = float("-inf")
        self._held: set[Reason] = set()

    def failed(self, reason: Reason) -> None:
        """Note why the last transaction failed."""
        with self._lock:
            self._last = None if reason is Reason.BUSY else reason

    def worked(self) -> None:
        """Note that the last transaction was committed."""
        with self._lock:
            self._last = None
            self._worked = time.monotonic()

    def worked_within(self, seconds: float) -> bool:
        """Say whether a transaction was committed in the last seconds."""
        return time.monotonic() < self._worked + seconds

    def hold(self, reason: Reason) -> None:
        """Say that the store must not serve, whatever transactions work."""
        with self._lock:
            self._held.add(reason)

    def release(self, reason: Reason) -> None:
        """Take back what `hold` said."""
        with self._lock:
            self._held.discard(reason)

    def reasons(self) -> list[Reason]:
        """Return what is wrong, without what happens all the time."""
        with self._lock:
            found = self._held | ({self._last} if self._last else set())
        return sorted(found)
