"""A bad network: proxies that delay, cut off in the middle of an answer, and half-close."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Literal, Self

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Fate = Literal["cut", "half-close", "delay"]
FATES: tuple[tuple[Fate, float], ...] = (("cut", 0.01), ("half-close", 0.005), ("delay", 0.05))
"""How likely each is to befall a piece of what is sent, in either direction."""

DELAY = 0.25
"""Seconds of the longest delay."""
LINGER = 1.0
"""Seconds that a connection of which one half was closed stays open."""

PIECE = 65_536


class Network:
    """Proxies in a thread of their own; ``count`` is told of every fault."""

    def __init__(self, seed: str, count: Callable[[str], None]) -> None:
        self._chance = Random(seed)
        self._count = count
        self._calm = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def to(self, url: str) -> str:
        """Return the address of a new proxy of a server."""
        port = int(url.rpartition(":")[2])
        proxied = asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result()
        return f"http://127.0.0.1:{proxied}"

    def calm(self) -> None:
        """Behave well from now on."""
        self._calm = True

    async def _listen(self, port: int) -> int:
        async def accept(*peer: *Peer) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            self._writers.add(peer[1])
            try:
                with suppress(OSError):  # the server is gone, or either side has closed
                    await self._connect(peer, port)
            finally:
                peer[1].transport.abort()
                self._writers.discard(peer[1])
                self._connections.discard(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        await asyncio.sleep(0.05)  # what was accepted has begun by then
        while self._connections:
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.wait(self._connections, timeout=0.05)
        await asyncio.sleep(0.05)  # aborted transports close their sockets in a later turn

    async def _connect(self, client: Peer, port: int) -> None:
        server = await asyncio.open_connection("127.0.0.1", port)
        self._writers.add(server[1])
        copies = [
            asyncio.ensure_future(self._pass_on(client[0], server[1])),
            asyncio.ensure_future(self._pass_on(server[0], client[1])),
        ]
        try:
            done, _ = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            if any(copy.exception() is None and copy.result() for copy in done):
                await asyncio.wait(copies, timeout=LINGER)
        finally:
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
            for _, writer in (client, server):
                writer.transport.abort()
            self._writers.discard(server[1])

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass on what comes; return whether the other direction is to go on for a while."""
        while piece := await reader.read(PIECE):
            fate = self._fate()
            if fate == "delay":
                await asyncio.sleep(self._chance.uniform(0.0, DELAY))
            elif fate is not None:
                writer.write(piece[: self._chance.randrange(len(piece) + 1)])
                await writer.drain()
                if fate == "half-close":
                    writer.write_eof()
                return fate == "half-close"
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
        return True

    def _fate(self) -> Fate | None:
        drawn = self._chance.random()
        for fate, likely in FATES:
            drawn -= likely
            if drawn < 0:
                if self._calm:
                    return None
                self._count(fate)
                return fate
        return None
