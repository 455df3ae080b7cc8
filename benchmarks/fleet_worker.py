"""
The workers of `fleet.py`: the client's own requests and decisions, over bare sockets.

Ten thousand workers are to cost less than the server that they ask. So a worker is neither thread
nor task, but what is called when a read is due or an answer has come; and what the ranks of a run
have in common is made once: the client writes a request for the first that sends it, and reads a
block for the first that gets it.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from rheostat import digests
from rheostat.client import calls, transport
from rheostat.client.answers import Answer
from rheostat.client.blocks import Block, BlockRequest
from rheostat.client.calls import Call
from rheostat.client.joined import JoinedRun, join_answer, join_call
from rheostat.client.reading import Reading
from rheostat.client.settings import Settings

NAMES = ("lr", "weight_decay")
"""The parameters of the runs, sorted."""

WINDOW, WINDOWS = 256, 8
"""Cells of which a worker proves what it applied at once, and windows in one beat, at most."""

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass
class Load:
    """What all workers have in common; times are of the monotonic clock, in seconds."""

    url: str
    seconds: float
    step: float = 0.1
    lookahead: float = 4.0
    apart: float = 0.01
    joining: float = 5.0
    beats: bool = False
    """Whether workers say where they are, and prove what they applied."""
    until: float = 0.0
    late: float = 0.0
    """The longest time by which a read began too late."""

    def __post_init__(self) -> None:
        self.settings = Settings(base_url=self.url, lookahead=self.lookahead)
        self.http = httpx.Client(
            **transport.client_options(self.settings)
        )  # writes requests, and sends none

    def written(self, call: Call) -> bytes:
        """Return a call as the client puts it on the wire."""
        request = transport.request(self.http, call, self.settings.timeout)
        head = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        head += [b"%b: %b" % pair for pair in request.headers.raw]
        return b"\r\n".join([*head, b"", request.content])


class Run:
    """What the ranks of a run ask and are answered: the same bytes, whoever asks (P1)."""

    def __init__(self, load: Load, name: str) -> None:
        self.load = load
        self.name = name
        self.differing = 0
        """Answers that were not what another rank got."""
        self._columns: dict[int, tuple[float, ...]] = {}
        self._windows: dict[int, dict[str, Any]] = {}
        self._requests: dict[BlockRequest, bytes] = {}
        self._blocks: dict[tuple[int, int], tuple[bytes, Block]] = {}

    def request(self, joined: JoinedRun, wanted: BlockRequest) -> bytes:
        """Return the request for a block."""
        if wanted not in self._requests:
            self._requests[wanted] = self.load.written(joined.read(wanted))
        return self._requests[wanted]

    def block(self, joined: JoinedRun, wanted: BlockRequest, head: bytes, body: bytes) -> Block:
        """Return the block that came, and note if another rank got a different one."""
        key = wanted.start, wanted.size
        if key not in self._blocks:
            self._blocks[key] = body, joined.block(wanted, _response(head, body))
            if self.load.beats:
                block = self._blocks[key][1]
                values = zip(*(block.columns[name] for name in NAMES), strict=True)
                self._columns |= dict(zip(range(block.start, block.stop), values, strict=True))
        first, block = self._blocks[key]
        self.differing += body != first
        return block

    def window(self, start: int) -> dict[str, Any]:
        """Return what every rank says that it applied to the `WINDOW` cells from ``start`` on."""
        if start not in self._windows:
            cells = range(start, start + WINDOW)
            columns = list(zip(*(self._columns[cell] for cell in cells), strict=True))
            self._windows[start] = {
                "cells": [[start, WINDOW, 1]],
                "parameters": dict.fromkeys(NAMES, "f64"),
                "digest": digests.applied_digest(cells, columns),
            }
        return self._windows[start]


class Worker(asyncio.Protocol):
    """Trains at a steady pace, and notes how long it waited and when a change reached it."""

    def __init__(self, run: Run, rank: int = 0) -> None:
        self.run = run
        self.rank = rank
        self.load = run.load
        self.waits: list[float] = []
        """Of reads after the first block, in seconds."""
        self.answers: list[float] = []
        """How long each block was under way, in seconds."""
        self.beats: list[float] = []
        """How long each beat was under way, in seconds."""
        self.doubted = 0
        """Windows of which the service has asked for the values."""
        self.failures = 0
        self.switched: int | None = None
        """The first step whose value is another one."""
        self.switched_at = float("inf")
        self._received, self._asks, self._waits = b"", False, False
        self._later: list[tuple[bytes, Callable[[bytes, bytes], None]]] = []
        self._busy = False
        self._proven = 0

    async def live(self, start: float) -> None:
        """Join before a time, train from then to the end of the load, and leave."""
        self._loop = asyncio.get_running_loop()
        self._left = self._loop.create_future()
        self._due = start + random.uniform(0, self.load.apart)
        await asyncio.sleep(start - time.monotonic() - random.uniform(0, self.load.joining))
        url = self.load.http.base_url
        await self._loop.create_connection(lambda: self, url.host, url.port or 80)
        await self._left

    def connection_made(self, transport: Any) -> None:
        """Join."""
        self._transport = transport
        self._send(self.load.written(join_call(self.run.name)), self._join)

    def connection_lost(self, _error: Exception | None) -> None:
        """End, too early maybe."""
        self.failures += self._due < self.load.until
        self._left.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take what has come, once it is whole; what was refused is asked again a step later."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < int(LENGTH.search(head)[1]):  # type: ignore[index]
            return
        self._received = b""
        self._busy = False
        if head.startswith(b"HTTP/1.1 200 "):
            self._take(head, body)
        else:
            self.failures += 1
            self._loop.call_later(self.load.step, self._send, self._sent, self._take)
        if self._later and not self._busy:
            self._send(*self._later.pop(0))

    def _send(self, request: bytes, take: Callable[[bytes, bytes], None]) -> None:
        """Send a request, or keep it until the one under way is answered."""
        if self._busy:
            self._later.append((request, take))
            return
        self._busy, self._sent, self._take = True, request, take
        self._transport.write(request)

    def _join(self, head: bytes, body: bytes) -> None:
        self._joined = join_answer(_response(head, body))
        self._reading = Reading(self._joined, lookahead=self.load.lookahead)
        self._cell = self._first = self._joined.settled_until
        self._due = max(self._due, time.monotonic())
        self._loop.call_at(self._due, self._read)
        if self.load.beats:
            again = json.loads(body)["again"]
            self._proven = -(-self._first // WINDOW) * WINDOW
            self._loop.call_later(random.uniform(0, again), self._beat)

    def _beat(self) -> None:
        """Say where this rank is, and what it has applied up to there."""
        if time.monotonic() >= self.load.until:
            return
        self._beat_began = time.monotonic()
        ends = range(self._proven + WINDOW, self._cell + 1, WINDOW)[:WINDOWS]
        said = {
            "worker": str(self.rank),
            "host": f"n{self.rank // 8}",
            "session": f"s{id(self)}",
            "job": self.run.name,
            "step": self._cell,
            "pace": 1 / self.load.step,
            "applied": [self.run.window(end - WINDOW) for end in ends],
        }
        self._proven += len(ends) * WINDOW
        body = {"generation": self._joined.generation, "workers": [said]}
        where = calls.path("runs", self._joined.id, "beats")
        self._send(self.load.written(calls.post(where, body)), self._beaten)

    def _beaten(self, _head: bytes, body: bytes) -> None:
        self.beats.append(time.monotonic() - self._beat_began)
        answer = json.loads(body)
        self.doubted += len(answer["compare"])
        self._loop.call_later(answer["again"], self._beat)

    def _read(self) -> None:
        """Read a cell, as soon as it is there."""
        self._began = time.monotonic()
        self.load.late = max(self.load.late, self._began - self._due)
        self._go_on()

    def _go_on(self) -> None:
        self._waits = not self._reading.holds(self._cell)
        if not self._waits:
            self._train()
        elif not self._asks:
            self._fetch(self._cell)

    def _train(self) -> None:
        """Train on what is there, up to the next read that is not a mere look-up."""
        cell, step, now = self._cell, self.load.step, time.monotonic()
        if cell != self._first:
            self.waits.append(now - self._began)
        block = self._reading.enter(cell)
        ahead = self._reading.due(cell)
        if ahead is not None and not self._asks:
            self._fetch(ahead)
        self._cell = block.middle if cell < block.middle else block.stop
        self._due = max(self._due, now - step / 2)  # a read that waited delays those after it
        if self.switched is not None and cell <= self.switched < self._cell:
            self.switched_at = self._due + (self.switched - cell) * step
        self._due += (self._cell - cell) * step
        if self._due < self.load.until:
            self._loop.call_at(self._due, self._read)
        else:
            self._loop.call_at(self.load.until, self._transport.close)

    def _fetch(self, cell: int) -> None:
        self._asks, self._asked = True, time.monotonic()
        self._wanted = self._reading.request(cell)
        self._send(self.run.request(self._joined, self._wanted), self._arrive)

    def _arrive(self, head: bytes, body: bytes) -> None:
        self._asks = False
        self.answers.append(time.monotonic() - self._asked)
        block = self.run.block(self._joined, self._wanted, head, body)
        self._reading.arrived(self._wanted, block)
        column = block.columns["lr"]
        if self.switched is None and column[-1] != 1.0:
            self.switched = block.start + next(i for i, v in enumerate(column) if v != 1.0)
        if self._waits:
            self._go_on()


def _response(head: bytes, body: bytes) -> Answer:
    pairs = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
    return Answer(200, httpx.Headers([(name, value) for name, value in pairs]), body)
