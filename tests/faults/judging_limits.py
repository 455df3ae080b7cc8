"""Checks of what an agent with a limit has done: from the history alone, whatever it was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from tests.faults.agents import COUNT, DISTANCE, NAME
from tests.faults.evidence import Evidence

Item = Mapping[str, Any]
COUNTED = frozenset({"change", "stop", "signal"})
FOLDING = frozenset({"create", "change", "rewind", "total"})


def limited(evidence: Evidence) -> Iterator[str]:
    """P7: an agent has made no more than its limit leaves, cancelled or rewound or not."""
    made = [item["revision"] for item in _deeds(evidence)]
    if len(made) > COUNT:
        yield f"the agent may make {COUNT} changes, and made {len(made)}: {made}"


def apart(evidence: Evidence) -> Iterator[str]:
    """P7: none of its changes is near an earlier one that held when it was made."""
    changes = [item for item in _deeds(evidence) if item["kind"] == "change"]
    for earlier, later in combinations(changes, 2):
        distance = abs(later["effective"] - earlier["effective"])
        if distance < DISTANCE and _held(evidence, earlier, later):
            yield (
                f"revision {later['revision']} of the agent is {distance} steps from its revision"
                f" {earlier['revision']}"
            )


def own_taken_back(evidence: Evidence) -> Iterator[str]:
    """P7: what an agent cancels, or lets go on, it did itself, and nobody else has accepted it."""
    for item in evidence.history.revisions:
        if item["kind"] == "cancel" and _own(item):
            taken = (item["data"] or {}).get("pauses", [item["cancels"]])
            for number in taken:
                if not _own(evidence.revisions[number]):
                    yield f"revision {item['revision']} of the agent took back {number}"


def free_for_cause(evidence: Evidence) -> Iterator[str]:
    """P7: what counts for nothing goes back to before an agent's own changes, and nobody else's."""
    for item in evidence.history.revisions:
        if not _takes_back(item):
            continue
        taken = set()
        for name, edits in item["changes"].items():
            if [edit.get("edit") for edit in edits] != ["revert"]:
                yield f"revision {item['revision']} of the agent is free, and says {edits}"
                continue
            between = _between(evidence, item, name, edits[0]["to"])
            taken |= {each["revision"] for each in between if not _takes_back(each)}
            others = [each["revision"] for each in between if not _own(each)]
            if others:
                yield f"revision {item['revision']} of the agent undid {others} of others"
        if not taken:
            yield f"revision {item['revision']} of the agent is free, and took nothing back"


def _own(item: Item) -> bool:
    return item["author"] == NAME and "proposal" not in (item["cause"] or {})


def _takes_back(item: Item) -> bool:
    return item["kind"] == "change" and "takes_back" in (item["data"] or {})


def _deeds(evidence: Evidence) -> list[Item]:
    """Return what counts, in the order in which it was done."""
    there = (item for item in evidence.history.revisions if _own(item) and not _takes_back(item))
    return [item for item in there if item["kind"] in COUNTED]


def _held(evidence: Evidence, item: Item, later: Item) -> bool:
    """Whether a revision held on the line on which a later one was made, at that moment."""
    for each in evidence.history.revisions:
        if each["cancels"] == item["revision"] and each["revision"] < later["revision"]:
            return False
    reach = float("inf")
    for generation in evidence.history.line(later["generation"]):
        if generation.number == item["generation"]:
            return bool(item["effective"] <= reach)
        reach = min(reach, generation.start)
    return False


def _between(evidence: Evidence, item: Item, name: str, to: int) -> list[Item]:
    """Return what changed a parameter from a revision on to a later one, as that found it."""
    start = evidence.revisions[to]["effective"], to
    end = item["effective"], item["revision"]
    return [
        each
        for each in evidence.history.revisions
        if each["kind"] in FOLDING
        and (each["kind"] != "change" or name in each["changes"])
        and start < (each["effective"], each["revision"]) < end
        and each["revision"] < item["revision"]
        and _held(evidence, each, item)
    ]
