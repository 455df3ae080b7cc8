"""Curves as a caller sees them: what holds before the first step, between the ends, and after."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from rheostat.schedules.numeric.arrays import BLOCK, PART, Curve, Floats, Real, blocks, slabs, steps
from rheostat.schedules.numeric.cells import Walk
from rheostat.schedules.numeric.laws import Law

_NEAR: Final = 2.0**-48
"""More than rounding can move a value, relative to it."""


class Formula:
    """A curve that is a few operations, written once for floats and arrays of them."""

    def __init__(self, formula: Callable[[Real], Real], *, bounded: bool = True) -> None:
        self._formula, self.bounded = formula, bounded

    def at(self, t: float) -> float:
        """Return the value at one place."""
        value: float = self._formula(t)
        return value

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        out = np.empty_like(t)
        for start, stop in blocks(0, len(t), PART):
            out[start:stop] = self._formula(t[start:stop])
        return out

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        for low, high in blocks(start, stop, PART):
            out[low - start : high - start] = self._formula(steps(low, high))


class Anchored:
    """A law, walked to both sides from the step where it is nearest to zero: nothing cancels."""

    bounded = True

    def __init__(self, law: Law, anchor: int) -> None:
        self._law, self._anchor = law, anchor
        self._walks: dict[int, Walk] = {}

    def at(self, t: float) -> float:
        """Return the value at one place."""
        u = t - self._anchor
        return self._walk(1).at(u) if u > 0 else self._walk(-1).at(-u)

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        u = t - self._anchor
        if u.min() >= 0:
            return self._walk(1).many(u)
        if u.max() <= 0:
            return self._walk(-1).many(-u)
        out = np.empty_like(u)
        for direction, side in ((1, u > 0), (-1, u <= 0)):
            out[side] = self._walk(direction).many(direction * u[side])
        return out

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        anchor = self._anchor
        turn = min(max(start, anchor), stop)
        if start < turn:
            before = out[: turn - start]
            self._walk(-1).run(anchor - turn + 1, anchor - start + 1, before, backwards=True)
        if turn < stop:
            self._walk(1).run(turn - anchor, stop - anchor, out[turn - start :])

    def _walk(self, direction: int) -> Walk:
        """Return the walk up (1) or down (−1)."""
        walk = self._walks.get(direction)
        if walk is None:
            walk = self._walks[direction] = self._law.walk(self._anchor, direction)
        return walk


class Between:
    """
    A curve that is `start` up to 0 and `end` from `steps` on, and between the two in between.

    `exact` holds further steps whose values are known exactly.
    """

    bounded = True

    def __init__(
        self, curve: Curve, start: float, end: float, steps: float, exact: Mapping[int, float]
    ) -> None:
        self._curve, self._start, self._end, self._steps = curve, start, end, steps
        self._exact = exact
        self._low, self._high = (start, end) if start < end else (end, start)

    def at(self, t: float) -> float:
        """Return the value at one place."""
        if t >= self._steps:
            return self._end
        if t <= 0:
            return self._start
        if t in self._exact:
            return self._exact[t]  # type: ignore[index]
        value = self._curve.at(t)
        return value if self._curve.bounded else min(max(value, self._low), self._high)

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        out = self._curve.many(np.minimum(np.maximum(t, 0.0), self._steps))
        if not self._curve.bounded:
            np.clip(out, self._low, self._high, out=out)
        for place, value in self._exact.items():
            out[t == place] = value
        out[t <= 0] = self._start
        out[t >= self._steps] = self._end
        return out

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        first, last = min(max(start, 1), stop), int(max(min(stop, self._steps), start))
        out[: first - start] = self._start
        out[last - start :] = self._end
        if first >= last:
            return
        inside = out[first - start : last - start]
        self._curve.run(first, last, inside)
        if not self._curve.bounded:
            self._clip(inside)
        for place, value in self._exact.items():
            if first <= place < last:
                out[place - start] = value

    def _clip(self, values: Floats) -> None:
        """Keep consecutive values, which run one way but for rounding, between the ends."""
        margin = max(abs(self._low), abs(self._high)) * _NEAR
        least, most = self._low + margin, self._high - margin
        for low, high in blocks(0, len(values), BLOCK):
            piece = values[low:high]
            if not (least < piece.item(0) < most and least < piece.item(-1) < most):
                np.clip(piece, self._low, self._high, out=piece)


class Periodic:
    """A curve of so many steps, there and back again and again."""

    bounded = True

    def __init__(self, curve: Curve, steps: int) -> None:
        self._curve, self._steps = curve, steps

    def at(self, t: float) -> float:
        """Return the value at one place."""
        passed = t % (2 * self._steps)
        return self._curve.at(min(passed, 2 * self._steps - passed))

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        passed = np.fmod(t, 2 * self._steps)
        return self._curve.many(np.minimum(passed, 2 * self._steps - passed))

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        period = 2 * self._steps
        if stop - start > period:
            self.run(start, start + period, out[:period])
            while period < len(out):
                copied = min(period, len(out) - period)
                out[period : period + copied] = out[:copied]
                period += copied
            return
        for low, high in blocks(start, stop, self._steps):
            piece = out[low - start : high - start]
            wave, passed = divmod(low, self._steps)
            if wave % 2:
                back = np.empty_like(piece)
                last = self._steps - passed
                self._curve.run(last - len(piece) + 1, last + 1, back)
                piece[:] = back[::-1]
            else:
                self._curve.run(passed, passed + len(piece), piece)


class Endless:
    """A walk up to its last cell, and what it is there for ever."""

    bounded = True

    def __init__(self, walk: Walk) -> None:
        self._walk, self._last = walk, walk.last

    def at(self, t: float) -> float:
        """Return the value at one place."""
        return self._walk.at(min(t, self._last))

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        with np.errstate(over="ignore"):
            return self._walk.many(np.minimum(t, self._last))

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        end = min(max(start, math.floor(self._last) + 1), stop)
        if start < end:
            with np.errstate(over="ignore"):
                self._walk.run(start, end, out[: end - start])
        out[end - start :] = self._walk.at(self._last)


class Scaled:
    """A curve times a power of two."""

    bounded = True

    def __init__(self, curve: Curve, factor: float) -> None:
        self._curve, self._factor = curve, factor

    def at(self, t: float) -> float:
        """Return the value at one place."""
        return self._factor * self._curve.at(t)

    def many(self, t: Floats) -> Floats:
        """Return the values at places in any order."""
        return self._factor * self._curve.many(t)

    def run(self, start: int, stop: int, out: Floats) -> None:
        """Write the values at consecutive whole places."""
        self._curve.run(start, stop, out)
        out *= self._factor


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
