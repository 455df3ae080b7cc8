"""How much may be asked: of each address, and in reports of each run, in each process."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

from rheostat.errors import RateLimited

BURST = 10.0
"""Seconds' worth of requests that a client who was quiet may send at once."""

MOST = 10_000
"""Addresses that are remembered; one that is forgotten starts afresh."""

PROBES = frozenset({"/livez", "/readyz"})


class Rates:
    """
    Counts what each address asks: ``rate`` requests per second, or 0 for no limit.

    Each request moves the time at which its sender's debt is paid by 1 / ``rate``; it is refused
    if that time lies more than `BURST` ahead. This is a token bucket in one number.
    """

    def __init__(self, rate: float) -> None:
        self.limited = rate > 0
        self._cost = 1 / rate if rate else 0.0
        self._room = max(BURST, self._cost)
        self._paid: OrderedDict[str, float] = OrderedDict()

    def allow(self, scope: Scope) -> bool:
        """Count a request, unless it is one too many."""
        try:
            self.charge(scope)
        except RateLimited:
            return False
        return True

    def charge(self, scope: Scope) -> None:
        """Count a request; raise `RateLimited`, and do not count it, if it is one too many."""
        if self.limited and scope["path"] not in PROBES:
            self._charge(scope["client"][0] if scope.get("client") else "")

    def _charge(self, address: str) -> None:
        self.require(address, f"too many requests from {address}")
        self.count(address)

    def require(self, key: str, message: str) -> None:
        """Raise `RateLimited` if one more request by this key were too many; count none."""
        now = time.monotonic()
        paid = max(self._paid.get(key, now), now) + self._cost
        if paid > now + self._room:
            wait = math.ceil(paid - now - self._room)
            raise RateLimited(message, retry_after=wait)

    def count(self, key: str) -> None:
        """Count a request by this key."""
        now = time.monotonic()
        self._paid[key] = max(self._paid.get(key, now), now) + self._cost
        self._paid.move_to_end(key)
        if len(self._paid) > MOST:
            self._paid.popitem(last=False)


class RateLimit:
    """Refuses requests of an address that asks too much."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self.app = app
        self.rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or raise `RateLimited`."""
        if scope["type"] == "http":
            self.rates.charge(scope)
        await self.app(scope, receive, send)
