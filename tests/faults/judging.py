"""The judge: a pure function from what was observed, and the final history, to what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from tests.faults import (
    judging_barriers,
    judging_changes,
    judging_decisions,
    judging_limits,
    judging_order,
    judging_proof,
    judging_reports,
    judging_values,
    judging_words,
)
from tests.faults.evidence import Evidence
from tests.faults.history import History
from tests.faults.observations import Log

Check = Callable[[Evidence], Iterator[str]]

CHECKS: tuple[Check, ...] = (
    judging_values.written_once,
    judging_values.written_down,
    judging_values.explained,
    judging_values.reigning,
    judging_values.atomic,
    judging_values.settled,
    judging_changes.acknowledged,
    judging_changes.known,
    judging_changes.expected,
    judging_changes.placed,
    judging_order.ordered,
    judging_order.open_when_accepted,
    judging_order.no_later_than_needed,
    judging_order.fenced,
    judging_order.refused_for_cause,
    judging_order.joined,
    judging_reports.kept_once,
    judging_reports.counted,
    judging_reports.decided_once,
    judging_reports.reasoned,
    judging_decisions.made,
    judging_decisions.made_once,
    judging_decisions.landed,
    judging_decisions.remade,
    judging_barriers.held,
    judging_barriers.told,
    judging_barriers.named,
    judging_words.signalled,
    judging_words.refused_with_signals,
    judging_words.outcomes_once,
    judging_words.accepted_once,
    judging_limits.limited,
    judging_limits.apart,
    judging_limits.own_taken_back,
    judging_limits.free_for_cause,
    judging_proof.heard,
    judging_proof.named,
    judging_proof.no_false_alarm,
    judging_proof.saved_once,
    judging_proof.resumable,
)

MOST = 5
"""Violations of one check that are told: the first ones say enough."""


def violations(log: Log, histories: Mapping[str, History]) -> list[str]:
    """Return what the observations of these runs break, in sentences; none if all is well."""
    found = list(log.strange)
    for run, history in histories.items():
        evidence = Evidence(log.of(run), history)
        for check in CHECKS:
            told = islice(check(evidence), MOST)
            found += [f"{check.__name__}, run {run}: {sentence}" for sentence in told]
    return found
