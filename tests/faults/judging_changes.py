"""Checks of what operators and watchdogs were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.faults.evidence import Evidence
from tests.faults.observations import Write


def acknowledged(evidence: Evidence) -> Iterator[str]:
    """P4: every acknowledged change, of whatever kind, is in the history as it was told."""
    for write in evidence.acknowledged:
        assert write.answer is not None
        item = evidence.revisions.get(write.answer["revision"])
        if item is None:
            yield f"{_told(write)}, and the history has no such revision"
        elif (differing := _differing(evidence, write, item)) is not None:
            yield f"{_told(write)}, and the history says {differing}"


def _differing(evidence: Evidence, write: Write, item: Mapping[str, Any]) -> str | None:
    told = write.answer or {}
    pairs: list[tuple[str, Any, Any]]
    if write.kind == "accept":
        by = (item["cause"] or {}).get("proposal")
        return None if by == write.request["proposal"] else f"cause {item['cause']!r}"
    kind = "cancel" if write.kind == "resume" else write.kind
    pairs = [("message", write.message, item["message"]), ("kind", kind, item["kind"])]
    if write.kind in {"change", "advance", "stop", "pause", "signal"}:
        pairs.append(("effective", told["effective"], item["effective"]))
        pairs.append(("generation", told.get("generation", item["generation"]), item["generation"]))
    elif write.kind == "resume":
        taken = [evidence.revisions[number]["cancelled"] for number in told["cancelled"]]
        pairs.append(("cancelled", True, all(taken)))
        pairs.append(("until", "until" in write.request, told["pause"] is not None))
    elif write.kind == "cancel":
        target = evidence.revisions[told["cancelled"]]
        pairs.append(("cancels", told["cancelled"], item["cancels"]))
        pairs.append(("cancelled", True, target["cancelled"]))
    else:
        generation = evidence.history.generations.get(told["generation"])
        if generation is None:
            return "there is no such generation"
        pairs.append(("generation", told["generation"], item["generation"]))
        pairs.append(("from", told["from"], generation.start))
        pairs.append(("parent", told["parent"], generation.parent))
    wrong = [f"{name} {actual!r}" for name, due, actual in pairs if due != actual]
    return ", ".join(wrong) or None


def known(evidence: Evidence) -> Iterator[str]:
    """P4: the history holds nothing twice, nothing that nobody asked for, and has no gaps."""
    numbers = [item["revision"] for item in evidence.history.revisions]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the revisions are numbered {numbers}"
    own = [item for item in evidence.history.revisions[1:] if not item["cause"]]
    messages = Counter((item["message"], item["kind"]) for item in own)
    for (message, _), times in messages.items():
        write = evidence.asked.get(message)
        if times > 1:
            yield f"{message!r} was done {times} times"
        if write is None:
            yield f"{message!r} was never asked for"
        elif write.refusal is not None and write.attempts == 1:
            yield f"{message!r} was refused ({write.refusal}), and done"


def expected(evidence: Evidence) -> Iterator[str]:
    """Compare-and-set: whoever named what he had seen was not preceded by anybody."""
    for write in evidence.acknowledged:
        assert write.answer is not None
        for field in ("revision", "generation"):
            seen = write.request.get(f"expected_{field}")
            if seen is not None and write.answer[field] != seen + 1:
                yield f"{_told(write)}, though it expected {field} {seen}"


def placed(evidence: Evidence) -> Iterator[str]:
    """P2: a change is at the very step that was asked for, and is what was asked for."""
    for write in evidence.acknowledged:
        assert write.answer is not None
        item = evidence.revisions.get(write.answer["revision"])
        if write.kind in {"cancel", "resume", "accept"} or item is None:
            continue
        step = write.request.get("effective", write.request.get("to"))
        if step not in {"next", item["effective"]}:
            yield f"{_told(write)}, for step {step}"
        if not _same(write.request.get("changes") or {}, item["changes"]):
            yield f"{_told(write)}, and stored as {item['changes']}"


def _same(asked: Mapping[str, Sequence[Any]], stored: Mapping[str, Sequence[Any]]) -> bool:
    """Whether what is stored says at least what was asked; it says the defaults, too."""
    return asked.keys() == stored.keys() and all(
        len(asked[name]) == len(stored[name])
        and all(
            one.items() <= other.items()
            for one, other in zip(asked[name], stored[name], strict=True)
        )
        for name in asked
    )


def _told(write: Write) -> str:
    facts = {name: item for name, item in (write.answer or {}).items() if name != "pending"}
    return f"{write.kind} {write.message!r} was acknowledged with {facts}"
