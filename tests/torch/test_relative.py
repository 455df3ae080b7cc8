"""Groups that keep the ratios of learning rates that they began with."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest

from rheostat import Run
from rheostat.errors import Invalid, Overwritten

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-frameworks")

NewRun = Callable[..., Run]
RAMP = {"kind": "linear", "start": 0.25, "end": 0.5, "steps": 4}
RAMPED = [0.25, 0.3125, 0.375, 0.4375, 0.5]


def group(**options: Any) -> dict[str, Any]:
    """Return a parameter group, with a gradient."""
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    return {"params": [weight], **options}


def sgd(*groups: dict[str, Any], lr: Any = 0.5) -> Any:
    return torch.optim.SGD(list(groups), lr=lr)


def rates(optimizer: Any) -> list[float]:
    """Return the learning rate of each group, as it stands."""
    return [float(each["lr"]) for each in optimizer.param_groups]


class Scheduled:
    """A loop with a scheduler, which uses the value before it moves on."""

    def __init__(self, optimizer: Any, run: Run, **options: Any) -> None:
        from rheostat.torch import RheostatLR

        self.optimizer = optimizer
        self.follower: Any = RheostatLR(optimizer, run, **{"relative": True, **options})

    def update(self) -> list[float]:
        """Make an update, and return the rates that it used."""
        self.optimizer.step()
        used = rates(self.optimizer)
        self.follower.step()
        return used


class Attached(Scheduled):
    """A loop with nothing but its optimizer."""

    def __init__(self, optimizer: Any, run: Run, **options: Any) -> None:
        from rheostat.torch import attach

        self.optimizer = optimizer
        self.follower = attach(optimizer, run, **{"relative": True, **options})

    def update(self) -> list[float]:
        """Make an update, and return the rates that it used."""
        self.optimizer.step()
        return rates(self.optimizer)


both = pytest.mark.parametrize("loop", [Scheduled, Attached])


@both
def test_a_group_keeps_its_ratio_to_the_default(loop: Any, new_run: NewRun) -> None:
    """One that begins with a quarter of the default has a quarter of the run's, at every step."""
    training = loop(sgd(group(lr=0.125), group(), group(lr=1.0), group(lr=0.0)), new_run(lr=RAMP))
    for value in RAMPED:
        assert training.update() == [value / 4, value, value * 2, 0.0]


@both
def test_a_ratio_is_no_fault(loop: Any, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """P12: what is proven is the run's value, and a rate that lost its ratio is divided back."""
    run = new_run(lr=RAMP)
    proven: list[float] = []
    monkeypatch.setattr(run, "applied", lambda _, values, **__: proven.append(values["lr"]))
    training = loop(sgd(group(lr=0.125), group()), run, on_mismatch="raise")
    training.update()
    training.update()
    assert proven == RAMPED[:2]

    def flatten(optimizer: Any, *_: Any) -> None:
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"]

    told: list[Any] = []
    monkeypatch.setattr(run, "mismatch", lambda *wrong: told.append(wrong))
    training.optimizer.register_step_pre_hook(flatten)
    training.update()  # a hook that comes later is looked behind from its second update on
    with pytest.raises(Overwritten, match=r"finds 0\.4375 in lr of group 0, where 0\.109375"):
        training.update()
    assert told == [(3, "lr", RAMPED[3] * 4, "f64")]


@both
def test_ratio_and_scale_multiply(loop: Any, new_run: NewRun) -> None:
    """``lr_scale`` is another factor, and may change."""
    training = loop(sgd(group(lr=0.125, lr_scale=0.5), group()), new_run(lr=RAMP))
    assert training.update() == [RAMPED[0] / 8, RAMPED[0]]
    training.optimizer.param_groups[0]["lr_scale"] = 2.0
    training.update()
    assert training.update() == [RAMPED[2] / 2, RAMPED[2]]


@both
def test_tensors_are_filled_in_place(loop: Any, new_run: NewRun) -> None:
    """A rate of float32 is the product, rounded once, and gives no alarm."""
    lrs = [torch.tensor(0.05), torch.tensor(0.5)]
    groups = [group(lr=lrs[0]), group(lr=lrs[1])]
    run = new_run(lr=1 / 3)
    training = loop(torch.optim.Adam(groups, lr=torch.tensor(0.5)), run, on_mismatch="raise")
    training.update()
    assert training.optimizer.param_groups[0]["lr"] is lrs[0]
    ratio = torch.tensor(0.05).item() / 0.5
    assert training.update() == [torch.tensor(each).item() for each in (ratio / 3, 1 / 3)]


@both
def test_a_group_that_is_added_later_has_its_own_ratio(loop: Any, new_run: NewRun) -> None:
    """It is to the optimizer's default, which no value of the run has changed."""
    training = loop(sgd(group()), new_run(lr=RAMP))
    training.update()
    training.optimizer.add_param_group(group(lr=0.125))
    training.optimizer.add_param_group(group())
    training.update()
    value = RAMPED[2]
    assert training.update() == [value, value / 4, value]


@both
@pytest.mark.parametrize("loads_first", [True, False])
def test_a_checkpoint_holds_the_ratios(loop: Any, loads_first: bool, new_run: NewRun) -> None:  # noqa: FBT001
    """They are those of the training's beginning, whatever default a later script has."""
    run = new_run(lr=RAMP)
    first = loop(sgd(group(lr=0.125), group()), run)
    first.update()
    saved = first.optimizer.state_dict(), first.follower.state_dict()

    optimizer = sgd(group(lr=0.125), group(), lr=2.0)
    if loads_first:
        optimizer.load_state_dict(saved[0])
    second = loop(optimizer, run)
    if not loads_first:
        optimizer.load_state_dict(saved[0])
    second.follower.load_state_dict(saved[1])
    assert second.update() == [RAMPED[1] / 4, RAMPED[1]]
    assert second.update() == [RAMPED[2] / 4, RAMPED[2]]


@both
def test_a_checkpoint_from_before_leaves_the_ratios(loop: Any, new_run: NewRun) -> None:
    """One that was saved without them has them again when it is saved next."""
    optimizer = sgd(group(lr=0.125), group())
    before = optimizer.state_dict()
    training = loop(optimizer, new_run(lr=RAMP))
    optimizer.load_state_dict(before)
    assert training.update() == [RAMPED[0] / 4, RAMPED[0]]
    ratios = [each["initial_lr_ratio"] for each in optimizer.state_dict()["param_groups"]]
    assert ratios == [0.25, 1.0]


def test_a_group_with_a_parameter_of_its_own_has_its_value(new_run: NewRun) -> None:
    """``lr/head`` says the rate of the head, whatever it began with."""
    run = new_run(lr=RAMP, lr__head=3.0)
    training = Scheduled(sgd(group(lr=0.125), group(name="head", lr=0.25)), run)
    assert training.update() == [RAMPED[0] / 4, 3.0]


def test_a_mapping_shares_too(new_run: NewRun) -> None:
    """One parameter for all groups of an optimizer, whatever it is called."""
    run = new_run(lr__critic=RAMP, lr=1.0)
    training = Scheduled(sgd(group(lr=0.125), group()), run, fields={"lr": "lr/critic"})
    assert training.update() == [RAMPED[0] / 4, RAMPED[0]]


def test_weight_decay_keeps_no_ratio(new_run: NewRun) -> None:
    """The default of a weight decay is seldom chosen: groups are equal, zero, or have a name."""
    run = new_run(lr=RAMP, weight_decay=0.2)
    groups = [group(lr=0.125, weight_decay=0.1), group(weight_decay=0.1), group(weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=0.5)  # whose default decay is 0.01
    Scheduled(optimizer, run)
    assert [each["weight_decay"] for each in optimizer.param_groups] == [0.2, 0.2, 0.0]
    uneven = torch.optim.AdamW([group(weight_decay=0.1), group(weight_decay=0.2)], lr=0.5)
    with pytest.raises(Invalid, match="weight_decay: groups differ"):
        Scheduled(uneven, run)


def test_without_it_groups_that_differ_are_refused(new_run: NewRun) -> None:
    """And the refusal says that there is a way."""
    with pytest.raises(Invalid, match=r"groups differ .* keep their ratios with relative=True"):
        Scheduled(sgd(group(lr=0.125), group()), new_run(lr=RAMP), relative=False)


@both
@pytest.mark.parametrize(
    ("options", "default", "message"),
    [
        ({"relative": "yes"}, 0.5, "relative must be True or False"),
        ({"fields": [{"lr": "lr"}, {"lr": "lr"}]}, 0.5, "fields: is a list, which says"),
        ({}, 0.0, "needs a default learning rate above 0"),
        ({}, math.inf, "needs a default learning rate above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    loop: Any, options: dict[str, Any], default: float, message: str, new_run: NewRun
) -> None:
    """P10: before anything is written."""
    optimizer = sgd(group(lr=0.125), group(lr=0.25), lr=default)
    with pytest.raises(Invalid, match=message):
        loop(optimizer, new_run(lr=RAMP), **options)
    assert rates(optimizer) == [0.125, 0.25]


@both
def test_a_default_that_nobody_has_is_told(
    loop: Any, new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be PyTorch's own, which the groups were never meant to refer to."""
    run = new_run(lr=RAMP)
    with caplog.at_level(logging.WARNING, "rheostat"):
        loop(sgd(group(lr=0.125), group()), run)
        assert "default lr" not in caplog.text
        loop(torch.optim.SGD([group(lr=0.5), group(lr=0.25)]), run)
    assert "the groups begin with 500, 250 of the optimizer's default lr, 0.001" in caplog.text
