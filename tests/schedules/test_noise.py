"""Noise that is a function of a seed and a step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rheostat.schedules import evaluate
from rheostat.schedules.numeric.seeded import half_mass, quantile, splitmix64

NOISE = {"kind": "noise", "of": {"kind": "constant", "value": 1.0}, "seed": 7, "amplitude": 0.5}


def test_the_generator_is_splitmix64() -> None:
    """The first outputs for seed 1234567 are those that Rosetta Code lists."""
    assert splitmix64(1234567, np.arange(5)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_the_normal_quantile_is_the_inverse_of_the_distribution() -> None:
    """Quantile and distribution undo each other, and agree with mathematical tables."""
    for z in (0.0, 0.3, 1.0, 1.959963984540054, 3.0, 5.0, 6.5, 8.0):
        assert half_mass(z) == pytest.approx(math.erf(z / math.sqrt(2)) / 2, rel=1e-15)
    for z in (0.1, 1.0, 2.0, 4.5):
        both = quantile(np.array([half_mass(z), -half_mass(z)]))
        assert both == pytest.approx([z, -z], rel=1e-9)
    assert quantile(np.array([0.475]))[0] == pytest.approx(1.959963984540054, rel=1e-14)


def test_uniform_noise_is_spread_evenly() -> None:
    """Of 100,000 steps each tenth of the range has a tenth, within five standard deviations."""
    noise = evaluate(NOISE, range(100_000)) - 1
    counts, _ = np.histogram(noise, bins=10, range=(-0.5, 0.5))
    assert counts.sum() == 100_000
    assert abs(counts - 10_000).max() < 5 * math.sqrt(9_000)


def test_normal_noise_has_its_deviation() -> None:
    """Cut off at five deviations, the noise has the mean 0 and the deviation that was asked for."""
    normal = {**NOISE, "distribution": "normal", "std": 0.1}
    noise = evaluate(normal, range(100_000)) - 1
    assert abs(noise.mean()) < 5 * 0.1 / math.sqrt(100_000)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    cut = evaluate({**normal, "amplitude": 0.05}, range(100_000)) - 1
    assert abs(cut).max() <= 0.05


def test_seeds_are_told_apart() -> None:
    """Two seeds give two series, and the same seed the same one."""
    first, second = (evaluate({**NOISE, "seed": seed}, range(50)) for seed in (7, 8))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.6
    assert (first != second).all()
    assert evaluate({**NOISE, "seed": 7}, range(50)).tobytes() == first.tobytes()
