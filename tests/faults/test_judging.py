"""The judge of the fault test: what is sound passes, and each kind of lie is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.faults import judging
from tests.faults.agents import COUNT, NAME
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
    kept = history.ledger[2].copy()
    kept[:, :2] = cells(0.5, 2)
    return replace(history, ledger={**history.ledger, 2: kept})


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
    return replace(history, revisions=[i for i in history.revisions if i["revision"] != 10])


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


def reported(log: Log, index: int, **facts: Any) -> Log:
    """Return the log with one report answered otherwise."""
    reports = list(log.reports)
    reports[index] = replace(reports[index], answer={**(reports[index].answer or {}), **facts})
    return replace(log, reports=reports)


def heard(log: Log, index: int, **facts: Any) -> Log:
    """Return the log with one read answered otherwise."""
    reads = list(log.reads)
    reads[index] = replace(reads[index], **facts)
    return replace(log, reads=reads)


def kept(history: History, **values: float) -> History:
    """Return the history with the reports of two steps kept otherwise."""
    steps = {12: {"main": values["first"]}} if "first" in values else {}
    steps |= {16: {"main": values["second"]}} if "second" in values else {}
    return replace(history, reports={(2, "loss"): steps})


def decided(history: History, **facts: Any) -> History:
    """Return the history with its decision told otherwise."""
    return replace(history, decisions=[{**history.decisions[0], **facts}])


@plants("kept_once")
def the_last_bits_stay(_: Log, history: History) -> History:
    """Let a report that came later take the place of the first."""
    return kept(history, first=1.0, second=3.0)


@plants("kept_once")
def a_report_is_lost(_: Log, history: History) -> History:
    """Lose a report that was acknowledged."""
    return kept(history, second=2.0)


@plants("kept_once")
def a_value_of_nobody(_: Log, history: History) -> History:
    """Keep a value that was never sent."""
    return kept(history, first=1.5, second=2.0)


@plants("counted")
def one_report_too_many(log: Log, _: History) -> Log:
    """Count a report twice."""
    return reported(log, 0, repeated=1)


@plants("counted")
def other_bits_are_told(log: Log, _: History) -> Log:
    """Tell somebody that another value is kept than it is."""
    differs = {**(log.reports[2].answer or {})["differs"][0], "kept": 2.5}
    return reported(log, 2, differs=[differs])


@plants("decided_once")
def a_repeat_decides_anew(log: Log, _: History) -> Log:
    """Answer whoever repeats a report with another decision."""
    told = {**(log.reports[2].answer or {})["decisions"][0], "event": 31, "revision": 10}
    return reported(log, 2, decisions=[told])


@plants("decided_once")
def decided_twice(_: Log, history: History) -> History:
    """Decide once more on a report that the new generation inherits."""
    again = {**history.decisions[0], "generation": 3, "event": 40, "revision": 18}
    return replace(history, decisions=[*history.decisions, again])


@plants("decided_once")
def a_decision_is_lost(_: Log, history: History) -> History:
    """Lose a decision that was told, with all that it made."""
    return replace(history, decisions=[])


@plants("reasoned")
def decided_too_early(_: Log, history: History) -> History:
    """Decide on a report that is better than the best."""
    return replace(
        decided(history, value=0.5), reports=kept(history, first=1.0, second=0.5).reports
    )


@plants("reasoned")
def no_decision_was_made(_: Log, history: History) -> History:
    """Consume a report, and forget what it came to."""
    return replace(history, decisions=[])


@plants("reasoned")
def decided_on_other_bits(_: Log, history: History) -> History:
    """Decide on a value that is not the one that is kept."""
    return decided(history, value=3.0)


@plants("reasoned")
def decided_on_nothing(_: Log, history: History) -> History:
    """Decide on a step that nobody reported."""
    return decided(history, step=20)


@plants("made")
def decided_and_not_made(_: Log, history: History) -> History:
    """Keep a decision without what it made."""
    return decided(history, revision=None)


@plants("made")
def made_and_not_decided(_: Log, history: History) -> History:
    """Keep a revision that a controller made, and no decision."""
    return replace(history, decisions=[])


@plants("made")
def made_otherwise(_: Log, history: History) -> History:
    """Say that a decision made somebody else's revision."""
    return decided(history, revision=8)


@plants("made_once")
def made_twice(_: Log, history: History) -> History:
    """Make of one decision two revisions."""
    again = {**history.revisions[8], "revision": 19}
    return replace(history, revisions=[*history.revisions, again])


@plants("landed")
def landed_late_in_silence(_: Log, history: History) -> History:
    """Land after another number of steps than was armed, without a word."""
    return revised(decided(history, effective=23), 9, effective=23)


@plants("landed")
def landed_on_settled_steps(log: Log, history: History) -> Log:
    """Land on steps that workers had before the report was sent."""
    del history
    return replace(log, reads=[*log.reads, read(2, 20, [0.25] * 4, ((20, 8),), 29.5)])


@plants("landed")
def late_without_need(_: Log, history: History) -> History:
    """Say that a decision is late, and land beyond what was open."""
    cause = {"controller": "swift", "step": 16, "late_by": 1}
    return revised(decided(history, effective=23), 9, effective=23, cause=cause)


@plants("remade")
def remade_elsewhere(_: Log, history: History) -> History:
    """Let a rewind move what it makes again."""
    return revised(history, 18, effective=23)


@plants("remade")
def not_remade(_: Log, history: History) -> History:
    """Forget what a rewind said that it makes again."""
    return replace(history, revisions=history.revisions[:-1])


@plants("held")
def a_block_passes_a_pause(log: Log, _: History) -> Log:
    """Let one block pass while the run holds."""
    return replace(log, reads=[*log.reads, read(2, 20, [0.25], ((20, 8),), 46)])


@plants("held")
def a_stop_is_passed(_: Log, history: History) -> History:
    """Settle past a stop that nobody has lifted."""
    return replace(history, generations={**history.generations, 2: Generation(2, 1, 8, 25)})


@plants("told")
def a_told_stop_is_taken_back(_: Log, history: History) -> History:
    """Take a stop back though a worker has ended by it."""
    return revised(history, 16, cancelled=True)


@plants("told")
def ranks_end_apart(log: Log, _: History) -> Log:
    """Let one rank end earlier than another."""
    return replace(log, reads=[*log.reads, replace(log.reads[9], start=22, end=22)])


@plants("named")
def held_by_nobody(log: Log, _: History) -> Log:
    """Refuse a worker at a pause that was never made."""
    return heard(log, 7, by=10)


@plants("named")
def stopped_by_what_was_taken_back(log: Log, _: History) -> Log:
    """Refuse a worker by a stop that was taken back before it asked."""
    late = replace(log.reads[9], start=20, end=20, by=11, sent=50, answered=51)
    return replace(log, reads=[*log.reads, late])


@plants("signalled")
def a_signal_is_lost_by_a_stride(log: Log, _: History) -> Log:
    """Tell a signal in the block of its step alone."""
    return heard(log, 8, signals=log.reads[8].signals[1:])


@plants("signalled")
def a_signal_is_elsewhere(log: Log, _: History) -> Log:
    """Tell a signal at another step than its revision says."""
    told = log.reads[6].signals[0]
    return heard(log, 6, signals=((17, *told[1:]),))


@plants("signalled")
def a_dropped_signal_is_told(log: Log, _: History) -> Log:
    """Tell a new generation of a signal that its rewind has dropped."""
    return heard(log, 10, signals=log.reads[8].signals)


@plants("refused_with_signals")
def another_word_at_the_end(log: Log, _: History) -> Log:
    """Tell whoever ends a signal that lies elsewhere."""
    return heard(log, 9, signals=log.reads[6].signals)


@plants("outcomes_once")
def an_outcome_is_lost(_: Log, history: History) -> History:
    """Lose what a worker said, and was acknowledged."""
    return replace(history, outcomes=[])


@plants("outcomes_once")
def the_last_outcome_stays(_: Log, history: History) -> History:
    """Let a later word take the place of the first."""
    return replace(history, outcomes=[{**history.outcomes[0], "outcome": "failed"}])


@plants("accepted_once")
def accepted_twice(log: Log, _: History) -> Log:
    """Let two operators accept one proposal."""
    return replace(log, writes=[*log.writes, log.writes[13]])


@plants("accepted_once")
def accepted_and_not_done(_: Log, history: History) -> History:
    """Forget what an accepted proposal made."""
    return revised(history, 15, cause=None)


@plants("accepted_once")
def a_proposal_is_lost(_: Log, history: History) -> History:
    """Lose a proposal that was acknowledged."""
    return replace(history, proposals=[])


@plants("heard")
def right_and_asked(log: Log, _: History) -> Log:
    """Ask for the values of who applied what it was given, again and again."""
    beats = [replace(log.beats[0], answer={"compare": [{"worker": "rank-0", "start": 0}]})]
    return replace(log, beats=[*beats, *log.beats[1:]])


@plants("heard")
def never_given(log: Log, _: History) -> Log:
    """Say that nobody was given what was served."""
    lost = replace(log.beats[0], answer=None, refusal="went-back")
    return replace(log, beats=[lost, *log.beats[1:]])


@plants("named")
def a_mismatch_is_lost(_: Log, history: History) -> History:
    """Lose a mismatch that was acknowledged."""
    return replace(history, mismatches=[])


@plants("named")
def another_value_was_served(_: Log, history: History) -> History:
    """Name a worker with a value that it was never given."""
    return replace(history, mismatches=[{**history.mismatches[0], "expected": "0.25"}])


@plants("no_false_alarm")
def a_false_alarm(_: Log, history: History) -> History:
    """Name a worker that applied what it was given."""
    alarm = {**history.mismatches[0], "generation": 1, "step": 2}
    return replace(history, mismatches=[*history.mismatches, alarm])


@plants("no_false_alarm")
def named_twice(_: Log, history: History) -> History:
    """Name a worker twice for one value."""
    return replace(history, mismatches=[*history.mismatches] * 2)


@plants("saved_once")
def a_checkpoint_is_lost(_: Log, history: History) -> History:
    """Lose a checkpoint that was acknowledged."""
    return replace(history, checkpoints=history.checkpoints[1:])


@plants("saved_once")
def the_last_checkpoint_stays(_: Log, history: History) -> History:
    """Let a later word take the place of the first."""
    later = {**history.checkpoints[0], "uri": "/saved/7"}
    return replace(history, checkpoints=[later, *history.checkpoints[1:]])


@plants("resumable")
def beyond_a_rewind(_: Log, history: History) -> History:
    """Call a checkpoint resumable that lies beyond a rewind."""
    *others, last = history.checkpoints
    return replace(history, checkpoints=[*others, {**last, "on_line": True}])


def by_the_agent(history: History, *numbers: int, **facts: Any) -> History:
    """Return the history with revisions that an agent with a limit has made."""
    for number in numbers:
        history = revised(history, number, author=NAME, **facts)
    return history


@plants("limited")
def an_agent_does_more(_: Log, history: History) -> History:
    """Let an agent send one signal more than it may, most of which were cancelled."""
    last = history.revisions[-1]
    more = [
        {**last, "revision": last["revision"] + number, "kind": "signal", "author": NAME,
         "cause": None, "cancelled": number > 1}
        for number in range(1, COUNT + 2)
    ]  # fmt: skip
    return replace(history, revisions=[*history.revisions, *more])


@plants("apart")
def an_agent_is_hasty(_: Log, history: History) -> History:
    """Let an agent make two changes close to each other, on one line."""
    return by_the_agent(history, 2, 8)


@plants("own_taken_back")
def an_agent_cancels_what_is_others(_: Log, history: History) -> History:
    """Let an agent take back what somebody else has pending."""
    return by_the_agent(history, 5)


@plants("own_taken_back")
def an_agent_lets_go_where_others_hold(_: Log, history: History) -> History:
    """Let an agent end somebody else's pause."""
    return by_the_agent(history, 14)


@plants("free_for_cause")
def an_agent_undoes_others_for_nothing(_: Log, history: History) -> History:
    """Let a change count for nothing that goes back to before somebody else's."""
    revert = {"edit": "revert", "to": 1}
    return by_the_agent(history, 8, data={"takes_back": True}, changes=twins(revert))


@plants("free_for_cause")
def an_agent_changes_for_nothing(_: Log, history: History) -> History:
    """Let a change count for nothing that takes nothing back."""
    return by_the_agent(history, 8, data={"takes_back": True})


def test_what_an_agent_was_left_passes() -> None:
    """Changes that are far apart, or on other lines, and what it takes back of its own."""
    log, history = sample_history()
    assert violations(log, {RUN: by_the_agent(history, 4, 5, 8)}) == []


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
