"""
What a worker holds, and which cells it asks for next: no sockets, threads or locks here.

Why a change is prompt (P5). Let p be the pace in cells for a second and L the look-ahead. The first
block has two cells: what a worker may hold that does not know its pace. Past what is settled each
further one has m ≤ max(1, pL) cells, by the pace measured when it was asked for, and is asked for
when

* no more than pL/2 cells of the current block are left, or
* the worker has come to the second half of the current block, which had at most pL cells itself
  (or, of one cell, to that cell).

So when it arrives, the worker holds values of at most pL/2 + pL cells, or of two cells where a
look-ahead is shorter than a cell lasts; and from then on of fewer, until it asks again. A revision
with ``"effective": "next"`` lands at the end of what is held: it is reached within 1.5 L, or two
steps, whichever is longer. On the other side a block is asked for at least L/4 before it is needed,
once blocks have their full length, and one step before in any case: a worker whose steps last
longer than a request waits for its first block alone. One whose steps span many cells may never
come to the second half; it asks when it enters a block, and holds up to 2 L.

That holds for a pace that lasts. A loop that reads without training is bounded by doubling: the
blocks past what is settled are of 2, 2, 4, 8 … cells, and each is asked for when the one before it
is being read, so that k reads settle at most 3k cells beyond them, and never more than two of the
longest blocks. Replaying what is settled settles nothing.

The price is the start of a very fast training, whose first steps are shorter than a request. It
learns its pace at its second step, so that the block after that comes late by a request less a
step, and those that follow by less and less, until one lasts longer than a request. Waiting less
would mean to hold values before the pace is known, or more of them than were read. So a training
that knows its ``pace`` says so: its blocks have up to pL cells from the first on, which is the only
one it waits for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

from rheostat.client.blocks import NO_CELLS, Block, BlockRequest, around, floor_power, onward
from rheostat.client.joined import JoinedRun
from rheostat.errors import AwaitingReport, Finished, Paused, Refused, StaleGeneration, Stopped
from rheostat.limits import MAX_STEP

Limiting = Finished | StaleGeneration | Paused | AwaitingReport
"""What a read is refused with where reading ends, or holds."""


class Limit(NamedTuple):
    """
    The first cell that is not to be had, as far as is known, and the refusal that says so.

    One that was heard of, by a read that crosses it or by the join, is asked for again where it is
    reached: a stop can be taken back, a pause and a gate open. It is ``met`` when a read that began
    there was refused.
    """

    cell: int
    refusal: Limiting | None
    met: bool = False

    @property
    def final(self) -> bool:
        """Whether it will stay: a rewind has fenced the worker off, or the training ended there."""
        fenced = isinstance(self.refusal, StaleGeneration)
        return fenced or (self.met and isinstance(self.refusal, Finished))

    @property
    def ends(self) -> bool:
        """Whether the training ends there: it neither waits nor was rewound."""
        return self.refusal is None or isinstance(self.refusal, Finished)


class Reading:
    """
    The previous, the current and the next block of a worker, and the pace at which it reads.

    A reader looks for its cell (`holds`); if it is there, `enter` moves on to its block, and `due`
    says whether the next one is to be fetched. Otherwise `request` says what to fetch, and
    `arrived` takes it in, or `refused` does.
    """

    def __init__(
        self,
        joined: JoinedRun,
        *,
        lookahead: float,
        pace: float | None = None,
        first: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.joined = joined
        self.settled = joined.settled_until // joined.resolution
        self.first = first
        self.half = NO_CELLS
        self._limit = self._heard(joined)
        self._total = self._cells(joined.total and joined.total + joined.resolution - 1)
        self._longest = floor_power(joined.longest)
        self._pace = Pace(lookahead, clock, pace and joined.resolution / pace)
        self._told = self._pace.cells if pace else 0
        self._previous: Block | None = None
        self._current: Block | None = None
        self._next: Block | None = None
        self._fresh = 0
        self._entered = 0
        self._leaps = False
        self._jumps = deque([0, 0, 0], maxlen=3)
        self._asked_in = NO_CELLS

    def holds(self, cell: int) -> bool:
        """Whether the cell can be read without a request."""
        return any(block and cell in block for block in self._blocks())

    def find(self, cell: int) -> Block | None:
        """Return the block that holds the cell, if there is one, and stay where the worker is."""
        return next((block for block in self._blocks() if block and cell in block), None)

    def enter(self, cell: int) -> Block:
        """
        Return the block that holds the cell; move on to it, unless it is the previous one.

        A worker that looks back a few steps is served from the previous block.
        """
        block = next(block for block in self._blocks() if block and cell in block)
        if block is self._next:
            self._move_on(block, cell)
        elif block is self._current and cell >= block.middle and self.half is block.halves[0]:
            self.half = block.halves[-1]
            self._pace.mark(cell)
        return block

    def due(self, cell: int) -> int | None:
        """
        Return the cell to fetch ahead for, or None if it is not yet time for that.

        Within half a block it says so once: if fetching fails, it is tried again at the middle of
        the block, and when the cell is needed.
        """
        block, half = self._current, self.half
        fetched = self._next is not None and self._next.stop > cell
        if block is None or cell not in block or fetched or self._asked_in is half:
            return None
        expected = max(block.stop, cell + self._stride)
        late = cell >= block.middle or self._leaps
        if not late and self._pace.seconds(block.stop - cell) > self._pace.lookahead / 2:
            return None
        last = None if self._limit is None else self._limit.cell
        if any(end is not None and expected >= end for end in (last, self._total)):
            return None
        self._asked_in = half
        return expected

    def request(self, cell: int, *, ahead: bool = False) -> BlockRequest:
        """
        Return what to ask for, so that the cell is in it; raise the refusal if there is none.

        Who looks ahead does not ask for what lies past a limit that was heard of: a read that
        begins there ends the training, or waits.
        """
        limit, first = self._limit, 0
        if limit is not None and cell >= limit.cell:
            if limit.final or ahead:
                raise copy(limit.refusal) or self._stopped(limit)
            first = limit.cell  # a read that crosses it would hear of it again, and never meet it
            limit = self._limit = None
        stop = MAX_STEP // self.joined.resolution + 1 if limit is None else limit.cell
        most = self._most()
        if cell < self.settled:
            start, count = around(cell, self._longest, first, min(stop, self.settled))
        elif self.is_beyond(cell):
            return BlockRequest(cell, 1)
        else:
            stop = min(stop, self._total or stop)
            start, count = around(cell, most, max(first, self.settled), stop)
        if self._told and start + count - cell < most // 4:
            start, count = onward(cell, most, stop)
        return BlockRequest(start, count)

    def is_beyond(self, cell: int) -> bool:
        """
        Whether a cell lies past the total of the run, and is not settled.

        Such a cell is asked for when it is read, and alone: schedulers look up one more value than
        there are updates.
        """
        return self._total is not None and cell >= max(self._total, self.settled)

    def lengthen(self, total: int | None) -> None:
        """Learn the total that is in force now."""
        self._total = self._cells(total and total + self.joined.resolution - 1)

    def arrived(self, request: BlockRequest, block: Block | None = None) -> None:
        """Take in what was asked for; without a block, only that it is settled now."""
        self.first = False
        current = self._current
        known = current and request.start in current and request.stop <= current.stop
        if block is not None and not known:
            self._next = block
            if request.stop > self.settled:
                self._fresh = request.size
        self.settled = max(self.settled, request.stop)

    def refused(self, request: BlockRequest, refusal: Limiting) -> None:
        """
        Learn where the run, or the generation that a rewind has left, ends or holds.

        Up to there every worker may read, so that all of them meet it at the same step. Raises the
        refusal if it is no reason to ask for less: there the worker ends, or waits.
        """
        end = self._cells(refusal.members.get(_FIELD[type(refusal)]))
        if end is None or end >= request.stop:
            raise refusal
        self._limit = Limit(end, refusal, met=request.start >= end)
        if self._limit.met and not self._limit.final:
            raise refusal

    def went_on(self, cell: int) -> None:
        """Go on at a cell that was waited for: the time counts as no time of the training."""
        self._pace.restart(cell)

    @property
    def at(self) -> int:
        """A step that is being read, or that was a moment ago; 0 before the first."""
        return max(self.half.span.start, self._entered * self.joined.resolution)

    @property
    def pace(self) -> float | None:
        """How far the worker goes on in a second, in what the run counts, if that is known."""
        return self._pace.rate and self._pace.rate * self.joined.resolution

    @property
    def ends_at(self) -> int | None:
        """The step at which the training ends, as far as is known."""
        limit = self._limit
        return limit.cell * self.joined.resolution if limit and limit.ends else None

    @property
    def ended(self) -> Finished | None:
        """Why the training has ended, if it has come to its end."""
        limit = self._limit
        final = limit.refusal if limit and limit.final else None
        return final if isinstance(final, Finished) else None

    def has_met(self, cell: int) -> bool:
        """Whether the run ends or holds at a cell, as who began a read there was told."""
        limit = self._limit
        return limit is not None and limit.met and cell >= limit.cell

    def _most(self) -> float:
        """Return how many cells the next block may have past what is settled."""
        if self._current is None:
            return min(max(2, self._told), self._longest)
        grown = max(2 * self._fresh, self._told)
        return max(1, min(grown, self._pace.cells, self._longest))

    @property
    def _stride(self) -> int:
        """By how many cells the worker moves at a time, if that has been seen three times."""
        return min(self._jumps)

    def _blocks(self) -> tuple[Block | None, ...]:
        return self._current, self._next, self._previous

    def _move_on(self, block: Block, cell: int) -> None:
        """
        Make the next block the current one, and measure the pace.

        Blocks that are read one after the other tell the pace. So do leaps of about one size, by a
        worker whose steps span many cells; a single leap does not.
        """
        before = self._current
        follows = before is not None and block.start <= before.stop <= cell
        self._leaps = before is not None and not (
            cell == before.stop and self.half is before.halves[-1]
        )
        jump = max(0, cell - self._entered) if self._leaps else 0
        if follows or 0 < jump <= 2 * self._jumps[-1]:
            self._pace.mark(cell)
        else:
            self._pace.restart(cell)
        self._jumps.append(jump)
        self._entered = cell
        self._previous, self._current, self._next = before, block, None
        self.half = block.halves[0 if cell < block.middle else -1]

    def _cells(self, step: Any) -> int | None:
        """Return the cell of a step that the service tells; None for what is no step."""
        return step // self.joined.resolution if type(step) is int and step >= 0 else None

    def _heard(self, joined: JoinedRun) -> Limit | None:
        """Return the end that was told when the run was joined."""
        told = [step for step in (joined.end, joined.stop) if step is not None]
        return Limit(min(told) // joined.resolution, None) if told else None

    def _stopped(self, limit: Limit) -> Finished:
        end = limit.cell * self.joined.resolution
        return Finished(f"run {self.joined.name} has no value from step {end} on", end=end)


_FIELD: dict[type[Refused], str] = {
    Finished: "end",
    Stopped: "end",
    Paused: "end",
    AwaitingReport: "gate",
    StaleGeneration: "settled_until",
}
"""Which member of a refusal says where reading ends or holds."""


class Pace:
    """
    The wall-clock pace of reading, in seconds for a cell, taken between two marks.

    Until the second mark it is what the training says of itself, if it does.

    Time that the worker spends waiting for values counts, so that trouble makes it look slower,
    and its blocks shorter.
    """

    def __init__(
        self, lookahead: float, clock: Callable[[], float], seconds: float | None = None
    ) -> None:
        self.lookahead = lookahead
        self._clock = clock
        self._seconds = seconds
        self._cell = 0
        self._time = 0.0

    def restart(self, cell: int) -> None:
        """Set a mark where reading goes on after a jump; the pace stays what it was."""
        self._cell, self._time = cell, self._clock()

    def mark(self, cell: int) -> None:
        """Set a mark at a later cell, and take the pace since the last one."""
        then, before = self._time, self._cell
        self.restart(cell)
        if cell > before:
            self._seconds = (self._time - then) / (cell - before)

    @property
    def cells(self) -> float:
        """The cells that last for the look-ahead; 1 as long as the pace is not known."""
        if self._seconds is None:
            return 1.0
        return self.lookahead / self._seconds if self._seconds > 0 else float("inf")

    @property
    def rate(self) -> float | None:
        """The cells in a second; None as long as the pace is not known."""
        return 1.0 / self._seconds if self._seconds else None

    def seconds(self, cells: int) -> float:
        """Return how long so many cells last; for ever as long as the pace is not known."""
        return float("inf") if self._seconds is None else cells * self._seconds
