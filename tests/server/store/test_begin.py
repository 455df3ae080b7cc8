"""Runs that begin in the middle, or are moved on, in the store, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import (
    Finished,
    PastTotal,
    RevisionMismatch,
    StaleCheckpoint,
    StepJump,
    TooLate,
)
from rheostat.server.runs.lineage import GenerationKey
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.store import locks, statements
from rheostat.server.store.database import Database
from rheostat.server.store.operations import (
    advance,
    close,
    events,
    explain,
    fork,
    join,
    plan,
    revise,
    rewind,
    served,
    show,
    values,
)
from rheostat.server.store.operations.join import Checkpoint

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}
COUNTDOWN = {"kind": "linear", "start": 8192, "end": 0, "steps": 8192}
"""8192 - step, exact in binary."""


def moved(desk: Desk, to: int, **request: Any) -> wire.Advanced:
    """Move the run ``gpt`` on."""
    return desk.write(advance.advance, "gpt", advance.AdvanceRequest(to, **request))


def told(desk: Desk, after: int = 0) -> list[dict[str, Any]]:
    """Return the events of the run ``gpt`` after a number."""
    return [{**event} for event in desk.read(events.page, "gpt", after).events]


def settled(desk: Desk) -> int:
    """Return up to where the run ``gpt`` is settled."""
    return int(desk.read(show.show, "gpt")["settled_until"])


def shown_id(desk: Desk) -> str:
    """Return the id of the run ``gpt``."""
    return str(desk.read(show.show, "gpt")["id"])


# beginning


def test_a_training_begins_where_it_says(desk: Desk) -> None:
    """P14: it is settled up to there before the answer, and reads on from there."""
    run = desk.create(parameters={"lr": COUNTDOWN})
    joined = desk.join(start=5000)
    assert (joined["begins"], joined["settled_until"], joined["revision"]) == (5000, 5000, 1)
    desk.restart()
    assert (desk.join()["begins"], settled(desk)) == (5000, 5000)
    assert desk.settle(run, 5000, 2) == [[3192, 3191]]


@pytest.mark.parametrize("start", [0, 256, 4999, 5000, 5256])
def test_who_comes_again_just_joins(desk: Desk, start: int) -> None:
    """P7: the same beginning again, and any place below or near it, writes nothing."""
    desk.create()
    desk.join(start=5000)
    before = desk.read(show.show, "gpt")
    arrival = join.Arrival(start=start)
    assert desk.read(join.join, "gpt", arrival) is not None
    assert desk.write(join.begin, "gpt", arrival, "bob")["settled_until"] == 5000
    assert desk.read(show.show, "gpt") == before


def test_all_ranks_begin_at_once(desk: Desk) -> None:
    """P7: of the ranks that send it together the first begins, and the others find it begun."""
    run = desk.create()
    arrival = join.Arrival(start=5000)
    answers = [desk.write(join.begin, run, arrival, "ann") for _ in range(4)]
    assert [answer["settled_until"] for answer in answers] == [5000] * 4
    assert [event["kind"] for event in told(desk)] == ["begun", "settled"]


def test_a_join_that_writes_nothing_waits_for_nobody(desk: Desk) -> None:
    """P13: it takes no lock, though another process holds the run, or all of the database."""
    run = desk.create()
    desk.join(start=5000)
    database = Database(desk.url)
    with database.write() as connection:
        locks.row(connection, statements.RUN_BY_ID, {"ref": run})
        assert desk.read(join.join, "gpt", join.Arrival(start=5000)) is not None
    database.close()


def test_a_beginning_elsewhere_is_refused_with_the_way_on(desk: Desk) -> None:
    """P14: a second one, and what it would take; nothing is written."""
    desk.create()
    desk.join(start=5000)
    with pytest.raises(StepJump) as refusal:
        desk.join(start=9000)
    assert refusal.value.members == {
        "settled_until": 5000,
        "begins": 5000,
        "max_gap": 256,
        "max_jump": 4096,
        "advance": {"to": 9000},
    }
    assert settled(desk) == 5000


def test_the_beginning_is_told_with_its_author(desk: Desk) -> None:
    """Who follows a run learns of it, in its order, and that steps were settled."""
    desk.create()
    desk.settle(desk.join()["id"], 0, 4)
    desk.join(start=5000)
    desk.revise(HALVE)
    begun, past, revised = told(desk)
    assert (begun["kind"], begun["author"], begun["generation"]) == ("begun", "ann", 1)
    assert begun["begins"] == begun["settled_until"] == 5000
    assert begun["created_at"] is not None
    assert (past["kind"], past["settled_until"]) == ("settled", 5000)
    assert (revised["kind"], revised["effective"]) == ("revised", 5000)
    numbers = [event["number"] for event in (begun, past, revised)]
    assert numbers == sorted(numbers)
    assert told(desk, after=begun["number"]) == [past, revised]
    assert desk.read(events.news, {begun["id"]: numbers[0] - 1})[begun["id"]] == (
        desk.read(events.page, "gpt", numbers[0] - 1).events
    )


def test_a_rewind_does_not_open_it_again(desk: Desk) -> None:
    """P14: once in a run's life, though its beginning was rewound."""
    run = desk.create(parameters={"lr": COUNTDOWN})
    desk.join(start=5000)
    desk.write(rewind.rewind, "gpt", rewind.RewindRequest(1000, changes=HALVE))
    assert desk.settle(run, 998, 4, generation=2)[0] == [7194, 7193, 3596, 3595.5]
    with pytest.raises(StepJump):
        desk.join(start=9000)


def test_a_finished_run_begins_below_its_end(desk: Desk) -> None:
    """Its end stays its last event."""
    run = desk.create()
    desk.write(close.finish, "gpt", 6000, Note())
    with pytest.raises(StepJump):
        desk.join(start=6001)
    assert desk.join(start=6000)["settled_until"] == 6000
    assert [event["kind"] for event in told(desk)][-1] == "finished"
    assert len(desk.settle(run, 5999, 1)[0]) == 1


def test_a_checkpoint_of_what_is_forgotten_is_refused(desk: Desk) -> None:
    """P14: it goes on near what is settled, or its worker says where the training begins."""
    run = desk.create()
    desk.settle(run, 0, 8)
    assert desk.join(checkpoint=Checkpoint(run, 1, 264))["settled_until"] == 8
    with pytest.raises(StepJump):
        desk.join(checkpoint=Checkpoint(run, 1, 265))
    with pytest.raises(StaleCheckpoint):
        desk.join(checkpoint=Checkpoint("run_0", 1, 5000), start=5000)
    assert settled(desk) == 8
    assert desk.join(checkpoint=Checkpoint(run, 1, 5000), start=5000)["begins"] == 5000


# advancing


def test_a_run_is_moved_on(desk: Desk) -> None:
    """P14: a revision of what is settled alone, which history and events tell."""
    desk.create()
    desk.settle(desk.join()["id"], 0, 8)
    answer = moved(desk, 5000, note=Note("ann", "the backup was old"))
    assert answer == {
        "revision": 2,
        "effective": 5000,
        "settled_until": 5000,
        "generation": 1,
        "beyond": 5000,
        "warnings": answer["warnings"],
    }
    shown = desk.read(show.revision, "gpt", 2)
    assert (shown["kind"], shown["effective"], shown["pending"]) == ("advance", 5000, False)
    assert (shown["author"], shown["message"]) == ("ann", "the backup was old")
    first, second = told(desk)
    assert (first["kind"], first["revision"], first["author"]) == ("advanced", 2, "ann")
    assert first["settled_until"] == second["settled_until"] == 5000
    assert (second["kind"], settled(desk)) == ("settled", 5000)
    assert desk.read(explain.explain, "gpt", 6000)["parameters"]["lr"]["revision"] == 1
    assert desk.join(checkpoint=Checkpoint(shown_id(desk), 1, 5000))["begins"] == 0


def test_an_advance_is_refused_like_any_revision(desk: Desk) -> None:
    """By its bounds, by the revision that was expected, and of a finished run."""
    desk.create(total=6000, resolution=10)
    desk.settle(shown_id(desk), 0, 8)
    with pytest.raises(TooLate) as refusal:
        moved(desk, 80)
    assert refusal.value.members == {"earliest": 90}
    with pytest.raises(PastTotal):
        moved(desk, 6010)
    with pytest.raises(RevisionMismatch):
        moved(desk, 500, expected_revision=2)
    assert moved(desk, 6000, expected_revision=1)["revision"] == 2
    desk.write(close.finish, "gpt", None, Note())
    with pytest.raises(Finished):
        moved(desk, 5000)


def test_what_was_pending_below_is_in_force(desk: Desk) -> None:
    """P2: each from its own step, and none of them can be cancelled any more."""
    run = desk.create(parameters={"lr": COUNTDOWN})
    desk.revise(HALVE, 100)
    desk.revise(HALVE, 200)
    desk.revise(HALVE, 6000)
    moved(desk, 5000)
    assert [item["revision"] for item in desk.read(show.show, "gpt")["pending"]] == [4]
    assert desk.revise(HALVE)["effective"] == 5000
    assert desk.settle(run, 99, 2)[0] == [8093, 4046]
    assert desk.settle(run, 4999, 2)[0] == [798.25, 399]
    assert desk.read(explain.explain, "gpt", 150)["parameters"]["lr"]["revision"] == 2


# cells that nobody has read


@pytest.fixture(params=["begun", "advanced"])
def skipped(desk: Desk, request: pytest.FixtureRequest) -> str:
    """Return a run of which steps 8 to 7000 are settled, and none of them is in the ledger."""
    run = desk.create(parameters={"lr": COUNTDOWN})
    desk.settle(run, 0, 8)
    if request.param == "begun":
        desk.join(start=7000)
    else:
        moved(desk, 7000)
    return run


def test_skipped_cells_are_settled_and_computed_once(desk: Desk, skipped: str) -> None:
    """P1: whoever reads them first fills the ledger, by what is in force, for everybody after."""
    desk.revise({"lr": {"kind": "constant", "value": 1}})
    assert desk.read(values.preview, "gpt", BlockRequest(0, 6998, 4)).final == [
        True,
        True,
        False,
        False,
    ]
    assert list(desk.read(values.preview, "gpt", BlockRequest(0, 6998, 4)).values[0]) == [
        1194,
        1193,
        1,
        1,
    ]
    assert desk.settle(skipped, 4000, 4096)[0][:2] == [4192, 4191]
    page, _ = desk.read(served.served, "gpt", None, 0, None)
    assert [(item["start"], item["count"]) for item in page["segments"]] == [(0, 8), (4000, 4096)]
    shown = desk.read(plan.plan, "gpt", 0, 8000, 9, 10**6)
    assert list(shown["parameters"]["lr"]) == [
        1 if step >= 7000 else 8192 - step for step in shown["steps"]
    ]


def test_forks_and_rewinds_go_to_skipped_cells(desk: Desk, skipped: str) -> None:
    """P1: below them everything is inherited, whoever reads it first."""
    body = {"name": "decay", "from": {"run": "gpt", "step": 3000}, "changes": HALVE}
    child = str(desk.write(fork.fork, body, Note())["id"])
    assert desk.settle(child, 2999, 2)[0] == [5193, 2596]
    assert desk.settle(skipped, 2999, 2)[0] == [5193, 5192]
    desk.write(rewind.rewind, "gpt", rewind.RewindRequest(2000, changes=HALVE))
    assert desk.settle(skipped, 1999, 2, generation=2)[0] == [6193, 3096]
    assert desk.settle(skipped, 1999, 2)[0] == [6193, 6192]


# where a change lands


def test_a_change_says_how_far_beyond_the_readers_it_lands(desk: Desk) -> None:
    """P14: a block or two is how workers read; further is a sentence, in every kind of answer."""
    run = desk.create()
    assert desk.revise(HALVE)["beyond"] is None
    for start, count in ((0, 64), (64, 64)):
        desk.settle(run, start, count)
    near = desk.revise(HALVE)
    assert (near["effective"], near["beyond"], near["warnings"]) == (128, 64, [])
    for answer in (
        desk.revise(HALVE, 193),
        desk.read(revise.rehearse, "gpt", revise.RevisionRequest(HALVE, 193), 16),
        desk.write(revise.cancel, "gpt", 4, None, Note()),
        moved(desk, 193),
        desk.revise(HALVE),
    ):
        (warning,) = answer["warnings"]
        assert answer["beyond"] == 129
        assert "step 193 lies 129 past step 64" in warning


def test_reads_of_what_is_settled_say_where_workers_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P14: a loop has read on and is gone, and the training is far below."""
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    run = desk.create()
    for start in range(0, 4096, 256):
        desk.settle(run, start, 256)
    key = GenerationKey(run, 1)
    desk.store.sightings.note(key, 256, 320)
    assert desk.revise(HALVE)["warnings"] == []
    now += 60
    for step in (320, 384, 448):
        now += 1
        desk.store.sightings.note(key, step, step + 64)
    answer = desk.revise(HALVE)
    assert (answer["beyond"], len(answer["warnings"])) == (4096 - 448, 1)
    desk.restart()
    assert desk.revise(HALVE)["beyond"] == 256
