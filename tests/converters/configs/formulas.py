"""
The formulas of schedules that fine-tuning projects share, as shares of the peak.

They are written from the projects' own code, apart from the converters, and are functions of the
step: warm-up from 0 first, and then what the name says until the total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import cos, pi
from typing import Any

import numpy as np
import pytest

from rheostat.converters import ConfigConversion, config_conversion
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

Formula = Callable[[int], float]


def constant(level: float) -> Formula:
    """Return what never changes."""
    return lambda _: level


def warmed(warmup: int, then: Formula) -> Formula:
    """Return a line from 0 to 1 in so many steps, and then another formula."""
    return lambda step: step / warmup if step < warmup else then(step)


def line(warmup: int, total: int) -> Formula:
    """Return a line to 0."""
    return warmed(warmup, lambda step: max(0.0, (total - step) / max(1, total - warmup)))


def wave(warmup: int, total: int, *, floor: float = 0.0, cycles: float = 0.5) -> Formula:
    """Return a cosine from 1 to a floor."""

    def after(step: int) -> float:
        done = (step - warmup) / max(1, total - warmup)
        return floor + (1 - floor) * max(0.0, 0.5 * (1 + cos(2 * pi * cycles * done)))

    return warmed(warmup, after)


def restarted(warmup: int, total: int, cycles: int) -> Formula:
    """Return cosines to 0 that begin again."""

    def after(step: int) -> float:
        done = (step - warmup) / max(1, total - warmup)
        return 0.0 if done >= 1 else 0.5 * (1 + cos(pi * ((cycles * done) % 1.0)))

    return warmed(warmup, after)


def power(warmup: int, total: int, exponent: float, end: float) -> Formula:
    """Return a power of what is left, down to an end, which holds."""

    def after(step: int) -> float:
        if step > total:
            return end
        left: float = (1 - (step - warmup) / (total - warmup)) ** exponent
        return (1 - end) * left + end

    return warmed(warmup, after)


def stages(
    warmup: int, stable: int, decay: int, *, floor: float = 0.0, cycles: float = 0.5
) -> Formula:
    """Return a stable stage and a cosine to a floor, from which the warm-up begins too."""

    def after(step: int) -> float:
        if step < warmup:
            return floor + (1 - floor) * step / warmup
        if step < warmup + stable:
            return 1.0
        if step < warmup + stable + decay:
            done = (step - warmup - stable) / max(1, decay)
            return floor + (1 - floor) * max(0.0, 0.5 * (1 + cos(2 * pi * cycles * done)))
        return floor

    return after


def times(factor: float, formula: Formula) -> Formula:
    """Return a formula times its peak."""
    return lambda step: factor * formula(step)


def check(
    library: str,
    config: Mapping[str, Any],
    expected: Mapping[str, Formula],
    lengths: Mapping[str, Any],
    total: int | None,
) -> ConfigConversion:
    """Hold every step of the run of a file, to beyond its end, against formulas by parameter."""
    found = config_conversion(library, config, **lengths)
    assert found.total == total
    assert set(found.parameters) == set(expected)
    steps = np.arange((total or 200) + 1)
    for name, formula in expected.items():
        values = evaluate(found.parameters[name], steps)
        right = np.array([formula(int(step)) for step in steps])
        np.testing.assert_allclose(values, right, rtol=1e-11, atol=1e-13 * right.max())
    return found


def refused(library: str, config: Any, **lengths: Any) -> set[str]:
    """Return the fields for which a file is refused; each error has a message."""
    with pytest.raises(Invalid) as caught:
        config_conversion(library, config, **lengths)
    assert all(error.message for error in caught.value.errors)
    return {error.field for error in caught.value.errors}
