"""Checkpoints that are known, in the store, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import (
    GuardViolated,
    Invalid,
    NameTaken,
    StaleCheckpoint,
    UnknownGeneration,
    UnknownRevision,
    UnknownRun,
)
from rheostat.limits import MAX_TAG, MAX_URI
from rheostat.server.runs.revision import Note
from rheostat.server.store.operations import checkpoint, close, fork, outcome
from rheostat.server.store.operations.checkpoint import CheckpointReport, Wanted
from rheostat.server.store.operations.fork import rehearse_fork
from rheostat.server.store.operations.join import Checkpoint
from rheostat.server.store.operations.outcome import OutcomeReport
from rheostat.server.store.operations.revise import cancel
from rheostat.server.store.operations.rewind import RewindRequest, rehearse_rewind, rewind
from rheostat.server.store.operations.signal import SignalRequest, signal
from rheostat.server.store.operations.stop import StopRequest, stop

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

Known = tuple[str, int, int, bool]
"""Name of the run, generation, step, and whether it is on the line."""


@pytest.fixture
def run(desk: Desk) -> str:
    """Return the id of a run that is settled until 64."""
    run = desk.create()
    desk.settle(run, 0, 64)
    return run


def save(
    desk: Desk, run: str, step: int, generation: int = 1, tag: str = "last", **more: Any
) -> tuple[wire.Checkpoint, bool]:
    """Say that a checkpoint was saved."""
    said = CheckpointReport(generation, step, tag, more.pop("source", "main"), **more)
    return desk.write(checkpoint.save, run, said)


def listed(desk: Desk, ref: str = "gpt", **wanted: Any) -> list[wire.Checkpoint]:
    """Return all checkpoints of a run, asked for in pages of two."""
    items, after = desk.read(checkpoint.page, ref, Wanted(**wanted), 2)
    while after is not None:
        more, after = desk.read(checkpoint.page, ref, Wanted(**wanted, after=after), 2)
        items += more
    return items


def places(desk: Desk, ref: str = "gpt", **wanted: Any) -> list[tuple[int, int, bool]]:
    """Return generation and step of the checkpoints of a run, and whether they are on its line."""
    return [(e["generation"], e["step"], e["on_line"]) for e in listed(desk, ref, **wanted)]


def back(desk: Desk, to: int, source: int | None = None, ref: str = "gpt") -> wire.Rewound:
    """Rewind a run."""
    return desk.write(rewind, ref, RewindRequest(to, source))


def forked(desk: Desk, name: str, step: int, ref: str = "gpt", generation: int = 1) -> str:
    """Return the id of a fork."""
    origin = {"run": ref, "generation": generation, "step": step}
    return desk.write(fork.fork, {"name": name, "from": origin}, Note("ann"))["id"]


def test_the_first_word_stays_and_later_ones_add_to_it(desk: Desk, run: str) -> None:
    """Said again it is answered with what is kept; what was not said is added, nothing replaced."""
    kept, new = save(desk, run, 32, uri="/ckpt/32")
    assert new
    expected = {"generation": 1, "step": 32, "tag": "last", "uri": "/ckpt/32", "bytes": None}
    expected |= {"source": "main", "revision": None, "on_line": True}
    assert {name: kept[name] for name in expected} == expected  # type: ignore[literal-required]
    assert save(desk, run, 32, uri="/ckpt/32") == (kept, False)
    again = save(desk, run, 32, uri="/elsewhere", bytes=7, source="rank-1")
    assert again == ({**kept, "bytes": 7}, False)
    assert listed(desk) == [{**kept, "bytes": 7}]
    assert save(desk, run, 32, tag="best")[1]
    assert save(desk, run, 33)[1]


@pytest.mark.parametrize(
    ("more", "refusal", "field"),
    [
        ({"step": 65}, Invalid, "step"),
        ({"generation": 2}, UnknownGeneration, None),
        ({"revision": 9}, UnknownRevision, None),
    ],
)
def test_what_cannot_have_been_saved_is_refused(
    desk: Desk, run: str, more: Any, refusal: Any, field: str | None
) -> None:
    """P10: a step that nobody was given, a generation and a revision that are not there."""
    with pytest.raises(refusal) as refused:
        save(desk, run, **{"step": 64, **more})
    assert [error.field for error in refused.value.errors] == ([field] if field else [])
    assert listed(desk) == []
    assert save(desk, run, 64)[1]


def test_a_run_is_named_by_its_id(desk: Desk, run: str) -> None:
    """So no checkpoint of a run that was deleted is taken for one of the next of its name."""
    with pytest.raises(UnknownRun):
        save(desk, "gpt", 32)
    desk.write(close.delete, "gpt")
    other = desk.create()
    desk.settle(other, 0, 64)
    with pytest.raises(UnknownRun):
        save(desk, run, 32)
    assert listed(desk) == []


def test_a_generation_that_was_left_and_a_finished_run_have_theirs(desk: Desk, run: str) -> None:
    """Whoever saved before the rewind, or the end, may say so after it, up to what it read."""
    back(desk, 32)
    assert not save(desk, run, 64)[0]["on_line"]
    assert save(desk, run, 32)[0]["on_line"]
    assert save(desk, run, 32, 2)[1]
    with pytest.raises(Invalid):
        save(desk, run, 33, 2)
    desk.write(close.finish, "gpt", None, Note("ann"))
    assert save(desk, run, 20)[1]


def test_the_line_is_that_of_joining(desk: Desk, run: str) -> None:
    """
    Each checkpoint of five generations is on the line exactly if a join takes it.

    1 is settled until 64; 2 leaves it at 40, 3 leaves 2 at 48, 4 leaves 1 again, at 24, and 5
    leaves 4 before it began, at 16.
    """
    rewinds = [(40, 1), (48, 2), (24, 1), (16, 4)]
    for number in range(1, 6):
        settled = 64 if number == 1 else rewinds[number - 2][0] + 16
        if number > 1:
            back(desk, *rewinds[number - 2])
            desk.settle(run, settled - 16, 16, number)
        for step in (8, 24, 25, 40, 41, 48, 49, 56, 64):
            if step <= settled:
                save(desk, run, step, number)
        found = places(desk)
        assert found == sorted(found, reverse=True)
        for generation, step, on_line in found:
            try:
                desk.join("gpt", checkpoint=Checkpoint(run, generation, step))
                joins = True
            except StaleCheckpoint:
                joins = False
            assert joins is on_line, (number, generation, step)
    # by hand: 5 has the past of 4 and 1 up to 16, and none of 2 and 3
    there = [each[:2] for each in places(desk) if each[2]]
    assert there == [(5, 25), (5, 24), (5, 8), (4, 8), (1, 8)]
    there = [each[:2] for each in places(desk, generation=4) if each[2]]
    assert there == [*((4, step) for step in (40, 25, 24, 8)), (1, 24), (1, 8)]


def test_the_line_of_an_older_generation_can_be_asked_for(desk: Desk, run: str) -> None:
    """As for a rewind from it."""
    save(desk, run, 16)
    save(desk, run, 48)
    back(desk, 32)
    assert places(desk) == [(1, 48, False), (1, 16, True)]
    assert places(desk, generation=1) == [(1, 48, True), (1, 16, True)]
    with pytest.raises(UnknownGeneration):
        listed(desk, generation=3)


def test_a_fork_has_the_checkpoints_of_its_past(desk: Desk, run: str) -> None:
    """Up to each branch, of the runs before it too, which are named; others it does not show."""
    for step in (16, 32, 48):
        save(desk, run, step)
    back(desk, 24)
    desk.settle(run, 24, 16, 2)
    save(desk, run, 40, 2)
    child = forked(desk, "child", 40, generation=1)
    desk.settle(child, 40, 16)
    save(desk, child, 44)
    save(desk, child, 56)
    grandchild = forked(desk, "grandchild", 48, "child")
    assert places(desk, "child") == [(1, 56, True), (1, 44, True), (1, 32, True), (1, 16, True)]
    assert [each.get("run") for each in listed(desk, "child")] == [None, None, run, run]
    found = [(each.get("run"), each["step"]) for each in listed(desk, "grandchild")]
    assert found == [(child, 44), (run, 32), (run, 16)]
    for each in listed(desk, "grandchild"):
        key = Checkpoint(each.get("run", grandchild), each["generation"], each["step"])
        desk.join("grandchild", checkpoint=key)


def test_a_list_is_of_one_tag(desk: Desk, run: str) -> None:
    """Where that is asked for, in any run of the past; else they follow each other by name."""
    for step in (16, 32):
        for tag in ("last", "best"):
            save(desk, run, step, tag=tag)
    forked(desk, "child", 48)
    for ref in ("gpt", "child"):
        assert [each["tag"] for each in listed(desk, ref)] == ["best", "last", "best", "last"]
        best = listed(desk, ref, tag="best")
        assert [(each["tag"], each["step"]) for each in best] == [("best", 32), ("best", 16)]
    assert listed(desk, tag="none") == []


def test_the_oldest_are_forgotten(desk: Desk, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: so many of a run are known, and no training is without its newest ones."""
    monkeypatch.setattr(checkpoint, "MAX_CHECKPOINTS", 3)
    for step in range(10, 15):
        save(desk, run, step)
    assert [each[1] for each in places(desk)] == [14, 13, 12]
    save(desk, run, 14, bytes=1)
    assert [each[1] for each in places(desk)] == [14, 13, 12]


def told(
    desk: Desk, run: str, source: str = "rank-0", said: Any = "done", **more: Any
) -> wire.Outcome:
    """Say what became of revision 2."""
    given = {"generation": 1, "revision": 2, "step": 64, **more}
    return desk.write(outcome.tell, run, OutcomeReport(source=source, outcome=said, **given))[0]


def asked(desk: Desk, word: str = "checkpoint", **arguments: Any) -> None:
    """Send a signal at 64, and settle the run past it."""
    forms = {name: {"type": "string"} for name in arguments}
    run = desk.create(signals={word: {"arguments": forms}})
    desk.settle(run, 0, 64)
    desk.write(signal, "gpt", SignalRequest(word, arguments))
    desk.settle(run, 64, 16)


@pytest.mark.parametrize(
    ("arguments", "data", "expected"),
    [
        ({}, None, ("checkpoint", 64, None, None)),
        ({"tag": "a"}, {"tag": "b", "uri": "s3://a"}, ("a", 64, "s3://a", None)),
        ({}, {"tag": "b", "path": "/ckpt", "bytes": 7}, ("b", 64, "/ckpt", 7)),
        ({}, {"tag": 3, "path": "/a", "uri": "/b"}, ("3", 64, "/b", None)),
        ({}, {"step": 65}, ("checkpoint", 65, None, None)),
        ({}, {"step": 81}, ("checkpoint", 64, None, None)),
        ({}, {"step": True, "bytes": -1}, ("checkpoint", 64, None, None)),
        ({}, {"tag": (MAX_TAG + 1) * "x", "uri": ""}, ("checkpoint", 64, None, None)),
        ({}, {"tag": ["x"], "uri": (MAX_URI + 1) * "x"}, ("checkpoint", 64, None, None)),
    ],
)
def test_an_outcome_tells_of_a_checkpoint(
    desk: Desk, arguments: Any, data: Any, expected: tuple[Any, ...]
) -> None:
    """
    One that was saved: before the update of the step at which the signal was told.

    Its tag is that of the signal, or of the data; what the data has in another form is not read.
    """
    asked(desk, **arguments)
    told(desk, "gpt", data=data)
    (found,) = listed(desk)
    assert (found["tag"], found["step"], found["uri"], found["bytes"]) == expected
    assert (found["source"], found["revision"], found["generation"]) == ("rank-0", 2, 1)


def test_ranks_save_one_checkpoint_together(desk: Desk) -> None:
    """Each tells its outcome; the first who knows where it is says so, and it is listed once."""
    asked(desk, tag="big")
    told(desk, "gpt", "rank-1")
    told(desk, "gpt", "rank-0", data={"path": "/ckpt/big", "bytes": 1000})
    told(desk, "gpt", "rank-2", data={"path": "/other"})
    (found,) = listed(desk)
    assert (found["source"], found["uri"], found["bytes"]) == ("rank-1", "/ckpt/big", 1000)


def test_no_other_outcome_tells_of_one(desk: Desk) -> None:
    """Neither a failed one, nor one of another word."""
    asked(desk)
    told(desk, "gpt", said="failed", data={"path": "/ckpt"})
    assert listed(desk) == []
    desk.write(close.delete, "gpt")
    asked(desk, "evaluate")
    told(desk, "gpt", data={"path": "/ckpt"})
    assert listed(desk) == []


def test_what_comes_with_a_stop_is_known_too(desk: Desk, run: str) -> None:
    """The last checkpoint of a training that was ended, at the end."""
    desk.write(stop, "gpt", StopRequest(signal="checkpoint"))
    told(desk, run, data={"path": "/ckpt/end"})
    (found,) = listed(desk)
    assert (found["step"], found["uri"], found["on_line"]) == (64, "/ckpt/end", True)


def nearest(
    desk: Desk, to: int, ref: str = "gpt", generation: int | None = None
) -> tuple[int | None, bool]:
    """Return the step of the nearest checkpoint, and whether there is a warning."""
    found, warnings = desk.read(checkpoint.nearest, ref, to, generation)
    return (None if found is None else found["step"]), bool(warnings)


def test_the_nearest_is_the_last_in_the_past(desk: Desk, run: str) -> None:
    """Of any generation on the line, up to where it was left; by hand, after two rewinds."""
    assert nearest(desk, 40) == (None, False)  # whoever saves nothing is not warned
    save(desk, run, 10)
    save(desk, run, 60)
    assert [nearest(desk, to) for to in (0, 9, 10, 11, 60, 64)] == [
        (None, False),
        (None, True),
        (10, False),
        (10, True),
        (60, False),
        (60, True),
    ]
    back(desk, 30)
    desk.settle(run, 30, 30, 2)
    save(desk, run, 20, 2)  # resumed at 10, it saved before it came to the branch
    save(desk, run, 50, 2)
    back(desk, 40)
    assert nearest(desk, 40) == (20, True)
    assert nearest(desk, 15) == (10, True)
    assert nearest(desk, 60, generation=2) == (50, True)
    assert nearest(desk, 64, generation=1) == (60, True)
    child = forked(desk, "child", 35, generation=3)
    desk.settle(child, 35, 10)
    assert nearest(desk, 45, "child") == (20, True)
    save(desk, child, 5)
    assert nearest(desk, 45, "child") == (20, True)
    save(desk, child, 41)
    assert nearest(desk, 41, "child") == (41, False)


def test_the_warning_names_the_nearest(desk: Desk, run: str) -> None:
    """With its tag and its step."""
    save(desk, run, 30, tag="before-decay")
    _, (warning,) = desk.read(checkpoint.nearest, "gpt", 40)
    assert "'before-decay', of step 30" in warning
    _, (warning,) = desk.read(checkpoint.nearest, "gpt", 20)
    assert warning == "no checkpoint at or below step 20 is known"


def test_within_a_cell_a_checkpoint_is_at_its_end(desk: Desk) -> None:
    """A run that counts in cells is rewound to the end of the one in which it was saved."""
    run = desk.create(resolution=8)
    desk.settle(run, 0, 4)
    save(desk, run, 20)
    assert nearest(desk, 24) == (20, False)
    assert nearest(desk, 32) == (20, True)
    assert nearest(desk, 16) == (None, True)


def test_nothing_is_missed_where_a_training_began(desk: Desk) -> None:
    """A training that began far in has no checkpoint of the run there."""
    run = desk.create()
    desk.join(start=3000)
    desk.settle(run, 3000, 8)
    save(desk, run, 3008)
    assert nearest(desk, 3000) == (None, False)
    assert nearest(desk, 3004) == (None, True)


def test_a_rewind_is_rehearsed(desk: Desk, run: str) -> None:
    """It says what it would drop, does nothing, and is what the rewind then does."""
    kept = desk.revise({"lr": {"edit": "scale", "factor": 0.5}}, 64)["revision"]
    desk.settle(run, 64, 32)
    dropped = desk.revise({"wd": 1.0}, 200)["revision"]
    desk.write(signal, "gpt", SignalRequest("evaluate", effective=100))
    taken_back = desk.revise({"wd": 2.0}, 300)["revision"]
    desk.write(cancel, "gpt", taken_back, None, Note("ann"))
    before = desk.join()
    found = desk.read(rehearse_rewind, "gpt", RewindRequest(64))
    assert desk.join() == before
    assert found["revisions"]["many"] == 2
    assert [each["revision"] for each in found["revisions"]["items"]] == [dropped + 1, dropped]
    assert (found["generation"], found["parent"], found["from"], found["ended"]) == (2, 1, 64, 96)
    done = back(desk, 64)
    same = ("generation", "parent", "from", "ended", "dropped")
    assert [done[name] for name in same] == [found[name] for name in same]  # type: ignore[literal-required]
    assert kept not in [each["revision"] for each in found["revisions"]["items"]]


def test_a_rehearsal_from_another_generation_drops_what_this_one_did(desk: Desk, run: str) -> None:
    """The rewind by which it began, too."""
    change = desk.revise({"wd": 1.0})["revision"]
    desk.settle(run, 64, 16)
    rewound = back(desk, 40)["revision"]
    desk.settle(run, 40, 8, 2)
    later = desk.revise({"wd": 2.0})["revision"]
    found = desk.read(rehearse_rewind, "gpt", RewindRequest(80, 1))
    assert [each["revision"] for each in found["revisions"]["items"]] == [later, rewound]
    assert change not in [each["revision"] for each in found["revisions"]["items"]]


def test_a_rehearsal_refuses_what_the_rewind_would(desk: Desk, run: str) -> None:
    """A step that is not settled, and changes that break a guard, among others."""
    with pytest.raises(Invalid):
        desk.read(rehearse_rewind, "gpt", RewindRequest(65))
    guarded = desk.create(name="guarded", guards={"lr": {"min": None}, "wd": {"max": 1}})
    desk.settle(guarded, 0, 64)
    wrong = RewindRequest(32, changes={"wd": 2.0})
    with pytest.raises(GuardViolated):
        desk.read(rehearse_rewind, "guarded", wrong)


def test_a_rehearsal_tells_what_controllers_lose(desk: Desk, run: str) -> None:
    """A change that is made again, and a stop that is gone, as the rewind then does."""
    halve: dict[str, Any] = {"kind": "plateau", "metric": "loss", "patience": 1, "factor": 0.5}
    desk.arm("plateau", **halve, effective={"after": 50})
    end: dict[str, Any] = {"kind": "guard", "metric": "loss", "above": {"value": 5}, "for": 1}
    desk.arm("end", **end, changes="stop", action="apply")
    desk.report(run, (10, 2.0), (20, 2.5), (30, 2.5), (40, 6.0))
    found = desk.read(rehearse_rewind, "gpt", RewindRequest(50))
    assert found["again"] == [{"controller": "plateau", "step": 30, "effective": 80}]
    assert [each["controller"] for each in found["dropped"]] == ["end"]
    done = back(desk, 50)
    assert done["dropped"] == found["dropped"]
    assert [(each["controller"], each["effective"]) for each in done["again"]] == [("plateau", 80)]


def test_a_fork_is_rehearsed(desk: Desk, run: str) -> None:
    """It says what it would not have of the other run, and makes nothing."""
    desk.revise({"wd": 1.0})
    later = desk.revise({"wd": 2.0}, 100)["revision"]
    body = {"name": "child", "from": {"run": "gpt", "step": 64}}
    found = desk.read(rehearse_fork, body, Note("ann"))
    assert (found["parent_run"], found["parent"], found["from"]) == (run, 1, 64)
    assert [each["revision"] for each in found["revisions"]["items"]] == [later]
    forked(desk, "child", 64)
    with pytest.raises(NameTaken):
        desk.read(rehearse_fork, body, Note("ann"))


def test_they_survive_a_restart_and_go_with_their_run(desk: Desk, run: str) -> None:
    """P4: what was answered is there when the database is opened again."""
    save(desk, run, 32)
    desk.restart()
    assert places(desk) == [(1, 32, True)]
    desk.write(close.delete, "gpt")
    other = desk.create()
    assert listed(desk, other) == []
