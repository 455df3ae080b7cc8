"""Random schedulers of PyTorch, stepped beside the definitions that they become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rheostat.errors import Invalid
from rheostat.schedules import convert, evaluate

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step"),
]

STEPS = 60
few = st.integers(1, 12)
gamma = st.sampled_from([0.1, 0.5, 0.9, 1.0, 1.1])
rate = st.floats(0.001, 0.5)
share = st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.98, 1.0])
FACTORS: dict[str, Any] = {
    "StepLR": {"step_size": few, "gamma": gamma},
    "MultiStepLR": {"milestones": st.lists(st.integers(0, 20), max_size=4), "gamma": gamma},
    "ConstantLR": {"factor": st.sampled_from([0.1, 0.5, 1.0]), "total_iters": st.integers(0, 9)},
    "LinearLR": {
        "start_factor": st.sampled_from([0.1, 0.5, 1.0]),
        "end_factor": st.sampled_from([0.1, 0.5, 1.0]),
        "total_iters": st.integers(0, 12),
    },
    "ExponentialLR": {"gamma": gamma},
    "PolynomialLR": {"total_iters": st.integers(0, 99), "power": st.sampled_from([0, 0.5, 1, 3])},
    "CosineAnnealingLR": {"T_max": st.integers(60, 99), "eta_min": st.just(0.0)},
}
CURVES: dict[str, Any] = {
    **FACTORS,
    "CosineAnnealingLR": {"T_max": few, "eta_min": st.sampled_from([0.0, 0.01, 0.2])},
    "CosineAnnealingWarmRestarts": {"T_0": few, "T_mult": st.integers(1, 4), "eta_min": rate},
    "CyclicLR": {
        "base_lr": rate,
        "max_lr": rate,
        "step_size_up": few,
        "step_size_down": st.none() | st.integers(0, 9),
        "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
        "gamma": st.sampled_from([0.9, 1.0]),
    },
    "OneCycleLR": {
        "max_lr": rate,
        "total_steps": st.integers(1, STEPS),
        "pct_start": share,
        "three_phase": st.booleans(),
        "anneal_strategy": st.sampled_from(["cos", "linear"]),
    },
}


def schedulers(table: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schedulers of a table, as they nest."""
    return st.sampled_from(sorted(table)).flatmap(
        lambda name: st.fixed_dictionaries(
            {"name": st.just(name), "params": st.fixed_dictionaries(table[name])}
        )
    )


@st.composite
def sequences(draw: st.DrawFn) -> dict[str, Any]:
    """Return sequences of any curves but OneCycleLR, which shares its values with others."""
    table = {name: fields for name, fields in CURVES.items() if name != "OneCycleLR"}
    parts = draw(st.lists(schedulers(table), min_size=1, max_size=4))
    milestones = draw(
        st.lists(st.integers(0, 25), min_size=len(parts) - 1, max_size=len(parts) - 1)
    )
    return {
        "name": "SequentialLR",
        "params": {"schedulers": parts, "milestones": sorted(milestones)},
    }


@st.composite
def chains(draw: st.DrawFn) -> dict[str, Any]:
    """Return chains of factors, with a sequence of factors among them at times."""
    parts = draw(st.lists(schedulers(FACTORS), min_size=1, max_size=3))
    if draw(st.booleans()):
        inner = draw(st.lists(schedulers(FACTORS), min_size=2, max_size=2))
        params = {"schedulers": inner, "milestones": [draw(st.integers(1, 9))]}
        parts.insert(draw(st.integers(0, 2)), {"name": "SequentialLR", "params": params})
    return {"name": "ChainedScheduler", "params": {"schedulers": parts}}


def built(optimizer: Any, spec: dict[str, Any]) -> Any:
    """Return PyTorch's own scheduler."""
    params = dict(spec["params"])
    if "schedulers" in params:
        params["schedulers"] = [built(optimizer, inner) for inner in params["schedulers"]]
    cls = getattr(torch.optim.lr_scheduler, spec["name"])
    return cls(**params) if spec["name"] == "ChainedScheduler" else cls(optimizer, **params)


def stepped(spec: dict[str, Any]) -> list[float]:
    """Return PyTorch's values, up to where it fails; a cycle of n steps has n."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)
    values = []
    try:
        scheduler = built(optimizer, spec)
        for _ in range(spec["params"].get("total_steps", STEPS)):
            values.append(optimizer.param_groups[0]["lr"])
            scheduler.step()
    except (ZeroDivisionError, ValueError):
        pass
    return values


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=schedulers(CURVES) | sequences() | chains())
def test_a_random_scheduler_s_definition_gives_its_values(spec: dict[str, Any]) -> None:
    """
    Single schedulers, sequences and chains have PyTorch's values, or fail there too.

    Few chains have no definition, since they never repeat, and are refused.
    """
    expected = stepped(spec)
    try:
        definition = convert("torch", spec["name"], spec["params"], 0.1)
    except Invalid as refusal:
        endless = spec["name"] == "ChainedScheduler" and "have no definition: " in str(refusal)
        assert endless or len(expected) < spec["params"].get("total_steps", STEPS)
        assume(False)
    values = evaluate(definition, range(len(expected)))
    peak = max(map(abs, expected), default=0.0)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12 * peak)
