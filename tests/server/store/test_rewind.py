"""Rewinding in the store, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat import wire
from rheostat.errors import Finished, GenerationMismatch, Invalid, StaleCheckpoint, StaleGeneration
from rheostat.server.runs.revision import Note
from rheostat.server.store.database import Database
from rheostat.server.store.operations import close, show
from rheostat.server.store.operations.join import Checkpoint
from rheostat.server.store.operations.rewind import RewindRequest, rewind

if TYPE_CHECKING:
    from tests.server.store.conftest import Desk

HALVE = {"lr": {"edit": "scale", "factor": 0.5}}


def back(desk: Desk, to: int, **rest: Any) -> wire.Rewound:
    """Rewind the run ``gpt``."""
    return desk.write(rewind, "gpt", RewindRequest(to, **rest))


def test_a_rewind_starts_a_generation_at_its_step(desk: Desk) -> None:
    """The answer says where it branches, and how far the generation that was left had come."""
    desk.settle(desk.create(), 0, 20)
    expected: wire.Rewound = {
        "generation": 2,
        "parent": 1,
        "from": 8,
        "ended": 20,
        "revision": 2,
        "again": [],
        "dropped": [],
    }
    assert back(desk, 8) == expected
    assert desk.read(show.show, "gpt")["settled_until"] == 8


def test_cells_below_a_rewind_are_inherited_and_later_ones_are_new(desk: Desk) -> None:
    """P1: what the new generation changes, the old one keeps as it was served."""
    run = desk.create()
    desk.settle(run, 0, 20)
    back(desk, 8, changes=HALVE)
    assert desk.settle(run, 6, 4, generation=2)[0] == [94, 93, 46, 45.5]
    assert desk.settle(run, 6, 4, generation=1)[0] == [94, 93, 92, 91]


def test_an_old_generation_is_fenced(desk: Desk) -> None:
    """P6: it settles nothing more, though it had been first to a step."""
    run = desk.create()
    desk.settle(run, 0, 20)
    back(desk, 8)
    with pytest.raises(StaleGeneration):
        desk.settle(run, 20, 1, generation=1)


def test_revisions_past_a_rewind_drop_and_earlier_ones_stay(desk: Desk) -> None:
    """One at the very step of the rewind stays in force; a pending one is gone."""
    run = desk.create()
    desk.revise(HALVE, 4)
    desk.revise(HALVE, 8)
    desk.revise(HALVE, 12)
    desk.settle(run, 0, 20)
    desk.revise(HALVE, 40)
    back(desk, 8)
    assert desk.settle(run, 3, 10, generation=2)[0] == [
        97, 48, 47.5, 47, 46.5, 23, 22.75, 22.5, 22.25, 22,
    ]  # fmt: skip
    assert desk.read(show.show, "gpt")["pending"] == []
    items, _ = desk.read(show.revisions, "gpt", 0, 10)
    assert not any(item["pending"] for item in items)


def test_generations_are_in_order_wherever_their_rows_are(desk: Desk) -> None:
    """PostgreSQL puts a row that changes elsewhere, and reads a small table as it lies."""
    desk.settle(desk.create(), 0, 8)
    back(desk, 4)
    back(desk, 2)
    database = Database(desk.url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE generations SET start = start WHERE generation = 1")
        connection.exec_driver_sql("ANALYZE")
    database.close()
    generations = desk.read(show.show, "gpt")["generations"]
    assert [item["generation"] for item in generations] == [1, 2, 3]


def test_what_a_rewind_kept_can_be_reverted_to(desk: Desk) -> None:
    """A change that was pending at the very step of the rewind came into force there."""
    run = desk.create()
    desk.settle(run, 0, 8)
    desk.revise(HALVE, 8)
    desk.revise(HALVE, 9)
    back(desk, 8, changes=HALVE)
    desk.revise({"lr": {"edit": "revert", "to": 2}}, 10)
    assert desk.settle(run, 8, 4, generation=2)[0] == [23, 22.75, 45, 44.5]
    with pytest.raises(Invalid, match="revision 3 has put nothing in force"):
        desk.revise({"lr": {"edit": "revert", "to": 3}}, 20)


def test_a_rewind_may_branch_from_any_generation(desk: Desk) -> None:
    """Also from one that was left, at a step that only it has settled."""
    run = desk.create()
    desk.settle(run, 0, 20)
    back(desk, 8, changes=HALVE)
    back(desk, 15, from_generation=1)
    assert desk.settle(run, 14, 2, generation=3)[0] == [86, 85]


def test_two_watchdogs_do_not_fence_each_other(desk: Desk) -> None:
    """P6, P7: the second is told that the run was rewound already."""
    desk.settle(desk.create(), 0, 20)
    back(desk, 8, expected_generation=1)
    with pytest.raises(GenerationMismatch) as refusal:
        back(desk, 8, expected_generation=1)
    assert refusal.value.members == {"generation": 2}


@pytest.mark.parametrize(("to", "bound"), [(21, "<= 20"), (-1, "0 <= to")])
def test_a_rewind_goes_to_a_settled_step(desk: Desk, to: int, bound: str) -> None:
    """At most to the settled end of the generation that it branches from."""
    desk.settle(desk.create(), 0, 20)
    with pytest.raises(Invalid) as refusal:
        back(desk, to)
    assert bound in str(refusal.value.errors[0].bound)
    assert back(desk, 20)["from"] == 20


def test_a_finished_run_is_not_rewound(desk: Desk) -> None:
    """It has an end."""
    desk.settle(desk.create(), 0, 20)
    desk.write(close.finish, "gpt", None, Note())
    with pytest.raises(Finished):
        back(desk, 8)


def test_a_checkpoint_from_beyond_a_rewind_cannot_be_resumed(desk: Desk) -> None:
    """P6: step 9 of generation 1 is not in the past of generation 2; step 8 is."""
    run = desk.create()
    desk.settle(run, 0, 20)
    back(desk, 8)
    assert desk.join("gpt", checkpoint=Checkpoint(run, 1, 8))["generation"] == 2
    with pytest.raises(StaleCheckpoint):
        desk.join("gpt", checkpoint=Checkpoint(run, 1, 9))
