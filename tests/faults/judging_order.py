"""Checks of real time: what was answered before something else was sent, happened before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from tests.faults.evidence import Evidence, Highest
from tests.faults.observations import Join, Read, Write

Time = Callable[[Read], float | None]


def ordered(evidence: Evidence) -> Iterator[str]:
    """P7: changes of all kinds are numbered in an order that real time allows."""
    numbers = [
        (write.answered, int(write.answer["revision"]))
        for write in evidence.acknowledged
        if write.answer is not None
    ]
    newest = Highest(numbers)
    for write, (_, number) in zip(evidence.acknowledged, numbers, strict=True):
        before = newest.before(write.sent, 0)
        if before >= number:
            yield f"{write.message!r} is revision {number}, sent after {before} was acknowledged"


def open_when_accepted(evidence: Evidence) -> Iterator[str]:
    """P2, P7: what was settled before a change or its cancellation was sent, it did not touch."""
    answered = ends(evidence, lambda read: read.answered if read.values is not None else None)
    for write in evidence.acknowledged:
        assert write.answer is not None
        number = write.answer["cancelled" if write.kind == "cancel" else "revision"]
        item = evidence.revisions.get(number)
        if item is None or write.kind in {"rewind", "resume"}:
            continue
        settled = answered[item["generation"]].before(write.sent, 0)
        if settled > item["effective"]:
            step = item["effective"]
            yield f"{write.message!r} acts from step {step}, and {settled} was settled before"
    for write, answer in evidence.rewinds():
        settled = answered[answer["generation"] - 1].before(write.sent, 0)
        if settled > answer["ended"]:
            yield f"{write.message!r} ended at {answer['ended']}, and {settled} was settled before"


def no_later_than_needed(evidence: Evidence) -> Iterator[str]:
    """P5: a change for the next step is at the first one that nobody had asked for yet."""
    sent = ends(evidence, lambda read: read.sent, moved=True)
    for write in evidence.acknowledged:
        assert write.answer is not None
        item = evidence.revisions.get(write.answer["revision"])
        if item is None or write.request.get("effective") != "next":
            continue
        start = evidence.history.generations[item["generation"]].start
        latest = sent[item["generation"]].before(write.answered, start)
        if item["effective"] > latest:
            step = item["effective"]
            yield f"{write.message!r} acts from step {step}, and {latest} was open"


def fenced(evidence: Evidence) -> Iterator[str]:
    """P6: once a rewind is acknowledged, the generation that it left settles nothing more."""
    ended = {
        answer["generation"] - 1: (write.answered, answer["ended"])
        for write, answer in evidence.rewinds()
    }
    for number, (_, end) in ended.items():
        settled = evidence.history.generations[number].settled_until
        if settled != end:
            yield f"generation {number} was left at {end}, and is settled to {settled}"
    for read in evidence.served:
        time, end = ended.get(read.generation, (float("inf"), 0))
        if read.sent > time and read.stop > end:
            yield f"generation {read.generation} was read to {read.stop}, and was left at {end}"


def refused_for_cause(evidence: Evidence) -> Iterator[str]:
    """P6, P9: who is fenced off asked for new values of a generation that was left."""
    begun = _begun(evidence)
    for read in evidence.log.reads:
        if read.refusal != "stale-generation" or read.answered is None:
            continue
        end = evidence.history.generations[read.generation].settled_until
        if read.stop <= end:
            yield f"generation {read.generation} is settled to {end}, and {read.stop} was refused"
        if begun.get(read.current or 0, float("inf")) > read.answered:
            yield f"generation {read.current} was named before anybody asked for it"


def joined(evidence: Evidence) -> Iterator[str]:
    """P6, P7: who joins gets the current generation, and only with a checkpoint of its past."""
    done = Highest((write.answered, answer["generation"]) for write, answer in evidence.rewinds())
    begun = _begun(evidence)
    for join in evidence.log.joins:
        current = done.before(join.sent, 1)
        if join.generation < current or begun.get(join.generation, float("inf")) > join.answered:
            yield f"generation {join.generation} was joined, and {current} was acknowledged before"
        if join.accepted != _resumable(evidence, join):
            verb = "resumed" if join.accepted else "refused"
            yield f"the checkpoint {join.checkpoint} was {verb} in generation {join.generation}"


def _resumable(evidence: Evidence, join: Join) -> bool:
    if join.checkpoint is None:
        return True
    wanted, step = join.checkpoint
    for generation in evidence.history.line(join.generation):
        if generation.number == wanted:
            return True
        if step > generation.start:
            return False
    return False


def _begun(evidence: Evidence) -> Mapping[int, float]:
    """Return when each generation was first asked for."""
    asked: dict[str, Write] = {write.message: write for write in evidence.log.writes}
    return {1: 0.0} | {
        item["generation"]: asked[item["message"]].sent
        for item in evidence.history.revisions
        if item["kind"] == "rewind" and item["message"] in asked
    }


def ends(evidence: Evidence, time: Time, *, moved: bool = False) -> Mapping[int, Highest]:
    """Return, by generation, the ends of the reads that had that time, or of advances, too."""
    found: dict[int, list[tuple[float, int]]] = defaultdict(list)
    if moved:
        asked = {write.message: write.sent for write in evidence.log.writes}
        for item in evidence.history.revisions:
            if item["kind"] == "advance" and item["message"] in asked:
                found[item["generation"]].append((asked[item["message"]], item["effective"]))
    for read in evidence.log.reads:
        moment = time(read)
        if moment is not None:
            found[read.generation].append((moment, read.stop))
    return defaultdict(lambda: Highest([]), {n: Highest(known) for n, known in found.items()})
