"""
Requests for one block that arrive together: one takes the long way, the others wait for it.

The ranks of a run come to the end of a block at the same moment, and all ask for the next one
before it is settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rheostat.server.fastlane.cache import Address


class Flights:
    """The addresses of which a request is under way, and who waits for it; for the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Address, list[Callable[[], None]]] = {}

    def lead(self, address: Address) -> bool:
        """Set out from an address, unless another request is under way: whoever leads lands."""
        if address in self._waiting:
            return False
        self._waiting[address] = []
        return True

    def wait(self, address: Address, again: Callable[[], None]) -> None:
        """Have ``again`` called when the request that is under way from an address has landed."""
        self._waiting[address].append(again)

    def land(self, address: Address) -> None:
        """Let those go on that wait: there is an answer, or there will be none."""
        for again in self._waiting.pop(address, ()):
            asyncio.get_running_loop().call_soon(again)
