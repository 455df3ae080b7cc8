"""Generations: who owns which cell, and which checkpoints a rewind leaves behind."""

import pytest

from rheostat.errors import StaleCheckpoint, UnknownGeneration
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage, OwnedSteps


@pytest.fixture
def tree() -> Lineage:
    """
    Return four generations of run r.

    1 settles to 1000; 2 leaves it at 600 and settles to 900; 3 leaves 2 at 700; 4 goes back
    further, to step 100 of 1.
    """
    return Lineage("r", GENERATIONS)


GENERATIONS = [
    Generation(GenerationKey("r", 1), None, 0, 1000),
    Generation(GenerationKey("r", 2), GenerationKey("r", 1), 600, 900),
    Generation(GenerationKey("r", 3), GenerationKey("r", 2), 700, 800),
    Generation(GenerationKey("r", 4), GenerationKey("r", 1), 100, 100),
]


def owned(number: int, start: int, stop: int, run: str = "r") -> OwnedSteps:
    """Return a stretch of a generation."""
    return OwnedSteps(GenerationKey(run, number), start, stop)


def test_cells_below_a_branch_are_the_ancestors(tree: Lineage) -> None:
    """A generation owns its cells from its branch on, and inherits those below it."""
    expected = [owned(1, 550, 600), owned(2, 600, 700), owned(3, 700, 750)]
    assert expected == tree.owners(3, 550, 750)


def test_a_branch_below_its_parents_own_hides_the_parent(tree: Lineage) -> None:
    """What a parent owns past the branch is no part of the child's past."""
    assert [owned(1, 50, 100), owned(4, 100, 700)] == tree.owners(4, 50, 700)


def test_a_span_within_one_owner_is_one_stretch(tree: Lineage) -> None:
    """Owners of nothing are left out."""
    assert [owned(1, 10, 20)] == tree.owners(3, 10, 20)
    assert [owned(3, 700, 701)] == tree.owners(3, 700, 701)


@pytest.mark.parametrize(
    ("current", "generation", "step"),
    [(1, 1, 1000), (2, 1, 600), (2, 2, 900), (3, 1, 600), (3, 2, 700), (4, 1, 100), (4, 1, 0)],
)
def test_checkpoints_of_the_past_may_resume(
    tree: Lineage, current: int, generation: int, step: int
) -> None:
    """P6: a checkpoint on the current line, at or before every branch, is accepted."""
    tree.require_resumable(current, GenerationKey("r", generation), step, Grid(1))


@pytest.mark.parametrize(
    ("current", "generation", "step"),
    [(2, 1, 601), (3, 1, 601), (3, 2, 701), (4, 1, 101), (4, 2, 50), (4, 3, 700), (3, 4, 0)],
)
def test_checkpoints_beyond_a_rewind_are_refused(
    tree: Lineage, current: int, generation: int, step: int
) -> None:
    """P6: a checkpoint beyond a branch, or off the line, is refused with the rewind it needs."""
    with pytest.raises(StaleCheckpoint) as refusal:
        tree.require_resumable(current, GenerationKey("r", generation), step, Grid(1))
    assert {"to": step, "from_generation": generation} == refusal.value.members["rewind"]


def test_an_unknown_generation_is_named(tree: Lineage) -> None:
    """Asking for a generation that never was is an error of its own."""
    with pytest.raises(UnknownGeneration, match="generation 5"):
        tree.owners(5, 0, 1)


def test_a_fork_inherits_from_another_run() -> None:
    """P6: its past is the other run's, also for the checkpoints that may resume in it."""
    fork = Generation(GenerationKey("f", 1), GenerationKey("r", 2), 650, 650)
    tree = Lineage("f", [*GENERATIONS, fork])
    assert [owned(1, 590, 600), owned(2, 600, 650), owned(1, 650, 660, "f")] == tree.owners(
        1, 590, 660
    )
    tree.require_resumable(1, GenerationKey("r", 2), 650, Grid(1))
    with pytest.raises(StaleCheckpoint):
        tree.require_resumable(1, GenerationKey("r", 2), 651, Grid(1))
    assert [fork] == list(tree)


@pytest.mark.parametrize(
    ("checkpoint", "rewind"),
    [
        (GenerationKey("r", 1), {"to": 110, "from_generation": 1}),
        (GenerationKey("r", 9), None),
        (GenerationKey("other", 1), None),
    ],
)
def test_only_a_rewind_that_works_is_suggested(
    tree: Lineage, checkpoint: GenerationKey, rewind: dict[str, int] | None
) -> None:
    """P6: to the start of a cell, and from a generation of this very run."""
    with pytest.raises(StaleCheckpoint) as refusal:
        tree.require_resumable(4, checkpoint, 101, Grid(10))
    assert rewind == refusal.value.members.get("rewind")
