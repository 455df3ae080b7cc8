"""Blocks of values as they are sent: settled ones are made once, and kept for all who ask."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Scope

from rheostat import wire
from rheostat.digests import body_digest, names_digest
from rheostat.formats import Format
from rheostat.server.http.browsers import Header, protections
from rheostat.server.http.curves import write_json
from rheostat.server.runs.fragments import by_name
from rheostat.server.runs.lineage import GenerationKey
from rheostat.server.runs.settling import Block
from rheostat.server.runs.signals import header
from rheostat.server.store.caches import CacheFigures

ROUTE = "/v1/runs/{run}/values"
"""Template of the path of a block."""

SETTLED = "rheostat.settled_block"
"""Key of the scope under which the route leaves the `BlockKey` of the settled block it answers."""

IMMUTABLE = "public, max-age=31536000, immutable"

OVERHEAD = 1024
"""Bytes of memory that are counted for an answer, and for an address, besides their texts."""

ADDRESSES = 8
"""Addresses of one answer that are remembered: its readers send the same one, mostly."""


class BlockKey(NamedTuple):
    """Which settled block is asked for, and in which format."""

    run_id: str
    generation: int
    start: int
    cells: int
    chosen: Format


Address = tuple[bytes, bytes, bytes | None]
"""Path, query and ``Accept`` of a request as they came: all that decides which block it gets."""


def address_of(scope: Scope, headers: Mapping[bytes, bytes]) -> Address | None:
    """Return a request's address, None if a header is there twice or the server kept no path."""
    path = scope.get("raw_path")
    if path is None or len(headers) < len(scope["headers"]):
        return None
    return path, scope["query_string"], headers.get(b"accept")


class Rendered(NamedTuple):
    """An answer as it is sent: 200 with a body, or 304 to a reader who has it already."""

    status: int
    headers: list[Header]
    lines: bytes
    """The same headers, and those that protect every answer, as they stand on the wire."""
    body: bytes


class Cells(NamedTuple):
    """Which cells an answer holds: of a generation, from ``start`` to ``stop``."""

    owner: GenerationKey
    start: int
    stop: int

    @classmethod
    def of(cls, block: Block) -> Cells:
        """Return the cells of a block."""
        stop = block.start + block.count * block.resolution
        return cls(GenerationKey(block.run_id, block.generation), block.start, stop)


@dataclass(frozen=True, slots=True)
class BlockAnswer:
    """A settled block, ready to be sent."""

    tag: bytes
    whole: Rendered
    unchanged: Rendered
    cells: Cells
    said: int = 0
    """Bytes of the header of signals, which stands four times in it."""
    addresses: list[Address] = field(default_factory=list)

    def to(self, if_none_match: bytes | None) -> Rendered:
        """Return what is sent to a reader who names the tag of what it has, or None."""
        return self.unchanged if if_none_match == self.tag else self.whole

    @property
    def size(self) -> int:
        """Bytes that it takes, without its addresses."""
        return OVERHEAD + len(self.whole.body) + 4 * self.said


def settled(block: Block, chosen: Format) -> BlockAnswer:
    """
    Return a settled block as the answer that anybody may keep for ever.

    The headers tell which life of the database it comes from, and as which event of its run it was
    settled: by these a worker notices that a backup was put in the place of what it has read.
    """
    body = _f64(block) if chosen is Format.F64 else write_json(to_json(block))
    headers = {
        "Content-Type": chosen.media_type,
        "Cache-Control": IMMUTABLE,
        "ETag": f'"{body_digest(body)}"',
        **_described(block),
    }
    headers["Rheostat-Incarnation"] = block.incarnation
    if block.event is not None:
        headers["Rheostat-Event"] = str(block.event)
    whole = Response(body, headers=headers)
    unchanged = Response(status_code=304, headers=headers)
    said = len(headers.get("Rheostat-Signals", ""))
    return BlockAnswer(
        headers["ETag"].encode(), _rendered(whole), _rendered(unchanged), Cells.of(block), said
    )


def preview(block: Block, chosen: Format) -> Response:
    """Return a block of which not all is settled, as an answer that nobody may keep."""
    document: wire.Preview = {**to_json(block), "final": block.final}
    body = _f64(block) if chosen is Format.F64 else write_json(document)
    headers = {
        "Content-Type": chosen.media_type,
        "Cache-Control": "no-store",
        **_described(block),
        "Rheostat-Settled-Until": str(block.settled_until),
    }
    return Response(body, headers=headers)


def _described(block: Block) -> dict[str, str]:
    """Return the headers that say what a block holds."""
    return {
        "Vary": "Accept",
        "Rheostat-Run": block.run_id,
        "Rheostat-Generation": str(block.generation),
        "Rheostat-Start": str(block.start),
        "Rheostat-Parameters": names_digest(block.names),
        "Rheostat-Revisions": ",".join(f"{number}@{step}" for step, number in block.revisions),
        **({"Rheostat-Signals": header(block.signals)} if block.signals else {}),
    }


def _rendered(response: Response) -> Rendered:
    headers = response.raw_headers
    on_wire = (b"%b: %b\r\n" % header for header in (*headers, *protections(headers)))
    return Rendered(response.status_code, headers, b"".join(on_wire), bytes(response.body))


class BlockCache:
    """
    Keeps the newest settled blocks, up to ``limit`` bytes; for the event loop alone.

    Each is found by its key, and by the addresses that were noted for it, without parsing them.
    All ranks read a block when it is new, so the oldest go first: no use of one is noted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._answers: OrderedDict[BlockKey, BlockAnswer] = OrderedDict()
        self._at: dict[Address, BlockAnswer] = {}
        self._hits, self._misses = 0, 0

    def get(self, key: BlockKey) -> BlockAnswer | None:
        """Return the answer of a key, or None."""
        found = self._answers.get(key)
        if found is None:
            self._misses += 1
        else:
            self._hits += 1
        return found

    def at(self, address: Address) -> BlockAnswer | None:
        """Return the answer that was noted for an address, or None, which is no miss: see `get`."""
        found = self._at.get(address)
        if found is not None:
            self._hits += 1
        return found

    @property
    def figures(self) -> CacheFigures:
        """What it has done, and what it holds."""
        return CacheFigures(self._hits, self._misses, self._size, self._limit)

    def put(self, key: BlockKey, answer: BlockAnswer) -> None:
        """Keep an answer, unless it alone is over the limit."""
        if key not in self._answers and answer.size <= self._limit:
            self._answers[key] = answer
            self._grow(answer.size)

    def note(self, address: Address, key: BlockKey) -> None:
        """Remember that a request from an address asked for this, if its answer is kept."""
        answer = self._answers.get(key)
        if answer is None or address in self._at:
            return
        if len(answer.addresses) == ADDRESSES:
            self._forget(answer.addresses.pop(0))
        answer.addresses.append(address)
        self._at[address] = answer
        self._grow(_size(address))

    def drop_run(self, run_id: str) -> None:
        """Drop all answers of a run."""
        for key in [key for key in self._answers if key.run_id == run_id]:
            self._drop(self._answers.pop(key))

    def _grow(self, size: int) -> None:
        self._size += size
        while self._size > self._limit:
            self._drop(self._answers.popitem(last=False)[1])

    def _drop(self, answer: BlockAnswer) -> None:
        self._size -= answer.size
        for address in answer.addresses:
            self._forget(address)

    def _forget(self, address: Address) -> None:
        del self._at[address]
        self._size -= _size(address)


def _size(address: Address) -> int:
    return OVERHEAD + sum(len(part) for part in address if part)


def to_json(block: Block) -> wire.Block:
    """Return a block as a document; one that tells no signal has no list of them."""
    document: wire.Block = {
        "id": block.run_id,
        "generation": block.generation,
        "start": block.start,
        "count": block.count,
        "resolution": block.resolution,
        "revisions": [{"from": step, "revision": number} for step, number in block.revisions],
        "parameters": by_name(block.names, block.values),
    }
    if block.signals:
        document["signals"] = [signal.to_json() for signal in block.signals]
    return document


def _f64(block: Block) -> bytes:
    return block.values.astype("<f8", copy=False).tobytes()
