"""
PyTorch's chains, against its own recursion: each scheduler makes the next rate of the last one.

The formulas are those of `torch.optim.lr_scheduler`'s `get_lr`, one turn after another.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from random import Random
from typing import Any

import numpy as np
import pytest

from rheostat.errors import Invalid
from rheostat.schedules import convert, evaluate

BASE = 0.1
Turn = Callable[[int, float], float]


def cosine(T_max: int, eta_min: float = 0.0) -> Turn:  # noqa: N803
    """Return CosineAnnealingLR: past each end it adds the way up to what it finds."""

    def turn(t: int, rate: float) -> float:
        if (t - 1 - T_max) % (2 * T_max) == 0:
            return rate + (BASE - eta_min) * (1 - cos(pi / T_max)) / 2
        left = (1 + cos(pi * t / T_max)) / (1 + cos(pi * (t - 1) / T_max))
        return eta_min + (rate - eta_min) * left

    return turn


def multistep(milestones: list[int], gamma: float) -> Turn:
    """Return MultiStepLR."""
    return lambda t, rate: rate * gamma ** milestones.count(t)


def step(step_size: int, gamma: float) -> Turn:
    """Return StepLR."""
    return lambda t, rate: rate * gamma if t % step_size == 0 else rate


def exponential(gamma: float) -> Turn:
    """Return ExponentialLR."""
    return lambda _, rate: rate * gamma


def linear(start_factor: float, end_factor: float, total_iters: int) -> Turn:
    """Return LinearLR."""
    slope = (end_factor - start_factor) / total_iters

    def turn(t: int, rate: float) -> float:
        if t > total_iters:
            return rate
        return rate * (start_factor + slope * t) / (start_factor + slope * (t - 1))

    return turn


def polynomial(total_iters: int, power: float) -> Turn:
    """Return PolynomialLR."""

    def turn(t: int, rate: float) -> float:
        if t > total_iters:
            return rate
        return float(rate * ((1 - t / total_iters) / (1 - (t - 1) / total_iters)) ** power)

    return turn


TURNS: dict[str, Callable[..., Turn]] = {
    "CosineAnnealingLR": cosine,
    "MultiStepLR": multistep,
    "StepLR": step,
    "ExponentialLR": exponential,
    "LinearLR": linear,
    "PolynomialLR": polynomial,
}
Spec = dict[str, Any]


def spec(name: str, **params: Any) -> Spec:
    """Return a scheduler inside of another one."""
    return {"name": name, "params": params}


def stepped(schedulers: list[Spec], steps: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the rates of a chain, one step after another."""
    turns = [TURNS[item["name"]](**item["params"]) for item in schedulers]
    rate = BASE
    for item in schedulers:
        rate *= item["params"].get("start_factor", 1.0)
    rates = [rate]
    for t in range(1, steps):
        for turn in turns:
            rate = turn(t, rate)
        rates.append(rate)
    return np.array(rates)


def random_scheduler(random: Random) -> Spec:
    """Return any scheduler; most cosines are over long before the others are."""
    match random.choice([*TURNS, "CosineAnnealingLR", "CosineAnnealingLR"]):
        case "CosineAnnealingLR":
            floor = {"eta_min": 0.01} if random.random() < 0.2 else {}
            return spec("CosineAnnealingLR", T_max=random.randint(1, 25), **floor)
        case "MultiStepLR":
            milestones = sorted(random.sample(range(1, 300), random.randint(1, 3)))
            return spec("MultiStepLR", milestones=milestones, gamma=random.choice([0.1, 0.5, 2.0]))
        case "StepLR":
            return spec("StepLR", step_size=random.randint(1, 90), gamma=random.choice([0.5, 0.9]))
        case "ExponentialLR":
            return spec("ExponentialLR", gamma=random.choice([0.9, 0.99]))
        case "LinearLR":
            start, end = random.choice([(0.1, 1.0), (1.0, 0.1), (0.5, 0.5)])
            length = random.choice([5, 20, 300])
            return spec("LinearLR", start_factor=start, end_factor=end, total_iters=length)
    length, power = random.choice([5, 40, 300]), random.choice([0.5, 1.0, 2.0])
    return spec("PolynomialLR", total_iters=length, power=power)


KNOWN = {
    "multistep past the tenth end": [
        spec("CosineAnnealingLR", T_max=10),
        spec("MultiStepLR", milestones=[150, 225], gamma=0.1),
    ],
    "polynomial": [
        spec("PolynomialLR", total_iters=300, power=1.0),
        spec("CosineAnnealingLR", T_max=10),
    ],
    "two cosines": [spec("CosineAnnealingLR", T_max=4), spec("CosineAnnealingLR", T_max=6)],
    "hundreds of ends": [
        spec("CosineAnnealingLR", T_max=1),
        spec("LinearLR", start_factor=1.0, end_factor=0.1, total_iters=500),
    ],
}


@pytest.mark.parametrize("name", KNOWN)
def test_cosines_rise_for_as_long_as_others_act(name: str) -> None:
    """A chain with a cosine past its end has PyTorch's values far beyond the tenth end."""
    definition = convert("torch", "ChainedScheduler", {"schedulers": KNOWN[name]}, BASE)
    expected = stepped(KNOWN[name], 1500)
    assert np.allclose(evaluate(definition, range(1500)), expected, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_any_chain_is_right_or_refused(seed: int) -> None:
    """Random chains have PyTorch's values at every step, far beyond their ends, or are refused."""
    random, right = Random(seed), 0
    for _ in range(15):
        schedulers = [random_scheduler(random) for _ in range(random.randint(2, 3))]
        inner = spec("ChainedScheduler", schedulers=schedulers[1:])
        nested = [schedulers[0], inner] if random.random() < 0.3 else schedulers
        try:
            definition = convert("torch", "ChainedScheduler", {"schedulers": nested}, BASE)
        except Invalid:
            continue
        expected = stepped(schedulers, 700)
        scale = abs(expected).max()
        found = evaluate(definition, range(700))
        assert np.allclose(found, expected, rtol=1e-7, atol=1e-11 * scale), schedulers
        right += 1
    assert right >= 8


def test_a_composed_first_part_is_refused() -> None:
    """PyTorch steps a chain twice at once that is the first part of a sequence: it is refused."""
    inner = spec("ChainedScheduler", schedulers=[spec("ExponentialLR", gamma=0.9)])
    params = {"schedulers": [inner, spec("ExponentialLR", gamma=0.5)], "milestones": [5]}
    with pytest.raises(Invalid) as caught:
        convert("torch", "SequentialLR", params, BASE)
    assert caught.value.errors[0].field == "params.schedulers[0].name"
