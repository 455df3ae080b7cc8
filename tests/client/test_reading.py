"""How far ahead a worker reads, by a clock that the tests turn."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rheostat.client.blocks import Block, BlockRequest
from rheostat.client.joined import JoinedRun
from rheostat.client.reading import Reading
from rheostat.errors import Finished


def block_of(request: BlockRequest) -> Block:
    """Return what answers a request: a block of zeros."""
    return Block(request, {"lr": memoryview(bytes(8 * request.size)).cast("d")}, 1)


class Worker:
    """A worker by a clock of its own, which remembers what it asked for and how far it held."""

    def __init__(
        self,
        *,
        lookahead: float = 2.0,
        pace: float | None = None,
        settled: int = 0,
        max_block: int = 4096,
        total: int | None = None,
    ) -> None:
        facts = JoinedRun(
            id="run-1",
            name="gpt",
            axis="step",
            resolution=1,
            generation=1,
            revision=1,
            settled_until=settled,
            parameters=("lr",),
            max_block=max_block,
            max_jump=4096,
            total=total,
            end=None,
            event=0,
            incarnation="first",
        )
        self.now = 0.0
        self.latency = 0.0
        self._underway: tuple[float, BlockRequest] | None = None
        self.reading = Reading(facts, lookahead=lookahead, pace=pace, clock=lambda: self.now)
        self.orders: list[BlockRequest] = []
        self.waits: list[int] = []
        """The cells that were not there when they were needed."""

    def read(self, cell: int) -> int:
        """Read a cell; return how many cells are held from it on."""
        self._take_in(self.now)
        while not self.reading.holds(cell):
            arrival, _ = self._underway or self._ask(cell)
            self.waits.append(cell)
            self.now = max(self.now, arrival)
            self._take_in(self.now)
        assert cell in self.reading.enter(cell)
        ahead = self.reading.due(cell) if self._underway is None else None
        if ahead is not None:
            self._ask(ahead)
            self._take_in(self.now)
        return self.reading.settled - cell

    def train(self, cells: Iterable[int], seconds: float) -> list[int]:
        """Read cells at a pace; return how far ahead of each the worker then held."""
        held = []
        for cell in cells:
            held.append(self.read(cell))
            self.now += seconds
        return held

    def _ask(self, cell: int) -> tuple[float, BlockRequest]:
        self.orders.append(self.reading.request(cell))
        self._underway = self.now + self.latency, self.orders[-1]
        return self._underway

    def _take_in(self, now: float) -> None:
        if self._underway is not None and self._underway[0] <= now:
            order = self._underway[1]
            self.reading.arrived(order, block_of(order))
            self._underway = None

    @property
    def sizes(self) -> list[int]:
        """The sizes of all blocks, in order."""
        return [order.size for order in self.orders]


@given(
    seconds=st.floats(1e-4, 100.0),
    lookahead=st.floats(0.1, 60.0),
    start=st.integers(0, 2**40),
)
@settings(deadline=None)
def test_change_arrives_within_two_lookaheads_or_two_steps(
    seconds: float, lookahead: float, start: int
) -> None:
    """P5: at a lasting pace at most 1.5 look-aheads are held, or two steps if that is longer."""
    worker = Worker(lookahead=lookahead, settled=start, max_block=512)

    held = worker.train(range(start, start + 1000), seconds)

    assert max(held) * seconds <= max(1.5 * lookahead, 2 * seconds) * (1 + 1e-9)


@given(seconds=st.floats(1e-3, 10.0), start=st.integers(0, 10_000))
@settings(deadline=None)
def test_block_is_there_before_it_is_needed(seconds: float, start: int) -> None:
    """P8: a worker waits for its first block only; the others are fetched at least a step ahead."""
    worker = Worker(settled=start, max_block=512)

    worker.train(range(start, start + 1000), seconds)

    assert worker.waits == [start]


@given(
    seconds=st.floats(1e-3, 10.0),
    part=st.floats(0.0, 0.99),
    start=st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=25)
def test_first_block_alone_is_waited_for(seconds: float, part: float, start: int) -> None:
    """P8: where a request takes less than a step, its worker waits for the first block only."""
    worker = Worker(settled=start, max_block=512)
    worker.latency = part * seconds

    worker.train(range(start, start + 1000), seconds)

    assert worker.waits == [start]


@given(latency=st.floats(1e-3, 0.05), start=st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_start_of_a_fast_training_is_short(latency: float, start: int) -> None:
    """P8: if n steps last as long as a request, no read waits after the first 4n steps."""
    worker = Worker(settled=start)
    worker.latency = latency

    worker.train(range(start, start + 2000), 1e-3)

    assert max(worker.waits) - start <= 4 * latency / 1e-3


@given(
    latency=st.floats(0.0, 0.2),
    seconds=st.floats(5e-4, 1.0),
    start=st.integers(0, 2**40),
    behind=st.integers(0, 5000),
)
@settings(deadline=None, max_examples=50)
def test_training_that_knows_its_pace_waits_once(
    latency: float, seconds: float, start: int, behind: int
) -> None:
    """P8, P5: told the pace, a worker waits for its first block only, and settles up to 1.5 L."""
    worker = Worker(pace=1 / seconds, settled=start)
    worker.latency = latency
    cells = range(max(0, start - behind), start + 3000)

    held = worker.train(cells, seconds)

    assert worker.waits == [cells[0]]
    ahead = [min(n, cell + n - start) for cell, n in zip(cells, held, strict=True)]
    assert max(ahead) * seconds <= max(1.5 * 2.0, 2 * seconds) * (1 + 1e-9)


def test_pace_that_was_promised_and_not_kept_is_soon_corrected() -> None:
    """P5: blocks after the first two are as long as the steps that are seen ask for."""
    worker = Worker(pace=1000.0)

    worker.train(range(5000), 0.5)

    assert worker.sizes[:2] == [1024, 1024]
    assert set(worker.sizes[2:]) == {4}


@given(seconds=st.floats(1e-3, 0.4))
@settings(deadline=None, max_examples=20)
def test_block_may_take_a_quarter_of_the_lookahead(seconds: float) -> None:
    """P8: once blocks have their full length, one that takes L/4 to come keeps nobody waiting."""
    worker = Worker(lookahead=2.0)
    worker.train(range(3000), seconds)
    worker.latency = 2.0 / 4

    worker.train(range(3000, 5000), seconds)

    assert worker.waits == [0]


def test_blocks_grow_to_the_lookahead_and_are_the_same_for_all() -> None:
    """Blocks double from two cells to the power of two that lasts at most the look-ahead."""
    worker = Worker(lookahead=2.0)

    worker.train(range(300), 0.03)

    assert [(o.start, o.size) for o in worker.orders[:8]] == [
        (0, 2), (2, 2), (4, 4), (8, 8), (16, 16), (32, 32), (64, 64), (128, 64),
    ]  # fmt: skip
    assert set(worker.sizes[7:]) == {64}


@pytest.mark.parametrize(("before", "after"), [(0.03, 0.3), (0.01, 5.0), (0.3, 0.03)])
def test_blocks_follow_the_pace(before: float, after: float) -> None:
    """When training slows down blocks get short at once; when it speeds up they double."""
    worker = Worker(lookahead=2.0)
    worker.train(range(1000), before)
    stop = worker.orders[-1].stop

    worker.train(range(1000, stop + 2000), after)

    longest = max(1.0, 2.0 / after)
    later = [order.size for order in worker.orders if order.start >= stop]
    assert longest / 2 < later[-1] <= longest
    assert all(b <= 2 * a for a, b in zip(worker.sizes, worker.sizes[1:], strict=False))


@given(reads=st.integers(1, 5000), start=st.sampled_from([0, 1, 5, 64, 1000]))
@settings(deadline=None)
def test_loop_that_does_not_train_cannot_settle_the_future(reads: int, start: int) -> None:
    """A loop that fast-forwards k steps holds at most 3k beyond, and two of the longest blocks."""
    worker = Worker(settled=start, max_block=256)

    held = worker.train(range(start, start + reads), 0.0)

    assert held[-1] - 1 <= min(3 * reads, 2 * 256)


def test_replay_settles_nothing() -> None:
    """A worker that resumes reads what is settled in long blocks, and then goes on cell by cell."""
    worker = Worker(settled=1050)

    worker.train(range(1000, 1054), 0.0)

    asked = [(order.start, order.size) for order in worker.orders[:5]]
    assert asked == [(0, 1024), (1024, 16), (1040, 8), (1048, 2), (1050, 1)]


def test_nothing_is_fetched_ahead_past_the_total() -> None:
    """
    P14: a training that reads on past its planned end settles what it reads, cell by cell.

    Schedulers look up one value more than there are updates, and that one is asked for.
    """
    worker = Worker(total=100)

    worker.train(range(103), 0.03)

    assert max(order.stop for order in worker.orders if order.start < 100) == 100
    past = [(order.start, order.size) for order in worker.orders if order.start >= 100]
    assert past == [(100, 1), (101, 1), (102, 1)]


def test_a_total_that_was_changed_is_learnt() -> None:
    """A training that was made longer fetches ahead again."""
    worker = Worker(total=100)
    worker.train(range(101), 0.03)

    worker.reading.lengthen(200)
    worker.train(range(101, 200), 0.03)

    assert max(order.size for order in worker.orders if order.start >= 101) > 8
    assert max(order.stop for order in worker.orders) == 200


def test_what_is_settled_past_the_total_comes_in_blocks() -> None:
    """A restart after the total is a replay like any other."""
    worker = Worker(total=100, settled=160)

    worker.read(128)

    assert (worker.orders[0].start, worker.orders[0].size) == (128, 32)


def test_looking_back_costs_no_request() -> None:
    """P8: steps of the previous block, and steps that are read again, are still there."""
    worker = Worker()
    worker.train(range(200), 0.03)
    asked = len(worker.orders)
    edge = worker.orders[-1].start

    worker.train([edge - 1, edge, edge - 1, edge, edge - 20], 0.03)

    assert len(worker.orders) == asked


def test_going_back_replays() -> None:
    """A worker that starts over reads settled blocks, and settles nothing until it is back."""
    worker = Worker()
    worker.train(range(1000), 0.01)
    settled = worker.reading.settled

    worker.train(range(700), 0.01)

    assert worker.reading.settled == settled


def test_skipped_stretch_does_not_count_as_pace() -> None:
    """P5: after a jump forward no more is held than before it."""
    worker = Worker(lookahead=2.0)
    worker.train(range(500), 0.1)

    held = worker.train(range(3000, 3500), 0.1)

    assert max(held) * 0.1 <= 1.5 * 2.0
    assert worker.waits == [0, 3000]


@pytest.mark.parametrize(("stride", "seconds"), [(7, 10.0), (128, 3.0), (100, 1.5), (512, 0.01)])
def test_worker_whose_steps_span_many_cells(stride: int, seconds: float) -> None:
    """P5, P8: where a step is many cells, its own next step is fetched ahead, and little else."""
    worker = Worker(lookahead=2.0)

    held = worker.train(range(0, 300 * stride, stride), seconds)

    assert max(held) <= max(2 * stride, 2 * 2.0 / seconds * stride)
    assert [cell for cell in worker.waits if cell > 20 * stride] == []


def test_block_that_straddles_the_end_is_asked_for_again_shorter() -> None:
    """Steps below an end that was heard of are read; it is asked for again, and is final then."""
    worker = Worker()
    worker.train(range(40), 0.03)
    request = worker.reading.request(64)

    worker.reading.refused(request, Finished("finished", end=70))

    assert worker.reading.request(64) == (64, 4)
    assert worker.reading.request(69) == (68, 2)
    again = worker.reading.request(70)
    assert again.start == 70
    worker.reading.refused(again, Finished("finished", end=70))
    with pytest.raises(Finished) as refusal:
        worker.reading.request(70)
    assert refusal.value.members == {"end": 70}


def test_finished_that_says_nothing_new_is_raised() -> None:
    """A refusal that gives no reason to ask for less is not asked about again."""
    worker = Worker()

    for end in (None, 1, 500):
        with pytest.raises(Finished):
            worker.reading.refused(BlockRequest(0, 1), Finished("finished", end=end))


def test_a_block_that_begins_in_the_current_one_and_is_longer_is_taken() -> None:
    """Else its cell would be asked for without end, and be thrown away each time."""
    reading = Worker(settled=8).reading
    reading.arrived(BlockRequest(8, 2), block_of(BlockRequest(8, 2)))
    reading.enter(8)
    reading.arrived(BlockRequest(10, 2))  # its block made way for one that another thread read

    request = reading.request(10)
    reading.arrived(request, block_of(request))

    assert request == BlockRequest(8, 4)
    assert reading.holds(10)
    assert 10 in reading.enter(10)
