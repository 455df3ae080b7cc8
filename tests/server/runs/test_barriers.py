"""Stops, pauses and gates: how far a run may be read, and what is said at its barriers."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.errors import (
    AwaitingReport,
    Conflict,
    Finished,
    PastTotal,
    Paused,
    StaleGeneration,
    StepJump,
    Stopped,
)
from rheostat.server.runs.barriers import Barriers, Gate, Stop
from rheostat.server.runs.lineage import Generation, GenerationKey, Lineage
from rheostat.server.runs.reach import Progress, begun_at, require_advance
from rheostat.server.runs.settling import BlockRequest, settled_end
from rheostat.server.runs.spec import RunSpec

SPEC = RunSpec(name="r", parameters={"lr": {"kind": "constant", "value": 1.0}})
ONE, TWO = GenerationKey("r", 1), GenerationKey("r", 2)
TREE = Lineage("r", [Generation(ONE, None, 0, 500), Generation(TWO, ONE, 200, 300)])


def progress(*stops: Stop, gates: tuple[Gate, ...] = (), **known: Any) -> Progress:
    """Return where a run in generation 2 stands, which is settled up to 300."""
    return Progress(SPEC, TREE, 2, barriers=Barriers(stops, gates), **known)


def read(where: Progress, start: int, stop: int, left: Stop | None = None) -> int | None:
    """Return what a read settles in the current generation."""
    return settled_end(where, BlockRequest(where.generation, start, stop - start), left)


def gate(every: int, base: int = 0, name: str = "plateau") -> Gate:
    """Return a gate of a controller."""
    return Gate(name, "loss", every, base)


def test_nothing_settles_past_the_nearest_stop() -> None:
    """P2: every rank reads up to the same step, and is told which one that is."""
    where = progress(Stop(5, 340), Stop(4, 320), Stop(6, 400, hold=True))
    assert read(where, 300, 320) == 320
    for start, stop in ((319, 321), (320, 321), (390, 410)):
        with pytest.raises(Stopped) as refusal:
            read(where, start, stop)
        assert refusal.value.members == {"end": 320, "revision": 4}


def test_a_pause_holds_and_is_no_end() -> None:
    """A read past a pause is refused by another error than a stop's: workers wait there."""
    where = progress(Stop(4, 320, hold=True), Stop(5, 340))
    with pytest.raises(Paused) as refusal:
        read(where, 318, 330)
    assert refusal.value.members == {"end": 320, "revision": 4}
    assert not isinstance(refusal.value, Finished)


@pytest.mark.parametrize("numbers", [(4, 5), (5, 4)])
def test_a_stop_during_a_pause_wins(numbers: tuple[int, int]) -> None:
    """Whoever waits at a pause ends there, if the run is stopped meanwhile."""
    pause, stop = numbers
    with pytest.raises(Stopped):
        read(progress(Stop(pause, 320, hold=True), Stop(stop, 320)), 320, 321)


def test_what_is_settled_is_read_past_any_barrier() -> None:
    """P1: settled blocks are answered for ever, in any generation."""
    where = progress(Stop(4, 300), gates=(gate(10, 250),))
    assert read(where, 290, 300) is None
    assert settled_end(where, BlockRequest(1, 400, 100)) is None


def test_the_end_of_a_run_and_a_told_stop() -> None:
    """The nearer one counts, and at one step the stop, so that all ranks end alike."""
    stop = Stop(4, 340, told=True)
    with pytest.raises(Stopped):
        read(progress(stop, end=340), 340, 341)
    with pytest.raises(Finished) as refusal:
        read(progress(stop, end=330), 330, 341)
    assert not isinstance(refusal.value, Stopped)
    assert refusal.value.members == {"end": 330}


def test_refusals_come_in_their_order() -> None:
    """A told stop of a left generation, the rewind, an end, a gate, the total, a leap."""
    told = Stop(3, 510, told=True)
    gates = (gate(7, 300),)
    left = BlockRequest(1, 9000, 8)
    with pytest.raises(Stopped) as refusal:
        settled_end(progress(Stop(4, 320, hold=True), gates=gates, total=400), left, told)
    assert refusal.value.members == {"end": 510, "revision": 3}
    with pytest.raises(StaleGeneration):
        settled_end(progress(Stop(4, 320), gates=gates, total=400), left)
    chain: list[tuple[type[Conflict], Progress]] = [
        (Stopped, progress(Stop(4, 320), gates=gates, total=400)),
        (Paused, progress(Stop(4, 320, hold=True), gates=gates, total=400)),
        (AwaitingReport, progress(gates=gates, total=400)),
        (PastTotal, progress(total=400)),
        (StepJump, progress()),
    ]
    for error, where in chain:
        with pytest.raises(error):
            read(where, 9000, 9008)


def test_a_left_generation_is_read_up_to_its_told_stop() -> None:
    """P6: what lies below the stop, and is not settled there, is fenced as ever."""
    with pytest.raises(StaleGeneration):
        settled_end(progress(), BlockRequest(1, 500, 10), Stop(3, 510, told=True))


@pytest.mark.parametrize(
    ("base", "begins", "first"),
    [(0, 0, 250), (249, 0, 250), (250, 0, 300), (349, 0, 350), (0, 360, 400), (350, 360, 400)],
)
def test_a_gate_is_the_first_multiple_above_its_base(base: int, begins: int, first: int) -> None:
    """Above what was consumed, the start of the generation (200), and that of the training."""
    where = progress(gates=(gate(50, base),), begins=begins)
    with pytest.raises(AwaitingReport) as refusal:
        read(where, 400, 500)
    members = {"gate": first, "metric": "loss", "controller": "plateau"}
    assert refusal.value.members == members


@pytest.mark.parametrize(("step", "lies"), [(0, False), (8, True), (12, True), (7, False)])
@pytest.mark.parametrize("base", [0, 8, 1000])
def test_a_gate_is_where_it_is_closed_or_open(step: int, lies: bool, base: int) -> None:  # noqa: FBT001
    """Ranks that come there before and after the report are told of one gate."""
    assert Barriers(gates=(gate(8, base), gate(6, base))).has_gate_at(step) is lies


def test_the_nearest_gate_is_waited_for() -> None:
    """Of several controllers the first in name is told, where their gates are at one step."""
    where = progress(gates=(gate(50, 300, "b"), gate(35, 300, "a"), gate(25, 315, "c")))
    with pytest.raises(AwaitingReport) as refusal:
        read(where, 300, 400)
    assert (refusal.value.members["gate"], refusal.value.members["controller"]) == (315, "a")
    assert read(where, 300, 315) == 315


def test_there_is_no_gate_past_a_told_stop_or_an_end() -> None:
    """Nobody reports any more where workers have ended: the others have to come there."""
    told, gates = Stop(4, 400, told=True), (gate(10, 300),)
    assert read(progress(told, gates=gates), 300, 400) == 400
    assert read(progress(gates=gates, end=400), 300, 400) == 400
    with pytest.raises(AwaitingReport):
        read(progress(Stop(4, 400), gates=gates), 300, 400)


def test_the_settled_end_is_not_moved_past_a_stop() -> None:
    """A beginning and an advance go up to a stop or a pause, and no further."""
    fresh = Lineage("r", [Generation(ONE, None, 0, 0)])
    for hold, error in ((False, Stopped), (True, Paused)):
        where = Progress(SPEC, fresh, 1, barriers=Barriers((Stop(2, 1000, hold=hold),)))
        assert begun_at(where, 1000) == 1000
        with pytest.raises(StepJump):
            begun_at(where, 1001)
        require_advance(where, 1000)
        with pytest.raises(error):
            require_advance(where, 1001)


def test_barriers_are_stored_as_they_are() -> None:
    """P4: what was accepted is read again as it was."""
    there = Barriers((Stop(3, 64, hold=True), Stop(4, 70, told=True)), (gate(8, 5),))
    assert Barriers.from_json(there.to_json()) == there
