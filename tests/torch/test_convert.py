"""Live schedulers of PyTorch, read and stepped beside their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rheostat.controllers import simulate
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step"),
]

RATES = (0.1, 0.003)
SCHEDULERS: dict[str, Callable[[Any, Any], Any]] = {
    "step": lambda s, o: s.StepLR(o, 5, 0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [9, 3, 3], 0.5),
    "constant": lambda s, o: s.ConstantLR(o, 0.5, 4),
    "linear": lambda s, o: s.LinearLR(o, 0.2, 0.9, 7),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, 12, 2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 11, 0.0001),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.0001),
    "cyclic": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.4], 3, 7, mode="triangular2"),
    "one cycle": lambda s, o: s.OneCycleLR(o, [0.1, 0.4], 60, 0.23, three_phase=True),
    "averaging": lambda _, o: torch.optim.swa_utils.SWALR(o, [0.05, 0.2], 6, "linear"),
    "sequence": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1, 5), s.CosineAnnealingLR(o, 20)], [5]
    ),
    "sequence with one cycle": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1, 5), s.OneCycleLR(o, 0.5, 70), s.ExponentialLR(o, 0.9)], [5, 30]
    ),
    "chain": lambda s, o: s.ChainedScheduler(
        [s.LinearLR(o, 0.1, 1, 5), s.StepLR(o, 7, 0.5), s.ExponentialLR(o, 0.99)]
    ),
    "chain with a floor": lambda s, o: s.ChainedScheduler(
        [s.CosineAnnealingLR(o, 20, 0.001), s.LinearLR(o, 0.1, 1, 5)]
    ),
    "chain with a sequence": lambda s, o: s.ChainedScheduler(
        [
            s.ExponentialLR(o, 0.95),
            s.SequentialLR(o, [s.ConstantLR(o, 0.5, 9), s.PolynomialLR(o, 30)], [6]),
        ]
    ),
}


def stepped(make: Callable[[Any, Any], Any], key: str = "lr") -> tuple[Any, list[list[float]]]:
    """Return a scheduler, and the values of its groups at steps 0 … 50."""
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in RATES]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    values = []
    for _ in range(51):
        values.append([group[key] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return scheduler, [list(column) for column in zip(*values, strict=True)]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_live_scheduler_s_definitions_give_its_values(name: str) -> None:
    """Each parameter group has a definition, whose values are those of stepping."""
    from rheostat.torch import definition_of

    scheduler, expected = stepped(SCHEDULERS[name])
    definitions = definition_of(scheduler)
    assert len(definitions) == len(RATES)
    for definition, values in zip(definitions, expected, strict=True):
        peak = max(map(abs, values))
        np.testing.assert_allclose(evaluate(definition, range(51)), values, 1e-9, 1e-12 * peak)


@pytest.mark.parametrize("name", ["cyclic", "one cycle"])
def test_the_momentum_is_read_too(name: str) -> None:
    """A scheduler that cycles the momentum has definitions for that."""
    from rheostat.torch import definition_of

    scheduler, expected = stepped(SCHEDULERS[name], "momentum")
    for definition, values in zip(definition_of(scheduler, "momentum"), expected, strict=True):
        np.testing.assert_allclose(evaluate(definition, range(51)), values, 1e-12)


def test_what_has_no_definition_is_refused() -> None:
    """A function, a reaction to metrics, and an unknown class are refused, saying what they are."""
    from rheostat.torch import definition_of

    schedulers = torch.optim.lr_scheduler
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)

    class Own(schedulers.StepLR):  # type: ignore[misc, name-defined]
        """A scheduler of somebody's own."""

    for scheduler, reason in (
        (schedulers.LambdaLR(optimizer, lambda t: 0.9**t), "tabulate it"),
        (schedulers.ReduceLROnPlateau(optimizer), "controller_of"),
        (Own(optimizer, 5), "is not a scheduler of torch"),
    ):
        with pytest.raises(Invalid, match=reason):
            definition_of(scheduler)


def plateau(**options: Any) -> Any:
    """Return a plateau of an optimizer with two groups."""
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in RATES]
    return torch.optim.lr_scheduler.ReduceLROnPlateau(torch.optim.SGD(groups, lr=1.0), **options)


def test_a_live_plateau_s_controller_falls_with_it() -> None:
    """`controller_of` reads every option: the controller reduces at the very calls."""
    from rheostat.torch import controller_of

    options = {"mode": "max", "factor": 0.5, "patience": 1, "threshold": 0.1, "cooldown": 1}
    scheduler = plateau(**options, threshold_mode="abs", min_lr=0.02, eps=1e-3)
    metrics = [0.3, 0.35, 0.2, 0.9, 0.95, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 2.0, 0.1, 0.1, 0.1]
    rates = []
    for metric in metrics:
        scheduler.step(metric)
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
    reports = list(enumerate(metrics, 1))
    found = simulate(controller_of(scheduler, "accuracy"), reports, base_value=RATES[0])
    np.testing.assert_allclose(found.values, rates, 1e-12)
    assert len(set(rates)) > 2


def test_a_floor_of_each_group_needs_the_group() -> None:
    """A controller has one floor: of several, it is that of the group that is named."""
    from rheostat.torch import controller_of

    scheduler = plateau(min_lr=[0.02, 0.001])
    with pytest.raises(Invalid, match="say which one"):
        controller_of(scheduler)
    assert controller_of(scheduler, group=1).document["min"] == 0.001
    assert controller_of(plateau(min_lr=[0.01, 0.01])).document["min"] == 0.01
