"""P1: a value has the same bits however it is asked for, and on whatever processor."""

from __future__ import annotations

import ast
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules.numeric.exact import ends, lengths, magnitudes, powers, ratios

from rheostat.schedules import numeric
from rheostat.schedules.numeric import Shape

Curve = Callable[[Any], Any]


def shaped(start: float, end: float, steps: int, shape: Shape) -> Curve:
    return lambda t: numeric.shaped(t, start, end, steps, shape)


def waving(start: float, end: float, steps: int) -> Curve:
    return lambda t: numeric.cosine_periodic(t, start, end, steps)


def geometric(start: float, end: float, steps: int) -> Curve:
    return lambda t: numeric.geometric(t, start, end, steps)


def exponential(start: float, factor: float, every: float) -> Curve:
    return lambda t: numeric.exponential(t, start, factor, every)


def inverse_power(start: float, timescale: float, power: float) -> Curve:
    return lambda t: numeric.inverse_power(t, start, timescale, power)


def inverse_time(start: float, rate: float) -> Curve:
    return lambda t: numeric.inverse_time(t, start, rate)


signed = st.one_of(ends, magnitudes.map(lambda value: -value))
names = st.sampled_from(["linear", "cosine", "1-sqrt", "power", "polynomial", "exponential"])
shapes = st.builds(Shape, names, power=powers, ratio=ratios)
curves = st.one_of(
    st.builds(shaped, signed, signed, lengths, shapes),
    st.builds(waving, signed, signed, lengths),
    st.builds(geometric, magnitudes, magnitudes, lengths),
    st.builds(exponential, signed, st.floats(0.5, 1), st.floats(0.3, 1e6)),
    st.builds(inverse_power, signed, st.floats(0.1, 1e9), powers),
    st.builds(inverse_time, signed, st.floats(0, 1e9)),
)
starts = st.one_of(st.integers(0, 2000), st.floats(0, 15).map(lambda x: int(10**x)))


@settings(max_examples=150, deadline=None)
@given(curve=curves, start=starts, count=st.integers(5, 700), seed=st.integers(0, 99))
def test_a_value_has_the_same_bits_however_it_is_asked(
    curve: Curve, start: int, count: int, seed: int
) -> None:
    """P1: a run, an array, a stride, a shuffled array and single steps give the same bits."""
    steps = np.arange(start, start + count)
    whole = curve(range(start, start + count))
    order = np.random.default_rng(seed).permutation(count)
    assert curve(steps).tobytes() == whole.tobytes()
    assert curve(steps[order]).tobytes() == whole[order].tobytes()
    assert curve(range(start, start + count, 3)).tobytes() == whole[::3].tobytes()
    assert curve(steps[1:]).tobytes() == whole[1:].tobytes()
    singles = [curve(step) for step in steps.tolist()]
    assert np.array(singles).tobytes() == whole.tobytes()


LONG = 300_000
FULL: dict[str, Curve] = {
    "linear": shaped(1e-3, 1e-5, LONG, Shape("linear")),
    "rising": shaped(0.0, 1e-3, LONG, Shape("linear")),
    "cosine": shaped(1e-3, 1e-5, LONG, Shape("cosine")),
    "wave": waving(1e-3, 0.0, 7000),
    "through zero": shaped(1.0, -0.3, LONG, Shape("cosine")),
    "square": shaped(1e-3, 0.0, LONG, Shape("polynomial", power=2)),
    "cube": shaped(1e-3, 1e-4, LONG, Shape("polynomial", power=3)),
    "power": shaped(1e-3, 1e-4, LONG, Shape("polynomial", power=0.9)),
    "power up": shaped(0.0, 1e-4, LONG, Shape("power", power=1.7)),
    "1-sqrt": shaped(1e-3, 0.0, LONG, Shape("1-sqrt")),
    "relaxation": shaped(1e-3, 0.0, LONG, Shape("exponential", ratio=0.1)),
    "rational": shaped(1e-3, 0.0, LONG, Shape("rational", ratio=0.1)),
    "logarithmic": shaped(1e-3, 0.0, LONG, Shape("logarithmic", ratio=1e-4)),
    "geometric": geometric(1e-3, 1e-7, LONG),
    "exponential": exponential(1e-3, 0.9999, 10),
    "steep": exponential(1e-3, 0.96, 1),
    "growth": exponential(1e-3, 1.0001, 1),
    "inverse_sqrt": inverse_power(1e-3, 1000, 0.5),
    "inverse_power": inverse_power(1e-3, 1000.5, 0.51),
    "inverse_time": inverse_time(1e-3, 0.1),
}


@pytest.mark.parametrize("curve", FULL.values(), ids=FULL)
def test_a_full_curve_has_the_bits_of_its_steps(curve: Curve) -> None:
    """P1: a curve of many blocks has the bits of single steps, pieces and a shuffled array."""
    whole = curve(range(LONG + 10))
    some = np.random.default_rng(3).integers(0, LONG + 10, 300)
    assert curve(some).tobytes() == whole[some].tobytes()
    assert [curve(step) for step in some.tolist()] == whole[some].tolist()
    pieces = [curve(range(low, min(low + 4096, LONG + 10))) for low in range(0, LONG + 10, 4096)]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    low, high = 12_345, LONG - 777
    assert curve(range(low, high)).tobytes() == whole[low:high].tobytes()


def test_growth_past_float64_has_the_bits_of_its_steps() -> None:
    """P1: an exponential that grows past float64 within a few steps does so at the same step."""
    curve = exponential(1.0, 1e200, 1)
    assert curve(range(8)).tolist() == [1.0, curve(1), *[math.inf] * 6]
    assert curve(1) == pytest.approx(1e200, rel=1e-15)


PROGRAM = """
import hashlib, numpy
from tests.schedules.numeric.test_bits import FULL, LONG
some = numpy.random.default_rng(5).integers(0, 2 * LONG, 20_000)
for curve in FULL.values():
    print(hashlib.sha256(curve(range(30_000)).tobytes() + curve(some).tobytes()).hexdigest())
"""


def digests(**environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


def test_a_processor_without_vector_instructions_gives_the_same_bits() -> None:
    """P1: NumPy's code for plain processors and for those with AVX and FMA gives the same bits."""
    plain = digests(NPY_DISABLE_CPU_FEATURES="AVX512F AVX512CD AVX512_SKX AVX2 FMA3 AVX F16C")
    assert plain == digests()


ROUNDED_DIFFERENTLY = {
    *("cos", "sin", "tan", "arccos", "arcsin", "arctan", "tanh", "cosh", "sinh", "hypot"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "float_power", "cbrt"),
    *("sum", "mean", "dot", "matmul", "einsum", "interp", "linspace", "cumsum", "cumprod"),
}


def test_arrays_meet_operations_that_ieee_754_defines_alone() -> None:
    """P1: the core calls none of NumPy's functions whose last bit depends on the machine."""
    for path in Path(numeric.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert not (node.value.id == "np" and node.attr in ROUNDED_DIFFERENTLY), path
