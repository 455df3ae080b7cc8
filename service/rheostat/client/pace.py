"""How fast a worker reads."""

from __future__ import annotations

from collections.abc import Callable


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

    def seconds(self, cells: int) -> float:
        """Return how long so many cells last; for ever as long as the pace is not known."""
        return float("inf") if self._seconds is None else cells * self._seconds
