"""Checks of what decisions made: revisions and proposals, and where they landed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.evidence import Evidence
from tests.faults.judging_order import ends
from tests.faults.judging_reports import decided

Item = Mapping[str, Any]


def made(evidence: Evidence) -> Iterator[str]:
    """P11: a decision and what it makes exist together, or not at all."""
    proposals = {item["proposal"]: item for item in evidence.history.proposals}
    known: set[tuple[str, int]] = set()
    for each in evidence.history.decisions:
        known.add((each["controller"], each["step"]))
        kind, found = each["decision"], None
        if kind in {"change", "stop"}:
            found = evidence.revisions.get(each["revision"])
        elif kind == "proposal":
            found = proposals.get(each["proposal"])
        elif "problem" in each and each["revision"] is each["proposal"] is None:
            continue
        cause = (found or {}).get("cause") or {}
        if (cause.get("controller"), cause.get("step")) != (each["controller"], each["step"]):
            yield f"{decided(each)} has made {found and found['cause']}"
        elif found and kind != "proposal" and found["kind"] != kind:
            yield f"{decided(each)} has made a {found['kind']}"
    for item in (*evidence.history.revisions, *evidence.history.proposals):
        cause = item["cause"] or {}
        if "controller" in cause and (cause["controller"], cause["step"]) not in known:
            yield f"{cause} has made {item['kind']}, and was never decided"


def made_once(evidence: Evidence) -> Iterator[str]:
    """P11: of one decision there is one revision in a generation, and one proposal."""
    times: Counter[tuple[Any, ...]] = Counter()
    for item in evidence.history.revisions:
        cause = item["cause"] or {}
        if "controller" in cause and "proposal" not in cause:
            times[item["generation"], cause["controller"], cause["step"], item["kind"]] += 1
    for item in evidence.history.proposals:
        if item["cause"]:
            cause = item["cause"]
            times[item["generation"], cause["controller"], cause["step"], "proposal"] += 1
    for (generation, name, step, kind), number in times.items():
        if number > 1:
            yield f"{name} made a {kind} {number} times of step {step} of generation {generation}"


def landed(evidence: Evidence) -> Iterator[str]:
    """P2, P5, P11: a decision lands where its report says, or else at the next step."""
    answered = ends(evidence, lambda read: read.answered if read.values is not None else None)
    sent = ends(evidence, lambda read: read.sent, moved=True)
    first, heard = _times(evidence)
    for each in evidence.history.decisions:
        item = evidence.revisions.get(each["revision"] or 0)
        if item is None or item["generation"] != each["generation"]:
            continue
        key = each["controller"], each["step"], each["generation"]
        effective, generation = item["effective"], item["generation"]
        if effective != each["effective"]:
            yield f"{decided(each)} is effective at {effective}"
        settled = answered[generation].before(first.get(key[:2], 0.0), 0)
        if effective < settled:
            yield f"{decided(each)}, and {settled} was settled before it was reported"
        wanted = evidence.history.controllers[each["controller"]]["effective"]
        late_by = (item["cause"] or {}).get("late_by", 0)
        if wanted != "next" and effective - late_by != each["step"] + wanted["after"]:
            yield f"{decided(each)}, {late_by} late, after {wanted['after']}"
        if (wanted == "next" or late_by) and key in heard:
            start = evidence.history.generations[generation].start
            latest = sent[generation].before(heard[key], start)
            if effective > latest:
                yield f"{decided(each)}, and {latest} was open"


def remade(evidence: Evidence) -> Iterator[str]:
    """P11: what a rewind makes again is what was decided, at the very step."""
    for write, answer in evidence.rewinds():
        for each in answer.get("again", []):
            if each["revision"] is None:
                continue
            item = evidence.revisions.get(each["revision"])
            cause = {"controller": each["controller"], "step": each["step"]}
            before = [
                other
                for other in evidence.history.revisions
                if other["revision"] < each["revision"] and _is_of(other, cause)
            ]
            if item is None or not _is_of(item, cause):
                yield f"{write.message!r} made {cause} again, and the history has {item}"
            elif item["generation"] != answer["generation"] or not any(
                (other["effective"], other["changes"]) == (item["effective"], item["changes"])
                for other in before
            ):
                yield f"{write.message!r} made {cause} again, otherwise than it was"


def _is_of(item: Item, cause: Item) -> bool:
    there = item["cause"] or {}
    return item["kind"] == "change" and all(there.get(key) == cause[key] for key in cause)


def _times(
    evidence: Evidence,
) -> tuple[Mapping[tuple[str, int], float], Mapping[tuple[str, int, int], float]]:
    """Return when a controller can have heard of a step at the earliest, and decisions are told."""
    first: dict[tuple[str, int], float] = {}
    heard: dict[tuple[str, int, int], float] = {}
    watching = defaultdict(list)
    for name, config in evidence.history.controllers.items():
        watching[config["metric"]].append(name)
    for report in evidence.log.reports:
        for step, metric, _ in report.points:
            for name in watching[metric]:
                first[name, step] = min(report.sent, first.get((name, step), report.sent))
        for told in (report.answer or {}).get("decisions", []):
            key = told["controller"], told["step"], told["generation"]
            heard[key] = min(report.answered, heard.get(key, report.answered))
    return first, heard
