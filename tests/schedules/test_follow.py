"""Parameters that follow another one of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules import strategies

from rheostat.errors import Invalid
from rheostat.schedules import Bounds, parse
from rheostat.server.runs.timeline import Timeline, Timelines

LR = {"kind": "follow", "parameter": "lr"}
HEAD = {"kind": "follow", "parameter": "lr/head", "scale": 2}
STEPS = np.array([0, 1, 2])
FOLLOWED = {"lr": np.array([0.1, 0.2, 0.3]), "lr/head": np.array([1.0, 2.0, 3.0])}


def test_values_are_those_of_the_same_step() -> None:
    """A product of two parameters and a constant multiplies what they are at each step."""
    definition = parse({"kind": "product", "of": [LR, HEAD, {"kind": "constant", "value": 0.5}]})
    assert definition.follows() == {"lr", "lr/head"}
    assert definition.values(STEPS, FOLLOWED).tolist() == [0.1, 0.4, 0.3 * 6.0 * 0.5]


@pytest.mark.parametrize(
    "outer",
    [
        {"kind": "scale", "factor": 3},
        {"kind": "power", "exponent": 1},
        {"kind": "clip", "max": 9},
        {"kind": "quantize", "multiple": 0.1},
        {"kind": "noise", "seed": 1, "amplitude": 0.1},
    ],
)
def test_inside_of_what_works_at_one_step(outer: dict[str, object]) -> None:
    """Kinds that look at one step alone may have it inside."""
    definition = parse({**outer, "of": LR})
    assert np.isfinite(definition.values(STEPS, FOLLOWED)).all()
    assert definition.length is None


@pytest.mark.parametrize(
    ("outer", "path"),
    [
        ({"kind": "stretch", "ratio": 2, "of": LR}, "definition.of"),
        ({"kind": "staircase", "every": 2, "of": LR}, "definition.of"),
        (
            {"kind": "warmup", "steps": 2, "then": {"kind": "sum", "of": [LR]}},
            "definition.then.of[0]",
        ),
        (
            {"kind": "sequence", "parts": [{"schedule": LR, "steps": 1}, {"schedule": HEAD}]},
            "definition.parts[0].schedule",
        ),
    ],
)
def test_not_where_time_is_changed(outer: dict[str, object], path: str) -> None:
    """P10: where the value of another step would be needed, it is refused."""
    with pytest.raises(Invalid) as caught:
        parse(outer)
    assert caught.value.errors[0].field == path


@settings(deadline=None, max_examples=100)
@given(strategies.followers, st.lists(st.integers(-5, 1000), min_size=1, max_size=20))
def test_followers_are_inside_their_bounds_and_the_same_however_asked(
    raw: dict[str, object], steps: list[int]
) -> None:
    """P1, P10: at any steps, values are those of each step alone, and inside the bounds."""
    definition = parse(raw)
    t = np.array(steps, dtype=np.int64)
    followed = {"lr": 0.5 + np.abs(np.sin(t)), "lr/head": 0.5 + np.abs(np.cos(t))}
    values = definition.values(t, followed)
    low, high = definition.bounds(dict.fromkeys(followed, Bounds(0.5, 1.5)))
    assert low <= values.min() <= values.max() <= high
    for i in range(len(t)):
        alone = {name: xs[i : i + 1] for name, xs in followed.items()}
        assert definition.values(t[i : i + 1], alone).tobytes() == values[i : i + 1].tobytes()


@pytest.mark.parametrize(
    ("lr", "power", "bound"),
    [
        ({"kind": "linear", "start": 0.1, "end": 0.0, "steps": 10}, -1, "≥ 0, or values that are"),
        ({"kind": "linear", "start": -0.1, "end": 0.1, "steps": 10}, -2, "≥ 0, or values that are"),
        ({"kind": "linear", "start": -0.2, "end": -0.1, "steps": 10}, -0.5, "a whole number, or"),
        ({"kind": "linear", "start": 0.2, "end": -0.1, "steps": 10}, 0.5, "a whole number, or"),
    ],
)
def test_a_run_refuses_powers_of_what_has_none(lr: Any, power: float, bound: str) -> None:
    """P10: where the followed value may be 0 or negative, the power is named, and its bound."""
    follower = {"kind": "follow", "parameter": "lr", "power": power}
    found = Timelines({"lr": Timeline.of(parse(lr)), "weight_decay": Timeline.of(parse(follower))})
    with pytest.raises(Invalid) as caught:
        found.require_sound(0)
    (error,) = caught.value.errors
    assert (error.field, error.value) == ("parameters.weight_decay.power", power)
    assert bound in str(error.bound)


def test_weight_decay_that_keeps_its_product_with_the_rate() -> None:
    """A power of −1 is c/lr, which times lr is c to an ulp, and its bounds are those of c/lr."""
    decay = parse({"kind": "follow", "parameter": "lr", "power": -1, "scale": 1e-4})
    lr = parse({"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 1000}).values(range(1200))
    values = decay.values(np.arange(1200), {"lr": lr})
    np.testing.assert_allclose(values * lr, 1e-4, rtol=5e-16)
    low, high = decay.bounds({"lr": Bounds(1e-5, 1e-3)})
    assert low <= values.min() <= values.max() <= high
    assert (low, high) == pytest.approx((0.1, 10.0), rel=1e-15)
