"""What became of a revision: pending, settled, done or failed, cancelled or dropped."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat import wire
from rheostat.server.runs.changes import NO_CHANGES
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.revision_state import NO_TALLY, Fates, Tally, verdict
from rheostat.server.runs.timeline import Timelines


def key(number: int) -> GenerationKey:
    """Return the key of a generation."""
    return GenerationKey("r", number)


GENERATIONS = [
    Generation(key(1), None, 0, 1000),
    Generation(key(2), key(1), 600, 900),
    Generation(key(3), key(2), 300, 400),  # back further than where 2 began
    Generation(key(4), key(1), 800, 850),  # from 1 again: what 2 had dropped is back
]


def revision(kind: str, effective: int, generation: int = 1, **more: Any) -> Revision:
    """Return a revision that changes nothing that matters here."""
    return Revision(
        number=2,
        generation=generation,
        kind=RevisionKind(kind),
        effective=effective,
        changes=NO_CHANGES,
        note=Note(),
        created_at="",
        timelines=Timelines({}),
        **more,
    )


def shown(given: Revision, current: int, tally: Tally = NO_TALLY) -> tuple[str, int | None]:
    """Return the state of a revision, and the generation that left it, if ``current`` is newest."""
    lineage = Lineage("r", GENERATIONS[:current])
    found = Fates(lineage, current).to_json(given, tally)
    return found["state"], found["left_by"]


@pytest.mark.parametrize(
    ("kind", "effective", "current", "expected"),
    [
        ("change", 1000, 1, ("pending", None)),
        ("change", 999, 1, ("settled", None)),
        ("change", 600, 2, ("settled", None)),
        ("change", 601, 2, ("dropped", 2)),
        ("signal", 599, 2, ("settled", None)),
        ("signal", 600, 2, ("dropped", 2)),
        ("stop", 600, 2, ("dropped", 2)),
        ("pause", 600, 2, ("dropped", 2)),
        ("change", 301, 3, ("dropped", 3)),
        ("change", 300, 3, ("settled", None)),
        ("change", 700, 3, ("dropped", 2)),
        ("change", 700, 4, ("settled", None)),
        ("change", 801, 4, ("dropped", 2)),
        ("total", 700, 2, ("settled", 2)),
        ("create", 0, 4, ("settled", None)),
        ("note", 700, 2, ("settled", None)),
        ("control", 700, 2, ("settled", None)),
        ("cancel", 700, 2, ("settled", None)),
        ("finish", 1000, 1, ("settled", None)),
    ],
)
def test_a_rewind_drops_what_lies_past_it(
    kind: str, effective: int, current: int, expected: tuple[str, int | None]
) -> None:
    """A change at the branch stays, what ranks act on there does not; notes have no place."""
    assert shown(revision(kind, effective), current) == expected


def test_what_was_taken_back_is_cancelled() -> None:
    """Whatever else became of its step."""
    for current in (1, 2):
        assert shown(revision("change", 700, cancelled=True), current)[0] == "cancelled"


def test_a_stop_by_which_a_worker_ended_is_settled() -> None:
    """Before that it can be taken back, though the run is settled up to it."""
    assert shown(revision("stop", 1000), 1) == ("pending", None)
    assert shown(revision("stop", 1000, told=True), 1) == ("settled", None)
    assert shown(revision("pause", 1000), 1) == ("pending", None)


def test_one_failure_is_a_failure() -> None:
    """A signal is done as soon as a worker says so, and has failed if one says that."""
    sent = revision("signal", 500, data={"signal": "checkpoint", "arguments": {}})
    assert shown(sent, 1)[0] == "settled"
    assert shown(sent, 1, Tally(done=1))[0] == "done"
    assert shown(sent, 1, Tally(done=7, failed=1))[0] == "failed"


@pytest.mark.parametrize(
    ("state", "data", "met"),
    [
        ("pending", None, (None, None, None, None)),
        ("settled", None, (True, False, False, False)),
        ("settled", {"signal": "checkpoint"}, (True, False, False, None)),
        ("done", {"signal": "checkpoint"}, (True, False, False, True)),
        ("failed", {"signal": "checkpoint"}, (True, False, False, False)),
        ("cancelled", None, (False, False, False, False)),
        ("dropped", None, (False, False, False, False)),
    ],
)
def test_waiting_ends_where_nothing_more_can_be_known(
    state: wire.RevisionState, data: Any, met: tuple[bool | None, ...]
) -> None:
    """None stands for: it still may. That ranks are past a step is not known, and it says so."""
    found = revision("signal", 500, data=data).to_json(1000)
    found["state"] = state
    goals: tuple[wire.RevisionGoal, ...] = ("settled", "reached", "proven", "done")
    verdicts = [verdict(found, goal) for goal in goals]
    assert tuple(each if each is None else each["met"] for each in verdicts) == met
    if state == "settled":
        assert verdicts[1] is not None
        assert "the most that can be known" in verdicts[1]["detail"]


def test_reach_is_the_least_on_the_way() -> None:
    """What a parent owns past the branch of its child's child is no past of that."""
    lineage = Lineage("r", GENERATIONS)
    assert lineage.reach(3) == {3: float("inf"), 2: 300, 1: 300}
    assert lineage.kept(1, 3, 300)
    assert not lineage.kept(1, 3, 301)
    assert not lineage.kept(3, 3, 0)
