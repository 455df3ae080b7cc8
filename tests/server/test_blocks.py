"""What is kept of settled blocks: no more than the limit, and nothing of a run that is gone."""

from __future__ import annotations

import numpy as np
import pytest

from rheostat.formats import Format
from rheostat.server.http import blocks
from rheostat.server.http.blocks import (
    OVERHEAD,
    Address,
    BlockAnswer,
    BlockCache,
    BlockKey,
    settled,
)
from rheostat.server.runs.settling import Block


def block(start: int, run: str = "run_a") -> tuple[BlockKey, BlockAnswer, Address]:
    """Return a block of 8 cells: the key, its answer of 64 bytes, and an address."""
    made = Block(run, 1, start, 1, ["lr"], [], np.zeros((1, 8)), start + 8, "")
    address = (run.encode(), f"start={start}".encode(), None)
    return BlockKey(run, 1, start, 8, Format.F64), settled(made, Format.F64), address


def test_the_oldest_make_room() -> None:
    """P10: answers and their addresses take no more than the limit, and leave together."""
    kept = BlockCache(4 * (OVERHEAD + 100))
    made = [block(start) for start in range(5)]
    for key, answer, address in made:
        kept.put(key, answer)
        kept.note(address, key)
    assert [kept.get(key) for key, _, _ in made[:3]] == [None] * 3
    assert [kept.at(address) for _, _, address in made[:3]] == [None] * 3
    assert [kept.at(address) for _, _, address in made[3:]] == [a for _, a, _ in made[3:]]


def test_what_is_larger_than_the_limit_is_not_kept() -> None:
    """P10: an answer that alone is over the limit drives nothing out."""
    kept = BlockCache(OVERHEAD)
    key, answer, address = block(0)
    kept.put(key, answer)
    kept.note(address, key)
    assert kept.get(key) is kept.at(address) is None


def test_addresses_of_one_answer_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: who spells one key in many ways fills no memory."""
    monkeypatch.setattr(blocks, "ADDRESSES", 2)
    kept = BlockCache(1_000_000)
    key, answer, _ = block(0)
    kept.put(key, answer)
    spelled = [(b"run_a", b"start=" + b"0" * zeros, None) for zeros in range(1, 5)]
    for address in spelled:
        kept.note(address, key)
    assert [kept.at(address) for address in spelled] == [None, None, answer, answer]


def test_a_run_goes_as_a_whole() -> None:
    """Of a run that is deleted nothing is kept, and of others everything."""
    kept = BlockCache(1_000_000)
    gone, other = block(0), block(0, "run_b")
    for key, answer, address in (gone, other):
        kept.put(key, answer)
        kept.note(address, key)
    kept.drop_run("run_a")
    assert kept.get(gone[0]) is kept.at(gone[2]) is None
    assert kept.get(other[0]) is kept.at(other[2]) is other[1]
