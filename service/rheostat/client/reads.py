"""A worker's reads, as far as they are the same with and without asyncio."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rheostat.client.blocks import NOTHING, Block, Column, Order
from rheostat.client.flow import Flow, exchange
from rheostat.client.joined import Joined, joining
from rheostat.client.life import Life
from rheostat.client.reading import Reading
from rheostat.client.settings import Settings
from rheostat.client.wire import coordinate, invalid
from rheostat.errors import Finished, StaleGeneration, StepJump

AT_ONCE = 8
"""Cells that a training which has just begun may hold, if its pace is not known."""

log = logging.getLogger("rheostat")


class Reads:
    """What a worker reads, and what it knows of its run."""

    _near: Mapping[str, Mapping[int, float]]
    """The look-up of the window that is being read: by name, and then by coordinate."""

    def __init__(
        self, settings: Settings, facts: Joined, *, first: bool = True, replays: bool = False
    ) -> None:
        self._settings = settings
        self._replays = replays
        """Whether it is to be told, once, that it is given what others were given before."""
        self._names: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        """Guards what is held, and is never kept while waiting."""
        self._begin(facts, first=first)

    @property
    def id(self) -> str:
        """The run's id, which is never used again."""
        return self._facts.id

    @property
    def name(self) -> str:
        """The run's name."""
        return self._facts.name

    @property
    def generation(self) -> int:
        """The generation that was joined."""
        return self._facts.generation

    @property
    def axis(self) -> str:
        """What the run counts, such as ``step``."""
        return self._facts.axis

    @property
    def resolution(self) -> int:
        """The width of a cell: a step is rounded down to a multiple of it."""
        return self._facts.resolution

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, sorted."""
        return self._facts.parameters

    @property
    def total(self) -> int | None:
        """The length of the training, if the run states it."""
        return self._facts.total

    def checkpoint(self, step: int) -> dict[str, Any]:
        """Return what a checkpoint at ``step`` must hold to be resumed: see `Client.run`."""
        return {"id": self.id, "generation": self.generation, "step": step}

    def _begin(self, facts: Joined, *, first: bool = True) -> None:
        """Read on as one who joined just now, or (``first`` is false) has read since."""
        self._facts = facts
        told = self._settings
        self._reading = Reading(facts, lookahead=told.lookahead, pace=told.pace, first=first)
        self._life = Life(facts)
        self._told_total: int | None = None
        self._near = NOTHING.cells
        self._width = len(facts.parameters)
        self._resolution = facts.resolution

    def _state(self) -> tuple[Joined, bool]:
        """Return what a copy in another process begins with: no blocks, but what is settled."""
        settled = self._reading.settled * self._facts.resolution
        return replace(self._facts, settled_until=settled), self._reading.first

    def _renew(self) -> None:
        """Begin again after a fork: a thread that is not here may have held the lock."""
        facts, first = self._state()
        self._lock = threading.Lock()
        self._begin(facts, first=first)

    def _cell_of(self, step: int, *names: str) -> int:
        """Return the cell of a step, and have these parameters indexed from now on."""
        known = self._facts.parameters
        for name in names:
            if name not in known:
                raise invalid("name", name, f"one of {', '.join(known)}")
        self._names = self._names.union(names)
        return coordinate(step) // self._facts.resolution

    def _held(self, cell: int) -> tuple[Block, int | None] | None:
        """Return the block of a cell, if it is there, and the cell to fetch ahead for, if any."""
        with self._lock:
            reading = self._reading
            if not reading.holds(cell):
                return None
            block = reading.enter(cell)
            reading.window.index(self._names)
            self._near = reading.window.cells
            return block, reading.due(cell)

    def _fetching(self, cell: int, since: float) -> Flow[None]:
        """
        Fetch the block of a cell; where the run or generation ends in it, only learn that.

        Whoever needs it waits ``since`` then, by the monotonic clock.
        """
        with self._lock:
            reading = self._reading
            beyond = reading.is_beyond(cell)
        if beyond:
            yield from self._learn_total(reading)
        with self._lock:
            order = reading.order(cell)
        self._tell_of_replay(cell)
        try:
            block = yield from self._reading_of(order, since)
        except (Finished, StaleGeneration) as refusal:
            with self._lock:
                reading.refused(order, refusal)
            return
        for window in block.windows:
            window.index(self._names)
        with self._lock:
            reading.arrived(order, block)

    def _learn_total(self, reading: Reading) -> Flow[None]:
        """Ask whether a training that is past its total was made longer; say once if it was not."""
        facts = yield from joining(self._settings, self.id)
        with self._lock:
            reading.lengthen(facts.total)
        if facts.total != self._told_total:
            self._told_total = facts.total
            log.info("run %s is read past its total of %s", facts.name, f"{facts.total:,}")

    def _tell_of_replay(self, cell: int) -> None:
        """
        Warn who begins far below the settled end without a checkpoint: it may mean a new training.

        Ranks that begin together are not far apart: what the first of them holds is `AT_ONCE`
        cells, or two look-aheads if the pace was told.
        """
        facts, told, tells = self._facts, self._settings, self._replays
        self._replays = False
        pace = told.pace or 0.0
        held = max(AT_ONCE, 2 * told.lookahead * pace / facts.resolution)
        if not tells or facts.settled_until // facts.resolution - cell <= held:
            return
        log.warning(
            "run %s was trained to %s %s and has %s revision%s; its values are served again, from "
            "%s on. New attempt: name it anew, or fork it. The same one: join with its checkpoint",
            *(facts.name, facts.axis, f"{facts.settled_until:,}"),
            *(facts.revision, "" if facts.revision == 1 else "s"),
            f"{cell * facts.resolution:,}",
        )

    def _fetching_exactly(self, step: int, count: int) -> Flow[dict[str, Column]]:
        """Fetch ``count`` cells beside those that are held."""
        most, size = self._facts.longest, coordinate(count, "n")
        if not 1 <= size <= most:
            raise invalid("n", count, f"from 1 to {most}, the run's max_block or max_jump")
        with self._lock:
            reading = self._reading
            order = Order(self._cell_of(step), size)
        self._tell_of_replay(order.start)
        block = yield from self._reading_of(order, time.monotonic())
        with self._lock:
            reading.arrived(order)
        return dict(block.columns)

    def _reading_of(self, order: Order, since: float) -> Flow[Block]:
        with self._lock:  # of one join: who joins again meanwhile begins another life
            facts, life = self._facts, self._life
        life.require_one()
        call = facts.read(order)
        patience = self._settings.worker(call, since, begun=not self._reading.first)
        try:
            answer, block = yield from exchange(
                call, patience, lambda answer: (answer, facts.block(order, answer))
            )
        except StepJump as refusal:
            life.require_settled(refusal)
            raise
        with self._lock:
            life.saw(answer, order.stop * facts.resolution)
        return block

    def _beginning(self, start: int) -> Flow[Joined]:
        begun = coordinate(start, "start")
        facts = yield from joining(self._settings, self.id, start=begun)
        with self._lock:
            self._begin(facts)
        return facts

    def _rejoining(self, checkpoint: Mapping[str, Any] | None) -> Flow[Joined]:
        facts = yield from joining(self._settings, self.name, checkpoint)
        with self._lock:
            self._begin(facts)
        return facts
