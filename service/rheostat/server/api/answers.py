"""Settled blocks as they are sent: made once, kept in memory, and the same bytes for everybody."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from rheostat.server.api.formats import Format
from rheostat.server.api.render import write_json
from rheostat.server.runs.block import Block
from rheostat.server.store.cache import BoundedCache

IMMUTABLE = "public, max-age=31536000, immutable"


class Question(NamedTuple):
    """A settling read, but for what does not change its answer."""

    run_id: str
    generation: int
    start: int
    cells: int
    chosen: Format


class Answer(NamedTuple):
    """The body of a block, and its headers."""

    body: bytes
    headers: dict[str, str]


Answers = BoundedCache[Question, Answer]


def settled(block: Block, chosen: Format) -> Answer:
    """Return a settled block as the answer that anybody may keep for ever."""
    body = _f64(block) if chosen is Format.F64 else write_json(to_json(block))
    headers = {
        "Content-Type": chosen.media_type,
        "Cache-Control": IMMUTABLE,
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Vary": "Accept",
        "Rheostat-Parameters": ",".join(block.names),
        "Rheostat-Generation": str(block.generation),
        "Rheostat-Revisions": ",".join(f"{number}@{step}" for step, number in block.revisions),
    }
    return Answer(body, headers)


def to_json(block: Block) -> dict[str, object]:
    """Return a block as a document."""
    return {
        "id": block.run_id,
        "generation": block.generation,
        "start": block.start,
        "count": block.count,
        "resolution": block.resolution,
        "revisions": [{"from": step, "revision": number} for step, number in block.revisions],
        "parameters": dict(zip(block.names, block.values, strict=True)),
    }


def _f64(block: Block) -> bytes:
    return block.values.astype("<f8", copy=False).tobytes()
