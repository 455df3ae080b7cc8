"""How a server listens."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from rheostat.server.serve import ACCEPTED, _bound
from rheostat.server.settings import Settings

FLEET = 10 * ACCEPTED


def test_many_connections_are_accepted_in_a_turn(tmp_path: Path) -> None:
    """A fleet that starts is let in within few turns of the event loop, long as each may be."""
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/rheostat.db")
    accepted: list[asyncio.Protocol] = []

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.append(self)
            transport.close()

    async def turns(listeners: list[socket.socket]) -> int:
        loop, taken = asyncio.get_running_loop(), 0
        async with AsyncExitStack() as stack:
            for listener in listeners:
                server = await loop.create_server(Connection, sock=listener, backlog=FLEET)
                await stack.enter_async_context(server)
            for _ in range(FLEET):
                stack.enter_context(socket.create_connection(listeners[0].getsockname()))
            while len(accepted) < FLEET:
                await asyncio.sleep(0)
                taken += 1
        return taken

    with _bound(settings) as listeners:
        assert uvloop.run(turns(listeners)) < FLEET / 2
