# Made from _async/run.py by unasync.py: edit that one, and run this.

"""A run as a worker reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from rheostat.client._sync.control import Control
from rheostat.client._sync.fetching import Fetching
from rheostat.client._sync.reporting import Reporting
from rheostat.client.after_fork import renew_in_children
from rheostat.client.blocks import BlockRequest, Column
from rheostat.client.calls import coordinate, invalid
from rheostat.client.joined import JoinedRun
from rheostat.client.revisions import At, number_at
from rheostat.client.signals import Signal
from rheostat.client.waiting import Held, apart_from_gates, lies_at_gate, nowhere
from rheostat.errors import AwaitingReport, Finished, Paused

if TYPE_CHECKING:
    from rheostat.client._sync.client import Client


class Run(Fetching, Reporting, Control):  # type: ignore[misc]  # its notes are queued
    """
    A run that was joined: its id and its generation are pinned. `Client.run` makes one.

    That of the blocking client may be used by many threads, and after a fork; that of asyncio by
    the tasks of one event loop. A pickled copy reads the same id and generation without joining
    again; it has its own connections, the token of its environment, and nothing to report.

    Attributes:
        ends_at: The step at which the training ends, as far as is known, else None. A stop that was
            heard of may be taken back until it is reached.
        ended: `Stopped` or `Finished` once a step had no value for that, else None.
        waits_for: `Paused` or `AwaitingReport` while the training waits there, else None.
        on_wait: What is called with that refusal, once for each wait: see `Client.run`.
        on_change: What is called with each revision that comes into force: see `Client.run`.

    """

    def __init__(
        self, client: Client, joined: JoinedRun, *, first: bool = True, replays: bool = False
    ) -> None:
        super().__init__(client.session, joined, first=first, replays=replays)
        self.client = client
        self._renew_reports()
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

    @property
    def state(self) -> Literal["training", "waiting", "ended"]:
        """
        Whether the training goes on, waits at a pause or a gate, or has come to its end.

        As far as it was read: `waits_for` and `ended` say why.
        """
        if self.ended is not None:
            return "ended"
        return "training" if self.waits_for is None else "waiting"

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

    def at(self, step: int) -> At:
        """
        Return a step's values, the revision that gives them, and the step's signals, together.

        For loops and loggers that want to say which revision they train by. The signals are told
        here as `signals` tells them: ask one of the two. Settles, waits and raises as `value` does.

            values, revision, signals = run.at(step)

        """
        values = self.values(step)
        told = self.signals(step)
        return At(values, self.in_force(step), told)

    def in_force(self, step: int) -> int | None:
        """
        Return the number of the revision that gives a step's values, as `at` does.

        None if something on the way to the service leaves it out. Settles, waits and raises as
        `value` does.
        """
        at, half = coordinate(step), self._half
        if at in half.span:
            return number_at(half.revisions, at)
        block = self._reach(self._cell_of(at))
        return number_at(block.revisions, at)

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
        self._beats.counts(request.start * self._joined.resolution)
        block = self._read(request, time.monotonic())
        with self._lock:
            reading.arrived(request)
        return dict(block.columns)

    def steps(self, start: int, total: int | None = None, *, by: int = 1) -> Iterator[int]:
        """
        Yield the steps of a training that have values, from ``start`` to before ``total``.

        It ends where the run was stopped or finished, which is the same step on every rank: `ended`
        says why then, and `signals` of `ends_at` what is to be done there. At a pause or a gate it
        waits before it yields.

        Args:
            start: The first step.
            total: The step to end before; by default the run's own total, if it has one.
            by: How far each step goes on, where the run counts something smaller.

        Raises:
            RheostatError: As `value` raises, but for `Finished` and `Stopped`.

        """
        if coordinate(by, "by") < 1:
            raise invalid("by", by, "at least 1")
        step = coordinate(start, "start")
        while total is None or step < total:
            if step not in self._span and not self._goes_on(step, bounded=total is not None):
                return
            self._beats.counts(step)
            yield step
            step += by

    def signals(self, step: int) -> tuple[Signal, ...]:
        """
        Return the words that all ranks are told at a step, to be acted on before its update.

        Those since the step that was asked for last, each once; so ask at every step of the loop,
        from the first on, which is told none. A training that crosses a step again after a restart
        is told again. It is a look-up, if the step's values are there: else it waits for them as
        `value` does. At an end (`ends_at`) it tells what came with the stop; so it does within
        ``on_wait``, and where the training waits afterwards.

        Args:
            step: That which comes next.

        Raises:
            RheostatError: As `value` raises, but for `Finished` and `Stopped`.

        """
        if type(step) is not int:
            step = coordinate(step)
        hearing = self._hearing
        if step not in self._span:
            cell = self._cell_of(step)
            if not self._is_known(cell):
                return hearing.tell_early(step)
        if hearing.passes(step):
            return ()
        if unknown := hearing.unknown(step):
            self._learn(hearing, unknown, time.monotonic())
        with self._lock:
            return hearing.tell(step)

    def listen(self, step: int) -> None:
        """Begin to be told `signals` at a step, as by a first call: those after it are told."""
        with self._lock:
            self._hearing.tell(coordinate(step))

    def left_open(self, step: int) -> Held | Finished | None:
        """
        Fetch a step's values, waiting for whatever `value` waits for but for a report.

        An adapter asks this when an update is done, before the model is evaluated. Where the answer
        is not None, whether there are values depends on the report, and on when one asks: so it
        leaves it open on every rank, until the next update needs them.

        Returns:
            None if the values are there; else what the step waits for or, if it is known by now
            that the training ends at this gate, that.

        Raises:
            RheostatError: As `value` raises.

        """
        if type(step) is not int:
            step = coordinate(step)
        if step in self._span:
            return None
        try:
            self._reach(self._cell_of(step), apart_from_gates)
        except (Paused, AwaitingReport, Finished) as refusal:
            if lies_at_gate(refusal):
                return refusal
            raise
        return None

    def _is_known(self, cell: int) -> bool:
        """
        Wait until all signals of a cell are known, or there is one to be told where it waits.

        False where the training waits, so that more may come.
        """
        if self._reading.has_met(cell):
            if self.ended is not None:
                return True
            if self.waits_for is not None:
                return False
        try:
            self._reach(cell, nowhere)
        except Finished:
            return True
        except Paused:
            if self._hearing.has_early(cell * self._resolution):
                return False
        except AwaitingReport:
            pass
        else:
            return True
        self._goes_on(cell * self._resolution, bounded=True)
        return True

    def _goes_on(self, step: int, *, bounded: bool) -> bool:
        """Wait for a step's values; False where the training ends, or at the run's own total."""
        cell, reading = self._cell_of(step), self._reading
        if not bounded and reading.is_beyond(cell):
            self._learn_total(reading)  # it may have been made longer
            if reading.is_beyond(cell):
                return False
        try:
            self._reach(cell)
        except Finished:
            return False
        return True

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
        if checkpoint is not None:
            self._replays = False
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

    def __repr__(self) -> str:
        where, many = self._settings.address, len(self.parameters)
        return (
            f"<run {self.name!r} of {where}: {self.state}, generation {self.generation}, "
            f"{', '.join(self.parameters[:4])}{' …' if many > 4 else ''}>"
        )

    def _renew(self) -> None:
        """Begin again after a fork: a thread that is not here may have held the locks."""
        joined, first = self._state()
        self._beats.renew()
        self._begin(joined, first=first)
        self._make_locks()
        self._renew_reports()

    def _state(self) -> tuple[JoinedRun, bool]:
        """Return what a copy in another process begins with: no blocks, but what is settled."""
        settled = self._reading.settled * self._joined.resolution
        return replace(self._joined, settled_until=settled), self._reading.first

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.client, *self._state())


def _revive(
    cls: type[Run],
    client: Client,
    joined: JoinedRun,
    first: bool,  # noqa: FBT001 - pickle passes arguments by their places
) -> Run:
    return cls(client, joined, first=first)
