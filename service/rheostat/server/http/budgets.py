"""
How many bytes a process holds for others: bodies that it receives, and answers that it sends.

Without a bound on their sum, one caller could take all memory: by sixty bodies that stop short of
their end, or a dozen large answers that nobody reads. So the bytes of all requests together are
counted. A request for which there is no room is refused, and told when to try again; but first
whoever has held room for long is cut off. So a caller on a slow line suffers only while bytes are
short, and one who stalls on purpose keeps nobody out. Small bodies and answers have a budget of
their own, so that large ones never stand in their way. All of this is for the event loop alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rheostat.errors import Unavailable

SMALL = 64 * 1024
"""Bytes up to which a body, an answer, or a piece of one is small."""

COME_BACK = 2
"""Seconds after which a request that found no room may be sent again."""


def busy(detail: str) -> Unavailable:
    """Return the refusal of a request for which the process has no room."""
    return Unavailable(detail, reason="busy", retry_after=COME_BACK)


class Holding:
    """What one request holds of a budget."""

    __slots__ = ("_budget", "cut_off", "shared", "since", "size")

    def __init__(self, budget: Budget, cut_off: Callable[[], None] | None, shared: Any) -> None:
        self._budget = budget
        self.cut_off = cut_off
        self.shared = shared
        self.since = time.monotonic()
        self.size = 0

    def grow(self, size: int) -> None:
        """
        Hold ``size`` bytes more.

        Raises:
            Unavailable: if there is no room for them.

        """
        self._budget.grow(self, size)

    def shrink(self, size: int) -> None:
        """Hold ``size`` bytes in all, if that is less than what is held."""
        self._budget.used -= max(0, self.size - size)
        self.size = min(self.size, size)

    def keep(self) -> None:
        """No longer make room for others: what is held is being worked on."""
        self._budget.expose(self, None)

    def expose(self, cut_off: Callable[[], None] | None) -> None:
        """Make room for others by ``cut_off`` if need be, once this has taken long from now on."""
        self._budget.expose(self, cut_off)

    def release(self) -> None:
        """Give everything back; a second time does nothing."""
        self._budget.release(self)


class Budget:
    """
    At most ``limit`` bytes for one purpose, which ``what`` names.

    A holding that alone is over the limit is let in if it is the only one. Once it is ``seconds``
    old, it may be cut off to make room, the oldest first.
    """

    def __init__(self, limit: int, what: str, seconds: float) -> None:
        self.limit = limit
        self.used = 0
        self._what = what
        self._seconds = seconds
        self._exposed: dict[Holding, None] = {}
        self._shared: dict[int, list[Any]] = {}

    def take(
        self, size: int, cut_off: Callable[[], None] | None = None, shared: Any = None
    ) -> Holding:
        """
        Hold ``size`` bytes; ``cut_off`` ends what they are for, if others need them.

        An object that several hold at once, ``shared``, is counted once.

        Raises:
            Unavailable: if there is no room for them.

        """
        holding = Holding(self, cut_off, shared)
        if shared is not None and (known := self._shared.get(id(shared))):
            known[1] += 1
        else:
            self.grow(holding, size)
            if shared is not None:
                self._shared[id(shared)] = [shared, 1, size]
                holding.size = 0  # it is the object's, and not this holding's
        if cut_off is not None:
            self._exposed[holding] = None
        return holding

    def grow(self, holding: Holding, size: int) -> None:
        """See `Holding.grow`."""
        if self.used and self.used + size > self.limit:
            self._make_room(holding, size)
        self.used += size
        holding.size += size

    def expose(self, holding: Holding, cut_off: Callable[[], None] | None) -> None:
        """See `Holding.expose` and `Holding.keep`."""
        self._exposed.pop(holding, None)
        holding.cut_off = cut_off
        if cut_off is not None:
            holding.since = time.monotonic()
            self._exposed[holding] = None

    def release(self, holding: Holding) -> None:
        """See `Holding.release`."""
        self._exposed.pop(holding, None)
        self.used -= holding.size
        holding.size, shared, holding.shared = 0, holding.shared, None
        if shared is None:
            return
        known = self._shared[id(shared)]
        known[1] -= 1
        if not known[1]:
            del self._shared[id(shared)]
            self.used -= known[2]

    def _make_room(self, asking: Holding, size: int) -> None:
        latest = time.monotonic() - self._seconds
        while self.used > asking.size and self.used + size > self.limit:
            oldest = next(iter(self._exposed), None)
            if oldest is None or oldest is asking or oldest.since > latest:
                raise busy(
                    f"this process holds {self.used} bytes of {self._what}, and may hold no more"
                    f" than {self.limit}; try again"
                )
            cut_off = oldest.cut_off
            self.release(oldest)
            if cut_off is not None:
                cut_off()
