"""A small service in memory, true to the protocol, for what needs scripted failures."""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from rheostat import Client
from rheostat.errors import (
    Conflict,
    Finished,
    NotFound,
    Refused,
    StaleCheckpoint,
    StaleGeneration,
    StepJump,
    TooLate,
    UnknownRun,
)

NAMES = ("lr", "weight_decay")


def block_headers(body: bytes, names: Sequence[str], generation: int = 1) -> dict[str, str]:
    """Return what the service says of a settled block."""
    return {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(body)),
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Rheostat-Parameters": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "Rheostat-Generation": str(generation),
    }


class FakeService:
    """
    One run, ``gpt`` with id ``run-1``, whose ``lr`` at a cell is 1 / (cell + 1) times its factors.

    A revision is a factor and its first cell. Weight decay is the negative learning rate. What is
    handed out is written down in ``ledger``, and every request in ``requests``.
    """

    def __init__(self) -> None:
        self.resolution = 1
        self.max_block = self.max_jump = 4096
        self.generation = 1
        self.settled = 0
        self.end: int | None = None
        self.deleted = False
        self.ledger: dict[int, float] = {}
        self.revisions: list[tuple[int, float]] = []
        self.requests: list[httpx.Request] = []
        self.event, self.incarnation = 0, "first"
        self.gone = False
        self.total: int | None = None
        self.begun = False
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        """What answers, or raises, or waits, instead of or before the service."""
        self._turn = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, as the handler of a transport."""
        self.requests.append(request)
        scripted = self.before(request)
        if scripted is not None:
            return scripted
        with self._turn:
            try:
                return self._answer(request)
            except Refused as refusal:
                kind = {"Content-Type": "application/problem+json"}
                return httpx.Response(refusal.status, json=refusal.to_problem(), headers=kind)

    @property
    def reads(self) -> list[tuple[int, int]]:
        """Start and count of every settling read."""
        asked = [r.url.params for r in self.requests if r.url.path.endswith("/values")]
        return [(int(p["start"]), int(p["count"])) for p in asked]

    def change(self, factor: float, effective: int | None = None) -> int:
        """Multiply from a cell on, by default the first that is open; return that cell."""
        with self._turn:
            earliest = self.settled
            if effective is not None and effective < earliest:
                raise TooLate(f"step {effective} is settled", earliest=earliest)
            self.revisions.append((earliest if effective is None else effective, factor))
            return self.revisions[-1][0]

    def value(self, cell: int) -> float:
        """Return what a cell has, or would have."""
        value = 1.0 / (cell + 1)
        for effective, factor in self.revisions:
            value *= factor if effective <= cell else 1.0
        return self.ledger.get(cell, value)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match unquote(request.url.path).split("/")[2:]:
            case ["runs", "gpt" | "run-1", "join"] if not self.deleted:
                return self._join(json.loads(request.content))
            case ["runs", "run-1", "values"] if not self.deleted:
                return self._read(request.url.params)
            case ["runs", "gpt"] if request.method == "PUT":
                self.deleted = False
                return httpx.Response(201, json={"name": "gpt"})
            case ["runs", *_]:
                raise UnknownRun("there is no such run")
        raise NotFound("there is nothing here")

    def _join(self, checkpoint: dict[str, Any]) -> httpx.Response:
        start = checkpoint.pop("start", None)
        if start is not None and start // self.resolution > self.settled + self.max_jump:
            if self.begun:
                raise StepJump("too far", settled_until=self.settled * self.resolution)
            self.begun, self.settled = True, start // self.resolution
        if checkpoint and (checkpoint["id"], checkpoint["generation"]) != (
            "run-1",
            self.generation,
        ):
            raise StaleCheckpoint("the checkpoint lies beyond a rewind", generation=self.generation)
        end = None if self.end is None else self.end * self.resolution
        facts = {"id": "run-1", "name": "gpt", "axis": "step", "resolution": self.resolution}
        facts |= {"generation": self.generation, "revision": 1 + len(self.revisions)}
        facts |= {"settled_until": self.settled * self.resolution, "parameters": NAMES}
        facts |= {
            "max_block": self.max_block,
            "max_jump": self.max_jump,
            "total": self.total,
            "end": end,
        }
        facts |= {"event": self.event, "incarnation": self.incarnation}
        return httpx.Response(200, json=facts)

    def _read(self, params: httpx.QueryParams) -> httpx.Response:
        if self.gone:
            raise UnknownRun("there is no run of this id", incarnation=self.incarnation)
        step, count = int(params["start"]), int(params["count"])
        if step % self.resolution or not 0 < count <= self.max_block:
            raise Conflict("a block must lie on the grid, and be of 1 to max_block cells")
        start = step // self.resolution
        if self.end is not None and start + count > self.end:
            raise Finished("the run is finished", end=self.end * self.resolution)
        told: dict[str, str] = {}
        if start + count > self.settled:
            self._settle(start + count, params)
            self.event += 1
            told = {"Rheostat-Event": str(self.event)}
        for cell in range(start, start + count):
            self.ledger.setdefault(cell, self.value(cell))
        values = [self.ledger[cell] for cell in range(start, start + count)]
        values += [-value for value in values]
        body = struct.pack(f"<{2 * count}d", *values)
        headers = block_headers(body, NAMES, generation=int(params["generation"]))
        headers |= {"Rheostat-Incarnation": self.incarnation, **told}
        return httpx.Response(200, content=body, headers=headers)

    def _settle(self, stop: int, params: httpx.QueryParams) -> None:
        if int(params["generation"]) != self.generation:
            raise StaleGeneration("a rewind started another generation", generation=self.generation)
        if stop > self.settled + self.max_jump:
            settled = self.settled * self.resolution
            raise StepJump("too far", settled_until=settled, max_jump=self.max_jump)
        self.settled = stop


@pytest.fixture
def service() -> FakeService:
    """Return a service in memory."""
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> Iterator[Client]:
    """Yield a client of it, and close it afterwards."""
    with Client("http://test", transport=httpx.MockTransport(service), retries=2) as client:
        yield client
