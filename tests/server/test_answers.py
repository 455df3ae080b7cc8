"""What is kept of settled blocks: no more than the limit, and nothing of a run that is gone."""

from __future__ import annotations

import numpy as np
import pytest

from rheostat.formats import Format
from rheostat.server.fastlane import cache as answers
from rheostat.server.fastlane.cache import OVERHEAD, Address, Answer, Answers, Question, settled
from rheostat.server.runs.block import Block


def block(start: int, run: str = "run_a") -> tuple[Question, Answer, Address]:
    """Return a block of 8 cells: the question, its answer of 64 bytes, and an address."""
    made = Block(run, 1, start, 1, ["lr"], [], np.zeros((1, 8)), start + 8, "")
    address = (run.encode(), f"start={start}".encode(), None)
    return Question(run, 1, start, 8, Format.F64), settled(made, Format.F64), address


def test_the_oldest_make_room() -> None:
    """P10: answers and their addresses take no more than the limit, and leave together."""
    kept = Answers(4 * (OVERHEAD + 100))
    blocks = [block(start) for start in range(5)]
    for question, answer, address in blocks:
        kept.put(question, answer)
        kept.note(address, question)
    assert [kept.get(question) for question, _, _ in blocks[:3]] == [None] * 3
    assert [kept.at(address) for _, _, address in blocks[:3]] == [None] * 3
    assert [kept.at(address) for _, _, address in blocks[3:]] == [a for _, a, _ in blocks[3:]]


def test_what_is_larger_than_the_limit_is_not_kept() -> None:
    """P10: an answer that alone is over the limit drives nothing out."""
    kept = Answers(OVERHEAD)
    question, answer, address = block(0)
    kept.put(question, answer)
    kept.note(address, question)
    assert kept.get(question) is kept.at(address) is None


def test_addresses_of_one_answer_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: who spells one question in many ways fills no memory."""
    monkeypatch.setattr(answers, "ADDRESSES", 2)
    kept = Answers(1_000_000)
    question, answer, _ = block(0)
    kept.put(question, answer)
    spelled = [(b"run_a", b"start=" + b"0" * zeros, None) for zeros in range(1, 5)]
    for address in spelled:
        kept.note(address, question)
    assert [kept.at(address) for address in spelled] == [None, None, answer, answer]


def test_a_run_goes_as_a_whole() -> None:
    """Of a run that is deleted nothing is kept, and of others everything."""
    kept = Answers(1_000_000)
    gone, other = block(0), block(0, "run_b")
    for question, answer, address in (gone, other):
        kept.put(question, answer)
        kept.note(address, question)
    kept.drop_run("run_a")
    assert kept.get(gone[0]) is kept.at(gone[2]) is None
    assert kept.get(other[0]) is kept.at(other[2]) is other[1]
