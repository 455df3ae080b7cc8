"""
Whose turn it is: to begin in a turn of the event loop, and to have a large body worked on.

All of this is for the event loop alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rheostat.server.http.budgets import busy

PATIENCE = 10.0
"""Seconds for which a large body waits for its turn to be worked on."""


class OnePerTurn:
    """
    Does one thing after another, one in a turn of the event loop.

    What a request computes before it waits for something, a turn cannot interrupt: a thousand that
    come at once would be one long turn, in which nobody is let in and nobody is answered.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self.busy = False
        """Whether something was done in this turn already."""

    def begin(self, thing: Callable[[], None]) -> None:
        """Do something now, or in its turn."""
        if self.busy:
            self._waiting.append(thing)
        else:
            self.rest()
            thing()

    def rest(self) -> None:
        """Do nothing more in this turn: what this is for was done elsewhere."""
        if not self.busy:
            self.busy = True
            asyncio.get_running_loop().call_soon(self._move)

    def _move(self) -> None:
        if not self._waiting:
            self.busy = False
            return
        asyncio.get_running_loop().call_soon(self._move)
        self._waiting.popleft()()


class Turns:
    """
    Large bodies are worked on in turn: as many at once as have ``limit`` bytes together.

    What a body is read into takes many times its bytes, so the budget of those that arrive does
    not bound it. ``what`` are the bodies, or whatever else has a size.
    """

    def __init__(self, limit: int, what: str = "large bodies") -> None:
        self._limit = limit
        self._what = what
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def wait(self, size: int) -> None:
        """
        Wait for the turn of a body of ``size`` bytes.

        Raises:
            Unavailable: if it does not come within `PATIENCE` seconds.

        """
        if not self._waiting and self._fits(size):
            self._used += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await asyncio.wait_for(asyncio.shield(turn), PATIENCE)
        except TimeoutError:
            if not turn.done():
                raise busy(f"other {self._what} are being worked on; try again") from None
        except BaseException:
            if turn.done():  # it came together with what ended the wait
                self.done(size)
            raise
        finally:
            turn.cancel()

    def done(self, size: int) -> None:
        """End the turn of a body, and begin those for which there is room now."""
        self._used -= size
        while self._waiting:
            following, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(following):
                    return
                self._used += following
                turn.set_result(None)
            self._waiting.popleft()

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= self._limit
