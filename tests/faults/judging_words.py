"""Checks of what else is said: signals and what became of them, and proposals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.evidence import Evidence
from tests.faults.observations import Read, Signals
from tests.faults.recording import saying

GAP = 256
"""Cells before its start of which a block tells the signals."""


def signalled(evidence: Evidence) -> Iterator[str]:
    """P1, P2: a block tells the signals of its line, each at its step, and to all the same."""
    told: dict[tuple[int, int, int], tuple[tuple[int, int], ...]] = {}
    for read in evidence.served:
        yield from _misquoted(evidence, read)
        there = tuple((at, revision) for at, revision, _ in read.signals)
        due, allowed = _signals(evidence, read)
        if not due <= set(there) <= allowed or len(set(there)) != len(there):
            yield f"{_block(read)} told {there}, and its line has {sorted(due)}"
        if told.setdefault((read.generation, read.start, read.stop), there) != there:
            yield f"{_block(read)} told signals that differ"


def refused_with_signals(evidence: Evidence) -> Iterator[str]:
    """P2: who is refused at an end is told the signals that lie there."""
    for read in evidence.log.reads:
        if read.refusal in {"stopped", "paused"}:
            yield from _misquoted(evidence, read)
            if any(at != read.end for at, _, _ in read.signals):
                yield f"{read.signals} was told at the end {read.end}"


def _misquoted(evidence: Evidence, read: Read) -> Iterator[str]:
    said = _said(read.signals)
    for revision, (at, words) in said.items():
        item = evidence.revisions.get(revision)
        data = {} if item is None else item["data"] or {}
        if item is None or "signal" not in data:
            yield f"{_block(read)} told a signal of revision {revision}, which is {item}"
        elif at != item["effective"]:
            yield f"{_block(read)} told revision {revision} at {at}, not at {item['effective']}"
        elif words not in {None, saying(data["signal"], data["arguments"])}:
            yield f"{_block(read)} told {words} of revision {revision}, which says {data}"


def _said(signals: Signals) -> Mapping[int, tuple[int, str | None]]:
    return {revision: (at, words) for at, revision, words in signals}


def _signals(evidence: Evidence, read: Read) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return the signals that a block has to tell, and those that it may."""
    first = max(read.start - GAP, 0)
    due: set[tuple[int, int]] = set()
    allowed: set[tuple[int, int]] = set()
    for owner, start, stop in evidence.history.owners(read.generation, first, read.stop):
        for step, revision, cancelled in evidence.signals[owner]:
            if start <= step < stop:
                allowed.add((step, revision))
                if not cancelled:
                    due.add((step, revision))
    return due, allowed


def outcomes_once(evidence: Evidence) -> Iterator[str]:
    """P4: what a worker said first became of a signal is kept, and told to whoever says more."""
    kept = {(item["revision"], item["source"]): item for item in evidence.history.outcomes}
    if len(kept) != len(evidence.history.outcomes):
        yield "an outcome is kept twice"
    asked = defaultdict(list)
    for each in evidence.log.outcomes:
        key = each.request["revision"], each.request["source"]
        asked[key].append(each.request["outcome"])
        if each.answer is not None and kept.get(key) != each.answer:
            yield f"{each.answer} was acknowledged, and kept is {kept.get(key)}"
    for key, item in kept.items():
        if item["outcome"] not in asked[key]:
            yield f"{item} is kept, which nobody said"


def accepted_once(evidence: Evidence) -> Iterator[str]:
    """P4, P7: a proposal is decided on once, and what it made is there."""
    by = Counter(
        item["cause"]["proposal"]
        for item in evidence.history.revisions
        if "proposal" in (item["cause"] or {})
    )
    proposals = {item["proposal"]: item for item in evidence.history.proposals}
    answers: Counter[int] = Counter()
    for write in evidence.log.writes:
        if write.answer is None or write.kind not in {"propose", "accept", "decline"}:
            continue
        number = write.answer["proposal"]
        item = proposals.get(number)
        state = {"accept": "accepted", "decline": "declined"}.get(write.kind)
        answers[number] += state is not None
        if item is None or (state is None and item["message"] != write.message):
            yield f"proposal {number} was acknowledged, and is {item}"
        elif state is not None and not _stands(item, state, write.answer):
            yield f"proposal {number} was {state}, and is {item['state']}"
    for number, times in answers.items():
        if times > 1:
            yield f"proposal {number} was decided on {times} times"
    for number, item in proposals.items():
        made = evidence.revisions.get(item["revision"] or 0)
        if by[number] != (item["state"] == "accepted"):
            yield f"proposal {number} is {item['state']}, and made {by[number]} revisions"
        elif made is not None and made["cause"]["proposal"] != number:
            yield f"proposal {number} says that it made revision {item['revision']}"


def _stands(item: Mapping[str, Any], state: str, answer: Mapping[str, Any]) -> bool:
    return (item["state"], item["revision"]) == (state, answer["revision"])


def _block(read: Read) -> str:
    return f"generation {read.generation}, {read.start} to {read.stop},"
