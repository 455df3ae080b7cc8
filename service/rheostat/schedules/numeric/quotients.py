"""Quotients of a number and a line, and square roots of such quotients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rheostat.schedules.numeric.arrays import BLOCK, Floats, blocks, steps


@dataclass(frozen=True)
class Quotient:
    """
    factor · above/(base + slope·t), or factor times the square root of the quotient.

    The line is its value at the last multiple of `BLOCK`, and the slope from there on: in a run
    of steps it costs one addition. No value is above the one at 0, for slopes from 0 on.
    """

    factor: float
    above: float
    base: float
    slope: float
    root: bool = False
    bounded = True

    def at(self, t: float) -> float:
        """Return the value at one place."""
        r = t % BLOCK
        quotient = self.above / (self.slope * r + (self.base + self.slope * (t - r)))
        return self.factor * (math.sqrt(quotient) if self.root else quotient)

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
        for low, high in blocks(start, stop, BLOCK):
            r = low % BLOCK
            piece = out[low - start : high - start]
            line = self.base + self.slope * (low - r)
            np.add(grown[r : r + high - low], line, out=piece)
            self._divide(piece)

    def _divide(self, line: Floats) -> None:
        """Turn values of the line into values of the curve."""
        np.divide(self.above, line, out=line)
        if self.root:
            np.sqrt(line, out=line)
        if self.factor != 1:
            line *= self.factor
