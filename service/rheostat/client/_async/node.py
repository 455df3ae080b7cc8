"""
Reading with the other processes of a host: one asks the service, and all have the block.

Each looks for what it needs among the files (`rheostat.client.node_files`), and asks the service
itself only when it has the lock, one request at a time. So there is no process that reads for the
others: whoever dies lets go of its lock, and the next goes on. A process that has the lock and does
nothing, since it is stopped, is waited for a second; then the next lock is taken in its place (a
*lane*), and it is waited for no more. If the service itself is slow, the processes of a host thus
ask it one after the other, a second apart, and not all at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rheostat.client import transport
from rheostat.client.node_files import Kept, NodeFolder, Turn

if TYPE_CHECKING:
    from rheostat.client._async.network import AsyncNetwork
    from rheostat.client._async.session import AsyncSession
    from rheostat.client.answers import Answer
    from rheostat.client.blocks import Block, BlockRequest
    from rheostat.client.calls import Call
    from rheostat.client.joined import JoinedRun
    from rheostat.client.retry import Outcome, Patience

PATIENCE = 1.0
"""Seconds after which a process that keeps a lock is taken for stopped."""
LANES = 64
SHORTEST, LONGEST = 0.001, 0.02
"""Seconds between two looks: at first, and after some."""


class AsyncNode:
    """What one handle of a run has in common with those of other processes."""

    def __init__(self, session: AsyncSession, joined: JoinedRun) -> None:
        self._session = session
        self._joined = joined
        self.folder = NodeFolder(joined, session.settings.address)
        self._seen: dict[int, tuple[bytes, float]] = {}
        """Who had the lock of a lane when it was last tried, and since when."""

    async def read(
        self, call: Call, patience: Patience, asked: BlockRequest, cell: int | None
    ) -> tuple[Answer, Block]:
        """Return a block as `NodeFolder.find` finds it, or else as the service sends it."""

        def proven(answer: Answer) -> tuple[Answer, Block]:
            block = answer.block if isinstance(answer, Kept) else None
            return answer, block or self._joined.block(asked, answer)

        sender = AsyncInTurn(self, asked, cell)
        return await self._session.exchange(call, patience, proven, sender)

    def take(self) -> Turn | None:
        """Return the turn to ask the service; None while others have it who are not stopped."""
        now = time.monotonic()
        for lane in range(LANES):
            taken = self.folder.take(lane)
            if isinstance(taken, Turn):
                return taken
            before = self._seen.get(lane)
            since = now if before is None or before[0] != taken else before[1]
            self._seen[lane] = taken, since
            if now - since < PATIENCE:
                return None
        return None


class AsyncInTurn:
    """What sends a read of a block, unless another process has sent it."""

    def __init__(self, node: AsyncNode, asked: BlockRequest, cell: int | None) -> None:
        self._node = node
        self._network: AsyncNetwork = node._session.network  # noqa: SLF001
        self._asked, self._cell = asked, cell

    async def send(self, call: Call) -> Outcome:
        """Return the block, or what came of asking for it; wait for others no longer than that."""
        folder = self._node.folder
        if folder.is_off():
            return await self._network.send(call)
        if (found := folder.find(self._asked, self._cell)) is not None:
            return found
        if call.holds:  # at a pause or a gate, where each is told itself what goes on
            return await self._ask(call)
        until = time.monotonic() + transport.seconds_of(call, self._network.settings.timeout)
        gap = SHORTEST
        while not folder.is_off() and time.monotonic() < until:
            try:
                turn = self._node.take()
            except OSError as error:
                folder.fails(error)
                break
            if turn is not None:
                try:
                    found = folder.find(self._asked, self._cell)
                    return found if found is not None else await self._ask(call)
                finally:
                    turn.release()
            await self._network.sleep(gap)
            gap = min(2 * gap, LONGEST)
            if (found := folder.find(self._asked, self._cell)) is not None:
                return found
        return await self._ask(call)

    async def _ask(self, call: Call) -> Outcome:
        outcome = await self._network.send(call)
        if isinstance(outcome, Exception) or not outcome.is_success:
            return outcome
        return self._node.folder.keep(self._asked, outcome)
