"""Settling: which reads settle a run, and up to where."""

from typing import Any

import numpy as np
import pytest

from rheostat.errors import Finished, Invalid, PastTotal, StaleGeneration, StepJump
from rheostat.limits import MAX_STEP
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage
from rheostat.server.runs.reach import Progress
from rheostat.server.runs.settling import BlockRequest, Segment, holes, join_up, settled_end
from rheostat.server.runs.spec import RunSpec

SPEC = RunSpec(
    name="r",
    parameters={"lr": {"kind": "constant", "value": 1.0}},
    resolution=10,
    max_block=8,
    max_jump=8,
)
ONE, TWO = GenerationKey("r", 1), GenerationKey("r", 2)
TREE = Lineage("r", [Generation(ONE, None, 0, 500), Generation(TWO, ONE, 200, 300)])


def settled(ask: BlockRequest, **progress: Any) -> int | None:
    """Return what a read settles in generation 2 of the tree."""
    return settled_end(Progress(SPEC, TREE, 2, **progress), ask)


def test_a_read_past_the_settled_end_settles_up_to_its_own_end() -> None:
    """The settled end is the end of the last cell that was handed out."""
    assert settled(BlockRequest(2, 290, 3)) == 320


def test_a_read_below_the_settled_end_settles_nothing() -> None:
    """What is settled is answered in any generation, also one that was left."""
    assert settled(BlockRequest(2, 220, 8)) is None
    assert settled(BlockRequest(1, 420, 8)) is None


def test_an_old_generation_settles_nothing_new() -> None:
    """P6: a fenced worker is refused, and told where the rewind went."""
    with pytest.raises(StaleGeneration) as refusal:
        settled(BlockRequest(1, 490, 2))
    assert refusal.value.members == {"generation": 2, "rewound_to": 200, "settled_until": 500}


def test_a_finished_run_settles_up_to_its_end() -> None:
    """A lagging rank reads what is left; a read past the end learns where it is."""
    assert settled(BlockRequest(2, 300, 4), end=340) == 340
    with pytest.raises(Finished) as refusal:
        settled(BlockRequest(2, 300, 5), end=340)
    assert refusal.value.members == {"end": 340}


def test_refusals_come_in_their_order() -> None:
    """The run has left the worker, it has ended, the worker counts wrongly, it has leapt."""
    far = BlockRequest(2, 9000, 8)
    with pytest.raises(StaleGeneration):
        settled(BlockRequest(1, 9000, 8), end=340, total=400)
    with pytest.raises(Finished):
        settled(far, end=340, total=400)
    with pytest.raises(PastTotal):
        settled(far, total=400)
    with pytest.raises(StepJump):
        settled(far, total=9000)


@pytest.mark.parametrize(
    ("start", "count", "field"),
    [
        (5, 1, "start"),
        (-10, 1, "start"),
        (0, 0, "count"),
        (0, 9, "count"),
        (MAX_STEP - MAX_STEP % 10, 2, "count"),
        (MAX_STEP + 9, 1, "start"),
    ],
)
def test_blocks_off_the_grid_are_refused(start: int, count: int, field: str) -> None:
    """P10: a start within a cell, an empty or oversized block, and the end of the axis."""
    with pytest.raises(Invalid) as refusal:
        settled(BlockRequest(2, start, count))
    assert field == refusal.value.errors[0].field


def segment(start: int, stop: int) -> Segment:
    """Return a segment of one parameter whose values are its steps."""
    return Segment(start, stop, np.arange(start, stop, 10, dtype=np.float64).reshape(1, -1))


def test_holes_are_what_no_segment_covers() -> None:
    """Segments in any order, also beyond both ends of the span."""
    assert holes(100, 200, [segment(150, 160), segment(80, 110)]) == [(110, 150), (160, 200)]
    assert holes(100, 200, []) == [(100, 200)]
    assert holes(100, 200, [segment(90, 300)]) == []


def test_segments_join_up_in_the_order_of_their_steps() -> None:
    """The values stand in the order of the steps, whatever the order of the segments."""
    joined = join_up([segment(20, 40), segment(0, 20)])
    assert joined.tolist() == [[0.0, 10.0, 20.0, 30.0]]
