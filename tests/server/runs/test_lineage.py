"""Generations: who owns which cell, and which checkpoints a rewind leaves behind."""

import pytest

from rheostat.errors import StaleCheckpoint, UnknownGeneration
from rheostat.server.runs.lineage import Generation, Lineage, Stretch


@pytest.fixture
def tree() -> Lineage:
    """
    Return four generations.

    1 settles to 1000; 2 leaves it at 600 and settles to 900; 3 leaves 2 at 700; 4 goes back
    further, to step 100 of 1.
    """
    return Lineage(
        [
            Generation(1, None, 0, 1000),
            Generation(2, 1, 600, 900),
            Generation(3, 2, 700, 800),
            Generation(4, 1, 100, 100),
        ]
    )


def test_cells_below_a_branch_are_the_ancestors(tree: Lineage) -> None:
    """A generation owns its cells from its branch on, and inherits those below it."""
    expected = [Stretch(1, 550, 600), Stretch(2, 600, 700), Stretch(3, 700, 750)]
    assert expected == tree.owners(3, 550, 750)


def test_a_branch_below_its_parents_own_hides_the_parent(tree: Lineage) -> None:
    """What a parent owns past the branch is no part of the child's past."""
    assert [Stretch(1, 50, 100), Stretch(4, 100, 700)] == tree.owners(4, 50, 700)


def test_a_span_within_one_owner_is_one_stretch(tree: Lineage) -> None:
    """Owners of nothing are left out."""
    assert [Stretch(1, 10, 20)] == tree.owners(3, 10, 20)
    assert [Stretch(3, 700, 701)] == tree.owners(3, 700, 701)


@pytest.mark.parametrize(
    ("current", "generation", "step"),
    [(1, 1, 1000), (2, 1, 600), (2, 2, 900), (3, 1, 600), (3, 2, 700), (4, 1, 100), (4, 1, 0)],
)
def test_checkpoints_of_the_past_may_resume(
    tree: Lineage, current: int, generation: int, step: int
) -> None:
    """P6: a checkpoint on the current line, at or before every branch, is accepted."""
    tree.require_resumable(current, generation, step)


@pytest.mark.parametrize(
    ("current", "generation", "step"),
    [(2, 1, 601), (3, 1, 601), (3, 2, 701), (4, 1, 101), (4, 2, 50), (4, 3, 700), (3, 4, 0)],
)
def test_checkpoints_beyond_a_rewind_are_refused(
    tree: Lineage, current: int, generation: int, step: int
) -> None:
    """P6: a checkpoint beyond a branch, or off the line, is refused with the rewind it needs."""
    with pytest.raises(StaleCheckpoint) as refusal:
        tree.require_resumable(current, generation, step)
    assert {"to": step, "from_generation": generation} == refusal.value.members["rewind"]


def test_an_unknown_generation_is_named(tree: Lineage) -> None:
    """Asking for a generation that never was is an error of its own."""
    with pytest.raises(UnknownGeneration, match="generation 5"):
        tree.owners(5, 0, 1)
