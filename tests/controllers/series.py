"""
Random controllers and series of metrics, each from its number alone.

What other libraries made of them is recorded by number in `records`, so what is drawn here must
never change: `digest` notices. Only whole numbers are drawn, and divided: they are the same on
every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from math import inf, nan
from random import Random
from typing import Any, NamedTuple

from rheostat.controllers import json_of_value

LENGTH = 40


class Case(NamedTuple):
    """A controller's JSON, and what is reported to it."""

    controller: dict[str, Any]
    reports: list[tuple[int, float]]


def _thousandths(random: Random, most: int) -> float:
    return random.randint(-most, most) / 1000


def _noisy(random: Random, at: int) -> float:
    return round(2 / (1 + at / 8) + _thousandths(random, 150), 3)


def _plateau(random: Random, at: int) -> float:
    return round(1 / (1 + min(at, 12)) + _thousandths(random, 4), 3)


def _flat(_random: Random, at: int) -> float:
    return 0.7 if at >= 6 else 1.3 - at / 10


def _coarse(random: Random, _at: int) -> float:
    return random.randint(-8, 8) / 8


def _falling(random: Random, at: int) -> float:
    return round(1 - at / 50 + _thousandths(random, 10), 3)


def _rising(random: Random, at: int) -> float:
    return round(at / 10 + _thousandths(random, 300), 3)


def _tenths(random: Random, at: int) -> float:
    return (30 - at + random.randint(0, 3)) / 10


SHAPES: tuple[Callable[[Random, int], float], ...] = (
    *(_noisy, _plateau, _flat, _coarse),
    *(_falling, _rising, _tenths),
)


def series(random: Random) -> list[float]:
    """Return a series of one shape, better high or low, now and then with what is no number."""
    shape, sign = random.choice(SHAPES), random.choice((1, -1))
    values = [sign * shape(random, at) for at in range(LENGTH)]
    if random.randrange(3) == 0:
        for _ in range(random.randint(1, 6)):
            values[random.randrange(LENGTH)] = random.choice((nan, inf, -inf))
    if random.randrange(12) == 0:
        values[0] = random.choice((nan, inf, -inf))
    return values


def rising_steps(random: Random) -> list[int]:
    """Return steps at irregular distances."""
    step, steps = 0, []
    for _ in range(LENGTH):
        step += random.choice((100, 100, 100, 50, 250))
        steps.append(step)
    return steps


def stop(reading: str, number: int) -> Case:
    """Return a case of early stopping."""
    random = Random(f"stop/{reading}/{number}")
    given: dict[str, Any] = {
        "kind": "stop",
        "metric": "m",
        "reading": reading,
        "mode": random.choice(("min", "max")),
        "min_delta": random.choice((0.0, 0.0, 0.001, 0.1, 0.125, 0.3)),
    }
    values, steps = series(random), [*range(LENGTH)]
    if reading == "composer":
        given["patience_steps"] = random.choice((0, 100, 250, 400, 1000))
        steps = rising_steps(random)
    else:
        given["patience"] = random.choice((0, 1, 2, 3, 5, 8))
    if reading == "lightning":
        given["check_finite"] = random.choice((True, False))
        given["stopping_threshold"] = random.choice((None, None, 0.3, -0.3, 0.7))
        given["divergence_threshold"] = random.choice((None, None, 1.3, -1.3, 2.0))
    if reading == "keras":
        given["baseline"] = random.choice((None, None, 0.7, -0.7, 0.3))
        given["start"] = random.choice((0, 0, 1, 7))
    return Case(given, [*zip(steps, values, strict=True)])


def plateau(reading: str, number: int) -> Case:
    """Return a case of a plateau."""
    random = Random(f"plateau/{reading}/{number}")
    given: dict[str, Any] = {
        "kind": "plateau",
        "metric": "m",
        "reading": reading,
        "factor": random.choice((0.1, 0.3, 0.5, 0.9)),
        "patience": random.choice((0, 1, 2, 3, 5)),
        "cooldown": random.choice((0, 0, 1, 2, 3)),
        "threshold": random.choice((1e-4, 0.001, 0.1, 0.3)),
    }
    if reading == "optax":
        given["atol"] = random.choice((0.0, 0.001, 0.125))
        given["min_scale"] = random.choice((0.0, 0.05, 0.2))
        given["average"] = random.choice((1, 1, 2, 3))
    else:
        given["mode"] = random.choice(("min", "max"))
        given["min"] = random.choice((0.0, 0.0, 0.001, 0.01))
    if reading in {"torch", "paddle", "mmengine"}:
        given["threshold_mode"] = random.choice(("rel", "abs"))
        given["eps"] = random.choice((1e-8, 0.0, 0.004))
    return Case(given, [*enumerate(series(random), 1)])


def digest(make: Callable[[str, int], Case], reading: str, count: int) -> str:
    """Return the digest of the first cases of a reading."""
    found = hashlib.sha256()
    for number in range(count):
        controller, reports = make(reading, number)
        told = [[step, json_of_value(value)] for step, value in reports]
        found.update(json.dumps([controller, told], sort_keys=True).encode())
    return found.hexdigest()[:16]
