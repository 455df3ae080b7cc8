"""Warm-ups that run ahead of the step, against what trainings compute."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

import numpy as np
import pytest

from rheostat.errors import Invalid
from rheostat.schedules import evaluate, parse

PEAK, FLOOR, WARM, LAST = 3e-4, 3e-5, 250, 4000
COSINE = {"kind": "cosine", "start": PEAK, "end": FLOOR, "steps": LAST - WARM}


def open_clip(step: int) -> float:
    """Return the rate of open_clip's cosine_lr, down to 0."""
    if step < WARM:
        return PEAK * (step + 1) / WARM
    return 0.5 * (1 + cos(pi * (step - WARM) / (LAST - WARM))) * PEAK


def nano_gpt(step: int) -> float:
    """Return nanoGPT's get_lr, whose ramp is one step longer than its warm-up."""
    if step < WARM:
        return PEAK * (step + 1) / (WARM + 1)
    if step > LAST:
        return FLOOR
    coefficient = 0.5 * (1.0 + cos(pi * (step - WARM) / (LAST - WARM)))
    return FLOOR + coefficient * (PEAK - FLOOR)


def nanochat(step: int) -> float:
    """Return nanochat's multiplier of 1,000 iterations: 5 % up, 40 % down to a tenth."""
    if step < 50:
        return (step + 1) / 50
    if step <= 600:
        return 1.0
    progress = (1000 - step) / 400
    return progress * 1.0 + (1 - progress) * 0.1


@pytest.mark.parametrize(
    ("definition", "formula", "last"),
    [
        (
            {"kind": "warmup", "steps": WARM, "ahead": 1, "then": {**COSINE, "end": 0}},
            open_clip,
            LAST,
        ),
        (
            {"kind": "warmup", "steps": WARM, "start": PEAK / (WARM + 1), "then": COSINE},
            nano_gpt,
            LAST + 100,
        ),
        (
            {
                "kind": "wsd",
                "peak": 1,
                "warmup": 50,
                "warmup_ahead": 1,
                "stable": 550,
                "decay": 400,
                "end": 0.1,
            },
            nanochat,
            1000,
        ),
    ],
    ids=["open_clip", "nanoGPT", "nanochat"],
)
def test_trainings_that_warm_up_one_step_ahead(
    definition: dict[str, object], formula: Callable[[int], float], last: int
) -> None:
    """Every step of a whole training has the value that its own code computes."""
    expected = [formula(step) for step in range(last)]
    np.testing.assert_allclose(evaluate(definition, range(last)), expected, rtol=1e-12, atol=1e-18)


def test_a_warm_up_that_is_not_ahead_is_stored_as_it_was() -> None:
    """P1: the hash of a definition that was stored before the field came is the same with it."""
    warm = {"kind": "warmup", "steps": 3, "then": {"kind": "wsd", "peak": 1, "warmup": 2}}
    stored = parse(warm)
    assert parse({**warm, "ahead": 0}) == stored
    assert stored.content_hash == "88b67fb9ad18fa296c59644bc4247264c3539f668641aa4bad516ff108e8fbfb"


@pytest.mark.parametrize("ahead", [-1, 0.5, "1", True, 2**53])
def test_what_is_no_number_of_steps_is_refused(ahead: object) -> None:
    """P10: a ramp is ahead by whole steps, up to the last one."""
    with pytest.raises(Invalid) as caught:
        parse({"kind": "warmup", "steps": 5, "ahead": ahead, "then": COSINE})
    assert [error.field for error in caught.value.errors] == ["definition.ahead"]
