"""Checks of what reporters were told: what is kept, and what was decided on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from tests.faults import rules
from tests.faults.evidence import Evidence
from tests.faults.hearing import Hearing, Key
from tests.faults.lines import Line
from tests.faults.observations import Report


def kept_once(evidence: Evidence) -> Iterator[str]:
    """P4, P11: a report that was acknowledged is kept, by the bits that came first."""
    sent: dict[Key, list[tuple[Report, float]]] = defaultdict(list)
    for report in evidence.log.reports:
        for step, metric, value in report.points:
            owner = evidence.history.owner(report.generation, step)
            sent[owner, metric, step, report.source].append((report, value))
    for (owner, metric, step, source), each in sent.items():
        kept = evidence.history.reports.get((owner, metric), {}).get(step, {}).get(source)
        taken = [(report, value) for report, value in each if _took(report)]
        if kept is None:
            if taken:
                yield f"{metric} of {source} at step {step} was acknowledged, and is not kept"
            continue
        if not any(_same(kept, value) for _, value in each):
            yield f"{metric} of {source} at step {step} is kept as {kept}, which nobody sent"
            continue
        begun = min(report.sent for report, value in each if _same(kept, value))
        for report, value in taken:
            if not _same(value, kept) and report.answered < begun:
                yield f"{metric} at step {step} is kept as {kept}, and {value} came first"


def counted(evidence: Evidence) -> Iterator[str]:
    """P11: an answer says what became of each report, and of others' bits what is kept."""
    for report in evidence.log.reports:
        if not _took(report):
            continue
        answer = report.answer or {}
        told = answer["kept"] + answer["repeated"] + len(answer["differs"])
        if told != len(report.points):
            yield f"{len(report.points)} reports were sent, and {told} are accounted for"
        for each in answer["differs"]:
            owner = evidence.history.owner(report.generation, each["step"])
            kept = evidence.history.reports.get((owner, each["metric"]), {})
            there = kept.get(each["step"], {}).get(report.source)
            if there is None or not _same(there, float(each["kept"])):
                yield f"{each} was answered, and {there} is kept"


def decided_once(evidence: Evidence) -> Iterator[str]:
    """P4, P11: a controller decides once on a report, and says the same to all."""
    events = {item["event"]: item for item in evidence.history.decisions}
    for report in evidence.log.reports:
        for told in (report.answer or {}).get("decisions", []):
            if events.get(told["event"]) != told:
                yield f"{decided(told)} was answered, and kept is {events.get(told['event'])}"
    for number in evidence.history.generations:
        line = Line(evidence.history, number)
        there = (d for d in evidence.history.decisions if line.has(d["generation"], d["step"]))
        for key, times in Counter((d["controller"], d["step"]) for d in there).items():
            if times > 1:
                name, step = key
                yield f"{name} decided {times} times on step {step} of generation {number}"


def reasoned(evidence: Evidence) -> Iterator[str]:
    """P11: what a controller decides is what its rule makes of the reports of its line."""
    hearing = Hearing(evidence)
    for name, config in evidence.history.controllers.items():
        for number in evidence.history.generations:
            yield from _followed(evidence, hearing, name, config, number)


def _followed(
    evidence: Evidence, hearing: Hearing, name: str, config: rules.Config, number: int
) -> Iterator[str]:
    """
    Follow one controller along one line, report by report.

    Where it cannot be known whether a late report was consumed, or whether a decision was taken
    back before a report or after it, both are followed, and one of them has to hold.
    """
    line = Line(evidence.history, number)
    there = [each for each in evidence.history.decisions if each["controller"] == name]
    made = {each["step"]: each for each in there if line.has(each["generation"], each["step"])}
    worlds = {rules.FRESH}
    for report, before in hearing.along(line, config["metric"], config["sources"]["expect"]):
        if hearing.may_be_relieved(name, line, before, report.done):
            worlds |= {rules.relieved(state) for state in worlds}
        decision = made.pop(report.step, None)
        if decision is not None and not _same(float(decision["value"]), report.value):
            yield f"{decided(decision)} consumed {decision['value']}, and {report.value} is kept"
        fires = decision is not None
        found = [rules.step(config, state, report.value) for state in worlds]
        fitting = {state for state, fired in found if fired == fires}
        if not fires and not report.surely:
            fitting |= worlds
        if not fitting:
            verb = "decided" if fires else "decided nothing"
            yield f"{name} {verb} at step {report.step} of generation {number}, against its rule"
            return
        worlds = fitting
    for step in made:
        yield f"{name} decided on step {step} of generation {number}, which nobody reported"


def decided(decision: Mapping[str, Any]) -> str:
    """Say what was decided."""
    facts = ("controller", "step", "generation", "decision", "revision", "proposal", "effective")
    return str({fact: decision[fact] for fact in facts})


def _took(report: Report) -> bool:
    """Whether all points of a request were acknowledged."""
    return report.answer is not None and not report.answer["again"]


def _same(one: float, other: float) -> bool:
    """Whether two values are the same, NaN included."""
    return np.float64(one).tobytes() == np.float64(other).tobytes()
