"""A worker of `fleet.py`: the client's own decisions, over a bare socket."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import httptools
import httpx

from rheostat.client.blocks import Block
from rheostat.client.joined import Joined, joining
from rheostat.client.reading import Reading
from rheostat.client.settings import Settings
from rheostat.client.wire import Call


@dataclass
class Workload:
    """What all workers have in common; times are the event loop's, in seconds."""

    url: str
    runs: list[str]
    ranks: int
    seconds: float
    step: float = 0.1
    lookahead: float = 4.0
    apart: float = 0.01
    joining: float = 5.0
    proxied: bool = False
    until: float = 0.0
    lag: float = 0.0

    @property
    def stagger(self) -> float:
        """The seconds from the start of one run to that of the next."""
        return (self.seconds / 2 - self.joining) / len(self.runs)


class Connection(asyncio.Protocol):
    """One connection that is kept alive: one request at a time."""

    def connection_made(self, transport: Any) -> None:
        """Begin with a first answer."""
        self._transport = transport
        self._expect()

    def _expect(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    def ask(self, request: bytes) -> asyncio.Future[httpx.Response]:
        """Send a request."""
        if self._transport.is_closing():
            raise ConnectionError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits."""
        waiting = getattr(self, "_answer", None)
        if waiting and not waiting.done():
            waiting.set_exception(error or ConnectionError("closed"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        status, content = self._parser.get_status_code(), b"".join(self._body)
        answer = httpx.Response(status, headers=self._headers, content=content)
        self._expect()
        self._answer.set_result(answer)

    def close(self) -> None:
        """Close it."""
        self._transport.close()


class Worker:
    """Trains at a steady pace, and notes how long it waited and when a change reached it."""

    def __init__(self, load: Workload, run: str) -> None:
        self.load = load
        self.run = run
        self.waits: list[float] = []
        """Of reads after the first block, in seconds."""
        self.blocks = self.requests = self.failures = 0
        self.switched: int | None = None
        """The first step whose value is another one."""
        self.switched_at = float("inf")
        self._line = asyncio.Lock()
        self._ahead: asyncio.Task[None] | None = None

    async def live(self, start: float) -> None:
        """Join before a time, train from then to the end of the load, and leave."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(start - loop.time() - random.uniform(0, self.load.joining))
        await self._connect()
        self._facts = await self._join()
        self._reading = Reading(self._facts, lookahead=self.load.lookahead, clock=loop.time)
        await asyncio.sleep(start - loop.time() + random.uniform(0, self.load.apart))
        await self._train(self._facts)
        if self._ahead:
            await self._ahead
        self._connection.close()

    async def _join(self) -> Joined:
        conversation = joining(Settings(base_url=self.load.url), self.run, None)
        try:
            conversation.send(await self._send(cast("Call", next(conversation))))
        except StopIteration as end:
            return cast("Joined", end.value)
        raise RuntimeError("a join is one call")

    async def _train(self, facts: Joined) -> None:
        loop, step = asyncio.get_running_loop(), self.load.step
        cell = first = facts.settled_until
        due = loop.time()
        while due < self.load.until:
            began = loop.time()
            self.load.lag = max(self.load.lag, began - due)
            await self._fetch(cell)
            if cell != first:
                self.waits.append(loop.time() - began)
            due = max(due, loop.time() - step / 2)  # a read that waited delays those after it
            cell = self._read(cell, due)
            due += (cell - self._entered) * step
            await asyncio.sleep(due - loop.time())

    def _read(self, cell: int, now: float) -> int:
        """Read a cell; return the next one that is not a mere look-up."""
        block = self._reading.enter(cell)
        self._entered = cell
        ahead = self._reading.due(cell)
        if ahead is not None:
            self._ahead = asyncio.create_task(self._fetch(ahead))
        end = block.middle if cell < block.middle else block.stop
        if self.switched is not None and cell <= self.switched < end:
            self.switched_at = now + (self.switched - cell) * self.load.step
        return end

    async def _fetch(self, cell: int) -> None:
        async with self._line:
            while not self._reading.holds(cell):
                order = self._reading.order(cell)
                block = self._facts.block(order, await self._send(self._facts.read(order)))
                self._reading.arrived(order, block)
                self.blocks += 1
                self._look_at(block)

    def _look_at(self, block: Block) -> None:
        column = block.columns["lr"]
        if self.switched is None and column[-1] != 1.0:
            self.switched = block.start + next(i for i, v in enumerate(column) if v != 1.0)

    async def _send(self, call: Call) -> httpx.Response:
        body = call.content or b""
        query = f"?{urlencode(call.params)}" if call.params else ""
        lines = [
            f"{call.method} {call.path}{query} HTTP/1.1",
            f"Host: {self._host}",
            *(f"{name}: {value}" for name, value in call.headers.items()),
            *([f"Content-Length: {len(body)}"] if body else []),
        ]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        while True:
            self.requests += 1
            try:
                answer = await self._connection.ask(request)
            except ConnectionError:
                await self._connect()
            else:
                if answer.is_success:
                    return answer
                await asyncio.sleep(self.load.step)
            self.failures += 1

    async def _connect(self) -> None:
        url, loop = httpx.URL(self.load.url), asyncio.get_running_loop()
        self._host = url.netloc.decode()
        _, self._connection = await loop.create_connection(Connection, url.host, url.port or 80)
