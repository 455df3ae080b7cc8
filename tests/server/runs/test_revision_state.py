"""What became of a revision: pending, settled, reached, proven, done, cancelled or dropped …"""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.server.runs.changes import NO_CHANGES
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage
from rheostat.server.runs.revision import Note, Revision, RevisionKind
from rheostat.server.runs.revision_state import NO_TALLY, NOBODY, Fates, Front, Tally
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


def shown(
    given: Revision, current: int, tally: Tally = NO_TALLY, front: Front = NOBODY
) -> tuple[str, int | None]:
    """Return the state of a revision, and the generation that left it, if ``current`` is newest."""
    lineage = Lineage("r", GENERATIONS[:current])
    found = Fates(lineage, current, front).to_json(given, tally)
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
    ("kind", "reached", "proven", "state"),
    [
        ("change", 500, 500, "settled"),  # the update of step 500 is still to be done
        ("change", 501, 500, "reached"),
        ("change", 501, None, "reached"),
        ("change", 501, 501, "proven"),
        ("change", None, None, "settled"),
        ("total", 501, 501, "proven"),
        ("rewind", 501, 501, "proven"),
        ("signal", 500, 500, "settled"),
        ("signal", 501, 501, "reached"),  # digests are of values, and it changes none
        ("stop", 499, 499, "settled"),
        ("stop", 500, 500, "reached"),  # nobody does the update of its step
        ("note", 501, 501, "settled"),
        ("control", 501, 501, "settled"),
        ("finish", 501, 501, "settled"),
    ],
)
def test_a_revision_comes_as_far_as_all_workers(
    kind: str, reached: int | None, proven: int | None, state: str
) -> None:
    """One at step 500 is reached by those who have done 501 updates: its own was among them."""
    front = Front(reached, proven, generation=1)
    assert shown(revision(kind, 500), 1, front=front) == (state, None)


def test_nothing_is_reached_before_it_is_settled() -> None:
    """What can be taken back is pending, and what was left or taken back is gone, for all that."""
    front = Front(2000, 2000, generation=1)
    assert shown(revision("change", 1000), 1, front=front)[0] == "pending"
    assert shown(revision("change", 500, cancelled=True), 1, front=front)[0] == "cancelled"
    assert shown(revision("pause", 1000), 1, front=front)[0] == "pending"
    there = Front(2000, 2000, generation=2)
    assert shown(revision("change", 700), 2, front=there)[0] == "dropped"
    assert shown(revision("total", 700), 2, front=there) == ("settled", 2)


def test_where_workers_were_before_a_rewind_tells_nothing() -> None:
    """The same steps of another generation are others."""
    before = Front(2000, 2000, generation=1)
    assert shown(revision("rewind", 600, 2), 2, front=before)[0] == "settled"
    assert shown(revision("rewind", 600, 2), 2, front=before._replace(generation=2))[0] == "proven"


def test_what_workers_say_of_a_signal_goes_before_where_they_are() -> None:
    """That it was done, or has failed, is more than that it was passed."""
    sent = revision("signal", 500, data={"signal": "checkpoint", "arguments": {}})
    front = Front(900, 900, generation=1)
    assert shown(sent, 1, Tally(done=1), front)[0] == "done"
    assert shown(sent, 1, Tally(done=1, failed=1), front)[0] == "failed"


def test_reach_is_the_least_on_the_way() -> None:
    """What a parent owns past the branch of its child's child is no past of that."""
    lineage = Lineage("r", GENERATIONS)
    assert lineage.reach(3) == {3: float("inf"), 2: 300, 1: 300}
    assert lineage.kept(1, 3, 300)
    assert not lineage.kept(1, 3, 301)
    assert not lineage.kept(3, 3, 0)
