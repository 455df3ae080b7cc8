"""The judge of the fault test: what is sound passes, and each kind of lie is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.faults import judging
from tests.faults.history import Generation, History
from tests.faults.judging import violations
from tests.faults.observations import Log
from tests.faults.sample_history import HALF, RUN, cells, read, sample_history, twins, write

Plant = Callable[[Log, History], Log | History]
PLANTS: dict[str, list[Plant]] = {}


def plants(check: str) -> Callable[[Plant], Plant]:
    """Say which check is to catch a plant."""

    def add(plant: Plant) -> Plant:
        PLANTS.setdefault(check, []).append(plant)
        return plant

    return add


def revised(history: History, number: int, **facts: Any) -> History:
    """Return the history with one revision told otherwise."""
    items = [{**i, **facts} if i["revision"] == number else i for i in history.revisions]
    return replace(history, revisions=items)


def written(log: Log, index: int, **facts: Any) -> Log:
    """Return the log with one write told otherwise."""
    writes = list(log.writes)
    writes[index] = replace(writes[index], **facts)
    return replace(log, writes=writes)


def answered(log: Log, index: int, **facts: Any) -> Log:
    """Return the log with one write acknowledged otherwise."""
    return written(log, index, answer={**(log.writes[index].answer or {}), **facts})


@plants("written_once")
def two_workers_differ(log: Log, _: History) -> Log:
    """Serve the old value again, as a replica with a stale cache would."""
    return replace(log, reads=[*log.reads, read(1, 4, [1, 0.5], ((4, 2),), 30)])


@plants("written_once")
def inherited_differently(log: Log, _: History) -> Log:
    """Serve another value of a parent's step in the child."""
    return replace(log, reads=[*log.reads, read(2, 5, [1], ((5, 2),), 30)])


@plants("written_down")
def one_ulp_apart(_: Log, history: History) -> History:
    """Keep another bit in the ledger than was served."""
    kept = history.ledger[1].copy()
    kept[2, 0] = np.nextafter(kept[2, 0], 1)
    return replace(history, ledger={**history.ledger, 1: kept})


@plants("written_down")
def not_in_the_ledger(_: Log, history: History) -> History:
    """Lose a value that was served before it was durable."""
    kept = history.ledger[1].copy()
    kept[:, 11] = np.nan
    return replace(history, ledger={**history.ledger, 1: kept})


@plants("written_down")
def a_client_holds_another_value(log: Log, _: History) -> Log:
    """Let a client hand out what no service served."""
    return replace(log, looks=[replace(log.looks[0], values=cells(1, 0.5, 0.5, 0.5))])


@plants("explained")
def a_change_comes_late(_: Log, history: History) -> History:
    """Keep the old values past the effective step, in the ledger and with the workers."""
    return revised(history, 2, effective=3)


@plants("explained")
def a_rewind_keeps_what_it_left(_: Log, history: History) -> History:
    """Let a change of the old generation go on in the new one."""
    kept = {1: history.ledger[1], 2: cells(0.5, 2)}
    return replace(history, ledger=kept)


@plants("reigning")
def another_revision_is_named(log: Log, _: History) -> Log:
    """Serve the right values, as those of another revision."""
    return replace(log, reads=[*log.reads, read(1, 4, [0.5], ((4, 1),), 30)])


@plants("atomic")
def twins_come_apart(log: Log, _: History) -> Log:
    """Let two parameters of one change switch at different steps."""
    torn = log.reads[1]
    values = cells(0.5, 0.5, 0.5, 0.5)
    values[3, 0] = 2.0
    return replace(log, reads=[log.reads[0], replace(torn, values=values), *log.reads[2:]])


@plants("atomic")
def a_follower_lags(log: Log, _: History) -> Log:
    """Give a parameter that follows the value of the step before."""
    values = cells(0.5, 0.5, 0.5, 0.5)
    values[0, 0] = 0.25
    return replace(log, reads=[*log.reads, replace(log.reads[1], values=values)])


@plants("settled")
def served_past_the_end(_: Log, history: History) -> History:
    """Open again what was handed out, as a crash might."""
    return replace(history, generations={**history.generations, 1: Generation(1, None, 0, 11)})


@plants("acknowledged")
def a_lost_change(_: Log, history: History) -> History:
    """Lose a change that was acknowledged before it was durable."""
    return replace(history, revisions=history.revisions[:-1])


@plants("acknowledged")
def a_moved_change(log: Log, _: History) -> Log:
    """Tell the author of a change another step than the history has."""
    return answered(log, 0, effective=5)


@plants("acknowledged")
def a_cancellation_without_effect(_: Log, history: History) -> History:
    """Put in force what was cancelled."""
    return revised(history, 4, cancelled=False)


@plants("known")
def done_twice(_: Log, history: History) -> History:
    """Do again what was asked for again."""
    again = {**history.revisions[1], "revision": 7, "effective": 20}
    return replace(history, revisions=[*history.revisions, again])


@plants("known")
def refused_and_done(log: Log, _: History) -> Log:
    """Refuse a change, and do it all the same."""
    return written(log, 1, answer=None, refusal="too-late")


@plants("expected")
def two_watchdogs_rewind(log: Log, _: History) -> Log:
    """Let the second rewind of one alarm fence the workers of the first."""
    return written(log, 4, request={"to": 8, "expected_generation": 3})


@plants("expected")
def an_unseen_revision_is_overridden(log: Log, _: History) -> Log:
    """Accept a change though the run has moved on."""
    return written(log, 1, request={**log.writes[1].request, "expected_revision": 1})


@plants("placed")
def a_rounded_step(log: Log, _: History) -> Log:
    """Round an explicit step to the end of a block."""
    return written(log, 1, request={**log.writes[1].request, "effective": 9})


@plants("placed")
def another_change(log: Log, _: History) -> Log:
    """Store what was not asked for."""
    return written(log, 1, request={**log.writes[1].request, "changes": twins(HALF)})


@plants("ordered")
def numbered_backwards(log: Log, _: History) -> Log:
    """Give a change a lower number than one that was acknowledged when it was sent."""
    return written(log, 0, sent=9, answered=10)


@plants("open_when_accepted")
def a_settled_step_is_changed(log: Log, _: History) -> Log:
    """Change values that a worker had when the change was sent."""
    return written(log, 1, sent=14.5, answered=14.7)


@plants("open_when_accepted")
def a_rewind_forgets_a_block(log: Log, _: History) -> Log:
    """End a generation before what it had handed out."""
    return answered(log, 4, ended=10)


@plants("no_later_than_needed")
def next_is_rounded_up(_: Log, history: History) -> History:
    """Let a change for the next step wait for one that nobody had asked for."""
    return revised(history, 2, effective=5)


@plants("no_later_than_needed")
def next_is_past_the_advance(_: Log, history: History) -> History:
    """Let a change for the next step wait for more than an advance has settled."""
    return revised(history, 8, effective=13)


@plants("acknowledged")
def an_advance_in_words(_: Log, history: History) -> History:
    """Move a run on less far than was acknowledged."""
    return revised(history, 7, effective=11)


@plants("fenced")
def an_old_generation_goes_on(log: Log, _: History) -> Log:
    """Settle another block of the old generation after the rewind."""
    return replace(log, reads=[*log.reads, read(1, 11, [2, 2], ((11, 3),), 30)])


@plants("fenced")
def settled_behind_the_fence(_: Log, history: History) -> History:
    """Settle a generation further than the rewind said."""
    return replace(history, generations={**history.generations, 1: Generation(1, None, 0, 13)})


@plants("refused_for_cause")
def a_settled_block_is_refused(log: Log, _: History) -> Log:
    """Refuse a worker that lags behind what the others had."""
    return replace(log, reads=[*log.reads, replace(log.reads[3], start=8)])


@plants("refused_for_cause")
def fenced_too_early(log: Log, _: History) -> Log:
    """Fence a worker off before anybody rewound."""
    return replace(log, reads=[*log.reads, replace(log.reads[3], sent=2, answered=3)])


@plants("joined")
def a_checkpoint_from_beyond(log: Log, _: History) -> Log:
    """Resume a checkpoint from past the rewind."""
    return replace(log, joins=[*log.joins, replace(log.joins[1], accepted=True)])


@plants("joined")
def a_stale_join(log: Log, _: History) -> Log:
    """Join the old generation after a rewind was acknowledged."""
    return replace(log, joins=[*log.joins, replace(log.joins[0], sent=30, answered=31)])


def test_a_sound_story_passes() -> None:
    """Nothing is wrong with a run on which everything went as promised."""
    log, history = sample_history()
    assert violations(log, {RUN: history}) == []


@pytest.mark.parametrize(
    ("check", "plant"), [(check, plant) for check in PLANTS for plant in PLANTS[check]]
)
def test_each_lie_is_caught(check: str, plant: Plant) -> None:
    """A log or a history in which one promise is broken fails the check of that promise."""
    log, history = sample_history()
    planted = plant(log, history)
    log, history = (planted, history) if isinstance(planted, Log) else (log, planted)
    assert any(sentence.startswith(check) for sentence in violations(log, {RUN: history}))


def test_each_check_has_its_plants() -> None:
    """No check is there that was never seen to catch anything."""
    assert {check.__name__ for check in judging.CHECKS} == PLANTS.keys()


def test_a_strange_answer_is_told() -> None:
    """P10: an answer 500 fails the test, whatever the values."""
    log, history = sample_history()
    log.strange.append("GET /v1/runs was answered 500")
    assert violations(log, {RUN: history}) == log.strange


def test_a_repeated_request_may_be_refused_and_done() -> None:
    """An attempt without an answer may have its effect after a later one was refused."""
    log, history = sample_history()
    repeated = written(log, 1, answer=None, refusal="too-late", attempts=2)
    assert violations(repeated, {RUN: history}) == []


def test_a_retried_change_counts_from_its_first_attempt() -> None:
    """P7: a change may act at any time from its first attempt on."""
    log, history = sample_history()
    request = {"changes": twins(HALF), "effective": "next"}
    slow = replace(write("change", "halve", request, 3, revision=2, effective=4), answered=9)
    assert violations(replace(log, writes=[slow, *log.writes[1:]]), {RUN: history}) == []
