"""Reach: how far past what is settled a run may be read, begun, or moved on."""

from typing import Any

import pytest

from rheostat.errors import Invalid, PastTotal, Refused, StepJump, TooLate
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage
from rheostat.server.runs.reach import (
    Progress,
    begun_at,
    require_advance,
    require_near,
    require_reach,
)
from rheostat.server.runs.spec import RunSpec

EVERY_AXIS = pytest.mark.parametrize("axis", ["step", "epoch", "samples", "tokens"])
SPARSE = {"samples", "tokens"}


def progress(
    settled: int = 0, lineage: Lineage | None = None, generation: int = 1, **more: Any
) -> Progress:
    """Return where a run stands, of which so much is settled."""
    state = {name: more.pop(name) for name in ("total", "begins", "end") if name in more}
    spec = RunSpec(name="gpt", parameters={"lr": {"kind": "constant", "value": 1.0}}, **more)
    tree = Lineage("r", [Generation(GenerationKey("r", 1), None, 0, settled)])
    return Progress(spec, lineage or tree, generation, **state)


def refused(error: type[Refused], call: Any, *asked: Any) -> Refused:
    """Return the refusal of a call."""
    with pytest.raises(error) as refusal:
        call(*asked)
    return refusal.value


# reads


@pytest.mark.parametrize("resolution", [1, 10])
@pytest.mark.parametrize(
    ("axis", "gap", "max_gap"),
    [("step", 256, 256), ("epoch", 256, 256), ("samples", 4095, 4096), ("tokens", 4095, 4096)],
)
def test_a_read_begins_at_most_a_gap_past_what_is_settled(
    axis: str, gap: int, max_gap: int, resolution: int
) -> None:
    """P14: 256 cells where each is read, and all that may settle where a batch is a stride."""
    here = progress(100 * resolution, axis=axis, resolution=resolution)
    start = (100 + gap) * resolution
    require_reach(here, start, start + resolution)
    refusal = refused(StepJump, require_reach, here, start + resolution, start + 2 * resolution)
    assert refusal.members.pop("advance")["to"] in {start + resolution, start + 2 * resolution}
    assert refusal.members == {
        "settled_until": 100 * resolution,
        "begins": 0,
        "max_gap": max_gap,
        "max_jump": 4096,
    }


@EVERY_AXIS
def test_a_read_ends_at_most_a_jump_past_what_is_settled(axis: str) -> None:
    """P14: eight cells of ten past 300 end at 380; nine do not."""
    here = progress(300, axis=axis, resolution=10, max_block=8, max_jump=8)
    require_reach(here, 300, 380)
    require_reach(here, 0, 380)
    assert refused(StepJump, require_reach, here, 310, 390).members["max_jump"] == 8


@pytest.mark.parametrize(("total", "last"), [(1000, 1080), (1001, 1090), (1009, 1090)])
def test_a_read_ends_at_most_a_block_past_the_total(total: int, last: int) -> None:
    """P14: eight cells of ten past the total, rounded up to a cell."""
    here = progress(1050, total=total, resolution=10, max_block=8)
    require_reach(here, last - 10, last)
    refusal = refused(PastTotal, require_reach, here, last, last + 10)
    assert refusal.members == {
        "total": total,
        "settled_until": 1050,
        "extend": f"rheostat run extend gpt --total {last + 10}",
    }
    assert refusal.members["extend"] in refusal.detail


def test_past_the_total_comes_before_a_jump() -> None:
    """A counter of something else is told what it is, not to say so when it joins."""
    refused(PastTotal, require_reach, progress(total=1000), 90_000, 90_001)


@EVERY_AXIS
def test_a_jump_tells_the_way_on(axis: str) -> None:
    """Say where it begins, or have it moved on; and a stride should be a cell."""
    detail = refused(StepJump, require_reach, progress(axis=axis), 90_000, 90_001).detail
    assert '"start"' in detail
    assert "rheostat run advance gpt 90000" in detail
    assert ('"resolution"' in detail) == (axis in SPARSE)
    begun = progress(axis=axis, begins=50, total=95_000)
    assert '"start"' not in refused(StepJump, require_reach, begun, 90_000, 90_001).detail


# beginning


@EVERY_AXIS
def test_who_can_read_on_from_there_just_joins(axis: str) -> None:
    """Below what is settled, at its end, and near it; one cell further it is a beginning."""
    near = 4095 if axis in SPARSE else 256
    for start in (0, 300, 300 + near):
        assert begun_at(progress(300, axis=axis), start) is None
        require_reach(progress(300, axis=axis), max(start, 300), max(start, 300) + 1)
    assert begun_at(progress(300, axis=axis), 301 + near) == 301 + near


def test_a_training_begins_at_a_cell() -> None:
    """What a worker counts need not be the start of one."""
    assert begun_at(progress(resolution=64), 1_000_003) == 1_000_003 // 64 * 64


ONE, TWO, OTHER = GenerationKey("r", 1), GenerationKey("r", 2), GenerationKey("other", 1)
REWOUND = Lineage("r", [Generation(ONE, None, 0, 20), Generation(TWO, ONE, 10, 10)])
FORK = Lineage("r", [Generation(OTHER, None, 0, 10), Generation(ONE, OTHER, 10, 10)])


@pytest.mark.parametrize(
    "state",
    [
        {"begins": 500, "settled": 500},
        {"settled": 4097},
        {"total": 8999},
        {"end": 8999},
        {"generation": 2, "lineage": REWOUND},
        {"lineage": FORK},
    ],
    ids=["again", "trained", "past-total", "past-end", "rewound", "fork"],
)
def test_a_run_begins_once_before_it_has_trained(state: dict[str, Any]) -> None:
    """P14: in generation 1 of a run that is no fork, within its total and its end."""
    refusal = refused(StepJump, begun_at, progress(**state), 9000)
    assert refusal.members.keys() >= {"settled_until", "begins", "max_gap", "max_jump"}


@pytest.mark.parametrize("state", [{"total": 9000}, {"end": 9000}, {"settled": 4096}])
def test_the_bounds_of_a_beginning_belong_to_it(state: dict[str, Any]) -> None:
    """At the total, at the end, after a jump of steps that a smoke test has settled."""
    assert begun_at(progress(**state), 9000) == 9000


def test_a_checkpoint_is_near_what_is_settled() -> None:
    """One from beyond it is of a training that the service has forgotten."""
    require_near(progress(300), 556, 300)
    require_near(progress(300), 9000, 9000)
    refusal = refused(StepJump, require_near, progress(300), 557, 300)
    assert refusal.members["advance"] == {"to": 557}


# advancing


def test_a_run_is_moved_on_past_what_is_settled_and_no_further_than_its_total() -> None:
    """P14: to an open cell; and a run that is to be longer is made longer first."""
    here = progress(100, total=1000, resolution=10)
    require_advance(here, 110)
    require_advance(here, 1000)
    assert refused(TooLate, require_advance, here, 100).members == {"earliest": 110}
    past = refused(PastTotal, require_advance, here, 1010)
    assert past.members["total"] == 1000
    assert past.detail.startswith("to is 1010, past the run's total of 1000; ")
    (error,) = refused(Invalid, require_advance, here, 115).errors
    assert (error.field, error.bound) == ("to", "a multiple of the resolution 10")
