"""A run as a blocking worker reads it, and as operators change it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rheostat.client.answers import Document
from rheostat.client.background import Background
from rheostat.client.blocks import Block, Column
from rheostat.client.control import Control
from rheostat.client.fork import renew_in_children
from rheostat.client.joined import Joined
from rheostat.client.reads import Reads
from rheostat.errors import RheostatError

if TYPE_CHECKING:
    from rheostat.client.client import Client

log = logging.getLogger("rheostat")


class Run(Reads, Control[Document, list[Document], None, Iterator[Document], float]):
    """
    A run that was joined: its id and its generation are pinned.

    It may be used by many threads, and after a fork. A pickled copy reads the same id and
    generation without joining again; it has its own connections, and the token of its environment.
    """

    def __init__(
        self, client: Client, facts: Joined, *, first: bool = True, replays: bool = False
    ) -> None:
        Control.__init__(self, client.link, facts.id)
        Reads.__init__(self, client.settings, facts, first=first, replays=replays)
        self.client = client
        self._line = threading.Lock()
        """Kept by the one who fetches: the others wait for its block."""
        self._background = Background(f"rheostat {self.name}")
        renew_in_children(self)

    def value(self, name: str, step: int) -> float:
        """
        Return the parameter's value at a step, and settle it: no change can touch it any more.

        This is for the training. Who looks on takes `value_at`, which settles nothing.

        Within what was fetched it is a look-up. Past it the service is asked, and this handle waits
        for it, saying so in the log, until the client's ``deadline``; then `Unreachable` is raised.
        What others answer in the service's place is waited out alike, but for redirects, which are
        raised at once.
        From the end of a finished run on that is `Finished`, and after a rewind `StaleGeneration`,
        at the first step that this generation did not settle.
        """
        try:
            return self._near[name][step]
        except (KeyError, TypeError):  # it is not held, or no key at all
            pass  # an error raised in here would show this one as its context
        cell = self._cell_of(step, name)
        if cell * self._resolution != step:
            return self.value(name, cell * self._resolution)
        return self._reach(cell).value(name, cell)

    def values(self, step: int) -> dict[str, float]:
        """Return all parameters' values at a step; settles, waits and raises as `value` does."""
        near = self._near
        if len(near) == self._width:
            row = {}
            try:
                for name, cells in near.items():
                    row[name] = cells[step]
            except (KeyError, TypeError):
                pass
            else:
                return row
        cell = self._cell_of(step, *self.parameters)
        if cell * self._resolution != step:
            return self.values(cell * self._resolution)
        return self._reach(cell).row(cell)

    def block(self, step: int, n: int) -> dict[str, Column]:
        """
        Return each parameter's values of ``n`` cells from a step on, float64, and settle them.

        ``n`` is at most the run's ``max_block`` and ``max_jump``. No change can touch these cells
        any more: ask for no more than will be used soon, or for a `preview`, which settles nothing.
        """
        return self.client.link.run(self._fetching_exactly(step, n))

    def rejoin(self, checkpoint: Mapping[str, Any] | None = None) -> None:
        """
        Join the run again: the generation that is current now, or the checkpoint's.

        Raises `StaleCheckpoint` if the checkpoint lies beyond a rewind, or is of a run of this name
        that was deleted; then the handle stays what it was.
        """
        self._key = self.client.link.run(self._rejoining(checkpoint)).id

    def begin(self, start: int) -> None:
        """
        Say at which step a training begins that has no checkpoint of this run; join it there.

        Up to ``max_gap`` past what is settled nothing has to be said, and nothing changes. Further
        on a run can begin once in its life, as long as hardly anything of it was read; everything
        before ``start`` is settled then. Ranks agree on the step first, and then all say it.

        Raises:
            StepJump: The run was trained already, and not so far; the error says the way on.

        """
        self.client.link.run(self._beginning(start))

    def _reach(self, cell: int) -> Block:
        """Return the block of a cell, and have the next one fetched if it is time."""
        found = self._held(cell)
        if found is None:
            since = time.monotonic()
            with self._line:
                while (found := self._held(cell)) is None:
                    self.client.link.run(self._fetching(cell, since))
        block, ahead = found
        if ahead is not None:
            self._background.do(partial(self._fetch_ahead, ahead))
        return block

    def _fetch_ahead(self, cell: int) -> None:
        """Fetch in the background. A refusal is not kept: who needs the cell will ask, and hear."""
        since = time.monotonic()
        try:
            with self._line:
                while not self._reading.holds(cell):
                    self.client.link.run(self._fetching(cell, since))
        except RheostatError as error:
            log.debug("could not fetch ahead: %s", error)

    def _renew(self) -> None:
        super()._renew()
        self._line = threading.Lock()
        self._background = Background(f"rheostat {self.name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.client, *self._state())


def _revive(cls: type[Run], client: Client, facts: Joined, first: bool) -> Run:  # noqa: FBT001
    return cls(client, facts, first=first)
