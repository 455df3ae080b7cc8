"""Quotients of a number and a line, or the square root of one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rheostat.schedules.numeric.arrays import BLOCK, Floats, slabs, steps


@dataclass(frozen=True)
class Quotient:
    """
    above/(base + slope·t), or above over the square root of the line.

    The line is its value at the last multiple of `BLOCK`, and the slope from there on: in a run
    of steps it costs one addition. No value is above the one at 0, for slopes from 0 on.
    """

    above: float
    base: float
    slope: float
    root: bool = False
    bounded = True

    def at(self, t: float) -> float:
        """Return the value at one place."""
        r = t % BLOCK
        line = self.slope * r + (self.base + self.slope * (t - r))
        return self.above / (math.sqrt(line) if self.root else line)

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        r = np.fmod(t, BLOCK)
        line = (t - r) * self.slope + self.base
        r *= self.slope
        r += line
        self._divide(r)
        return r

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        if stop - start <= BLOCK:
            out[:] = self.many(steps(start, stop))
            return
        grown = steps(0, BLOCK) * self.slope
        for low, high in slabs(start, stop, BLOCK):
            r = low % BLOCK
            end = min(r + high - low, BLOCK)
            piece = out[low - start : high - start]
            lines = np.arange(low - r, high, BLOCK) * self.slope + self.base
            np.add(grown[r:end], lines[:, None], out=piece.reshape(-1, end - r))
            self._divide(piece)

    def _divide(self, line: Floats) -> None:
        """Turn values of the line into values of the curve."""
        if self.root:
            np.sqrt(line, out=line)
        np.divide(self.above, line, out=line)
