"""How much one client may ask: a limit for each address, in each process."""

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


class RateLimit:
    """
    Refuses an address that sends more than ``rate`` requests per second.

    Each request moves the time at which its sender's debt is paid by 1 / ``rate``; it is refused
    if that time lies more than `BURST` ahead. This is a token bucket in one number.
    """

    def __init__(self, app: ASGIApp, rate: float) -> None:
        self.app = app
        self._cost = 1 / rate
        self._room = max(BURST, self._cost)
        self._paid: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or raise `RateLimited`."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            self._charge(scope["client"][0] if scope.get("client") else "")
        await self.app(scope, receive, send)

    def _charge(self, address: str) -> None:
        now = time.monotonic()
        paid = max(self._paid.get(address, now), now) + self._cost
        if paid > now + self._room:
            wait = math.ceil(paid - now - self._room)
            raise RateLimited(f"too many requests from {address}", retry_after=wait)
        self._paid[address] = paid
        self._paid.move_to_end(address)
        if len(self._paid) > MOST:
            self._paid.popitem(last=False)
