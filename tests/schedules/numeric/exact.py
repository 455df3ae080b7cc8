"""
The curves once more, in mpmath's 50 digits, and cases that are hard for them.

Nothing is shared with the product: weights are written out from the formulas of its manual.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
from hypothesis import strategies as st
from mpmath import mpf
from numpy.typing import NDArray

from rheostat.schedules import numeric
from rheostat.schedules.numeric import Shape

mpmath.mp.dps = 50

Floats = NDArray[np.float64]
MOST = 10**15
ULPS = 4


def ulps(value: float, exact: Any, scale: float = 0.0) -> float:
    """
    Return how many units in the last place a value is off.

    Below 10^−45 of the scale, 50 digits cannot tell a sum that cancels from zero.
    """
    if value == 0 and abs(exact) < mpf(scale) * mpf("1e-45"):
        return 0.0
    return float(abs(mpf(value) - exact) / math.ulp(float(exact)))


def fall(shape: Shape, n: int, d: int) -> tuple[Any, Any]:
    """Return c(n/d) of a shape and 1 − c(n/d)."""
    y, left, p, r = mpf(n) / d, mpf(d - n) / d, mpf(shape.power), mpf(shape.ratio)
    weights: dict[str, Callable[[], tuple[Any, Any]]] = {
        "linear": lambda: (left, y),
        "cosine": lambda: (
            mpmath.sin(mpmath.pi * left / 2) ** 2,
            mpmath.sin(mpmath.pi * y / 2) ** 2,
        ),
        "1-sqrt": lambda: (1 - mpmath.sqrt(y), mpmath.sqrt(y)),
        "power": lambda: (1 - y**p, y**p),
        "polynomial": lambda: (left**p, 1 - left**p),
        "exponential": lambda: ((r**y - r) / (1 - r), (1 - r**y) / (1 - r)),
        "rational": lambda: (left / (left + r * y), r * y / (left + r * y)),
        "logarithmic": lambda: (
            mpmath.log(r + (1 - r) * y) / mpmath.log(r),
            1 - mpmath.log(r + (1 - r) * y) / mpmath.log(r),
        ),
    }
    return weights[shape.name]()


def between(start: float, end: float, shape: Shape, n: int, d: int) -> Any:
    """Return the value of a shaped curve."""
    w, v = fall(shape, min(n, d), d)
    return mpf(start) * w + mpf(end) * v


class Case(NamedTuple):
    """A shaped curve, and steps to look at."""

    start: float
    end: float
    steps: int
    shape: Shape
    places: list[int]

    @property
    def scale(self) -> float:
        """The larger end."""
        return max(abs(self.start), abs(self.end))

    def value(self, t: int) -> float:
        """Return the product's value."""
        return numeric.shaped(t, self.start, self.end, self.steps, self.shape)

    def exact(self, t: int) -> Any:
        """Return the exact value."""
        return between(self.start, self.end, self.shape, t, self.steps)

    def crossing(self) -> int:
        """Return the last step before the curve changes its sign."""
        low, high = 0, self.steps
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.exact(middle) * self.start > 0 else (low, middle)
        return low


magnitudes = st.one_of(
    st.sampled_from([1.0, 0.1, 1e-3, 3e-4, 1e-5, 2.0**-1022]),
    st.floats(1e-9, 1e3),
    st.floats(-320, 300).map(lambda exponent: 10.0**exponent),
)
ends = st.one_of(st.just(0.0), magnitudes)
lengths = st.one_of(
    st.integers(1, 300),
    st.floats(0, 15).map(lambda x: int(10**x)),
    st.integers(0, 49).map(lambda k: 2**k),
    st.integers(1, MOST),
)
powers = st.one_of(
    st.sampled_from([1.0, 2.0, 3.0, 0.5, 0.9, 4.0, 1.5]), st.floats(1e-3, 8), st.floats(8, 1e4)
)
ratios = st.one_of(
    st.sampled_from([0.1, 0.5, 1e-4, 1 - 1e-12, 2.0**-53]),
    st.floats(1e-6, 0.999),
    st.floats(2, 1e6),
)


def shapes(name: str) -> st.SearchStrategy[Shape]:
    """Return shapes of a name."""
    return st.builds(Shape, st.just(name), power=powers, ratio=ratios)


@st.composite
def steps_of(draw: st.DrawFn, steps: int) -> list[int]:
    """Return steps of a curve: any, near either end at every scale, thirds, and parts of 2^n."""
    cell = st.integers(1, 64).map(lambda part: part << max(steps.bit_length() - 6, 0))
    seam = st.builds(lambda t, aside: min(max(t + aside, 0), steps), cell, st.integers(-1, 0))
    near = st.floats(0, math.log10(steps + 1)).map(lambda x: min(int(10**x), steps))
    place = st.one_of(
        st.integers(0, steps),
        near,
        near.map(lambda t: steps - t),
        seam,
        seam.map(lambda t: steps - t),
        st.sampled_from([steps // 2, steps // 3, 2 * steps // 3, steps - 1]),
    )
    return draw(st.lists(place, min_size=1, max_size=8))


@st.composite
def cases(draw: st.DrawFn, name: str) -> Case:
    """Return curves of a shape whose ends have one sign."""
    sign = draw(st.sampled_from([1.0, -1.0]))
    start, end, steps = draw(ends) * sign, draw(ends) * sign, draw(lengths)
    return Case(start, end, steps, draw(shapes(name)), draw(steps_of(steps)))


@st.composite
def crossings(draw: st.DrawFn, name: str) -> Case:
    """Return curves of a shape that change their sign, and steps near to where they do."""
    sign = draw(st.sampled_from([1.0, -1.0]))
    start, end, steps = draw(magnitudes) * sign, draw(magnitudes) * -sign, draw(lengths)
    case = Case(start, end, steps, draw(shapes(name)), [])
    around = case.crossing() + draw(st.sampled_from([0, 10, -100, 10**4, -(10**7)]))
    places = [t for t in range(around - 3, around + 5) if 0 <= t <= steps]
    return case._replace(places=places + draw(steps_of(steps)))
