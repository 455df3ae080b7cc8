# Made from _async/run.py by unasync.py: edit that one, and run this.

"""A run as a worker reads it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rheostat.client._sync.control import Control
from rheostat.client.after_fork import renew_in_children
from rheostat.client.answers import Answer
from rheostat.client.blocks import NO_CELLS, Block, BlockRequest, Column
from rheostat.client.calls import coordinate, invalid
from rheostat.client.joined import HighWaterMark, JoinedRun
from rheostat.client.reading import Reading
from rheostat.errors import Finished, RheostatError, StaleGeneration, StepJump

if TYPE_CHECKING:
    from rheostat.client._sync.client import Client

AT_ONCE = 8
"""Cells that a training which has just begun may hold, if its pace is not known."""

log = logging.getLogger("rheostat")


class Run(Control):
    """
    A run that was joined: its id and its generation are pinned. `Client.run` makes one.

    That of the blocking client may be used by many threads, and after a fork; that of asyncio by
    the tasks of one event loop. A pickled copy reads the same id and generation without joining
    again; it has its own connections, and the token of its environment.
    """

    _held: Mapping[str, Mapping[int, float]]
    """The values of the half block that is being read: by name, and then by coordinate."""

    def __init__(
        self, client: Client, joined: JoinedRun, *, first: bool = True, replays: bool = False
    ) -> None:
        super().__init__(client.session, joined.id)
        self.client = client
        self._settings = client.settings
        self._replays = replays
        """Whether it is to be told, once, that it is given what others were given before."""
        self._names: frozenset[str] = frozenset()
        self._begin(joined, first=first)
        self._make_locks()
        renew_in_children(self)

    @property
    def id(self) -> str:
        """The run's id, which is never used again."""
        return self._joined.id

    @property
    def name(self) -> str:
        """The run's name."""
        return self._joined.name

    @property
    def generation(self) -> int:
        """The generation that was joined."""
        return self._joined.generation

    @property
    def axis(self) -> str:
        """What the run counts, such as ``step``."""
        return self._joined.axis

    @property
    def resolution(self) -> int:
        """The width of a cell: a step is rounded down to a multiple of it."""
        return self._joined.resolution

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, sorted."""
        return self._joined.parameters

    @property
    def total(self) -> int | None:
        """The length of the training when it was joined, if the run states it."""
        return self._joined.total

    def checkpoint(self, step: int) -> dict[str, Any]:
        """
        Return what a checkpoint must hold to be resumed: see `Client.run`.

        Args:
            step: The step whose value the resumed training reads first.

        """
        return {"id": self.id, "generation": self.generation, "step": step}

    def value(self, name: str, step: int) -> float:
        """
        Return the parameter's value at a step, and settle it: no change can touch it any more.

        This is for the training. Who looks on takes `value_at`, which settles nothing.

        Within what was fetched it is a look-up. Past it the service is asked, and this handle waits
        for it, saying so in the log. What others answer in the service's place is waited out alike,
        but for redirects, which are raised at once.

        Args:
            name: One of `parameters`.
            step: A whole number in what the run counts, rounded down to a cell.

        Raises:
            Finished: The run has no value from this step on.
            StaleGeneration: The run was rewound, and this generation did not settle the step.
            StepJump: The step lies too far past what is settled: see `begin`.
            PastTotal: The step lies past the run's total.
            WentBack: The service has forgotten values that it gave: an old backup serves.
            Unreachable: The service did not answer until the client's ``deadline``.
            Invalid: The run has no such parameter, or this is no step.
            Closed: The client was closed, and the value is not held.

        """
        try:
            return self._held[name][step]
        except (KeyError, TypeError):  # it is not held, or no key at all
            pass  # an error raised in here would show this one as its context
        cell = self._cell_of(step, name)
        if cell * self._resolution != step:
            return self.value(name, cell * self._resolution)
        return (self._reach(cell)).value(name, cell)

    def values(self, step: int) -> dict[str, float]:
        """Return all parameters' values at a step; settles, waits and raises as `value` does."""
        held = self._held
        if len(held) == self._width:
            row = {}
            try:
                for name, cells in held.items():
                    row[name] = cells[step]
            except (KeyError, TypeError):
                pass
            else:
                return row
        cell = self._cell_of(step, *self.parameters)
        if cell * self._resolution != step:
            return self.values(cell * self._resolution)
        return (self._reach(cell)).row(cell)

    def block(self, step: int, n: int) -> dict[str, Column]:
        """
        Return each parameter's values of ``n`` cells from a step on, float64, and settle them.

        No change can touch these cells any more: ask for no more than will be used soon, or for a
        `preview`, which settles nothing.

        Args:
            step: Where to begin, rounded down to a cell.
            n: At most the run's ``max_block`` and ``max_jump``.

        Raises:
            Invalid: These are no step and no number of cells.
            RheostatError: As `value` raises.

        """
        most, size = self._joined.longest, coordinate(n, "n")
        if not 1 <= size <= most:
            raise invalid("n", n, f"from 1 to {most}, the run's max_block or max_jump")
        with self._lock:
            reading = self._reading
            request = BlockRequest(self._cell_of(step), size)
        self._tell_of_replay(request.start)
        block = self._read(request, time.monotonic())
        with self._lock:
            reading.arrived(request)
        return dict(block.columns)

    def rejoin(self, checkpoint: Mapping[str, Any] | None = None) -> None:
        """
        Join the run again: the generation that is current now, or the checkpoint's.

        If that is refused, the handle stays what it was.

        Args:
            checkpoint: What `checkpoint` returned for the step that is resumed.

        Raises:
            StaleCheckpoint: It lies beyond a rewind, or is of a run of this name that was deleted.
            UnknownRun: There is no run of this name any more.
            Unreachable: The service did not answer until the client's ``deadline``.

        """
        joined = self._session.join(self.name, checkpoint)
        with self._lock:
            self._begin(joined)
        self._key = joined.id

    def begin(self, start: int) -> None:
        """
        Say at which step a training begins that has no checkpoint of this run; join it there.

        Up to ``max_gap`` past what is settled nothing has to be said, and nothing changes. Further
        on a run can begin once in its life, as long as hardly anything of it was read; everything
        before ``start`` is settled then. Ranks agree on the step first, and then all say it.

        Args:
            start: The first step whose value is read.

        Raises:
            StepJump: The run was trained already, and not so far; the error says the way on.
            Invalid: This is no step.

        """
        joined = self._session.join(self.id, start=coordinate(start, "start"))
        with self._lock:
            self._begin(joined)

    def _begin(self, joined: JoinedRun, *, first: bool = True) -> None:
        """Read on as one who joined just now, or (``first`` is false) has read since."""
        self._joined = joined
        told = self._settings
        self._reading = Reading(joined, lookahead=told.lookahead, pace=told.pace, first=first)
        self._mark = HighWaterMark(joined)
        self._told_total: int | None = None
        self._held = NO_CELLS.cells
        self._width = len(joined.parameters)
        self._resolution = joined.resolution

    def _make_locks(self) -> None:
        network = self._session.network
        self._lock = threading.Lock()
        """Guards what is held, and is never kept while waiting."""
        self._fetching = network.lock()
        """Kept by the one who fetches: the others wait for its block."""
        self._background = network.background(f"rheostat {self.name}")

    def _renew(self) -> None:
        """Begin again after a fork: a thread that is not here may have held the locks."""
        joined, first = self._state()
        self._begin(joined, first=first)
        self._make_locks()

    def _state(self) -> tuple[JoinedRun, bool]:
        """Return what a copy in another process begins with: no blocks, but what is settled."""
        settled = self._reading.settled * self._joined.resolution
        return replace(self._joined, settled_until=settled), self._reading.first

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.client, *self._state())

    def _cell_of(self, step: int, *names: str) -> int:
        """Return the cell of a step, and have these parameters indexed from now on."""
        known = self._joined.parameters
        for name in names:
            if name not in known:
                raise invalid("name", name, f"one of {', '.join(known)}")
        self._names = self._names.union(names)
        return coordinate(step) // self._joined.resolution

    def _reach(self, cell: int) -> Block:
        """Return the block of a cell, and have the next one fetched if it is time."""
        found = self._enter(cell)
        if found is None:
            since = time.monotonic()
            with self._fetching:
                while (found := self._enter(cell)) is None:
                    self._fetch(cell, since)
        block, ahead = found
        if ahead is not None:
            self._background.do(partial(self._fetch_ahead, ahead))
        return block

    def _enter(self, cell: int) -> tuple[Block, int | None] | None:
        """Return the block of a cell, if it is there, and the cell to fetch ahead for, if any."""
        with self._lock:
            reading = self._reading
            if not reading.holds(cell):
                return None
            block = reading.enter(cell)
            reading.half.index(self._names)
            self._held = reading.half.cells
            return block, reading.due(cell)

    def _fetch_ahead(self, cell: int) -> None:
        """Fetch in the background. A refusal is not kept: who needs the cell will ask, and hear."""
        since = time.monotonic()
        try:
            with self._fetching:
                while not self._reading.holds(cell):
                    self._fetch(cell, since)
        except RheostatError as error:
            log.debug("could not fetch ahead: %s", error)

    def _fetch(self, cell: int, since: float) -> None:
        """
        Fetch the block of a cell; where the run or generation ends in it, only learn that.

        Whoever needs it waits ``since`` then, by the monotonic clock.
        """
        with self._lock:
            reading = self._reading
            beyond = reading.is_beyond(cell)
        if beyond:
            self._learn_total(reading)
        with self._lock:
            request = reading.request(cell)
        self._tell_of_replay(cell)
        try:
            block = self._read(request, since)
        except (Finished, StaleGeneration) as refusal:
            with self._lock:
                reading.refused(request, refusal)
            return
        for half in block.halves:
            half.index(self._names)
        with self._lock:
            reading.arrived(request, block)

    def _read(self, request: BlockRequest, since: float) -> Block:
        """Return a block that the service settled and that is proven to be the one asked for."""
        with self._lock:  # of one join: who joins again meanwhile begins with another mark
            joined, mark = self._joined, self._mark
        mark.require_standing()
        call = joined.read(request)
        patience = self._settings.worker(call, since, begun=not self._reading.first)

        def proven(answer: Answer) -> tuple[Answer, Block]:
            return answer, joined.block(request, answer)

        try:
            answer, block = self._session.exchange(call, patience, proven)
        except StepJump as refusal:
            mark.require_settled(refusal)
            raise
        with self._lock:
            mark.saw(answer, request.stop * joined.resolution)
        return block

    def _learn_total(self, reading: Reading) -> None:
        """Ask whether a training that is past its total was made longer; say once if it was not."""
        joined = self._session.join(self.id)
        with self._lock:
            reading.lengthen(joined.total)
        if joined.total != self._told_total:
            self._told_total = joined.total
            log.info("run %s is read past its total of %s", joined.name, f"{joined.total:,}")

    def _tell_of_replay(self, cell: int) -> None:
        """
        Warn who begins far below the settled end without a checkpoint: it may mean a new training.

        Ranks that begin together are not far apart: what the first of them holds is `AT_ONCE`
        cells, or two look-aheads if the pace was told.
        """
        joined, told, tells = self._joined, self._settings, self._replays
        self._replays = False
        pace = told.pace or 0.0
        held = max(AT_ONCE, 2 * told.lookahead * pace / joined.resolution)
        if not tells or joined.settled_until // joined.resolution - cell <= held:
            return
        log.warning(
            "run %s was trained to %s %s and has %s revision%s; its values are served again, from "
            "%s on. New attempt: name it anew, or fork it. The same one: join with its checkpoint",
            *(joined.name, joined.axis, f"{joined.settled_until:,}"),
            *(joined.revision, "" if joined.revision == 1 else "s"),
            f"{cell * joined.resolution:,}",
        )


def _revive(
    cls: type[Run],
    client: Client,
    joined: JoinedRun,
    first: bool,  # noqa: FBT001 - pickle passes arguments by their places
) -> Run:
    return cls(client, joined, first=first)
