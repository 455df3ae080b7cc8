# Made from _async/fetching.py by unasync.py: edit that one, and run this.

"""What a worker holds of its run: fetched in time, and waited for where it has to be."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rheostat.client import ends, revisions, signals
from rheostat.client._sync.beating import Beating
from rheostat.client._sync.session import Session
from rheostat.client.answers import Answer
from rheostat.client.blocks import NO_CELLS, Block, BlockRequest, HalfBlock
from rheostat.client.calls import Call, coordinate, invalid
from rheostat.client.joined import HighWaterMark, JoinedRun
from rheostat.client.reading import Reading
from rheostat.client.retry import Trouble, judged
from rheostat.client.revisions import Coming, Revision
from rheostat.client.signals import Hearing
from rheostat.client.waiting import Held, Waiting, Waits, everywhere
from rheostat.errors import (
    AwaitingReport,
    Finished,
    Paused,
    RheostatError,
    StaleGeneration,
    StepJump,
    UnknownRun,
)
from rheostat.limits import MAX_STEP
from rheostat.saying import log, sentence

if TYPE_CHECKING:
    from rheostat.client._sync.node import Node

Result = TypeVar("Result")

AT_ONCE = 8
"""Cells that a training which has just begun may hold, if its pace is not known."""


class Fetching(Beating):
    """The blocks of a run that was joined."""

    ends_at: int | None
    """The step at which the training ends, if it is known; until it is reached that may change."""
    ended: Finished | None
    """Why it has ended, once it has: `Stopped` or `Finished`."""
    waits_for: Held | None
    """The refusal that says at which pause or gate it waits, while it does."""
    on_wait: Callable[[Held], object] | None
    """What is called, with that refusal, once for each time that it waits."""

    _held: Mapping[str, Mapping[int, float]]
    """The values of the half block that is being read: by name, and then by coordinate."""
    _span: range
    """The coordinates of that half block."""
    _half: HalfBlock
    """Itself."""

    def __init__(self, session: Session, joined: JoinedRun, *, first: bool, replays: bool) -> None:
        super().__init__(session, joined)
        self._settings = session.settings
        self._replays = replays
        """Whether it is to be told, once, that it is given what others were given before."""
        self._informs = log.isEnabledFor(logging.INFO)
        """Whether the log is to have each revision that comes into force."""
        self._told_of_end: tuple[Any, ...] = ()
        self._names: frozenset[str] = frozenset()
        self.on_wait = None
        self._on_change: Callable[[Revision], object] | None = None
        self._begin(joined, first=first)
        self._make_locks()

    def _begin(self, joined: JoinedRun, *, first: bool = True) -> None:
        """Read on as one who joined just now, or (``first`` is false) has read since."""
        self._joined = joined
        told = self._settings
        self._reading = Reading(joined, lookahead=told.lookahead, pace=told.pace, first=first)
        self._mark = HighWaterMark(joined)
        self._beats.sit(joined, self._reading, self._mark)
        self._node = self._shared(joined)
        self._told_total: int | None = None
        self._replayed: int | None = None
        """The cell that was read first, if it is one of those that others were given."""
        self._hearing, self._coming = Hearing(), Coming()
        self._show(NO_CELLS)
        self.ends_at, self.ended, self.waits_for = self._reading.ends_at, None, None
        self._width = len(joined.parameters)
        self._resolution = joined.resolution

    @property
    def on_change(self) -> Callable[[Revision], object] | None:
        """What is called with each revision that comes into force: see `Client.run`."""
        return self._on_change

    @on_change.setter
    def on_change(self, call: Callable[[Revision], object] | None) -> None:
        with self._lock:
            if self._on_change is None:
                self._coming.forget()
            self._on_change = call
            self._show(NO_CELLS)  # what is held ends at the next revision from now on

    def _show(self, half: HalfBlock) -> None:
        """Have look-ups find the values of half a block."""
        self._half, self._held, self._span = half, half.cells, half.span

    def _make_locks(self) -> None:
        network = self._session.network
        self._lock = threading.Lock()
        """Guards what is held, and is never kept while waiting."""
        self._fetching = network.lock()
        """Kept by the one who fetches: the others wait for its block."""
        self._learning = network.lock()
        """Kept by the one who asks what signals say, so that each is asked for once."""
        self._background = network.background(f"rheostat {self._joined.name}")

    def _cell_of(self, step: int, *names: str) -> int:
        """Return the cell of a step, and have these parameters indexed from now on."""
        known = self._joined.parameters
        for name in names:
            if name not in known:
                raise invalid("name", name, f"one of {', '.join(known)}")
        self._names = self._names.union(names)
        return coordinate(step) // self._joined.resolution

    def _reach(self, cell: int, waits: Waits = everywhere) -> Block:
        """
        Return the block of a cell, and have the next one fetched if it is time.

        At a pause or a gate it waits, or raises the refusal where it ``waits`` not.
        """
        self._tell_of_replay(cell)
        try:
            block, ahead = self._enter(cell) or self._obtain(cell, waits)
        except Finished as end:
            self._tell_of_end(end)
            raise
        if ahead is not None:
            self._background.do(partial(self._fetch_ahead, ahead))
        if self._hears:
            self._tell_of_changes()
        return block

    def _enter(self, cell: int) -> tuple[Block, int | None] | None:
        """Return the block of a cell, if it is there, and the cell to fetch ahead for, if any."""
        with self._lock:
            reading = self._reading
            if not reading.holds(cell):
                return None
            block = reading.enter(cell)
            half, coming = reading.half, self._coming
            coming.reached(block.revisions, cell * self._resolution)
            if self._hears:
                half = half.until(coming.next_of(half.revisions))
            half.index(self._names)
            self._show(half)
            return block, reading.due(cell)

    def _obtain(self, cell: int, waits: Waits) -> tuple[Block, int | None]:
        """Fetch the block of a cell, and enter it; wait for it where the run holds."""
        self._beats.blocks(time.monotonic())
        try:
            while True:
                since = time.monotonic()
                try:
                    with self._fetching:
                        while (found := self._enter(cell)) is None:
                            self._fetch(cell, since)
                except (Paused, AwaitingReport) as refusal:
                    if not waits(refusal):
                        raise
                    held = refusal
                else:
                    return found
                self._wait(cell, held, waits)
        finally:
            self._beats.blocks(None)

    def _wait(self, cell: int, refusal: Held, waits: Waits) -> None:
        """
        Wait until the run goes on at a cell. Whoever reads elsewhere meanwhile is not held up.

        The service keeps each request for a while, and answers as soon as there are values.
        """
        waiting = self._begin_to_wait(refusal)
        try:
            while True:
                try:
                    self._fetch(cell, time.monotonic(), holds=waiting.hold())
                except (Paused, AwaitingReport) as again:
                    if not waits(again):
                        raise
                    if waiting.is_of(again):
                        self.waits_for = again
                        if waiting.hears(again) and self.on_wait is not None:
                            self.on_wait(again)
                        self._session.network.sleep(waiting.pause(again))
                    else:
                        waiting = self._begin_to_wait(again)
                else:
                    waiting.ends()
                    return
        finally:
            self.waits_for = None
            self._beats.waits(held=False)
            with self._lock:
                self._reading.went_on(cell)

    def _begin_to_wait(self, refusal: Held) -> Waiting:
        self.waits_for = refusal
        self._beats.waits(held=True)
        waiting = Waiting(refusal, self._settings, self._joined.name)
        waiting.begins(refusal)
        if self.on_wait is not None:
            self.on_wait(refusal)
        return waiting

    def _fetch_ahead(self, cell: int) -> None:
        """Fetch in the background. A refusal is not kept: who needs the cell will ask, and hear."""
        since = time.monotonic()
        try:
            with self._fetching:
                while not self._reading.holds(cell):
                    self._fetch(cell, since, ahead=True)
        except RheostatError as error:
            log.debug("could not fetch ahead: %s", error)

    def _fetch(self, cell: int, since: float, *, ahead: bool = False, holds: float = 0.0) -> None:
        """
        Fetch the block of a cell; where the run or generation ends or holds in it, only learn that.

        Whoever needs it waits ``since`` then, by the monotonic clock. The service may keep the
        request for so many seconds (``holds``).
        """
        with self._lock:
            reading, hearing = self._reading, self._hearing
            beyond = reading.is_beyond(cell)
        if beyond:
            self._learn_total(reading)
        with self._lock:
            request = reading.request(cell, ahead=ahead)
        try:
            block = self._read(request, since, holds, cell)
        except (Finished, StaleGeneration, Paused, AwaitingReport) as refusal:
            with self._lock:
                try:
                    reading.refused(request, refusal)
                finally:
                    if reading.has_met(request.start):
                        hearing.met(signals.of_refusal(refusal))
                    self._publish(reading)
            return
        for half in block.halves:
            half.index(self._names)
        self._learn_changes(block)
        request = block.request
        with self._lock:
            reading.arrived(request, block)
            hearing.heard(block.signals or ())
            if not reading.has_met(MAX_STEP):  # it goes on, and what holds is in blocks
                hearing.met(())
            self._publish(reading)
        self._learn_signals(request, since, listed=block.signals is not None)

    @property
    def _hears(self) -> bool:
        """Whether anybody is told of revisions that come into force."""
        return self._informs or self._on_change is not None

    def _tell_of_changes(self) -> None:
        """Tell the training of what comes into force at the step that it has come to."""
        with self._lock:
            told = self._coming.take()
        for revision in told:
            log.info("run %s: %s", self._joined.name, sentence(revision))
            if self._on_change is not None:
                self._on_change(revision)

    def _tell_of_end(self, end: Finished) -> None:
        """Say once where the run has ended, by whom, and how to go on: on the first rank alone."""
        joined, untrained = self._joined, self._coming.is_new
        this = (joined.generation, end.members.get("end"), untrained)
        if this != self._told_of_end and os.environ.get("RANK", "0") == "0":
            self._told_of_end = this
            log.warning("%s", ends.words(joined, end, untrained=untrained))

    def _learn_changes(self, block: Block) -> None:
        """
        Ask what the revisions say that a block brings, before it is there to be read.

        No training waits long for that: what cannot be learned now is asked for with the next
        block, and told then.
        """
        coming, joined = self._coming, self._joined
        if not self._hears:
            return
        with self._lock:
            unknown = coming.unknown(block.revisions)
        for number in unknown:
            call = replace(joined.revision_of(number), seconds=revisions.SECONDS)
            found = judged(self._session.network.send(call), revisions.of_answer)
            if isinstance(found, Trouble):
                log.debug("could not ask what revision %s is: %s", number, found)
                return
            with self._lock:
                coming.learned(number, found, block.revisions)

    def _publish(self, reading: Reading) -> None:
        """Show what is known of the end, unless somebody has joined again meanwhile."""
        if reading is self._reading:
            self.ends_at, self.ended = reading.ends_at, reading.ended

    def _learn_signals(self, request: BlockRequest, since: float, *, listed: bool) -> None:
        """
        Ask what the signals of a block say, so that telling them is a look-up.

        Those of a training that asks for none are left alone. What cannot be learned now is asked
        for again when it is needed.
        """
        hearing = self._hearing
        try:
            if not listed:
                call = self._joined.signals_of(request)
                told = self._ask(call, since, partial(signals.of_block, stop=MAX_STEP + 1))
                with self._lock:
                    hearing.heard(place for place, _ in told)
                    for _, signal in told:
                        hearing.learned(signal)
            if hearing.listens:
                self._learn(hearing, hearing.unknown(), since)
        except RheostatError as error:
            if not listed:
                raise
            log.debug("could not ask for signals: %s", error)

    def _learn(self, hearing: Hearing, revisions: list[int], since: float) -> None:
        with self._learning:
            for revision in revisions:
                if hearing.knows(revision):
                    continue
                signal = self._ask(self._joined.revision_of(revision), since, signals.of_revision)
                with self._lock:
                    hearing.learned(signal)

    def _ask(self, call: Call, since: float, parse: Callable[[Answer], Result]) -> Result:
        patience = self._settings.for_worker(call, since)
        return self._session.exchange(call, patience, parse)

    def _read(
        self, request: BlockRequest, since: float, holds: float = 0.0, cell: int | None = None
    ) -> Block:
        """
        Return a block that the service settled and that is proven to be the one asked for.

        Where a ``cell`` is all that is needed, it may be another block with it, if the processes of
        this host have that.
        """
        with self._lock:  # of one join: who joins again meanwhile begins with another mark
            joined, mark, node = self._joined, self._mark, self._node
        mark.require_standing()
        call = replace(joined.read(request), holds=holds)
        patience = self._settings.for_worker(call, since, begun=not self._reading.first)

        def proven(answer: Answer) -> tuple[Answer, Block]:
            return answer, joined.block(request, answer)

        try:
            if node is None:
                answer, block = self._session.exchange(call, patience, proven)
            else:
                answer, block = node.read(call, patience, request, cell)
        except StepJump as refusal:
            mark.require_settled(refusal)
            raise
        except UnknownRun as refusal:
            mark.require_same_life(refusal)
            raise
        with self._lock:
            mark.saw(answer, block.stop * joined.resolution)
        self._beats.begin()
        return block

    def _shared(self, joined: JoinedRun) -> Node | None:
        """Return what this has in common with the other processes of the host, if it is to."""
        if not self._settings.reads_by_node:
            return None
        from rheostat.client._sync.node import Node  # noqa: PLC0415 - rarely needed

        return Node(self._session, joined)

    def _learn_total(self, reading: Reading) -> None:
        """Ask whether a training that is past its total was made longer; say once if it was not."""
        joined = self._session.join(self._joined.id)
        with self._lock:
            reading.lengthen(joined.total)
        if joined.total != self._told_total:
            self._told_total = joined.total
            log.info("run %s is read past its total of %s", joined.name, f"{joined.total:,}")

    def _tell_of_replay(self, cell: int) -> None:
        """
        Warn who trains far below the settled end without a checkpoint: it may mean a new training.

        The first cell says nothing yet: a scheduler reads it before its checkpoint is loaded. Ranks
        that begin together are not far apart: what the first of them holds is `AT_ONCE` cells, or
        two look-aheads if the pace was told.
        """
        if not self._replays:
            return
        joined, told, first = self._joined, self._settings, self._replayed
        if first is None:
            pace = told.pace or 0.0
            held = max(AT_ONCE, 2 * told.lookahead * pace / joined.resolution)
            self._replayed = cell
            self._replays = joined.settled_until // joined.resolution - cell > held
            return
        if cell <= first:
            return
        self._replays = False
        log.warning(
            "run %s was trained to %s %s and has %s revision%s; its values are served again, from "
            "%s on. New attempt: name it anew, as `fresh=True` does, or fork it. The same one: "
            "join with its checkpoint",
            *(joined.name, joined.axis, f"{joined.settled_until:,}"),
            *(joined.revision, "" if joined.revision == 1 else "s"),
            f"{first * joined.resolution:,}",
        )
