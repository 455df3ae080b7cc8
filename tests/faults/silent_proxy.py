"""A proxy before a database that can fall silent, as a host does whose power fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self, TypeVar

T = TypeVar("T")

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Peer]]

PIECE = 65_536


class SilentProxy:
    """
    A TCP proxy on 127.0.0.1 in front of whatever ``dial`` connects to, in a thread of its own.

    While it is silent, connections stay open, the kernel acknowledges what is sent, and nothing
    arrives. What was sent into the silence is kept, and may arrive late.
    """

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="silent-proxy")
        self._server: asyncio.Server | None = None
        self._gate = asyncio.Event()
        self._gate.set()
        self._gates: list[asyncio.Event] = []
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @classmethod
    def to_socket(cls, path: str) -> Self:
        """Return a proxy to a Unix socket."""
        return cls(lambda: asyncio.open_unix_connection(path))

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def silence(self) -> None:
        """Let nothing through from now on, on old and on new connections."""
        self._do(self._silence)

    def vanish(self) -> None:
        """Let nothing through, and take no new connections: they are refused."""
        self._do(self._silence)
        self._do(self._close)

    def replace(self) -> None:
        """Serve new connections, on the same port; old ones stay silent: a standby took over."""
        self._do(self._renew)

    def resume(self) -> None:
        """Let everything through again, and what was kept."""
        self._do(self._resume)

    def reset(self) -> None:
        """Cut off the connections that are silent."""
        self._do(self._reset)

    def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _silence(self) -> None:
        self._gate.clear()

    async def _renew(self) -> None:
        self._gates.append(self._gate)
        self._gate = asyncio.Event()
        self._gate.set()
        if self._server is None:
            await self._listen()

    async def _resume(self) -> None:
        for gate in (*self._gates, self._gate):
            gate.set()
        self._gates.clear()
        if self._server is None:
            await self._listen()

    async def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _stop(self) -> None:
        await self._close()
        await self._resume_all()
        while self._open:
            for writer in list(self._open):
                writer.transport.abort()
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)

    async def _resume_all(self) -> None:
        for gate in (*self._gates, self._gate):
            gate.set()

    async def _accept(self, *client: Any) -> None:
        gate = self._gate
        self._open.add(client[1])
        try:
            with suppress(OSError):
                await gate.wait()
                server = await self._dial()
                self._open.add(server[1])
                try:
                    await self._join(client, server, gate)
                finally:
                    server[1].transport.abort()
                    self._open.discard(server[1])
        finally:
            client[1].transport.abort()
            self._open.discard(client[1])

    async def _join(self, client: Any, server: Peer, gate: asyncio.Event) -> None:
        copies = [
            asyncio.ensure_future(_pass_on(client[0], server[1], gate)),
            asyncio.ensure_future(_pass_on(server[0], client[1], gate)),
        ]
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
) -> None:
    while piece := await reader.read(PIECE):
        await gate.wait()
        writer.write(piece)
        await writer.drain()
    await gate.wait()
